"""Compares every byte of a run with what was written: `dmtkit verify`."""

from pathlib import Path

from dmtkit.errors import RunError
from dmtkit.files import checksum_of, read_json
from dmtkit.runs import manifest
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import read_config


def verify(folder: Path) -> tuple[int, dict[Path, str]]:
    """How many files of a run were compared, and what is not as it was written: where, and a line each; nothing is changed.

    Checkpoints and models tell their checksum in their name, JSON and config.yaml in themselves, all else in the phase.json
    of its phase, and these in DONE.json. Notebook, figures and notes.log are made for people and are not compared.
    """
    wrong: dict[Path, str] = {}
    compared = {folder / "config.yaml"}
    try:
        read_config(folder)
    except RunError as error:
        wrong[folder / "config.yaml"] = str(error)
    documents = sorted(
        {
            path
            for pattern in manifest.RUN
            for path in folder.glob(pattern)
            if path.suffix == ".json" and path.name != ".writer.json"
        }
    )
    for path in [*documents, *folder.glob("*/phase_*/**/index.json")]:
        compared.add(path)
        try:
            read_json(path)
        except RunError as error:
            wrong[path] = str(error)
    loose = [path for path in folder.glob("*/phase_*/**/*-*-*.pt") if not (path.parent / "phase.json").is_file()]
    for path in loose:
        compared.add(path)
        if checksum_of(path) != path.stem.rsplit("-", 1)[1]:
            wrong[path] = f"{path}: damaged"
    for path in [path for path in documents if path.name == "phase.json" and path not in wrong]:
        phase = Phase(path.parent, folder)
        compared |= {phase.folder / name for name in phase.recorded}
        wrong |= {phase.folder / name: f"{phase.folder}: {name}: damaged or gone" for name in phase.damaged()}
        if images := manifest.damaged_images(labels := phase.folder / "labels"):
            wrong[labels] = f"{labels}: damaged, the labels of {len(images)} images ({', '.join(images[:3])}…)"
    if (done := folder / "DONE.json") not in wrong and done.is_file():
        recorded = read_json(done).get("files", {})
        compared |= {folder / name for name in recorded}
        there = manifest.differing(folder, recorded)
        wrong = {folder / name: f"{folder / name}: damaged or gone" for name in there} | wrong
    return len(compared), wrong
