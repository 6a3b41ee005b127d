"""How a figure is shown: the median of the rounds' ratios, the lowest, the highest, the aim."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def title(words: str, rounds: int) -> None:
    print(f"\n{words:68} median   (lowest .. highest of {rounds} rounds)", flush=True)


def show(what: str, ratios: Sequence[float], aim: str = "") -> None:
    line = f"{what:68} {statistics.median(ratios):6.2f}   ({min(ratios):.2f} .. {max(ratios):.2f})"
    print(f"{line}   {aim}".rstrip(), flush=True)


def show_micros(what: str, seconds: dict[str, list[float]]) -> None:
    """What the ratios are made of. Good for this run alone."""
    print(f"({what}, median of this run, in microseconds:")
    for name, values in seconds.items():
        print(f"    {name:64} {1e6 * statistics.median(values):6.0f}")
    print(")", flush=True)


def ratios(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(ones, others, strict=True)]
