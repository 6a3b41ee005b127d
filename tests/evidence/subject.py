"""What a simulation is to run, where it is not one of the strategies with a name."""

from __future__ import annotations

from strategies.queue import Queue
from strategies.testing import Factory

strategy: Factory = Queue
NAME = f"{__name__}:strategy"
"""By which `simulate` finds what is there at that time."""
