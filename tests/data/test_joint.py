"""Joint augmentation against PIL on the whole image; image, label and confidence stay together; workers change nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dmtkit.data.crops import Ahead, Crops
from dmtkit.data.joint import Colour, View, draw_colour, draw_view, paint, show
from dmtkit.data.pictures import Arrays, Part
from dmtkit.data.whole_images import image_groups, pad

FILL = (9, 8, 7)


def image_of(h, w, seed=0):
    smooth = np.random.default_rng(seed).integers(0, 256, (max(2, h // 4), max(2, w // 4), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(smooth).resize((w, h), Image.Resampling.BILINEAR))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(5, 60), st.integers(5, 60), st.integers(4, 50), st.integers(4, 50), st.integers(0, 999), st.booleans()
)
def test_a_view_is_the_crop_of_the_whole_resized_image(h, w, ch, cw, seed, flip):
    image, rng = image_of(h, w, seed), np.random.default_rng(seed)
    view = draw_view((h, w), (ch, cw), (0.5, 1.5), flip, rng)
    label = np.arange(h * w, dtype=np.uint16).reshape(h, w)
    seen, (found,) = show(image, view, FILL, [(label, 65535)])

    whole = np.asarray(Image.fromarray(image).resize((view.width, view.height), Image.Resampling.BILINEAR)).astype(int)
    near = np.asarray(
        Image.fromarray(label.astype(np.int32)).resize((view.width, view.height), Image.Resampling.NEAREST)
    )
    canvas = np.empty((ch, cw, 3), int)
    canvas[:] = FILL
    expected = np.full((ch, cw), 65535, int)
    for i in range(ch):
        for j in range(cw):
            y, x = i + view.top, j + view.left
            if 0 <= y < view.height and 0 <= x < view.width:
                canvas[i, j], expected[i, j] = whole[y, x], near[y, x]
    tie = np.zeros((ch, cw), bool)  # where the middle of a pixel falls between two: PIL's rounding errors decide
    tie[[(2 * (i + view.top) + 1) * h % (2 * view.height) == 0 for i in range(ch)]] = True
    tie[:, [(2 * (j + view.left) + 1) * w % (2 * view.width) == 0 for j in range(cw)]] = True
    if view.flip:
        tie = tie[:, ::-1]
        canvas, expected = canvas[:, ::-1], expected[:, ::-1]
    np.testing.assert_array_equal(found[~tie], expected[~tie])
    assert np.abs(seen - canvas).max() <= 2  # PIL resizes from a fractional box: rounding differs


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 40), st.integers(3, 40), st.integers(0, 999))
def test_maps_that_were_alike_stay_alike(h, w, seed):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 200, (h, w), dtype=np.uint8)
    view = draw_view((h, w), (16, 24), (0.5, 1.5), True, rng)
    _, (a, b) = show(image_of(h, w), view, FILL, [(label, 255), (label.astype(np.uint16) * 300, 0)])
    inside = a != 255
    np.testing.assert_array_equal(b[inside], a[inside].astype(np.uint16) * 300)
    assert (b[~inside] == 0).all()


def test_a_crop_larger_than_any_image_pads():
    view = View(4, 4, -3, -2, False, (10, 9))
    seen, (label,) = show(image_of(4, 4), view, FILL, [(np.zeros((4, 4), np.uint8), 255)])
    assert (label != 255).sum() == 16
    assert (seen[label == 255] == FILL).all()
    assert (label[3:7, 2:6] == 0).all()


def test_padding_keeps_the_image_in_its_corner():
    image = image_of(5, 6)
    (padded,) = pad([image], (8, 6), FILL)
    assert padded.shape == (8, 6, 3)
    np.testing.assert_array_equal(padded[:5], image)
    assert (padded[5:] == FILL).all()


class Labels:
    """Pseudo labels that equal the truth in every other column."""

    def __init__(self, part):
        self.part = part

    def kept(self, position):
        mask = self.part.mask(position)
        label = np.where(np.arange(mask.shape[1]) % 2, mask, 255).astype(np.uint8)
        return label, np.full(mask.shape, 30000, np.uint16)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (12, 20, 20), dtype=np.uint8)
    arrays = Arrays(np.repeat(masks[..., None] * 60, 3, 3), masks, tuple(f"i{n}" for n in range(12)))
    labeled, unlabeled = Part(arrays, (0, 1, 2)), Part(arrays, tuple(range(3, 12)))
    return Crops(labeled, unlabeled, Labels(unlabeled).kept, True, 2, 3, (16, 16), (1.0, 1.0), False, FILL, seed=5)


def same(a, b):
    assert a.names == b.names
    for name in ("images", "label", "confidence", "trusted", "truth"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name


def test_a_batch_holds_what_it_says(crops):
    batch = crops(7)
    assert batch.images.shape == (5, 3, 16, 16)
    assert batch.trusted.tolist() == [True, True, False, False, False]
    assert (batch.confidence[:2] == 1).all()
    assert torch.allclose(batch.confidence[2:], torch.tensor(30000 / 65535))
    kept = batch.label != 255
    assert torch.equal(batch.images[:, 0][kept], 60 * batch.label[kept])
    assert torch.equal(batch.label[kept], batch.truth[kept])
    assert kept[:2].all()
    assert 0.4 < kept[2:].float().mean() < 0.6


def test_a_batch_follows_from_its_step(crops):
    same(crops(3), crops(3))
    assert not torch.equal(crops(3).images, crops(4).images)


def test_a_row_is_the_same_whoever_makes_it(crops):
    whole = crops(7)
    for rows in (slice(0, None, 2), slice(1, None, 2), slice(4, None)):
        part = replace(crops, rows=rows)(7)
        assert part.names == whole.names, "errors name the whole batch"
        same(part, whole.each(lambda values, rows=rows: values[rows]))
        assert part.labeled == int(part.trusted.sum())
        assert torch.equal(part.x, whole.x[rows]), "X comes first"


def test_u_beside_x_is_what_it_is_with_x(crops):
    whole = crops(7)
    for rows in (slice(None), slice(0, None, 2), slice(1, None, 2)):
        part = replace(crops, rows=rows, views=("weak", "plain", "strong", "strong2"))(7)
        assert torch.equal(part.images, whole.x[rows])
        assert torch.equal(part.label, whole.y[rows])
        u = whole.images[whole.labeled :][rows]
        assert torch.equal(part.u["weak"], u)
        assert torch.equal(part.u["plain"], u)
        assert part.u["strong"].shape == u.shape
        assert not torch.equal(part.u["strong"], u)
        assert not torch.equal(part.u["strong"], part.u["strong2"])
        strong = replace(crops, views=("strong",))(7).u["strong"]
        assert torch.equal(part.u["strong"], strong[rows]), (
            "a row is the same whoever makes it, and beside whatever views"
        )
        assert torch.equal(part.valid, (whole.label[whole.labeled :] != 255)[rows])
        assert part.unlabeled == len(whole.images) - whole.labeled
        names = [crops.unlabeled.names[position] for position in part.index]
        assert names == list(whole.names[whole.labeled :][rows])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_give_the_same_batches_from_any_step_on(crops, workers):
    alone, ahead = (Ahead(crops, 9, n, torch.device("cpu")) for n in (0, workers))
    for step in (4, 5, 6, 7, 8):
        same(ahead(step), alone(step))
    same(ahead(5), alone(5))  # asked for again, to name its images


def test_groups_hold_images_of_one_padded_size():
    sizes = np.array([[5, 5], [5, 5], [5, 5], [6, 5], [5, 5]])
    found = list(image_groups(sizes, 2, (0, 0)))
    assert found == [([0, 1], (5, 5)), ([2], (5, 5)), ([3], (6, 5)), ([4], (5, 5))]
    assert len(list(image_groups(sizes, 5, (8, 8)))) == 1


def test_colours_are_torchvisions_and_drawn_by_the_seed():
    import dmtkit.compat  # noqa: F401, I001  before torchvision
    from torchvision.transforms.v2 import functional as F

    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)).permute(2, 0, 1)
    assert torch.equal(paint(image, Colour((), False, 0.0)), image)
    contrast = F.adjust_contrast(F.adjust_hue(image, 0.2), 1.4)
    assert torch.equal(paint(image, Colour((("hue", 0.2), ("contrast", 1.4)), False, 0.0)), contrast), "in this order"
    blurred = paint(image, Colour((), True, 1.0))
    assert (blurred == blurred[:1]).all(), "grey"
    assert blurred.float().std() < image.float().std() / 2, "and smooth"
    draws = [draw_colour(np.random.default_rng(seed)) for seed in range(400)]
    assert 0.75 < np.mean([bool(draw.jitter) for draw in draws]) < 0.85
    assert 0.15 < np.mean([draw.grey for draw in draws]) < 0.25
    assert 0.43 < np.mean([draw.sigma > 0 for draw in draws]) < 0.57
    assert all(0.5 <= factor <= 1.5 for draw in draws for name, factor in draw.jitter if name != "hue")
    assert all(abs(factor) <= 0.25 for draw in draws for name, factor in draw.jitter if name == "hue")
    assert draw_colour(np.random.default_rng(7)) == draws[7]


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (2, 3)])
def test_a_crop_smaller_than_the_blur_is_blurred_as_far_as_it_goes(shape):
    image = torch.full((3, *shape), 7, dtype=torch.uint8)
    assert torch.equal(paint(image, Colour((), False, 2.0)), image)
