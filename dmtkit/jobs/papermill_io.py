"""Makes the folder of a papermill output below outputs/, which papermill itself refuses to do.

Registered as a papermill handler for paths that begin with `outputs/` (see pyproject.toml), so that
`papermill notebooks/classification.ipynb outputs/x/classification.ipynb` works in a fresh clone.
"""

from pathlib import Path
from typing import Any


class OutputsHandler:
    """papermill's own handler for local files, which makes missing folders first."""

    def write(self, buf: str, path: str) -> None:
        """Write the notebook, making its folder if needed."""
        local = _local()
        Path(local._cwd or ".", path).parent.mkdir(parents=True, exist_ok=True)
        local.write(buf, path)

    def __getattr__(self, name: str) -> Any:
        return getattr(_local(), name)


def _local() -> Any:
    from papermill.iorw import papermill_io  # which loads this module while it is imported itself

    return papermill_io.get_handler("local")


outputs_handler = OutputsHandler()
