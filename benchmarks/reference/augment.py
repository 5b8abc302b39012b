"""Augmentation image by image with PIL: pad, crop, flip and one random operation; joint scale, crop and flip."""

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

Picture = Image.Image
FILL = 128  # grey, where nothing is


def affine(image: Picture, data: tuple[float, ...]) -> Picture:
    return image.transform(image.size, Image.Transform.AFFINE, data)


def solarize_add(image: Picture, value: float) -> Picture:
    added = np.clip(np.asarray(image).astype(int) + int(value), 0, 255).astype(np.uint8)
    return ImageOps.solarize(Image.fromarray(added), 128)


def shift(image: Picture, x: float, y: float) -> Picture:
    """Moved by shares of the width and of the height."""
    return affine(image, (1, 0, x * image.size[0], 0, 1, y * image.size[1]))


def cutout(image: Picture, share: float) -> Picture:
    """A box of `share` of the width, about a centre anywhere in the image."""
    side, (width, height) = share * image.size[0], image.size
    left, top = (int(max(0, random.random() * size - side / 2)) for size in (width, height))
    right, bottom = min(width, left + int(np.ceil(side))), min(height, top + int(np.ceil(side)))
    if right > left and bottom > top:
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), (FILL,) * len(image.getbands()))
    return image


# What it does, its value at strength 0 and at strength 10, and whether it mirrors: those of dmtkit.data.ops.OPERATIONS.
OPERATIONS: dict[str, tuple[Callable[[Picture, float], Picture], float, float, bool]] = {
    "autocontrast": (lambda image, v: ImageOps.autocontrast(image), 0, 1, False),
    "equalize": (lambda image, v: ImageOps.equalize(image), 0, 1, False),
    "invert": (lambda image, v: ImageOps.invert(image), 0, 1, False),
    "rotate": (lambda image, v: image.rotate(v), 0, 30, True),
    "posterize": (lambda image, v: ImageOps.posterize(image, max(1, int(v))), 0, 4, False),
    "solarize": (lambda image, v: ImageOps.solarize(image, v), 0, 256, False),
    "solarize_add": (solarize_add, 0, 110, False),
    "color": (lambda image, v: ImageEnhance.Color(image).enhance(v), 0.1, 1.9, False),
    "contrast": (lambda image, v: ImageEnhance.Contrast(image).enhance(v), 0.1, 1.9, False),
    "brightness": (lambda image, v: ImageEnhance.Brightness(image).enhance(v), 0.1, 1.9, False),
    "sharpness": (lambda image, v: ImageEnhance.Sharpness(image).enhance(v), 0.1, 1.9, False),
    "shear_x": (lambda image, v: affine(image, (1, v, 0, 0, 1, 0)), 0, 0.3, True),
    "shear_y": (lambda image, v: affine(image, (1, 0, 0, v, 1, 0)), 0, 0.3, True),
    "translate_x": (lambda image, v: shift(image, v, 0), 0, 1 / 3, True),
    "translate_y": (lambda image, v: shift(image, 0, v), 0, 1 / 3, True),
    "cutout": (cutout, 0, 0.5, False),
}


def augment(image: Picture, padding: int = 4) -> Picture:
    """One image of a training batch: padded crop, flip, one operation at a random strength 1–10."""
    width, height = image.size
    image = ImageOps.expand(image, padding, fill=(FILL,) * len(image.getbands()))
    left, top = random.randint(0, 2 * padding), random.randint(0, 2 * padding)
    image = image.crop((left, top, left + width, top + height))
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    operation, weakest, strongest, signed = random.choice(list(OPERATIONS.values()))
    value = weakest + random.randint(1, 10) / 10 * (strongest - weakest)
    return operation(image, -value if signed and random.random() < 0.5 else value)


def scale_crop_flip(
    image: np.ndarray,
    maps: list[tuple[np.ndarray, int]],
    crop: tuple[int, int],
    scale: tuple[float, float],
    fill: tuple[int, int, int],
    flip: bool,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """One image with its maps for a segmentation batch: the whole image is scaled, then padded, cropped and flipped."""
    factor = random.uniform(*scale)
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    pictures = [np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))]
    for values, _ in maps:
        plain = Image.fromarray(values.astype(np.float32) if values.dtype == np.float32 else values)
        pictures.append(np.asarray(plain.resize((width, height), Image.Resampling.NEAREST)))
    fills = [fill, *(outside for _, outside in maps)]
    top, left = (random.randint(min(0, room), max(0, room)) for room in (height - crop[0], width - crop[1]))
    mirrored, found = flip and random.random() < 0.5, []
    for values, outside in zip(pictures, fills, strict=True):
        canvas = np.empty((*crop, *values.shape[2:]), values.dtype)
        canvas[:] = outside
        y, x = max(0, -top), max(0, -left)
        part = values[max(0, top) : max(0, top) + crop[0] - y, max(0, left) : max(0, left) + crop[1] - x]
        canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
        found.append(canvas[:, ::-1].copy() if mirrored else canvas)
    return found[0], found[1:]
