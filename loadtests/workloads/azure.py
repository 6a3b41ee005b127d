"""Service times of real LLM traffic, from a published trace.

    python -m loadtests.workloads.azure conv=CONV.csv code=CODE.csv > azure_2023.json

reads "Azure LLM inference trace 2023" of the Azure Public Dataset, whose files are
`AzureLLMInferenceTrace_conv.csv` and `..._code.csv`: TIMESTAMP, ContextTokens,
GeneratedTokens, one row a request, an hour of two services of one cloud. Licence
CC-BY. Described in Patel et al., "Splitwise: Efficient generative LLM inference using
phase splitting", ISCA 2024; cite it where a result rests on it.

The trace has tokens, no times. A service time follows from a stated speed:
GENERATED_PER_S for what is written, CONTEXT_PER_S for what is read. Only quantiles
are kept here, of service times in units of their mean.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

GENERATED_PER_S = 40.0
"""Tokens that a model writes in a second for one of many users."""

CONTEXT_PER_S = 5_000.0
"""Tokens that it reads in a second."""

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"

SHARES = (
    *(step / 200 for step in range(199)),
    *(0.991 + step / 1000 for step in range(9)),
    *(0.9991 + step / 10_000 for step in range(10)),
)
"""Where quantiles are kept: closer together in the last hundredth, where the long ones are."""

Request = tuple[float, str, float]
"""When it came (seconds), in which conversation ("" where the file does not tell), its service."""


def is_published(text: str) -> bool:
    """Whether a file that begins so is such a CSV."""
    return text.lstrip("\ufeff").startswith(HEADER)


def read(text: str) -> Iterator[Request]:
    """The requests of a CSV with this header. A fourth column `Conversation` may name one.

    Raises ValueError, with the line's number, for a row that is none.
    """
    for number, row in enumerate(csv.DictReader(text.lstrip("\ufeff").splitlines()), 2):
        try:
            service_s = (
                float(row["GeneratedTokens"]) / GENERATED_PER_S
                + float(row["ContextTokens"]) / CONTEXT_PER_S
            )
            at = datetime.fromisoformat(row["TIMESTAMP"]).timestamp()
        except (TypeError, ValueError) as error:
            raise ValueError(f"line {number} is no request of a trace: {error}") from error
        yield at, row.get("Conversation") or "", service_s


def describe(requests: Sequence[Request]) -> dict[str, Any]:
    """What is kept of a trace: counts, rate, CVs, and quantiles of the service time of mean 1.

    rate_per_s requests a second; mean_s in seconds; a CV is a standard deviation over
    its mean. Raises ValueError for fewer than three requests, or all at one instant.
    """
    instants = sorted(at for at, _, _ in requests)
    if len(instants) < 3 or instants[0] == instants[-1]:
        raise ValueError("a trace needs three requests or more, not all at one instant")
    gaps = [after - at for at, after in pairwise(instants)]
    services = sorted(service_s for _, _, service_s in requests)
    mean_s = fmean(services)
    return {
        "requests": len(requests),
        "rate_per_s": _short(1 / fmean(gaps)),
        "gaps_cv": _short(pstdev(gaps) / fmean(gaps)),
        "mean_s": _short(mean_s),
        "service_cv": _short(pstdev(services) / mean_s),
        "quantiles": [
            [round(share, 4), _short(_quantile(services, share) / mean_s)] for share in SHARES
        ],
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Straight between order statistics (Hyndman and Fan 1996, type 7)."""
    at = share * (len(ordered) - 1)
    left = min(int(at), len(ordered) - 2)
    return ordered[left] + (at - left) * (ordered[left + 1] - ordered[left])


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def main(words: Sequence[str]) -> str:
    """The JSON of these traces, each NAME=FILE, or FILE under what follows its name's last `_`."""
    kept: dict[str, Any] = {}
    for word in words:
        name, equals, file = word.partition("=")
        path = Path(file if equals else word)
        text = path.read_text()
        if not is_published(text):
            raise ValueError(f"{path} does not begin with {HEADER}")
        kept[name if equals else path.stem.rpartition("_")[2]] = describe(list(read(text)))
    lines = (f'"{name}": {json.dumps(about)}' for name, about in kept.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m loadtests.workloads.azure [NAME=]FILE.csv ...")
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except (OSError, ValueError) as error:
        sys.exit(str(error))
