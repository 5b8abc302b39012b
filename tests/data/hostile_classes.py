"""Class folders as people have them, and as nobody should; a new case is a new line.

A line has a name, what is changed in a good folder, what to expect (words of a refusal, or what holds of the data that
were read), and maybe settings. `python -m tests.data.test_hostile_data` prints what is said of each.
"""

import os
import re
import shutil

from tests.data.hostile import (
    CAT,
    DOG,
    RAMP,
    SQUARE,
    UPRIGHT,
    both,
    copied,
    cut,
    elsewhere,
    fifo,
    grey,
    image,
    link,
    pixels,
    png_of,
    put,
    renamed,
    says,
    shown,
    silent,
    subfolders,
)

CLASSES = [
    ("as it should be", both(), silent),
    # files that are no images
    ("no bytes", put(CAT, b""), "train/cat/000.png: unreadable (UnidentifiedImageError"),
    ("text", put(CAT, "hello"), "train/cat/000.png: unreadable (UnidentifiedImageError"),
    ("half a PNG", cut(CAT), "train/cat/000.png: unreadable (OSError"),
    ("half a JPEG", both(put("train/cat/x.jpg", image(kind="JPEG")), cut("train/cat/x.jpg")), "x.jpg: unreadable ("),
    ("400 megapixels", put(CAT, png_of(20_000, 20_000)), "000.png: unreadable (DecompressionBombError"),
    ("a header that lies", put(CAT, png_of(60, 60, b"x")), "train/cat/000.png: unreadable (OSError"),
    ("32 bits", put(CAT, image("F", kind="TIFF")), "has 'F' pixels (32 bits); store it with 8 bits a channel"),
    ("integers of 32 bits", put(CAT, image("I", kind="TIFF")), "has 'I' pixels (32 bits)"),
    ("a FIFO", fifo(CAT), "000.png: unreadable (missing, a broken link, a folder or a device"),
    ("a folder named as an image", lambda at: (at / "train/cat/x.jpg").mkdir(), "x.jpg: unreadable (missing, a broken"),
    ("may not be read", lambda at: (at / CAT).chmod(0), "train/cat/000.png: unreadable (PermissionError"),
    ("a size of its own", put(DOG, image(size=(9, 8))), "train/dog/001.png: 9×8 pixels, the first has 8×8"),
    # links
    ("a link to nothing", link(CAT, "nothing.png"), "000.png: unreadable (missing, a broken link"),
    ("a link to itself", link(CAT, "000.png"), "000.png: unreadable (missing, a broken link"),
    ("a link out", link(CAT, "{outside}/secret.png"), "data_dir: links lead out of"),
    ("a link out, by ..", link(CAT, "../../../outside/secret.png"), "train/cat/000.png → "),
    ("a link to a system's file", link(CAT, "/etc/passwd"), "copy the files, or name a folder with all:"),
    ("a link to a device", link(CAT, "/dev/zero"), "train/cat/000.png → /dev/zero"),
    ("a link within", link(CAT, "../../train/cat/001.png"), silent),
    ("a class that lies elsewhere", elsewhere("train/cat"), silent),
    ("training images that lie elsewhere", elsewhere("train"), silent),
    ("all data elsewhere", elsewhere("."), silent),
    # what pixels may be
    ("grey", put(CAT, image("L")), shown(CAT, grey(77))),
    ("one bit", put(CAT, image("1", colour=1)), shown(CAT, grey(255))),
    ("palette", put(CAT, image("P", colour=0)), shown(CAT, grey(0))),
    ("grey with transparency", put(CAT, image("LA")), shown(CAT, grey(77))),
    ("colour with transparency", put(CAT, image("RGBA")), shown(CAT, grey(77))),
    ("CMYK", put(CAT, image("CMYK", colour=0, kind="JPEG")), shown(CAT, grey(255))),
    ("16 bits", put(CAT, pixels(RAMP)), shown(CAT, RAMP[..., None] / 257)),
    ("another format than named", put(CAT, image(kind="BMP")), shown(CAT, grey(77))),
    ("no EXIF to read", put(CAT, image(exif=b"Exif\0\0nonsense")), shown(CAT, grey(77))),
    ("16 bits, turned", put(CAT, pixels(RAMP, orientation=6)), shown(CAT, UPRIGHT[6](RAMP)[..., None] / 257)),
    *((f"EXIF {k}", put(CAT, pixels(SQUARE, orientation=k)), shown(CAT, f(SQUARE))) for k, f in UPRIGHT.items()),
    # names
    ("an ending in capitals", renamed(CAT, "x.PNG"), silent),
    ("mixed endings", both(put("train/cat/x.JpEg", image()), put("train/dog/x.WebP", image(colour=1))), silent),
    ("a file whose name is not UTF-8", renamed(CAT, b"caf\xe9.png"), r"'train/cat/caf\udce9.png'"),
    ("a class whose name is not UTF-8", renamed("train/cat", b"caf\xe9"), r"'caf\udce9'"),
    (
        "both of them",
        both(renamed("train/cat", b"\xe9"), renamed("test/cat", b"\xe9")),
        "are not UTF-8, or hold control",
    ),
    ("an empty class, not UTF-8", lambda at: os.mkdir(os.fsencode(at) + b"/train/\xe9"), "are not UTF-8"),
    ("a line break in a name", renamed(CAT, "a\nb.png"), r"'train/cat/a\nb.png'"),
    ("an escape in a name", renamed(CAT, "\x1b[31m.png"), "rename them"),
    ("a dollar class", both(renamed("train/cat", "$^$"), renamed("test/cat", "$^$")), silent),
    ("spaces", both(renamed("train/cat", " a  cat "), renamed("test/cat", " a  cat ")), silent),
    ("right to left", both(renamed("train/cat", "قطة"), renamed("test/cat", "قطة")), silent),
    ("200 letters", both(renamed("train/cat", "c" * 200), renamed("test/cat", "c" * 200)), silent),
    ("Cat and cat", both(renamed("train/dog", "Cat"), renamed("test/dog", "Cat")), silent),
    # folders
    ("no train", renamed("train", "training"), "holds no train/ folder"),
    ("train is a file", both(renamed("train", "x"), put("train", b"")), "holds no train/ folder"),
    ("no such folder", shutil.rmtree, "there is no folder"),
    ("data_dir is a file", lambda at: (shutil.rmtree(at), at.write_bytes(b"")), "there is no folder"),
    ("one class", both(renamed("train/dog", ".dog"), renamed("test/dog", ".dog")), "found 1 class folders, expected 2"),
    ("256 classes", copied(CAT, *(f"train/{i}/x.png" for i in range(254))), "test/0: no images (jpg, jpeg, png"),
    ("an empty class", lambda at: (at / "train/eel").mkdir(), "train/eel: no images (jpg, jpeg, png, bmp, webp)"),
    ("a class to test alone", put("test/fox/1.png", image()), "test/fox: a class that train/ does not have"),
    ("a class that is not tested", renamed("test/dog", ".dog"), "test/dog: no images"),
    (
        "what macOS packs",
        put("train/__MACOSX/._000.png", b"x"),
        re.compile("complete folder of class folders:\n  - train/__MACOSX: no images [^\n]*$"),
    ),
    ("too few images", both(), "class cat: 6 images", {"labels": 9}),
    # what is passed over
    ("hidden files", both(put("train/cat/.DS_Store", b"x"), put("train/cat/._000.png", b"x")), silent),
    ("Thumbs.db", both(put("train/cat/Thumbs.db", b"x"), put("test/desktop.ini", b"x")), silent),
    (
        "sub-folders of a class",
        copied(CAT, "train/cat/more/1.png", "train/cat/more/2.png"),
        says("2 × train/cat/more/*.png"),
    ),
    ("only sub-folders", subfolders("train/cat"), "train/cat: no images"),
    (
        "other endings",
        copied(CAT, *(f"train/cat/{n}" for n in ("1.gif", "2.gif", "3.TIFF"))),
        says("2 × train/cat/*.gif", "1 × train/cat/*.TIFF"),
    ),
    (
        "HEIC",
        put("unlabeled/1.heic", b"x"),
        says("passed over, as only jpg, jpeg, png, bmp, webp", "1 × unlabeled/*.heic"),
    ),
    ("images beside the classes", copied(CAT, "train/1.png"), says("1 × train/*.png")),
    ("test is a file", both(renamed("test", ".test"), put("test", b"")), says("1 × test, a file instead of a folder")),
    ("val is a file", put("val", b""), says("1 × val, a file instead of a folder")),
    ("a folder val", copied(CAT, "val/cat/1.png"), says("1 × val/cat/*.png")),
    (
        "unlabeled in sub-folders alone",
        copied(CAT, "unlabeled/a/1.png"),
        "add some in unlabeled/, not in sub-folders",
        {"labels": None},
    ),
    # the same image twice
    (
        "in train and test",
        copied(CAT, "test/cat/x.png"),
        says("train/cat/000.png (train/cat) = test/cat/x.png (test/cat)"),
    ),
    ("under two classes", copied(CAT, "train/dog/x.png"), says("warning: 1 × identical images")),
    ("in train and unlabeled", copied(CAT, "unlabeled/x.png"), says("unlabeled/x.png (unlabeled)")),
    (
        "in train and validation",
        copied(CAT, "train/cat/x.png"),
        says("train/cat/000.png (train/cat) = train/cat/x.png (val/cat)"),
    ),
]
