"""Many runs at once: params × splits × seeds × methods as papermill runs on Dask, shared baselines first."""

from dmtkit.jobs.engine import run_batch
from dmtkit.jobs.outcome import Outcome
from dmtkit.jobs.plan import Batch, make_batch
from dmtkit.jobs.selection import names, numbers

__all__ = ["Batch", "Outcome", "make_batch", "names", "numbers", "run_batch"]
