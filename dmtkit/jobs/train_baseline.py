"""`python -m dmtkit.jobs.train_baseline …`: trains one model of phase 0 for a batch; started by its workers."""

import base64
import sys
from pathlib import Path

import yaml

from dmtkit.config import make_config
from dmtkit.errors import DmtkitError
from dmtkit.training.experiment import run_baseline


def main(encoded: str) -> int:
    """Train what is described, or what is left of it; exit code 0 if it is trained, 1 with a message if not."""
    what = yaml.safe_load(base64.b64decode(encoded))
    try:
        folder = run_baseline(make_config(what["config"]), what["owner"], what["model"], Path(what["store"]))
    except DmtkitError as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt as stop:
        print(stop or "stopped")
        return 130
    print(f"{folder}: trained")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
