"""Makes the folder of a papermill output below outputs/, which papermill itself refuses to do.

Registered as a papermill handler for paths that begin with `outputs/` (see pyproject.toml), so that
`papermill notebooks/classification.ipynb outputs/x/classification.ipynb` works in a fresh clone.
papermill loads this module while it is being imported itself, hence the import inside `_local`.
"""

from pathlib import Path
from typing import Any


class OutputsHandler:
    """papermill's own handler for local files, which makes missing folders first."""

    def read(self, path: str) -> str:
        """The file's content."""
        return _local().read(path)

    def listdir(self, path: str) -> list[str]:
        """The folder's files."""
        return _local().listdir(path)

    def pretty_path(self, path: str) -> str:
        """The path as papermill shows it."""
        return path

    def write(self, buf: str, path: str) -> None:
        """Write the notebook, making its folder if needed."""
        handler = _local()
        Path(handler._cwd or ".", path).parent.mkdir(parents=True, exist_ok=True)
        handler.write(buf, path)


def _local() -> Any:
    from papermill.iorw import papermill_io

    return papermill_io.get_handler("local")


outputs_handler = OutputsHandler()
