"""Builds the site: pages for what the navigation names, and for every file of the project that a page links to."""

import mimetypes
import posixpath
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from docs.site import notebooks
from docs.site.markdown import FormulaError, slug
from docs.site.markdown import to_html as markdown

HERE = Path(__file__).parent
MARK = ".dmtkit-site"  # in a folder that this program made, and may empty


@dataclass(frozen=True)
class Entry:
    """A page of the navigation: the project's file that it shows, where it is read from, and its place in the site."""

    source: str
    address: str
    group: str
    file: Path
    title: str = ""


@dataclass
class Site:
    """A site that is being built. `entries` are its pages; files that they link to are added as they are met."""

    root: Path
    output: Path
    entries: list[Entry]
    problems: list[str] = field(default_factory=list)
    _extra: dict[str, str] = field(default_factory=dict)  # files of the project that pages link to: their addresses
    _titles: dict[str, str] = field(default_factory=dict)

    def build(self) -> list[str]:
        """Write every page; what went wrong, links excepted."""
        environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._page = environment.get_template("page.html.j2")
        ready = [entry for entry in self.entries if entry.file.suffix == ".html"]  # pages of their own, copied
        for entry in ready:
            self._titles[entry.address] = entry.title
            (self.output / entry.address).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(entry.file, self.output / entry.address)
        bodies = {entry: self._body(entry) for entry in self.entries if entry not in ready}
        for entry, body in bodies.items():
            self._titles[entry.address] = entry.title or title_of(body) or entry.source
        for entry, body in bodies.items():
            self._write(entry.address, self._titles[entry.address], self._linked(body, entry.source, entry.address))
        done: set[str] = set()
        while missing := [name for name in self._extra if name not in done]:
            for name in missing:
                done.add(name)
                self._add(name)
        (self.output / "site.css").write_text(styles(), encoding="utf-8")
        return self.problems

    def _body(self, entry: Entry) -> str:
        try:
            if entry.file.suffix != ".ipynb":
                return markdown(entry.file.read_text(encoding="utf-8"))
            body, pictures = notebooks.to_html(entry.file, self.root)
        except FormulaError as error:
            self.problems.append(f"{entry.source}: {error}")
            return ""
        for name, content in pictures.items():
            target = (self.output / entry.address).parent / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        return body

    def _linked(self, body: str, source: str, address: str) -> str:
        """The body with links that fit the site, tables that scroll by themselves and headings one can link to."""
        soup = BeautifulSoup(body, "html.parser")
        for tag, name in (("a", "href"), ("img", "src")):
            for element in soup.find_all(tag):
                if element.get(name):
                    element[name] = self._target(str(element[name]), source, address)
        for element in soup.find_all("img"):
            element["loading"] = "lazy"
        for table in soup.find_all("table"):
            table.wrap(
                soup.new_tag("div", attrs={"class": "scroll", "tabindex": "0", "role": "group", "aria-label": "table"})
            )
        return str(soup)

    def _target(self, link: str, source: str, address: str) -> str:
        """Where a link of the project's file leads in the site; as it is, if it leads nowhere: the check will say so."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return link
        fragment = f"#{slug(unquote(parts.fragment))}" if parts.fragment else ""
        if not parts.path:
            return fragment or link
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(parts.path)))
        if source.endswith(".ipynb") and (self.output / posixpath.dirname(address) / unquote(parts.path)).is_file():
            return link  # a picture that the notebook drew
        found = self._address(wanted)
        return quote(posixpath.relpath(found, posixpath.dirname(address) or ".")) + fragment if found else link

    def _address(self, name: str) -> str:
        """The place of a project's file in the site; empty if there is no such file."""
        known = {entry.source: entry.address for entry in self.entries} | self._extra
        for candidate in (name, posixpath.join(name, "README.md")):
            if candidate in known:
                return known[candidate]
        place = (self.root / name).resolve()
        if name.startswith("..") or not place.exists() or not place.is_relative_to(self.root.resolve()):
            return ""
        if place.is_dir():
            self._extra[name] = f"source/{name}/index.html"
        elif is_text(place):
            self._extra[name] = f"source/{name}.html"
        else:
            self._extra[name] = f"files/{name}"
        return self._extra[name]

    def _add(self, name: str) -> None:
        """A file that a page links to: text as a page, anything else as it is; a folder as a list of its text files."""
        place, address = self.root / name, self._extra[name]
        target = self.output / address
        target.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            names = sorted(path.name for path in place.iterdir() if path.is_file() and is_text(path))
            items = "".join(f'<li><a href="{quote(posixpath.join(name, one))}">{escape(one)}</a></li>' for one in names)
            body = f"<h1>{escape(name)}/</h1><ul>{items}</ul>"
            self._write(address, f"{name}/", self._linked(body, "", address))
        elif address.endswith(".html"):
            code = highlight(
                place.read_text(encoding="utf-8", errors="replace"), lexer(place), HtmlFormatter(cssclass="highlight")
            )
            self._write(address, name, f"<h1>{escape(name)}</h1>{code}")
        else:
            shutil.copy(place, target)

    def _write(self, address: str, title: str, body: str) -> None:
        target = self.output / address
        target.parent.mkdir(parents=True, exist_ok=True)
        here = posixpath.dirname(address) or "."
        groups: dict[str, list[tuple[str, str, bool]]] = {}
        for entry in self.entries:
            link = quote(posixpath.relpath(entry.address, here))
            groups.setdefault(entry.group, []).append((self._titles[entry.address], link, entry.address == address))
        css = quote(posixpath.relpath("site.css", here))
        target.write_text(self._page.render(title=title, body=body, groups=groups, css=css), encoding="utf-8")


def title_of(body: str) -> str:
    """The words of the first heading, as text.

    >>> title_of("<h1 id='a'>A <em>title</em> &amp; more</h1>")
    'A title & more'
    """
    found = re.search(r"<h1[^>]*>(.*?)</h1>", body, re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", found[1])).strip() if found else ""


def is_text(path: Path) -> bool:
    """Whether a file is shown as a page: code, settings and prose, but no tables and pictures."""
    kind = mimetypes.guess_type(path.name)[0] or ""
    if kind.startswith(("image/", "video/")) or path.suffix in (".csv", ".ipynb", ".zip", ".npz", ".pt"):
        return False
    return b"\0" not in path.read_bytes()[:1000]


def lexer(path: Path) -> Any:
    """The lexer of a file; plain text for what none is known for."""
    try:
        return get_lexer_for_filename(path.name)
    except ClassNotFound:
        return TextLexer()


def styles() -> str:
    """The site's style sheet: its own, and the colours of code for light and for dark."""
    light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark"))
    return (
        f"{(HERE / 'site.css').read_text(encoding='utf-8')}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
        + OWN_GROUND
    )


OWN_GROUND = ".highlight, .highlight pre { background: var(--code); }\n"  # after pygments' own


def empty(output: Path, keep: Callable[[Path], bool]) -> None:
    """Make the output folder ready; ValueError if it holds something that this program did not put there."""
    if output.is_dir() and any(output.iterdir()) and not (output / MARK).is_file():
        raise ValueError(
            f"{output}: is not empty and was not made by this program; choose another folder, or remove it"
        )
    output.mkdir(parents=True, exist_ok=True)
    (output / MARK).touch()
    for path in output.iterdir():
        if path.name != MARK and not keep(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
