"""What queueing theory says, for the few cases where it has a formula.

Times are in mean service times, loads in arrivals for each of them. Sources:
Kleinrock 1975, Queueing Systems I (M/M/1, section 3.2; M/G/1 by Pollaczek and
Khinchine, 5.7); Erlang 1917 for the loss, which depends on the service time's mean
alone (Sevastyanov 1957).
"""

from __future__ import annotations

from math import exp, inf, log


def md1_wait(load: float) -> float:
    """Mean wait in M/D/1; inf from saturation on."""
    return mg1_wait(load, variance=0.0)


def mm1_wait(load: float) -> float:
    """Mean wait in M/M/1; inf from saturation on."""
    return mg1_wait(load, variance=1.0)


def mg1_wait(load: float, variance: float) -> float:
    """Mean wait in M/G/1, first in first out; variance of the service time, of mean 1."""
    return load * (1 + variance) / (2 * (1 - load)) if load < 1 else inf


def mm1_sojourn_percentile(load: float, share: float) -> float:
    """The percentile of wait and service together in M/M/1: exponential with rate 1 - load."""
    return -log(1 - share) / (1 - load) if load < 1 else inf


def mm1_served_within(load: float, limit: float) -> float:
    """The share of M/M/1 that is answered within the limit."""
    return 1 - exp(-(1 - load) * limit) if load < 1 else 0.0


def loss(load: float) -> float:
    """The share that M/G/1/1 refuses: one place, no waiting, nobody tries again (Erlang B)."""
    return load / (1 + load)
