"""Checks a site as it lies on disk: every link, anchor and picture must be there, and nothing may come from elsewhere."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SVG = ("href", "xlink:href")
LOADED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("img", "script", "iframe", "audio", "source", "track", "embed", "input"), ("src",)),
    **dict.fromkeys(("image", "use", "feimage"), SVG),
    "video": ("src", "poster"),
    "link": ("href",),
    "object": ("data",),
}
ELSEWHERE = re.compile(r"(?!data:)(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
CSS_URL = re.compile(r"""(?:@import\s+(?:url\(\s*)?|url\(\s*)['"]?([^'")\s;]+)""", re.IGNORECASE)
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass
class Page(HTMLParser):
    """What a page links to, loads and offers as anchors."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    _in_style: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self._in_style = tag == "style"
        if tag in ("a", "area") and "href" in values:
            self.links.append(values["href"])
        self.loads += [values[name] for name in LOADED.get(tag, ()) if values.get(name)]
        if "style" in values:
            self.styles.append(values["style"])
        if "srcset" in values:
            self.loads += [part.split()[0] for part in values["srcset"].split(",") if part.strip()]
        if tag == "img" and not values.get("alt", "").strip():
            self.wordless.append(values.get("src", "")[:60])

    def handle_endtag(self, tag: str) -> None:
        """Styles end."""
        self._in_style = False

    def handle_data(self, data: str) -> None:
        """Styles may load things too."""
        if self._in_style:
            self.styles.append(data)


def read(path: Path) -> Page:
    """A page, taken apart."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def check(site: Path) -> list[str]:
    """Everything that is wrong with a site, each with the page and the link."""
    pages = {path: read(path) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found += [f"{name}: a picture without alt text: {source}" for source in page.wordless]
        loads = page.loads + [url for style in page.styles for url in loaded_by(style)]
        found += [f"{name}: {complaint}" for load in loads if (complaint := _not_loaded(path, load, site))]
        found += [f"{name}: {complaint}" for link in page.links if (complaint := _complaint(path, link, site, pages))]
    for path in sorted(site.rglob("*.css")):
        name = path.relative_to(site).as_posix()
        loads = loaded_by(path.read_text(encoding="utf-8"))
        found += [f"{name}: {complaint}" for load in loads if (complaint := _not_loaded(path, load, site))]
    return found


def loaded_by(style: str) -> list[str]:
    """What a style sheet loads.

    >>> loaded_by("@import url('a.css'); p { background: url(b.png) /* url(c.png) */ }")
    ['a.css', 'b.png']
    """
    return CSS_URL.findall(CSS_COMMENT.sub("", style))


def _not_loaded(path: Path, target: str, site: Path) -> str:
    """Why a page or a style sheet cannot load something, or must not; empty if it can."""
    if ELSEWHERE.match(target):
        return f"loads from another place: {target}"
    if target.startswith(("data:", "#")):
        return ""
    place = (path.parent / unquote(urlsplit(target).path)).resolve()
    if not place.is_file():
        return f"there is no file {target}"
    return "" if place.is_relative_to(site.resolve()) else f"loads a file outside the site: {target}"


def _complaint(path: Path, link: str, site: Path, pages: dict[Path, Page]) -> str:
    """What is wrong with a link; empty if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):  # not asked for: a site is built without a network
        return "" if re.fullmatch(r"[\w.-]+\.\w+(:\d+)?", parts.netloc) else f"{link} is no address"
    if parts.scheme == "mailto":
        return ""
    if parts.scheme or parts.netloc:
        return f"{link} is no link that a page can have"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return f"a broken link: {link}"
    if not target.is_relative_to(site.resolve()):
        return f"a link that leaves the site: {link}"
    if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in pages_of(pages, target).anchors:
        return f"a broken link: {link} (the page has no such anchor)"
    return ""


def pages_of(pages: dict[Path, Page], target: Path) -> Page:
    """The page at a resolved path."""
    return next((page for path, page in pages.items() if path.resolve() == target), Page())
