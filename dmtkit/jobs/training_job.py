"""Trains a run in several processes from one that only watches: `python -m dmtkit.jobs.train`, logged in train.log."""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from dmtkit import errors
from dmtkit.config import Config
from dmtkit.errors import RunError
from dmtkit.jobs.notebook_job import newest_record
from dmtkit.jobs.process import OUTCOME, last_lines, watch
from dmtkit.own import place_of, refuse_unshared
from dmtkit.runs.folder import refuse_other_run
from dmtkit.runs.run import Run, load_run
from dmtkit.training.experiment import start_session
from dmtkit.training.loop import asked_to_stop
from dmtkit.training.resume import Progress


def train_together(
    config: Config, processes: int, folder: Path, data: Any, progress: Callable[[Progress], None]
) -> Run:
    """Run all methods of `config` in `processes` processes on this machine, or open the run if it is finished.

    They load the data themselves; RunError if `data` is given and is not what the settings load. What they print is in
    train.log, in the run folder. Raises what they met; Ctrl-C lets them save and stop.
    """
    config = config.model_copy(update={"processes": processes})
    refuse_unshared(config)
    refuse_other_run(config, folder)
    if (folder / "DONE.json").is_file():
        return load_run(folder)
    session = start_session(config)
    if data is not None and data.describe() != session.task.data.describe():
        raise RunError(
            "data: several processes load the data that the settings name, and this is other data; train it in one "
            "process, or put it where the settings find it (dataset: folder)"
        )
    steps, log = session.plan.total_steps, folder / "train.log"

    def tell() -> None:
        done, last = newest_record(folder)
        if last:
            model = last.get("model", "")
            progress(Progress(last["method"], last["phase"], done, steps, model, last["step"], last["steps"]))

    with tempfile.TemporaryDirectory() as place, asked_to_stop(patient=True) as signals:
        params, outcome = Path(place) / "params.yaml", Path(place) / "outcome.json"
        values = config.model_dump(mode="json")
        values["code_from"] = config.code_from and str(place_of(config.code_from))
        params.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
        command = [sys.executable, "-m", "dmtkit.jobs.train", str(params), "--output", str(folder.absolute())]
        code = watch(command, log, tick=tell, stops=lambda: len(signals), environment={OUTCOME: str(outcome)})
        tell()
        said = json.loads(outcome.read_text(encoding="utf-8")) if outcome.is_file() else {}
    if code == 0 and (folder / "DONE.json").is_file():
        return load_run(folder)
    kind, text = said.get("kind", ""), said.get("message")
    if signals or kind == "KeyboardInterrupt":
        raise KeyboardInterrupt(text or f"{folder}: stopped; run the same again and it goes on from here")
    if hasattr(errors, kind):
        raise getattr(errors, kind)(text)
    raise RunError(f"{log}: the processes failed: {text or last_lines(log)}")
