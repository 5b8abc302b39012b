"""Labels on disk: what was written is read, three bytes a pixel, and nothing torn or foreign is taken for whole."""

import json
import pickle

import numpy as np
import pytest
import torch

from dmtkit.errors import RunError
from dmtkit.labels.keep import class_thresholds
from dmtkit.labels.store import Kept, open_labels, write_labels

SIZES = [(4, 6), (7, 3), (1, 1), (5, 5)]
NAMES = tuple("abcd")


@pytest.fixture(params=[1, -1], ids=["in order", "last image first"])
def written(tmp_path, request):
    rng = np.random.default_rng(0)
    maps = [(rng.integers(0, 3, s).astype(np.uint8), rng.integers(0, 65536, s).astype(np.uint16)) for s in SIZES]
    histogram = np.zeros((3, 65536), np.int64)
    with write_labels(tmp_path / "labels", "model-1.pt", NAMES, SIZES) as writer:
        for position, (label, level) in list(enumerate(maps))[:: request.param]:
            writer.add(position, label, level)
            np.add.at(histogram, (label, level), 1)
        writer.histogram = histogram
    return tmp_path / "labels", maps


def test_what_was_written_is_read_three_bytes_a_pixel(written):
    folder, maps = written
    store = open_labels(folder, "model-1.pt", NAMES)
    for position, (label, level) in enumerate(maps):
        np.testing.assert_array_equal(store.label(position), label)
        np.testing.assert_array_equal(store.level(position), level)
    pixels = sum(h * w for h, w in SIZES)
    assert (folder / "label.u8").stat().st_size + (folder / "level.u16").stat().st_size == 3 * pixels
    assert store.histogram.sum() == pixels


def test_workers_are_sent_the_place_not_the_pixels(written):
    store = open_labels(written[0], "model-1.pt", NAMES)
    store.label(1)
    again = pickle.loads(pickle.dumps(store))
    assert "_mapped" not in again.__dict__
    np.testing.assert_array_equal(again.label(1), store.label(1))


def test_kept_labels_are_those_above_their_class_threshold(written):
    folder, maps = written
    store = open_labels(folder, "model-1.pt", NAMES)
    kept = Kept(store, class_thresholds(torch.from_numpy(store.histogram), 0.4))
    labels = np.concatenate([label.ravel() for label, _ in maps])
    levels = np.concatenate([level.ravel() for _, level in maps]).astype(int)
    found = np.concatenate([kept.kept(i)[0].ravel() for i in range(4)])
    for c in range(3):
        own = np.sort(levels[labels == c])[::-1]
        least = own[max(1, round(0.4 * len(own))) - 1]
        expected = (labels == c) & (levels >= least)
        np.testing.assert_array_equal(found == c, expected)


def test_labels_of_another_model_or_other_images_are_refused(written):
    with pytest.raises(RunError, match="another model"):
        open_labels(written[0], "model-2.pt", NAMES)
    with pytest.raises(RunError, match="other images"):
        open_labels(written[0], "model-1.pt", tuple("abce"))
    with pytest.raises(RunError, match="cannot be read"):
        open_labels(written[0].parent / "nothing", "model-1.pt", NAMES)


@pytest.mark.parametrize("part", ["label.u8", "level.u16", "histogram.npz", "index.json"])
def test_truncated_files_are_refused(written, part):
    path = written[0] / part
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RunError, match=part.replace(".", r"\.")):
        open_labels(written[0], "model-1.pt", NAMES)


def test_an_interrupted_writer_leaves_no_store(tmp_path):
    def interrupted():
        with write_labels(tmp_path / "labels", "model-1.pt", ["a"], [(4, 6)]) as writer:
            writer.add(0, np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.uint16))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not (tmp_path / "labels" / "index.json").exists()
    with write_labels(tmp_path / "labels", "model-1.pt", ["a"], [(4, 6)]) as writer:
        writer.add(0, np.zeros((4, 6), np.uint8), np.zeros((4, 6), np.uint16))
        writer.histogram = np.zeros((1, 65536), np.int64)
    assert json.loads((tmp_path / "labels" / "index.json").read_text())["names"] == ["a"]
    assert not list((tmp_path / "labels").glob("*.partial"))
