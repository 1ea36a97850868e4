"""Who makes the runs: this process, several processes, or a Ray cluster."""

from ntps.study.engines.local import run_here
from ntps.study.engines.on_ray import run_on_ray
from ntps.study.engines.queue import Job, Listener, NullListener
from ntps.study.engines.workers import run_in_workers

__all__ = ["Job", "Listener", "NullListener", "run_here", "run_in_workers", "run_on_ray"]
