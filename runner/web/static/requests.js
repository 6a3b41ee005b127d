// What an agent asks of a person: approvals and questions, answered together.
import { el } from "./dom.js";

/** A form for these requests; `answer(resume, words)` sends the answers, or "cancel". */
export function requestsForm(requests, answer) {
  const answers = {};
  const drop = el("button", {
    type: "button", className: "quiet drop-requests",
    on: { click: () => finish("cancel", "Dropped these questions") },
  }, "Drop these questions");
  const groups = requests.map((request) => group(request, (given, words) => {
    answers[request.id] = { given, words };
    if (requests.every(({ id }) => answers[id])) send();
  }));
  const form = el("div", { className: "requests" }, ...groups, drop);

  function send() {
    const resume = Object.fromEntries(Object.entries(answers).map(([id, { given }]) => [id, given]));
    finish(resume, Object.values(answers).map(({ words }) => words).join("; "));
  }

  function finish(resume, words) {
    form.querySelectorAll("button, input").forEach((one) => (one.disabled = true));
    answer(resume, words);
  }

  return form;
}

function group(request, answered) {
  const fields = request.kind === "approval" ? approval(request, given) : question(request, given);
  const node = el("fieldset", { className: "request", data: { requestId: request.id } }, ...fields);

  function given(value, words) {
    node.querySelectorAll("button, input").forEach((one) => (one.disabled = true));
    answered(value, words);
  }

  return node;
}

function approval({ name = "a tool", arguments: given, prompt }, answered) {
  const legend = el("legend", {}, prompt ?? `May the agent call ${name}?`);
  const details = given === undefined ? [] : [el("pre", { tabIndex: 0 }, `${name} ${JSON.stringify(given, null, 2)}`)];
  const button = (approve, word) => el("button", {
    type: "button", className: approve ? "first" : "",
    on: { click: () => answered({ approve }, `${word}: ${name}`) },
  }, word);
  return [legend, ...details, el("p", { className: "act" }, button(true, "Approve"), button(false, "Decline"))];
}

function question({ prompt = "The agent asks you something", name }, answered) {
  const input = el("input", { label: prompt, autocomplete: "off" });
  const send = () => answered({ approve: true, value: input.value }, `${input.value}`);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) send();
  });
  const button = el("button", { type: "button", className: "first", on: { click: send } }, "Answer");
  const legend = el("legend", {}, name && !prompt ? name : prompt);
  return [legend, el("p", { className: "act" }, input, button)];
}
