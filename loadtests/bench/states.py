"""What an agent's state costs: a turn with a state of 1 kB, 100 kB and 1 MB, by one without."""

from __future__ import annotations

from collections.abc import Callable

from loadtests.bench.candidates import MEMORY, runner, serving, sqlite
from loadtests.bench.client import request
from loadtests.bench.cost import Cost, cost, interleaved
from loadtests.bench.figures import ratios, show, show_micros, title
from loadtests.runs.servers import Served

AGENTS = {"Keeps1kB": "1 kB", "Keeps100kB": "100 kB", "Keeps1MB": "1 MB"}
CLIENTS = 4


def measure(quick: bool) -> None:
    rounds, turns = (2, 5) if quick else (7, 20)
    title("CPU time of a turn with a state / of one without", rounds)
    for store in ("memory", "SQLite"):
        named = {
            agent: runner(agent, MEMORY if store == "memory" else sqlite(agent))
            for agent in ("ok", *AGENTS)
        }
        with serving(named) as served:
            candidates = {name: _asking(each, turns) for name, each in served.items()}
            costs = interleaved(candidates, rounds)
        cpu = {name: [each.cpu_s for each in list_] for name, list_ in costs.items()}
        for agent, size in AGENTS.items():
            show(f"{store}, a state of {size}", ratios(cpu[agent], cpu["ok"]))
        show_micros(f"CPU time of a turn, {store}", cpu)


def _asking(served: Served, turns: int) -> Callable[[int], Cost]:
    def ask(number: int) -> Cost:
        clients = [[request("hello", f"state{client}")] * turns for client in range(CLIENTS)]
        return cost(served, clients)

    return ask
