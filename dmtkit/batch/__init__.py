"""Many runs at once: params × splits × seeds × methods as papermill runs on Dask, shared baselines first."""

from dmtkit.batch.engine import run_batch
from dmtkit.batch.outcome import Outcome
from dmtkit.batch.plan import Batch, make_batch
from dmtkit.batch.selection import names, numbers

__all__ = ["Batch", "Outcome", "make_batch", "names", "numbers", "run_batch"]
