"""The cells of the matrix: every kind of client at every load, and workloads with a name.

Times are in mean service times, and one of these is a second, so timeouts that a server
has by default (`turn_timeout_s`) are far beyond what a client waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from random import Random

from loadtests.workloads import shapes
from loadtests.workloads.clients import Clients
from loadtests.workloads.draws import Draw, azure_code, azure_conv, exponential, lognormal
from loadtests.workloads.schedules import Shape, scaled, schedule
from loadtests.workloads.workload import Workload

TOLD = ("told", "leaves", "silent")
"""Clients say their timeout; they only leave at it; they do neither, and a late answer is lost."""

RETRIES = ("give-up", "fixed", "openai", "backoff")
LOADS = (0.5, 0.8, 1.2, 2.0, 4.0)
SHAPES = ("one", "fifty")
"""One conversation; fifty over an agent that works at four turns at once."""

SERVICES: dict[str, Draw] = {
    "exponential": exponential,
    "lognormal": lognormal(0.8),
    "azure-conv": azure_conv,
    "azure-code": azure_code,
}
NAMED = ("tight", "spike", "hot", "heavy-tail", "impatient")
TIMEOUT = 10.0
MANY = 4.0
OPPONENTS_AT = {
    *(("exponential", load) for load in (0.8, 1.2, 2.0)),
    ("azure-code", 1.2),
}
"""The simple opponents' services and loads, for all kinds of clients and both shapes."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of traffic. Of a named workload only the name, in `shape`, and its timeout.

    told, retry, service   of TOLD, RETRIES and SERVICES; "" for a named workload.
    load                   arrivals for each service time and backend; 0 for a named workload.
    shape                  "one", "fifty" or the name.
    timeout                an attempt's, in mean service times.
    """

    told: str
    retry: str
    load: float
    shape: str
    service: str
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        if self.shape not in SHAPES:
            return self.shape
        load = f"{self.load:g}"
        return f"{self.told} {self.retry} {load} {self.shape} {self.service} {self.timeout:g}"

    @property
    def group(self) -> str:
        """What the table sums up: who tells what, to how many conversations."""
        return f"{self.told}, {self.shape}" if self.shape in SHAPES else "named"

    @property
    def has_opponents(self) -> bool:
        """Whether the simple opponents are tried here too, and not only the built-in strategies."""
        if self.shape not in SHAPES:
            return True
        return (self.service, self.load) in OPPONENTS_AT

    def seeds(self, most: int) -> range:
        """Half as many where most users come: ten times as many as at the lowest load."""
        return range(1, (max(most // 2, 1) if self.load >= MANY else most) + 1)

    def workload(self, seed: int) -> Workload:
        """The same for the same seed, everywhere."""
        if self.shape not in SHAPES:
            return shapes.make(self.shape, seed, service_s=1.0)
        shape, horizon = self._shape(), self._horizon()
        arrivals = schedule(shape, Random(f"{self} {seed}"), horizon)
        return Workload(
            str(self),
            seed,
            service_s=1.0,
            horizon_s=horizon,
            clients=shape.clients,
            arrivals=tuple(scaled(arrival, 1.0) for arrival in arrivals),
            backends=shape.backends,
        )

    def _shape(self) -> Shape:
        clients = Clients(
            self.timeout,
            patience=3 * self.timeout,
            retry=self.retry,
            tells_deadline=self.told == "told",
            leaves=self.told != "silent",
        )
        many = self.shape == "fifty"
        return Shape(
            str(self),
            self.load * (4 if many else 1),
            clients,
            SERVICES[self.service],
            conversations=50 if many else 1,
            backends=4 if many else None,
        )

    def _horizon(self) -> float:
        """Long against the timeout, or all would be the beginning; fifty have more users."""
        services = max(100.0, 10 * self.timeout)
        return services / 2 if self.shape == "fifty" else services


def cells(timeout: float = TIMEOUT) -> Iterator[Cell]:
    """All cells of clients with this timeout; with the usual one also the named workloads."""
    for told, retry, load, shape, service in product(TOLD, RETRIES, LOADS, SHAPES, SERVICES):
        yield Cell(told, retry, load, shape, service, timeout)
    if timeout == TIMEOUT:
        for name in NAMED:
            clients = shapes.SHAPES[name].clients
            yield Cell("", "", 0.0, name, "", clients.timeout)
