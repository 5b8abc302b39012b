"""Changes to a folder of good data, and what to expect of the data afterwards: the words that the tables of cases are made of."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040  # a grey value of 16 bits each, all different
UPRIGHT = {  # what EXIF's orientations mean, by hand
    2: np.fliplr,
    3: lambda a: a[::-1, ::-1],
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}
SQUARE = np.random.default_rng(7).integers(0, 256, (8, 8, 3), dtype=np.uint8)
NOISE = SQUARE[:6]
CAT, DOG = "train/cat/000.png", "train/dog/001.png"
TEST, IMAGE, MASK = "im_004", "JPEGImages/im_004.jpg", "SegmentationClass/im_004.png"


def put(path, *content):
    """A change: write bytes, text or an image (also one of another format than its name says)."""

    def change(folder):
        target = Path(os.fsdecode(os.fsencode(folder / path)))
        target.parent.mkdir(parents=True, exist_ok=True)
        for each in content:
            if isinstance(each, bytes):
                target.write_bytes(each)
            elif isinstance(each, str):
                target.write_bytes(each.encode())
            else:
                each(target)

    return change


def image(mode="RGB", size=(8, 8), colour=77, kind="PNG", **more):
    colour = (colour,) * len(Image.new(mode, (1, 1)).getbands()) if mode not in ("P", "1", "I", "F") else colour
    return lambda path: Image.new(mode, size, colour).save(path, kind, **more)


def pixels(array, kind="PNG", orientation=None):
    exif = Image.Exif()
    exif[0x0112] = orientation or 1
    return lambda path: Image.fromarray(array).save(path, kind, **({"exif": exif} if orientation else {}))


def cut(path):
    return lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:100])


def png_of(width, height, data=b""):
    """A PNG that claims a size."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def link(path, target):
    def change(folder):
        (folder / path).unlink(missing_ok=True)
        (folder / path).symlink_to(str(target).format(outside=folder.parent / "outside"))

    return change


def elsewhere(path):
    """A change: the folder itself lies elsewhere, and a link leads there."""

    def change(folder):
        (folder / path).rename(folder.parent / "outside" / "moved")
        (folder / path).symlink_to(folder.parent / "outside" / "moved")

    return change


def fifo(path):
    def change(folder):
        (folder / path).unlink(missing_ok=True)
        os.mkfifo(folder / path)

    return change


def gone(path):
    return lambda folder: (folder / path).unlink()


def renamed(path, name):
    def change(folder):
        target = os.path.join(os.fsencode((folder / path).parent), os.fsencode(name))
        os.rename(folder / path, target)

    return change


def copied(path, *names):
    return lambda folder: [put(name, (folder / path).read_bytes())(folder) for name in names]


def listed(form="{}", name="train", encoding="utf-8", end="\n", count=4):
    """A change: a list whose lines have this form."""
    lines = [form.format(f"im_{i:03d}") for i in range(count)]
    return lambda folder: (folder / "ImageSets/Segmentation" / f"{name}.txt").write_bytes(
        (end.join(lines) + end).encode(encoding)
    )


def spaced(folder):
    """A change: the names of the files have spaces."""
    for i in range(4):
        for path in (f"JPEGImages/im_{i:03d}.jpg", f"SegmentationClass/im_{i:03d}.png"):
            os.rename(folder / path, folder / path.replace("im_", "é 猫 im_"))


def subfolders(path):
    return lambda folder: (
        (folder / path).rename(folder / "x"),
        (folder / path).mkdir(),
        (folder / "x").rename(folder / path / "x"),
    )


def both(*changes):
    return lambda folder: [change(folder) for change in changes]


def says(*texts):
    """What to expect: it is read, and the overview has these texts."""
    return lambda data: all(text in "\n".join(data.overview()) for text in texts)


def silent(data):
    return "passed over" not in "\n".join(data.overview())


def shown(name, expected):
    """What to expect: the pixels (channels last) of an image."""

    def check(data):
        parts = [part for part in (data.labeled, data.unlabeled, data.val, data.test) if name in part.names]
        place = parts[0].names.index(name)
        array = (
            parts[0].pixels[place].permute(1, 2, 0).numpy() if hasattr(parts[0], "pixels") else parts[0].image(place)
        )
        return array.shape[:2] == expected.shape[:2] and np.abs(array - expected.astype(float)).max() <= 0.51

    return check


def few(data):
    return len(data.labeled) + len(data.unlabeled) == 4


def grey(value):
    return np.full((8, 8, 1), value)
