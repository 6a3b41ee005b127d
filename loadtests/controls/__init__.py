"""What the project's strategies are compared with. Here they have short names.

A *control* shows what happens without protection: its faults are expected, and are no
failure of a comparison. An *opponent* is what a good engineer would write instead of
`queue`, in a few lines. The *ablation* is `queue` with each of its parts switched off. The
histories of both are held to be right like those of any strategy.
"""

from __future__ import annotations

from strategies import Attempt, Limits, Reply, Turn, registry

CONTROLS = {
    "unprotected": "loadtests.controls.unprotected:Unprotected",
    "origin": "loadtests.controls.origin:Origin",
}
"""Name -> dotted name, by which a server finds it."""

OPPONENTS = {
    "lock-1": "loadtests.controls.shedding_lock:lock_1",
    "lock-3": "loadtests.controls.shedding_lock:lock_3",
    "lock-5": "loadtests.controls.shedding_lock:lock_5",
    "lock-half": "loadtests.controls.shedding_lock:lock_half",
    "lock-check": "loadtests.controls.shedding_lock:lock_check",
    "lock-check-slack": "loadtests.controls.shedding_lock:lock_check_slack",
    "lock-5-check": "loadtests.controls.shedding_lock:lock_5_check",
    "lock-count-check": "loadtests.controls.shedding_lock:lock_count_check",
    "reject-jitter": "loadtests.controls.reject_jitter:RejectJitter",
    "fifo-5": "loadtests.controls.fifo:fifo_5",
    "fifo-20": "loadtests.controls.fifo:fifo_20",
    "global-queue": "loadtests.controls.fifo:Fifo",
}
"""The same. What is named is a class, or one with options: a factory that takes further ones."""

ABLATION = {
    "queue-no-start-check": "loadtests.controls.ablation:queue_no_start_check",
    "queue-no-patience": "loadtests.controls.ablation:queue_no_patience",
    "queue-no-presumption": "loadtests.controls.ablation:queue_no_presumption",
    "queue-no-retries": "loadtests.controls.ablation:queue_no_retries",
    "queue-no-standing": "loadtests.controls.ablation:queue_no_standing",
    "queue-bare": "loadtests.controls.ablation:queue_bare",
    "queue-before": "loadtests.controls.ablation:queue_before",
}
"""The same: queue without one of its parts."""


def dotted(name: str) -> str:
    """The name by which a server knows the strategy."""
    return (CONTROLS | OPPONENTS | ABLATION).get(name, name)


def is_control(name: str) -> bool:
    """Whether its faults are expected, so that they are no failure of a comparison."""
    return name in CONTROLS or name in CONTROLS.values()


def check(name: str) -> None:
    """That there is a strategy of this name which can be made. Raises UnknownStrategy."""
    try:
        registry.make(dotted(name), _nobody, Limits(), {})
    except registry.UnknownStrategy:
        raise
    except (TypeError, ValueError) as error:
        raise registry.UnknownStrategy(f"strategy {name!r}: {error}") from error


async def _nobody(turn: Turn, attempt: Attempt) -> Reply:
    raise NotImplementedError


def find(name: str) -> registry.Factory:
    """The strategy of this name, controls and opponents included. Raises UnknownStrategy."""
    return registry.find(dotted(name))
