"""The runner, looking for turns by itself as rarely as Procrastinate's own worker does.

Only for the ablation of `handed_over`.
"""

from __future__ import annotations

from procrastinate.worker import FETCH_JOB_POLLING_INTERVAL

from runner.__main__ import main
from runner.engine import worker

if __name__ == "__main__":
    worker.POLL_S = FETCH_JOB_POLLING_INTERVAL
    main()
