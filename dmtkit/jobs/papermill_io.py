"""What `papermill notebooks/x.ipynb outputs/…` needs beside papermill: the output's folder made, settings known by name.

Registered as a papermill handler for paths that begin with `outputs/` (see pyproject.toml), so papermill loads this module
while it is being imported itself, hence the import inside `_local`.
"""

import logging
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


def says_something(record: logging.LogRecord) -> bool:
    """Whether a line of papermill's log is worth showing: not the warning that a setting of the kit is no parameter.

    The notebooks of experiments show the settings that matter most and take all of them by name; `dmtkit.start` refuses
    those that are none.
    """
    head, _, name = record.getMessage().partition("Passed unknown parameter: ")
    if head or not name:
        return True
    from dmtkit.config import TASKS
    from dmtkit.registry import METHODS, owner_of

    return not any(name in kind.model_fields for kind in TASKS.values()) and not owner_of(name, list(METHODS))


logging.getLogger("papermill").addFilter(says_something)
outputs_handler = OutputsHandler()
