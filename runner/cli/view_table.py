"""A view of the server as lines of text, as many as a terminal has.

Nothing is told by colour alone, and what others have named cannot command the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import OverflowMethod
from rich.text import Text

from runner.cli.requests import printable
from runner.cli.screen import ordinal
from runner.cli.view_state import FAILED, LANE_S, REFUSED, RUNS, STOPPED, WAITS, Line, Living, View

GAP = "   "
COUNTS_WIDTH = 13
LEGEND = {WAITS: "waits", RUNS: "runs", REFUSED: "refused", FAILED: "failed", STOPPED: "stopped"}
STYLES = {
    WAITS: "yellow",
    RUNS: "green",
    REFUSED: "bold magenta",
    FAILED: "bold red",
    STOPPED: "blue",
}
SIGNS = {0: " ", WAITS: "░", RUNS: "█", REFUSED: "x", FAILED: "!", STOPPED: "/"}
ASCII_SIGNS = SIGNS | {WAITS: ".", RUNS: "#"}


@dataclass(frozen=True, slots=True)
class Paper:
    """What it is written on. `height` is None where it may be as long as it takes."""

    width: int
    height: int | None
    is_ascii: bool = False

    @property
    def signs(self) -> Mapping[int, str]:
        return ASCII_SIGNS if self.is_ascii else SIGNS

    @property
    def overflow(self) -> OverflowMethod:
        return "crop" if self.is_ascii else "ellipsis"

    def clean(self, text: str) -> str:
        """What others have named, where it can neither command the terminal nor break the line."""
        shown = one_line(text)
        return shown.encode("ascii", "backslashreplace").decode() if self.is_ascii else shown

    @property
    def name_width(self) -> int:
        return min(max(self.width // 4, 12), 32)

    @property
    def lane_s(self) -> int:
        """How many seconds of the past fit, in a cell each."""
        return min(LANE_S, max(0, self.width - self.name_width - COUNTS_WIDTH))


def draw(view: View, url: str, now: float, status: str, paper: Paper) -> Text:
    """All of it; `now` by the server's clock, `status` is the last line."""
    head = [*_about(view, url, paper), Text(), _titles(paper)]
    foot = Text(paper.clean(status), "reverse")
    room = None if paper.height is None else max(0, paper.height - len(head) - 2)
    body, left_out = _body(view, now, room, paper)
    blank = [Text()] * (0 if room is None else room - len(body) + (not left_out))
    lines = [*head, *body, *blank, *([Text(left_out, "dim")] if left_out else []), foot]
    for line in lines:
        line.truncate(paper.width, overflow=paper.overflow)
    return Text("\n", no_wrap=True).join(lines)


def one_line(text: str) -> str:
    """What others have named, in one line that cannot command the terminal."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _about(view: View, url: str, paper: Paper) -> list[Text]:
    told = view.told
    load, limits, you = told["load"], told.get("limits", {}), told.get("you", {})
    who = [str(you.get("caller") or "")]
    if you.get("everyone"):
        who = ["everyone's turns" + ("" if you.get("texts") else ", without texts")]
    what = [url, f"strategy {told.get('strategy')}", f"agent {told.get('agent_id')}", *who]
    groups = [
        (what, "dim"),
        *([(_system(told["system"], limits), "bold")] if "system" in told else []),
        (_own(load, None if "system" in told else limits), "bold"),
        ([_percentiles(one, told.get(f"{one}_s")) for one in ("wait", "run")], ""),
        (_counts("ended", told.get("ended")), ""),
        (_counts("refused", told.get("refused")), ""),
    ]
    return [
        Text(line, style)
        for parts, style in groups
        for line in _flow([paper.clean(part) for part in parts if part], paper.width)
    ]


def _own(load: Mapping[str, Any], limits: Mapping[str, Any] | None) -> list[str]:
    """Of this process. `limits` are None where they are those of all processes."""
    known = limits or {}
    running = _of("running", load["running"], known.get("max_running"))
    return [
        running if limits is not None else f"accepted here: {running}",
        _of("waiting", load["waiting"], known.get("max_waiting")),
        f"oldest wait {_seconds(load.get('oldest_wait_s'))}",
        f"fenced {load['fenced']}" if load.get("fenced") else "",
    ]


def _system(told: Mapping[str, Any] | None, limits: Mapping[str, Any]) -> list[str]:
    """Of all processes that serve the same store."""
    if told is None:
        return ["all processes: not known, the store cannot be reached"]
    count = told.get("processes")
    return [
        ("1 process: " if count == 1 else f"{count} processes: ")
        + _of("running", told.get("running"), told.get("slots")),
        _of("waiting", told.get("waiting"), limits.get("max_waiting")),
        f"oldest wait {_seconds(told.get('oldest_wait_s'))}",
    ]


def _of(name: str, count: object, limit: object) -> str:
    return f"{name} {count}" + ("" if limit is None else f" of {limit}")


def _percentiles(name: str, told: Mapping[str, Any] | None) -> str:
    if not told:
        return f"{name} -"
    return name + "".join(f" {one} {_seconds(told.get(one))}" for one in ("p50", "p95", "p99"))


def _counts(name: str, told: Mapping[str, Any] | None) -> list[str]:
    counts = [f"{what} {count}" for what, count in (told or {}).items() if count]
    return [f"{name}: {counts[0] if counts else 'none'}", *counts[1:]]


def _flow(parts: Iterable[str], width: int) -> list[str]:
    """Beside each other as long as they fit."""
    lines: list[str] = []
    for part in parts:
        if lines and Text(lines[-1] + GAP + part).cell_len <= width:
            lines[-1] += GAP + part
        else:
            lines.append(part)
    return lines


def _titles(paper: Paper) -> Text:
    title = Text(_cell("conversation", paper) + " runs waits  ", "underline")
    return title.append(f"last {paper.lane_s} s")


def legend(paper: Paper) -> str:
    return "  ".join(f"{paper.signs[what]} {word}" for what, word in LEGEND.items())


def _body(view: View, now: float, room: int | None, paper: Paper) -> tuple[list[Text], str]:
    """The conversations with a lane each, then their turns as far as there is room."""
    known = view.conversations()
    if room is None:
        shown, counts = known, [len(line.turns) for line in known]
    else:
        # A third is for the turns, so that many conversations do not hide them all.
        turns = sum(len(line.turns) for line in known)
        shown = known[: room - min(turns, room // 3)]
        counts = _shares([len(line.turns) for line in shown], room - len(shown))
    lines: list[Text] = []
    for line, count in zip(shown, counts, strict=True):
        lines.append(_conversation(view, line, now, paper))
        lines += [_turn(turn, now, paper) for turn in line.turns[:count]]
    return lines, _left_out(view, known, shown, counts)


def _shares(wanted: list[int], room: int) -> list[int]:
    """How many turns each conversation shows: one more for each in turn, while there is room."""
    given = [0] * len(wanted)
    while room > 0 and given != wanted:
        for index, most in enumerate(wanted):
            if room > 0 and given[index] < most:
                given[index] += 1
                room -= 1
    return given


def _left_out(view: View, known: list[Line], shown: list[Line], counts: list[int]) -> str:
    lines = len(known) - len(shown) + int(view.told.get("left_out", {}).get("lines", 0))
    load = view.told["load"]
    turns = int(load["running"]) + int(load["waiting"]) - sum(counts)
    parts = (_many(lines, "conversation"), _many(turns, "turn"))
    words = " and ".join(part for part in parts if part)
    return f"not shown: {words}" if words else ""


def _many(count: int, what: str) -> str:
    return "" if count <= 0 else f"{count} {what}{'' if count == 1 else 's'}"


def _conversation(view: View, line: Line, now: float, paper: Paper) -> Text:
    caller, own_id = line.key
    name = paper.clean(f"{own_id} ({caller})" if caller else own_id)
    text = Text(_cell(name, paper) + f" {line.running:>4} {line.waiting:>5}  ")
    for what in view.lane(line, now, paper.lane_s):
        text.append(paper.signs[what], STYLES.get(what, ""))
    return text


def _turn(turn: Living, now: float, paper: Paper) -> Text:
    """Place or state, age, expected wait, id and message, such as `2nd  1.2 s  in 3.0 s  ...`."""
    if turn.state == "waiting":
        place = "waits" if turn.position is None else ordinal(turn.position)
        since, eta = turn.accepted_at, "" if turn.eta_s is None else f"in {_seconds(turn.eta_s)}"
    else:
        place, eta = "runs" if turn.state == "running" else turn.state, ""
        since = turn.accepted_at if turn.started_at is None else turn.started_at
    text = f"{place:>7} {_seconds(now - since):>7} {eta:>8}  {turn.id}  {turn.message}"
    return Text(paper.clean(text), "dim" if turn.state == "waiting" else "")


def _seconds(number: object) -> str:
    """Such as 0.4 s, 12 s, 3 min."""
    if not isinstance(number, int | float):
        return "-"
    number = max(0.0, number)
    if number < 10:
        return f"{number:.1f} s"
    return f"{number:.0f} s" if number < 120 else f"{number / 60:.0f} min"


def _cell(text: str, paper: Paper) -> str:
    cell = Text(text)
    cell.truncate(paper.name_width, overflow=paper.overflow, pad=True)
    return cell.plain
