"""Arrays as the explorer's browser side reads them: unsigned integers in a fixed order, compressed.

Three kinds of packs explain a weight: `image` (colours, truth), `labels` (c_A, y_A, kept) and `student`
(c_B, p_B, y_B). static/explorer/unpack.mjs knows their order.
"""

import zlib
from base64 import b64encode
from io import BytesIO

import numpy as np

from dmtkit.errors import RunError
from dmtkit.losses.levels import TOP


def image_pack(image: np.ndarray, truth: np.ndarray) -> bytes:
    """The colours of an image "h w c", or of several below one another, and the truth of every element.

    >>> len(zlib.decompress(image_pack(np.zeros((4, 5, 1)), np.zeros((4, 5)))))
    80
    """
    return _pack("u1 u1", colours_of(image), truth)


def labels_pack(c_a: np.ndarray, y_a: np.ndarray, kept: np.ndarray) -> bytes:
    """What the teacher said of every element: the level of its confidence, its label, and whether the phase keeps it."""
    return _pack("<u2 u1 u1", c_a, y_a, kept)


def student_pack(c_b: np.ndarray, p_b: np.ndarray, y_b: np.ndarray) -> bytes:
    """What the student said: the levels of its confidence and of its probability of the label, and its prediction."""
    return _pack("<u2 <u2 u1", c_b, p_b, y_b)


def _pack(kinds: str, *arrays: np.ndarray) -> bytes:
    each = zip(arrays, kinds.split(), strict=True)
    return zlib.compress(b"".join(array.astype(kind).tobytes() for array, kind in each), 1)


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
