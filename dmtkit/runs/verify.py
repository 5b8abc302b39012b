"""Compares every byte of a run with what was written: `dmtkit verify`."""

from pathlib import Path

from dmtkit.errors import RunError
from dmtkit.files import checksum_of, read_json
from dmtkit.params import SEAL
from dmtkit.runs import manifest
from dmtkit.runs.folder import config_is_whole
from dmtkit.runs.phase import Phase


def verify(folder: Path) -> tuple[int, dict[Path, str]]:
    """How many files of a run were compared, and what is not as it was written: where, and a line each; nothing is changed.

    Checkpoints and models tell their checksum in their name, JSON and config.yaml in themselves, all else in the phase.json
    of its phase, and these in DONE.json; of a run under way, what its last phase left is compared as it goes on. Notebook,
    figures and notes.log are made for people. RunError for a run of before there were checksums.
    """
    wrong, compared = dict[Path, str](), {folder / name for name in manifest.ROOT}
    phases = [path for path in folder.glob("*/phase_*/**/phase.json") if not path.name.startswith(".")]
    if not config_is_whole(folder):
        wrong[folder / "config.yaml"] = f"{folder / 'config.yaml'}: damaged or gone"
    done = [path for path in [folder / "DONE.json"] if path.is_file()]
    documents = [*(folder / name for name in manifest.ROOT[1:]), *phases, *done]
    unsealed = [path for path in documents if path.is_file() and f'"{SEAL}"'.encode() not in path.read_bytes()]
    if len(unsealed) == len(documents):
        raise RunError(f"{folder}: was written by an earlier version, without checksums; nothing can be compared")
    for path in [*documents, *folder.glob("*/phase_*/**/index.json")]:
        compared.add(path)
        try:
            read_json(path)
        except RunError as error:
            wrong[path] = str(error).partition(". ")[0]
    wrong |= {
        path: f"{path}: has no checksum, though others have: damaged, or of an earlier version" for path in unsealed
    }
    for path in [path for path in phases if path not in wrong]:
        phase = Phase(path.parent, folder)
        compared |= {phase.folder / name for name in phase.recorded if name != manifest.LINES}
        wrong = {phase.folder / name: f"{phase.folder}: {name}: damaged or gone" for name in phase.damaged()} | wrong
        if images := manifest.damaged_images(labels := phase.folder / "labels"):
            wrong[labels] = f"{labels}: damaged, the labels of {len(images)} images ({', '.join(images[:3])}…)"
    models = [*folder.glob("*/phase_*/**/*-*-*.pt"), *folder.glob(".baselines/*/*-*-*.pt")]
    for path in [path for path in models if path not in compared]:
        compared.add(path)
        if manifest.content(path) != "gone" and checksum_of(path) != path.stem.rsplit("-", 1)[1]:
            wrong[path] = f"{path}: damaged"
    for path in [path for path in done if path not in wrong]:
        recorded = read_json(path).get("files", {})
        compared |= {folder / name for name in recorded}
        there = manifest.differing(folder, recorded)
        wrong = {folder / name: f"{folder / name}: damaged or gone" for name in there} | wrong
    return len(compared), wrong
