"""DeepLab-v2 against torchvision's own dilation; weights of every origin, with every key accounted for."""

from urllib.error import URLError

import pytest
import torch

import dmtkit.compat  # noqa: F401  before torchvision

# isort: split
from torchvision.models import resnet18, resnet50

from dmtkit.errors import ConfigError
from dmtkit.models import build
from dmtkit.models.deeplab import dilate
from dmtkit.models.weights import load_weights, rename


@pytest.fixture(scope="module")
def resnet():
    return build("deeplab-resnet18", 3, 5, (1, 2)).eval()


def test_dilation_is_torchvisions():
    ours, theirs = resnet50(), resnet50(replace_stride_with_dilation=[False, True, True])
    theirs.load_state_dict(ours.state_dict())
    dilate(ours.layer3, 1, 2)
    dilate(ours.layer4, 2, 4)
    x = torch.randn(1, 3, 65, 49)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(("name", "stride"), [("deeplab-resnet18", 8), ("deeplab-resnet50", 8), ("deeplab-tiny", 4)])
def test_stride_and_shapes(name, stride):
    model = build(name, 3, 4, (1, 3)).eval()
    with torch.no_grad():
        x = torch.rand(1, 3, 8 * stride + 1, 5 * stride + 1) * 255
        assert model(x).shape == (1, 4, *x.shape[2:])
        assert model.head(model.encode(x)).shape == (1, 4, 9, 6)


def test_the_head_is_the_sum_of_its_branches(resnet):
    features = torch.randn(1, 512, 6, 6)
    expected = sum(conv(features) for conv in resnet.head.convs)
    assert torch.allclose(resnet.head(features), expected)
    assert [conv.dilation for conv in resnet.head.convs] == [(1, 1), (2, 2)]


def test_inputs_of_either_convention(resnet):
    x = torch.rand(1, 3, 9, 9) * 255
    rgb = resnet.input(x)
    assert torch.allclose(rgb[0, 0], (x[0, 0] - 123.675) / 58.395)
    resnet.input.expect("bgr")
    assert torch.allclose(resnet.input(x)[0, 0], x[0, 2] - 104.008)
    assert torch.allclose(resnet.input(x)[0, 2], x[0, 0] - 122.675)
    resnet.input.expect("rgb")
    assert torch.equal(resnet.input(x), rgb)


def caffe_state(classes=5):
    """The key names of the COCO checkpoint, on a small network."""
    state = {name: value for name, value in resnet18().state_dict().items() if not name.startswith("fc.")}
    state = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    for i in range(4):
        state[f"layer5.conv2d_list.{i}.weight"] = torch.randn(classes, 512, 3, 3)
        state[f"layer5.conv2d_list.{i}.bias"] = torch.randn(classes)
    return state


def test_coco_weights_in_caffe_style(tmp_path):
    torch.save(caffe_state(), tmp_path / "coco.pth")
    model = build("deeplab-resnet18", 3, 5, (6, 12))
    loaded = load_weights(model, tmp_path / "coco.pth")
    state = torch.load(tmp_path / "coco.pth")
    assert loaded.format == "COCO (Caffe)"
    assert torch.equal(model.backbone.layer4[1].conv2.weight, state["layer4.1.conv2.weight"])
    assert torch.equal(model.head.convs[1].bias, state["layer5.conv2d_list.1.bias"])
    assert model.input.bgr.tolist() == [2, 1, 0]
    assert loaded.missing == ()
    assert loaded.unused == tuple(f"head.convs.{i}.{p}" for i in (2, 3) for p in ("bias", "weight"))
    assert "not used: head.convs.2.bias" in str(loaded)


def test_coco_weights_for_other_classes_keep_a_new_head_and_say_so(tmp_path):
    torch.save(caffe_state(classes=21), tmp_path / "coco.pth")
    model = build("deeplab-resnet18", 3, 5, (6, 12))
    before = model.head.convs[0].weight.clone()
    loaded = load_weights(model, tmp_path / "coco.pth")
    assert torch.equal(model.head.convs[0].weight, before)
    assert {"head.convs.0.weight", "head.convs.1.bias"} <= set(loaded.missing) & set(loaded.unused)


def test_torchvision_weights(tmp_path):
    source = resnet18()
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    model = build("deeplab-resnet18", 3, 5, (1,))
    loaded = load_weights(model, tmp_path / "resnet18.pth")
    assert torch.equal(model.backbone.conv1.weight, source.conv1.weight)
    assert loaded.format == "torchvision"
    assert set(loaded.missing) == {"head.convs.0.weight", "head.convs.0.bias"}
    assert {"backbone.fc.weight", "backbone.fc.bias"} <= set(loaded.unused)
    assert model.input.bgr.tolist() == [0, 1, 2]


def test_own_checkpoints_bring_their_input_convention(tmp_path):
    source, target = (build("deeplab-tiny", 3, 4, (1,)) for _ in range(2))
    source.input.expect("bgr")
    torch.save({"model": source.state_dict(), "seconds": 1.0}, tmp_path / "model.pt")
    loaded = load_weights(target, tmp_path / "model.pt")
    assert loaded.missing == loaded.unused == ()
    assert target.input.bgr.tolist() == [2, 1, 0]
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(source.eval()(x), target.eval()(x))


def test_a_checkpoint_for_another_class_count_is_refused(tmp_path):
    torch.save(build("deeplab-tiny", 3, 4, (1,)).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"another number of classes(.|\n)*head.convs.0.weight: \(4, "):
        load_weights(build("deeplab-tiny", 3, 7, (1,)), tmp_path / "model.pt")


def test_a_file_without_the_backbone_is_refused_with_its_gaps(tmp_path):
    state = {name: value for name, value in resnet18().state_dict().items() if "layer3" not in name}
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(ConfigError, match=r"backbone are missing(.|\n)*backbone.layer3.0.conv1.weight"):
        load_weights(build("deeplab-resnet18", 3, 5, (1,)), tmp_path / "part.pth")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_unreadable_weights(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ConfigError, match="no weights file that can be read safely"):
        load_weights(build("deeplab-tiny", 3, 4, (1,)), tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="no such weights file"):
        load_weights(build("deeplab-tiny", 3, 4, (1,)), tmp_path / "absent.pth")
    torch.save({"a": 1}, tmp_path / "w.pth")
    with pytest.raises(ConfigError, match="holds no weights"):
        load_weights(build("deeplab-tiny", 3, 4, (1,)), tmp_path / "w.pth")


def test_names_with_a_wrapper_prefix():
    assert rename({"Scale.layer1.0.conv1.weight": torch.ones(1)})[0].keys() == {"backbone.layer1.0.conv1.weight"}


def test_imagenet_for_the_tiny_backbone_is_refused():
    with pytest.raises(ConfigError, match="no ImageNet weights"):
        load_weights(build("deeplab-tiny", 3, 4, (1,)), "imagenet")


def test_imagenet_without_a_network_says_what_to_download(monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(ConfigError, match=r"cannot be fetched(.|\n)*download https://\S*resnet18"):
        load_weights(build("deeplab-resnet18", 3, 4, (1,)), "imagenet")
