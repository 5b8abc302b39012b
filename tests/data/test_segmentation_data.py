"""Segmentation data: layouts, splits by the paper's rule, and every kind of bad input by name."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.data.digit_scenes import DigitScenes
from dmtkit.data.pictures import Arrays, Files
from dmtkit.data.segmentation import split_scenes
from dmtkit.errors import ConfigError, DataError
from dmtkit.params import load_params
from tests.trees import make_cityscapes, make_voc2012, make_voc_style, save_mask, write_list

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("DMTKIT_DATA", "nowhere"), "camvid")
CLASSES = ("ground", "thing", "other")


def folder_config(folder, **more):
    return make_config(
        {
            "task": "segmentation",
            "dataset": "folder",
            "data_dir": str(folder),
            "classes": CLASSES,
            "denominator": 4,
            **more,
        }
    )


@pytest.fixture(autouse=True)
def _surveys_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("DMTKIT_OUTPUTS", str(tmp_path / "outputs"))


@pytest.fixture
def tree(tmp_path):
    return make_voc_style(tmp_path / "data")


def test_scenes_follow_from_their_number_alone():
    small, large = DigitScenes(3, 40), DigitScenes(9, 40)
    np.testing.assert_array_equal(small.image(2), large.image(2))
    np.testing.assert_array_equal(small.mask(2), large.in_memory().masks[2])
    assert not np.array_equal(small.image(1), small.image(2))
    assert not np.array_equal(small.image(1), DigitScenes(3, 40, seed=1).image(1))
    assert DigitScenes(3, 40).checksum() != DigitScenes(3, 40, 0.9).checksum()


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [16, 33, 100])
def test_scenes_of_any_size_and_difficulty_have_digits(size, difficulty):
    scenes = DigitScenes(20, size, difficulty).in_memory()
    assert scenes.images.shape == (20, size, size, 3)
    assert scenes.masks.max() <= 10
    assert len(np.unique(scenes.masks)) > 4
    assert 0.05 < (scenes.masks > 0).mean() < 0.7


def test_training_and_test_scenes_share_no_digit():
    data = load(make_config({"task": "segmentation", "scenes": 24, "denominator": 4}))
    assert (len(data.labeled), len(data.unlabeled)) == (6, 18)
    assert not set(data.labeled.names) & set(data.unlabeled.names)
    other = load(make_config({"task": "segmentation", "scenes": 24, "denominator": 4, "split": 1}))
    assert not np.array_equal(data.test.image(0), other.test.image(0)), (
        "what is tuned on one split is reported on others"
    )
    assert data.truth_known


def test_a_voc_style_folder_of_mixed_sizes(tree):
    data = load(folder_config(tree))
    assert (len(data.labeled), len(data.unlabeled), len(data.test)) == (2, 6, 3)
    assert {tuple(size) for size in data.sizes(data.unlabeled)} == {(24, 32), (30, 20)}
    assert data.labeled.image(0).shape[:2] == data.labeled.mask(0).shape
    for row in range(2):
        mask = data.labeled.mask(row)
        assert data.class_counts(data.labeled.select([row])).tolist() == [
            *((mask == c).sum() for c in range(3)),
            (mask == 255).sum(),
        ]


def test_images_are_read_at_the_size_asked_for(tree):
    data = load(folder_config(tree, resize=(16, 16)))
    assert {data.unlabeled.image(i).shape for i in range(6)} == {(16, 16, 3)}
    assert {data.unlabeled.mask(i).shape for i in range(6)} == {(16, 16)}


def test_unlabeled_images_need_no_mask(tree):
    data = load(folder_config(tree))
    (tree / "SegmentationClass" / f"{data.unlabeled.names[0]}.png").unlink()
    partly = load(folder_config(tree))
    assert partly.truth_known, "what is known is measured"
    assert not partly.truth_complete, "but an oracle would need all"
    for name in data.unlabeled.names[1:]:
        (tree / "SegmentationClass" / f"{name}.png").unlink()
    again = load(folder_config(tree))
    assert not again.truth_known
    assert "known for 0 images" in again.overview()[0]
    assert (again.unlabeled.mask(0) == 255).all()
    (tree / "SegmentationClass" / f"{data.labeled.names[0]}.png").unlink()
    with pytest.raises(DataError, match=f"{data.labeled.names[0]}(.|\n)*missing, or void"):
        load(folder_config(tree))


def test_a_list_of_labeled_names(tree):
    write_list(tree, "few", ["im_003", "im_001"])
    data = load(folder_config(tree, labeled_list="few", denominator=None))
    assert set(data.labeled.names) == {"im_001", "im_003"}
    assert len(data.unlabeled) == 6
    write_list(tree, "few", ["im_003", "nobody"])
    with pytest.raises(DataError, match="nobody"):
        load(folder_config(tree, labeled_list="few", denominator=None))
    with pytest.raises(DataError, match="lists found: few, train, val"):
        load(folder_config(tree, labeled_list="absent", denominator=None))


def test_own_lists(tree, tmp_path):
    path = tmp_path / "lists.yaml"
    path.write_text(yaml.safe_dump({"labeled": ["im_001"], "unlabeled": ["im_002", "im_003"], "val": ["im_000"]}))
    data = load(folder_config(tree, lists=str(path)))
    assert (data.labeled.names, data.val.names, len(data.unlabeled)) == (("im_001",), ("im_000",), 2)
    path.write_text(yaml.safe_dump({"labeled": ["im_001"], "unlabeled": ["im_999"]}))
    with pytest.raises(DataError, match="no image named 'im_999'"):
        load(folder_config(tree, lists=str(path)))


def test_dms_gives_both_models_their_part(tree):
    data = load(folder_config(tree, denominator=1.5, sampling="dms"))
    assert len(data.labeled) == 5
    assert len(data.left) == len(data.right) == 4
    assert set(data.left.names) | set(data.right.names) == set(data.labeled.names)


@pytest.mark.parametrize("augmented", [True, False])
def test_voc_with_either_source_of_augmented_masks(tmp_path, augmented):
    folder = make_voc2012(tmp_path / "data", augmented)
    values = {"task": "segmentation", "dataset": "voc", "data_dir": str(folder), "denominator": 3}
    data = load(make_config(values))
    train = sorted([*data.labeled.names, *data.unlabeled.names])
    assert train == [f"2007_{i:06d}" for i in (0, 1, 2, 3, 20, 21, 22, 23, 24)], "val is left out, SBD's others are in"
    assert data.test.names == tuple(f"2007_{i:06d}" for i in range(10, 13))
    assert len(data.classes) == 21
    assert data.truth_known
    human = load(make_config({**values, "denominator": None, "labeled_list": "train"}))
    assert (len(human.labeled), len(human.unlabeled)) == (4, 5)
    shutil.rmtree(folder / ("SBD" if not augmented else "VOCdevkit/VOC2012/SegmentationClassAug"))
    with pytest.raises(DataError, match="SegmentationClassAug nor SBD"):
        load(make_config(values))


def test_cityscapes_label_ids_become_train_ids(tmp_path):
    folder = make_cityscapes(tmp_path / "city")
    values = {"task": "segmentation", "dataset": "cityscapes", "data_dir": str(folder), "denominator": 3}
    data = load(make_config(values))
    assert data.labeled.names[0].split("/")[0] in ("aachen", "bochum")
    raw = np.asarray(Image.open(folder / "gtFine" / "val" / f"{data.test.names[0]}_gtFine_labelIds.png"))
    mask = data.test.mask(0)
    for label, train in {7: 0, 8: 1, 11: 2, 21: 8, 23: 10, 26: 13, 4: 255, 0: 255}.items():
        assert (mask[raw == label] == train).all()
    half = load(make_config({**values, "resize": (16, 32)}))
    assert half.test.mask(0).shape == (16, 32)
    next((folder / "gtFine" / "train").rglob("*.png")).unlink()
    with pytest.raises(DataError, match="1 images have no mask"):
        load(make_config(values))


def test_every_kind_of_bad_file_is_named_at_once(tree):
    masks, images = tree / "SegmentationClass", tree / "JPEGImages"
    save_mask(masks / "im_000.png", np.zeros((5, 5), np.uint8))
    save_mask(masks / "im_001.png", np.full((30, 20), 9, np.uint8), palette=False)
    Image.new("RGB", (32, 24)).save(masks / "im_002.png")
    whole = (images / "im_003.jpg").read_bytes()
    (images / "im_003.jpg").write_bytes(whole[: len(whole) // 2])
    (masks / "im_004.png").write_bytes(b"nothing")
    save_mask(masks / "im_008.png", np.full((24, 32), 255, np.uint8))
    with pytest.raises(DataError) as error:
        load(folder_config(tree))
    text = str(error.value)
    for complaint in (
        "im_000: the mask is 5×5 pixels, the image 32×24",
        "im_001: the mask holds label 9, expected 0 to 2",
        "im_002: unreadable mask (has RGB pixels",
        "im_003: unreadable image (",
        "im_004: unreadable mask (",
        "im_008: the mask is missing, or void everywhere",
    ):
        assert complaint in text
    assert "6 of 11 images" in text


def test_a_mask_of_another_size_is_found_although_both_would_be_resized(tree):
    save_mask(tree / "SegmentationClass" / "im_000.png", np.zeros((12, 16), np.uint8))
    with pytest.raises(DataError, match="im_000: the mask is 16×12 pixels, the image 32×24"):
        load(folder_config(tree, resize=(16, 16)))


def test_lists_that_name_missing_images_or_themselves_twice(tree):
    write_list(tree, "train", [f"im_{i:03d}" for i in range(8)] + ["ghost", "phantom"])
    with pytest.raises(DataError, match=r"2 names(.|\n)*ghost(.|\n)*phantom"):
        load(folder_config(tree))
    write_list(tree, "train", ["im_000", "im_001", "im_000"])
    with pytest.raises(DataError, match=r"twice(.|\n)*im_000"):
        load(folder_config(tree))
    write_list(tree, "train", ["im_000", "im_001", "im_008"])
    with pytest.raises(DataError, match=r"both lists(.|\n)*im_008"):
        load(folder_config(tree))


def test_images_of_one_name_are_named_with_their_files(tmp_path):
    names, paths = ("a", "b", "a"), tuple(tmp_path / f"{i}.png" for i in range(3))
    config = make_config({"task": "segmentation"})
    with pytest.raises(DataError, match=r"same name(.|\n)*a: \S+/0.png and \S+/2.png$"):
        split_scenes(config, Files(names, paths, paths), 2, CLASSES)
    pictures = Arrays(np.zeros((3, 4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.uint8), names)
    with pytest.raises(DataError, match=r"same name(.|\n)*a: image 0 and image 2$"):
        split_scenes(config, pictures, 2, CLASSES)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"classes": None}, "classes: missing"),
        ({"classes": ("one",)}, "classes: found 1 names"),
        ({"snapshot": "best"}, "val: found 0"),
        ({"classes": ("a", "b", "a")}, "each name once"),
        ({"dataset": "voc"}, "voc has its own"),
        ({"aspp_rates": ()}, "at least one dilation"),
        ({"lists": "x.yaml", "val": 3}, "name the held-out images there"),
        ({"scale": "2,1"}, "scale"),
        ({"crop": "0,5"}, "crop"),
        ({"denominator": 0.5}, "denominator"),
    ],
)
def test_bad_settings_are_refused(tree, values, complaint):
    with pytest.raises(ConfigError, match=complaint):
        folder_config(tree, **values)


def test_class_lists_of_the_wrong_length_show_in_the_labels(tree):
    with pytest.raises(DataError, match=r"classes, which has 2 names(.|\n)*holds label 2, expected 0 to 1"):
        load(folder_config(tree, classes=("a", "b")))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"denominator": 100}, "0 of 8"),
        ({"denominator": 1}, "8 of 8"),
        ({"denominator": None}, "nothing says"),
        ({"val": 2}, "hold out fewer"),
    ],
)
def test_impossible_splits(tree, values, complaint):
    with pytest.raises(DataError, match=complaint):
        load(folder_config(tree, **values))


def test_what_a_survey_found_is_kept_until_the_files_change(tree, monkeypatch):
    load(folder_config(tree))
    with monkeypatch.context() as patch:
        patch.setattr("dmtkit.data.survey._look", lambda *_: pytest.fail("read again"))
        load(folder_config(tree))
    save_mask(tree / "SegmentationClass" / "im_000.png", np.zeros((5, 5), np.uint8))
    with pytest.raises(DataError, match="im_000"):
        load(folder_config(tree))


@pytest.mark.skipif(not REAL.is_dir(), reason="DMTKIT_DATA names no folder that holds camvid/")
def test_real_street_scenes():
    params = load_params(ROOT / "params" / "camvid_8.yaml")
    data = load(make_config({**params, "data_dir": str(REAL)}))
    assert (len(data.labeled) + len(data.unlabeled), len(data.labeled), len(data.test)) == (367, 45, 233)
    assert data.truth_known
    share = data.class_counts(data.test)[:-1] / data.class_counts(data.test)[:-1].sum()
    assert share[data.classes.index("road")] > 0.2 > share[data.classes.index("bicyclist")]
    assert {tuple(size) for size in data.sizes(data.unlabeled)} == {tuple(params["resize"])}
