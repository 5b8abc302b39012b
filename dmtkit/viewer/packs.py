"""Arrays as the explorer's browser side reads them: unsigned integers in a fixed order, compressed."""

import zlib
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO

import numpy as np

from dmtkit.errors import RunError
from dmtkit.losses.levels import TOP

# Three kinds of packs explain a weight: the image and its truth, what the teacher said, and what the student said.
# static/explorer/unpack.mjs has the same table. Confidences and probabilities are levels.
LAYOUTS = {
    "image": {"image": "u1", "truth": "u1"},
    "labels": {"c_A": "<u2", "y_A": "u1", "kept": "u1"},
    "student": {"c_B": "<u2", "p_B": "<u2", "y_B": "u1"},
}


def pack(kind: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays of one kind of pack; an image is "h w c", or several below one another.

    >>> len(zlib.decompress(pack("image", {"image": np.zeros((4, 5, 1), np.uint8), "truth": np.zeros((4, 5))})))
    80
    """
    content = b""
    for name, number in LAYOUTS[kind].items():
        array = colours_of(arrays[name]) if name == "image" else arrays[name]
        if number == "<u2" and array.dtype.kind == "f":
            array = levels(array)
        content += array.astype(number).tobytes()
    return zlib.compress(content, 1)


def levels(probability: np.ndarray) -> np.ndarray:
    """Probabilities 0–1 as the nearest of 65 536 levels; those of a run are levels already and come back as they were.

    >>> levels(np.array([0.0, 0.5, 1.0], np.float32)).tolist()
    [0, 32768, 65535]
    """
    return np.rint(probability.astype(np.float64) * TOP).astype(np.uint16)


def colours_of(image: np.ndarray) -> np.ndarray:
    """An image "h w c" of one or three channels as "h w 3".

    >>> colours_of(np.zeros((2, 2, 1), np.uint8)).shape
    (2, 2, 3)
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise RunError(f"an image has the shape {image.shape}, expected height × width × 1 or 3")
    return np.broadcast_to(image, (*image.shape[:2], 3))


def thumbnail(image: np.ndarray, height: int = 64) -> str:
    """A small picture as a data: address.

    >>> thumbnail(np.zeros((4, 4, 3), np.uint8))[:22]
    'data:image/png;base64,'
    """
    from PIL import Image

    picture, buffer = Image.fromarray(np.ascontiguousarray(colours_of(image))), BytesIO()
    size = (max(1, round(height * picture.width / picture.height)), height)
    smooth = Image.Resampling.NEAREST if picture.height < height else Image.Resampling.BILINEAR
    picture.resize(size, smooth).save(buffer, "PNG")
    return f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}"
