"""Every batched image operation against PIL on the same image."""

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reference.augment import OPERATIONS
from dmtkit.data import ops
from dmtkit.data.augment import Augment, draw_mix

PIL_OPERATIONS = {name: apply for name, (apply, *_) in OPERATIONS.items() if name != "cutout"}  # whose centre is drawn


def images(n=5, channels=3, size=17, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, channels, size, size + 2), generator=generator, dtype=torch.uint8)
    pixels[0] = pixels[0] // 3 + 40  # low contrast
    pixels[1 % n, :, ::2] = 7  # few values
    if n > 2:
        pixels[2] = 91  # flat
    return pixels


def to_pil(image):
    array = image.permute(1, 2, 0).numpy()
    return PIL.Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def from_pil(image, channels):
    array = np.asarray(image)
    return torch.from_numpy(array.copy()).reshape(*array.shape[:2], channels).permute(2, 0, 1)


BLENDS = {"color", "contrast", "brightness", "sharpness"}  # float arithmetic: one level may differ


def test_the_set_is_complete():
    assert set(PIL_OPERATIONS) | {"cutout"} == set(ops.OPERATIONS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PIL_OPERATIONS)
def test_operation_equals_pil(name, channels):
    operation = ops.OPERATIONS[name]
    for strength in range(1, 11):
        for sign in (1, -1) if operation.signed else (1,):
            pixels = images(channels=channels, seed=strength)
            value = sign * (operation.weakest + strength / 10 * (operation.strongest - operation.weakest))
            ours = operation.apply(pixels, torch.full((len(pixels),), value), 0)
            exact = float(np.float32(value))
            theirs = torch.stack([from_pil(PIL_OPERATIONS[name](to_pil(x), exact), channels) for x in pixels])
            difference = (ours.int() - theirs.int()).abs()
            assert difference.max() <= (1 if name in BLENDS else 0), (name, strength, sign)


def test_each_sample_has_its_own_strength():
    pixels = images(n=4)
    values = torch.tensor([0.1, 0.7, 1.3, 1.9])
    brightness = ops.OPERATIONS["brightness"].apply
    together = brightness(pixels, values, 0)
    for i in range(4):
        assert torch.equal(together[i : i + 1], brightness(pixels[i : i + 1], values[i : i + 1], 0))


def test_cutout_equals_a_drawn_rectangle():
    pixels = images(n=3)
    boxes = torch.tensor([[2, 3, 9, 8], [0, 0, 19, 17], [5, 5, 5, 9]])
    ours = ops.cutout(pixels, boxes, fill=128)
    for i, (left, top, right, bottom) in enumerate(boxes.tolist()):
        image = to_pil(pixels[i])
        if right > left and bottom > top:
            PIL.ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), (128, 128, 128))
        assert torch.equal(ours[i], from_pil(image, 3))


@settings(deadline=None, max_examples=30)
@given(st.integers(-4, 4), st.integers(-4, 4), st.booleans())
def test_crop_and_flip_equal_pil(dx, dy, flip):
    pixels = images(n=1)
    ours = ops.crop_flip(pixels, torch.tensor([[dx, dy]]), torch.tensor([int(flip)], dtype=torch.uint8), fill=128)
    image = PIL.ImageOps.expand(to_pil(pixels[0]), 4, fill=(128, 128, 128))
    width, height = to_pil(pixels[0]).size
    image = image.crop((4 + dx, 4 + dy, 4 + dx + width, 4 + dy + height))
    image = PIL.ImageOps.mirror(image) if flip else image
    assert torch.equal(ours[0], from_pil(image, 3))


def test_augmentation_follows_from_the_generator_alone():
    pixels = images(n=32)
    first, second = (Augment()(pixels, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    other = Augment()(pixels, torch.Generator().manual_seed(6))
    assert not torch.equal(first, other)


def test_samples_of_a_batch_get_different_operations_and_strengths():
    pixels = images(n=1).repeat(200, 1, 1, 1)
    augmented = Augment(crop_padding=0, flip=False)(pixels, torch.Generator().manual_seed(0))
    assert len(augmented.flatten(1).unique(dim=0)) > 60


def test_without_operations_and_crop_nothing_changes():
    pixels = images()
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(Augment(crop_padding=0, flip=False, operations=("none",))(pixels, generator), pixels)


def test_digits_are_never_mirrored_without_flip():
    pixels = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    pixels[:, :, :, 0] = 200
    out = Augment(crop_padding=0, flip=False, operations=("none",))(pixels, torch.Generator().manual_seed(1))
    assert torch.equal(out, pixels)


def test_mixup_keeps_identity_and_mixes_everything_alike():
    generator = torch.Generator().manual_seed(3)
    lams = []
    for _ in range(200):
        mix = draw_mix(6, 0.75, generator)
        lams.append(mix.lam)
        values = torch.arange(6.0)
        torch.testing.assert_close(mix(values), mix.lam * values + (1 - mix.lam) * values[mix.partner])
        assert sorted(mix.partner.tolist()) == list(range(6))
    assert min(lams) >= 0.5
    reference = np.random.default_rng(0).beta(0.75, 0.75, 20_000)
    assert np.mean(lams) == pytest.approx(np.maximum(reference, 1 - reference).mean(), abs=0.03)
