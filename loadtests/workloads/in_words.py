"""A user's own traffic in a few words, as a workload: so many a second, for so long, like this."""

from __future__ import annotations

from math import inf
from random import Random

from loadtests.workloads.clients import POLICIES, Clients
from loadtests.workloads.draws import (
    Draw,
    azure_code,
    azure_conv,
    constant,
    exponential,
    lognormal,
    poisson,
)
from loadtests.workloads.workload import Arrival, Workload


def parse_rate(text: str) -> float:
    """Turns a second, from `0.2/s`, `30/m`, `500/h` or `2000/d`. Raises ValueError."""
    count, slash, unit = text.partition("/")
    expected = "a rate such as 0.2/s, 30/m or 500/h"
    if not slash or unit not in ("s", "m", "h", "d"):
        raise ValueError(f"{text!r} is not {expected}")
    return positive(count, text, expected) / parse_seconds(f"1{unit}")


def parse_service(text: str) -> tuple[float, Draw]:
    """A mean in seconds and a distribution, from `lognormal:4s`, `constant:2s`, `exponential:1s`.

    `lognormal:4s:1.2` has a sigma; 0.8 where none is said. `azure-conv` and `azure-code` are
    of real traffic. Raises ValueError.
    """
    kind, _, rest = text.partition(":")
    mean, _, sigma = rest.partition(":")
    draws: dict[str, Draw] = {
        "constant": constant,
        "exponential": exponential,
        "lognormal": lognormal(0.8),
        "azure-conv": azure_conv,
        "azure-code": azure_code,
    }
    expected = (
        "such as constant:2s, exponential:2s, azure-conv:2s, azure-code:2s, lognormal:2s or "
        "lognormal:2s:0.8 (a sigma)"
    )
    if kind not in draws or (sigma and kind != "lognormal"):
        raise ValueError(f"{text!r} is not {expected}")
    if sigma:
        return parse_seconds(mean), lognormal(positive(sigma, text, expected))
    return parse_seconds(mean), draws[kind]


def parse_clients(text: str, service_s: float) -> Clients:
    """How users behave, from words such as `backoff,timeout=60s,patience=3m,silent,stay`.

    A policy (give-up, fixed, openai, backoff); `silent`: no deadline is told; `stay`: the
    connection is not closed at the timeout. Raises ValueError.
    """
    told = {"timeout": 60.0, "patience": 180.0}
    policy, flags = "backoff", set[str]()
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = word.partition("=")
        if equals and name in told:
            told[name] = parse_seconds(value)
        elif word in POLICIES:
            policy = word
        elif word in ("silent", "stay"):
            flags.add(word)
        else:
            known = ", ".join([*POLICIES, "timeout=60s", "patience=3m", "silent", "stay"])
            raise ValueError(f"{word!r} is nothing that clients do. Known: {known}")
    return Clients(
        timeout=told["timeout"] / service_s,
        patience=told["patience"] / service_s,
        retry=policy,
        tells_deadline="silent" not in flags,
        leaves="stay" not in flags,
    )


def make_traffic(
    rate: float,
    service: tuple[float, Draw],
    clients: Clients,
    *,
    duration_s: float,
    conversations: int,
    backends: int | None,
    seed: int,
) -> Workload:
    """Poisson arrivals, `rate` a second over all conversations, each as likely as another."""
    rng = Random(f"traffic {seed}")
    mean_s, draw = service
    instants = poisson(lambda at: rate, duration_s, rng)
    arrivals = tuple(
        Arrival(at, f"c{rng.randrange(conversations)}", draw(rng) * mean_s) for at in instants
    )
    return Workload("traffic", seed, mean_s, duration_s, clients, arrivals, backends)


def parse_seconds(text: str) -> float:
    """Seconds from `250ms`, `4s`, `2m`, `1h`, `3d` or a bare number. Raises ValueError."""
    for unit, seconds in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)):
        if text.endswith(unit):
            return positive(text.removesuffix(unit), text, EXAMPLES) * seconds
    return positive(text, text, EXAMPLES)


EXAMPLES = "a time such as 250ms, 4s, 2m, 1h or 3d"


def positive(number: str, text: str, expected: str) -> float:
    """A number above 0. Raises ValueError, which says that `text` is not what is expected."""
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise ValueError(f"{text!r} is not {expected}")
    return value
