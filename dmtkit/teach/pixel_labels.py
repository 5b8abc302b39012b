"""The labels that a segmentation run gave to U, beside the truth: which are wrong, which are kept, which errors are found."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from dmtkit.data.segmentation import Scenes
from dmtkit.errors import RunError
from dmtkit.files import read_json
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.store import Kept, LabelStore, open_labels
from dmtkit.losses.levels import confidence_of
from dmtkit.metrics.error_search import SCORES
from dmtkit.runs.phase import Phase
from dmtkit.runs.run import Run
from dmtkit.tasks.probes import TIMES, probed


def labels(run: Run, method: str, phase: int, model: str, data: Scenes) -> pd.DataFrame:
    """Every label that a model gave to U at the end of a phase, a row a pixel.

    Columns: label, confidence 0–1, truth, wrong, and its place among the labels of its class, the most confident first: the
    share α of every class are those with a place ≤ α.
    """
    store = store_of(run, method, phase, model)
    return _table(lambda i: (store.label(i), store.level(i)), range(len(store.names)), data)


def kept_labels(
    run: Run, method: str, phase: int, student: str, data: Scenes, positions: Iterable[int] | None = None
) -> pd.DataFrame:
    """The labels that `student` learned in a phase, of all images of U or of those at `positions`, as a table like `labels`.

    They are the share α of every class that its teacher was most confident of.
    """
    teacher = run.task.teacher(student, run.method(method).teacher)
    kept = keep(store_of(run, method, phase - 1, teacher), run.config.label_ratios[phase - 1])
    return _table(kept.kept, range(len(data.unlabeled)) if positions is None else positions, data)


def store_of(run: Run, method: str, phase: int, model: str) -> LabelStore:
    """The labels that a model stored at the end of a phase; RunError if there are none."""
    own = run.path / method / f"phase_{phase}" / model
    if phase == 0 and not own.is_dir():  # shared by all methods whose models start from the whole of X
        own = run.path / "supervised" / "phase_0" / model
    if not (own / "labels" / "index.json").is_file():
        raise RunError(f"{own}: holds no labels (`keep_labels: false` removes them)")
    names = tuple(read_json(run.path / "split.json")["unlabeled"])
    return open_labels(own / "labels", Phase(own, run.path).models.name, names)


def keep(store: LabelStore, ratio: float) -> Kept:
    """The share `ratio` of every class's labels, those of the highest confidence."""
    return Kept(store, class_thresholds(torch.from_numpy(store.histogram), ratio))


def _table(
    read: Callable[[int], tuple[np.ndarray, np.ndarray]], positions: Iterable[int], data: Scenes
) -> pd.DataFrame:
    """Images' labels and levels of confidence beside the truth; pixels without label or without truth are left out."""
    columns = zip(*([*read(i), data.unlabeled.mask(i)] for i in positions), strict=True)
    label, level, truth = (np.concatenate([image.ravel() for image in images]) for images in columns)
    if not (truth < len(data.classes)).any():
        raise RunError("the truth of the unlabeled images is not known; labels can be judged only where it is")
    known = (truth < len(data.classes)) & (label < len(data.classes))
    names = [pd.Categorical.from_codes(values[known], pd.Index(data.classes)) for values in (label, truth)]
    table = pd.DataFrame({"label": names[0], "confidence": confidence_of(level[known]), "truth": names[1]})
    table["wrong"] = label[known] != truth[known]
    groups = table.groupby("label", observed=True)["confidence"]
    return table.assign(place=groups.rank(ascending=False, pct=True, method="first"))


def from_roc(curve: Float[np.ndarray, "2 m"], error_rate: float) -> Float[np.ndarray, "2 m"]:
    """From an ROC curve (right labels flagged, wrong ones flagged): how many labels are reviewed, how many wrong ones found.

    Shares, 0–1, straight between points; `error_rate` is the share of labels that are wrong. NaN where none is.

    >>> from_roc(np.array([[0.0, 0, 1], [0, 1, 1]]), 0.25)[0].tolist()  # perfect: all wrong ones come first
    [0.0, 0.25, 1.0]
    """
    right, wrong = np.asarray(curve, float)
    reviewed = (1 - error_rate) * right + error_rate * wrong
    reviewed[-1] = 1
    return np.stack([reviewed, wrong if error_rate > 0 else wrong * np.nan])


def searches(run: Run, data: Scenes, method: str, phase: int, student: str) -> dict[str, dict[str, np.ndarray]]:
    """Wrong labels found against labels reviewed, among those kept in the probe images (see `from_roc`).

    At the start, the middle and the end of a phase; by each score, lowest first, and by a perfect one.
    """
    kept = kept_labels(run, method, phase, student, data, probed(run.config.seed, len(data.unlabeled)))
    folder = run.phases(method)[phase - 1].model_folder(student)
    arrays, error_rate = {time: folder.arrays(f"probe_{time}") for time in TIMES}, kept["wrong"].mean()
    perfect = from_roc(np.array([[0, 0, 1], [0, 1, 1]]), error_rate)
    return {
        time: {score: from_roc(found[f"roc/{score}"], error_rate) for score in SCORES} | {"perfect": perfect}
        for time, found in arrays.items()
    }


def agreement(table: pd.DataFrame, prediction: np.ndarray | pd.Series) -> pd.Series:
    """Labels beside the predictions of another model, as shares 0–1, NaN of nothing.

    `agree`; `error` of all, and of those that the other agrees with and does not; of the wrong ones those that the other
    contradicted, and those where it repeated the very same mistake.
    """
    wrong, same = table["wrong"].to_numpy(), np.asarray(table["label"]) == np.asarray(prediction)
    parts = {"agree": same, "error": wrong, "error_agree": wrong[same], "error_disagree": wrong[~same]}
    parts |= {"contradicted": ~same[wrong], "repeated": same[wrong]}
    return pd.Series({name: values.mean() if len(values) else np.nan for name, values in parts.items()})
