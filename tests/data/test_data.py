"""Loading: embedded digits, CIFAR's own archives (made up in the right layout), folders; every offender is named."""

import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dmtkit.config import make_config
from dmtkit.data import load
from dmtkit.data.augment import Augment
from dmtkit.data.batches import Batches, _order, drawn
from dmtkit.errors import DataError
from dmtkit.seeds import generator
from tests.helpers import make_tree


def folder_config(folder, **more):
    return make_config({"dataset": "folder", "data_dir": str(folder), "labels": 2, "val": 2, **more})


def test_digits_parts_do_not_share_an_image():
    data = load(make_config({}))
    names = [set(part.names) for part in (data.labeled, data.unlabeled, data.val, data.test)]
    assert sum(map(len, names)) == len(set.union(*names)) == 1797
    assert data.labeled.labels.bincount().tolist() == [2] * 10
    assert data.test.labels.bincount().tolist() == [50] * 10
    again = load(make_config({"seed": 2}))
    assert again.test.names == data.test.names, "the test set is the same for every seed"
    assert set(again.labeled.names) != set(data.labeled.names)


def test_digits_equal_scikit_learns():
    from sklearn.datasets import load_digits

    data, raw = load(make_config({})), load_digits()
    for image, label, name in zip(data.test.pixels[:20], data.test.labels, data.test.names, strict=False):
        index = int(name.removeprefix("digit-"))
        np.testing.assert_allclose(image[0].numpy(), raw.images[index] / 16 * 255, atol=0.5)
        assert label == raw.target[index]


def test_folder_of_class_folders(tmp_path):
    data = load(folder_config(make_tree(tmp_path)))
    assert data.classes == ("cat", "dog")
    assert [len(p) for p in (data.labeled, data.unlabeled, data.val, data.test)] == [4, 16, 4, 8]
    index = data.test.names.index("test/dog/001.png")
    expected = np.asarray(Image.open(tmp_path / "test/dog/001.png")).transpose(2, 0, 1)
    np.testing.assert_array_equal(data.test.pixels[index].numpy(), expected)
    assert data.truth_known
    pixels = torch.cat([data.labeled.pixels, data.unlabeled.pixels, data.val.pixels]).double() / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, pixels.transpose(0, 1).flatten(1).std(1, correction=0), rtol=1e-6)


def test_unlabeled_folder_has_no_truth_and_no_test_folder_means_validation(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "test").rename(tmp_path / "kept-away")
    (tmp_path / "train" / "cat" / "000.png").rename(tmp_path / "train" / "cat" / "x.png")
    (tmp_path / "unlabeled").mkdir()
    for i in range(5):
        (tmp_path / "train" / "dog" / f"{i:03d}.png").rename(tmp_path / "unlabeled" / f"{i}.png")
    data = load(folder_config(tmp_path, labels=None))
    assert len(data.unlabeled) == 5
    assert not data.truth_known
    assert data.test.names == data.val.names


def test_grey_and_colour_images_mix(tmp_path):
    make_tree(tmp_path)
    Image.new("L", (12, 12), 77).save(tmp_path / "train" / "cat" / "000.png")
    data = load(folder_config(tmp_path))
    assert data.test.pixels.shape[1] == 3


def test_deep_grey_images_keep_their_greys(tmp_path):
    make_tree(tmp_path)
    ramp = np.arange(144, dtype=np.uint16).reshape(12, 12) * 455
    Image.fromarray(ramp).save(tmp_path / "train" / "cat" / "000.png")
    data = load(folder_config(tmp_path))
    parts = [p for p in (data.labeled, data.unlabeled, data.val) if "train/cat/000.png" in p.names]
    pixels = parts[0].pixels[parts[0].names.index("train/cat/000.png"), 0].numpy()
    np.testing.assert_allclose(pixels, ramp / 65535 * 255, atol=0.51)


def test_every_offender_is_named_at_once(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "train" / "cat" / "000.png").write_bytes(b"no image")
    whole = (tmp_path / "train" / "dog" / "003.png").read_bytes()
    (tmp_path / "train" / "dog" / "003.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (9, 12)).save(tmp_path / "train" / "dog" / "004.png")
    with pytest.raises(DataError) as error:
        load(folder_config(tmp_path))
    for name in ("train/cat/000.png", "train/dog/003.png", "train/dog/004.png: 9×12"):
        assert name in str(error.value)


def test_empty_and_surplus_class_folders_are_named(tmp_path):
    make_tree(tmp_path)
    (tmp_path / "train" / "eel").mkdir()
    (tmp_path / "test" / "fox").mkdir()
    with pytest.raises(DataError, match=r"train/eel: no images(.|\n)*test/fox"):
        load(folder_config(tmp_path))


def test_one_class_only(tmp_path):
    with pytest.raises(DataError, match="found 1 class folders, expected 2"):
        load(folder_config(make_tree(tmp_path, classes=("cat",))))


def test_missing_folder_and_folder_without_train(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        load(folder_config(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no train/ folder"):
        load(folder_config(tmp_path))


def test_labels_larger_than_a_class(tmp_path):
    with pytest.raises(DataError, match="lower `labels`"):
        load(folder_config(make_tree(tmp_path), labels=11))


def test_own_lists_from_a_file(tmp_path):
    make_tree(tmp_path / "data")
    lists = {"labeled": ["train/cat/000.png", "train/dog/000.png"], "unlabeled": ["train/cat/005.png"]}
    one_class = {**lists, "labeled": ["train/cat/000.png"]}
    (tmp_path / "lists.json").write_text(json.dumps(one_class))
    with pytest.raises(DataError, match="no image of these classes: dog"):
        load(folder_config(tmp_path / "data", lists=str(tmp_path / "lists.json")))
    (tmp_path / "lists.json").write_text(json.dumps(lists))
    data = load(folder_config(tmp_path / "data", lists=str(tmp_path / "lists.json")))
    assert data.labeled.names == tuple(lists["labeled"])
    assert data.unlabeled.names == ("train/cat/005.png",)
    (tmp_path / "lists.json").write_text("just text")
    with pytest.raises(DataError, match="must map labeled"):
        load(folder_config(tmp_path / "data", lists=str(tmp_path / "lists.json")))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_archives_through_torchvision(tmp_path, monkeypatch, name):

    from dmtkit.compat import torchvision_datasets

    dataset, classes = getattr(torchvision_datasets(), name.upper()), int(name.removeprefix("cifar"))
    rng = np.random.default_rng(0)
    folder = tmp_path / dataset.base_folder
    folder.mkdir()
    key = "labels" if name == "cifar10" else "fine_labels"
    expected = {}

    def write(file, content):
        (folder / file).write_bytes(pickle.dumps(content))
        return [file, hashlib.md5((folder / file).read_bytes()).hexdigest()]

    for attribute in ("train_list", "test_list"):
        entries = []
        for file, _ in getattr(dataset, attribute):
            pixels = rng.integers(0, 256, (2 * classes, 3072), dtype=np.uint8)
            entries.append(write(file, {"data": pixels, key: list(range(classes)) * 2}))
            expected.setdefault(attribute, []).append(pixels)
        monkeypatch.setattr(dataset, attribute, entries)
    names = [f"class {i}" for i in range(classes)]
    meta = dict(dataset.meta)
    meta["filename"], meta["md5"] = write(meta["filename"], {meta["key"]: names})
    monkeypatch.setattr(dataset, "meta", meta)

    data = load(make_config({"dataset": name, "data_dir": str(tmp_path), "labels": 1, "val": 0}))
    assert data.classes == tuple(names)
    np.testing.assert_array_equal(data.test.pixels.flatten(1).numpy(), expected["test_list"][0])
    every = np.concatenate(expected["train_list"])
    first = int(data.labeled.names[0].removeprefix("train/"))
    np.testing.assert_array_equal(data.labeled.pixels[0].flatten().numpy(), every[first])


def test_missing_cifar_says_how_to_fetch_it(tmp_path):
    with pytest.raises(DataError, match="download=True"):
        load(make_config({"dataset": "cifar10", "data_dir": str(tmp_path)}))


@pytest.mark.slow
def test_real_cifar10_in_the_folder_format():
    place = os.environ.get("DMTKIT_DATA")
    if not place or not (Path(place) / "cifar10" / "train").is_dir():
        pytest.skip("DMTKIT_DATA names no folder that holds cifar10/train: real CIFAR-10 is not read")
    data = load(folder_config(Path(place) / "cifar10", labels=400, val=20))
    assert [len(p) for p in (data.labeled, data.unlabeled, data.val, data.test)] == [4000, 45800, 200, 10000]
    np.testing.assert_allclose(data.mean, (0.49137, 0.48235, 0.44667), atol=2e-3)


def test_stream_visits_everything_once_a_pass_and_is_a_function_of_the_step():
    batches = [drawn(10, 4, 3, step) for step in range(5)]
    assert sorted(torch.cat(batches).tolist()) == sorted([*range(10)] * 2)
    _order.cache_clear()
    assert torch.equal(drawn(10, 4, 3, 3), batches[3]), "no earlier batch is needed"
    assert drawn(2, 7, 0, 1).tolist().count(0) in (3, 4)


def test_batches_hold_x_then_u_and_never_leak_the_truth():
    data = load(make_config({}))
    label = torch.zeros(len(data.unlabeled), dtype=torch.int64)
    batches = Batches(
        data,
        data.labeled,
        data.unlabeled,
        label,
        torch.full((len(label),), 0.5),
        batch_labeled=4,
        batch_pseudo=6,
        augment=Augment(0, False, ("none",)),
        seed=1,
    )
    batch = batches(2)
    assert batch.trusted.tolist() == [True] * 4 + [False] * 6
    assert batch.label[4:].tolist() == [0] * 6, "pseudo labels, whatever the truth is"
    assert batch.confidence.tolist() == [1] * 4 + [0.5] * 6
    index = data.unlabeled.names.index(batch.names[5])
    torch.testing.assert_close(batch.images[5], data.normalise(data.unlabeled.pixels[index : index + 1])[0])
    assert batch.truth[5] == data.unlabeled.labels[index]


def test_views_of_u_stand_beside_x_each_with_draws_of_its_own():
    data = load(make_config({}))
    names = ("plain", "weak", "strong", "weak2", "strong2")
    how = {"batch_labeled": 4, "batch_pseudo": 32, "augment": Augment(1, True, ("none",), 0), "seed": 1}
    batch = Batches(data, data.labeled, data.unlabeled, None, None, **how, views=names)(2)
    alone = Batches(data, data.labeled, None, None, None, **how)(2)
    assert torch.equal(batch.images, alone.images), "X is what it is without U"
    assert (len(batch.images), batch.labeled, batch.unlabeled) == (4, 4, 32)
    pixels = data.unlabeled.pixels[batch.index]
    assert list(batch.names[4:]) == [data.unlabeled.names[i] for i in batch.index.tolist()]
    torch.testing.assert_close(batch.u["plain"], data.normalise(pixels))
    expected = Augment(1, True, ("none",), 0)(pixels, generator(1, "augment", "weak", 2))
    torch.testing.assert_close(batch.u["weak"], data.normalise(expected))
    expected = Augment(1, True, ("all",), 0)(pixels, generator(1, "augment", "strong", 2))
    torch.testing.assert_close(batch.u["strong"], data.normalise(expected))
    assert not torch.equal(batch.u["weak"], batch.u["weak2"])
    assert not torch.equal(batch.u["strong"], batch.u["strong2"])
    only = Batches(data, data.labeled, data.unlabeled, None, None, **how, views=("strong",))(2)
    assert torch.equal(only.u["strong"], batch.u["strong"]), "beside whatever other views"
