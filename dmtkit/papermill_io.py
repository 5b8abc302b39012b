"""Makes the folder of a papermill output below outputs/, which papermill itself refuses to do.

Registered as a papermill handler for paths that begin with `outputs/` (see pyproject.toml), so that
`papermill notebooks/classification.ipynb outputs/x/classification.ipynb` works in a fresh clone.
"""

from pathlib import Path

from papermill.iorw import LocalHandler


class OutputsHandler(LocalHandler):
    """papermill's own handler for local files, which makes missing folders first."""

    def write(self, buf: str, path: str) -> None:
        """Write the notebook, making its folder if needed."""
        if self._cwd is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        super().write(buf, path)


outputs_handler = OutputsHandler()
