"""Markdown as HTML, formulas as MathML: what browsers show by themselves, without a script or a network."""

import re
import unicodedata
from html import unescape
from typing import Any

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

NAMES = ("arg",)  # functions that the converter does not know


class FormulaError(ValueError):
    """A formula that cannot be shown."""


def formula(tex: str, display: bool = False) -> str:
    r"""A formula as MathML; FormulaError with its text if it has something that is not understood.

    >>> formula(r"p^{\gamma_1}").count("<msup>")
    1
    """
    known = re.sub(rf"\\({'|'.join(NAMES)})(?![a-zA-Z])", r"\\operatorname{\1}", tex.strip())
    try:
        found = convert(known, display="block" if display else "inline")
    except Exception as error:  # the converter has errors of many types, some without words
        raise FormulaError(f"the formula {tex.strip()!r} cannot be shown ({type(error).__name__}: {error})") from None
    unknown = re.search(r"<m[a-z]+>\\[a-zA-Z]+</m[a-z]+>", found)
    if unknown:
        raise FormulaError(f"the formula {tex.strip()!r} has an unknown command: {unknown[0]}")
    found = re.sub(r"(<mi>(?:ln|log|exp)</mi>)(?!<mo)", r'\1<mspace width="0.17em"/>', found)  # ln p, not lnp
    if display:
        return f'<div class="formula" tabindex="0" role="group" aria-label="formula">{found}</div>'
    return found


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it; JupyterLab's, given to it, becomes the same.

    >>> slug("What *comes* out?"), slug("What-comes-out?"), slug("Q &amp; A")
    ('what-comes-out', 'what-comes-out', 'q--a')
    """
    text = unescape(re.sub(r"<[^>]+>|[*`]", "", heading))
    kept = re.sub(r"[^\w\s-]", "", unicodedata.normalize("NFC", text).lower())
    return re.sub(r"\s", "-", kept.strip())


class Renderer(IPythonRenderer):
    """nbconvert's renderer, but for formulas and the anchors of headings."""

    def __init__(self, anchors: dict[str, int] | None = None) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.anchors = {} if anchors is None else anchors

    def heading(self, text: str, level: int, **more: Any) -> str:
        """A heading with an anchor of its own."""
        name = slug(text)
        count = self.anchors.get(name, 0)
        self.anchors[name] = count + 1
        return f'<h{level} id="{name}{f"-{count}" if count else ""}">{text}</h{level}>\n'

    def block_math(self, body: str) -> str:
        """A formula that stands alone."""
        return formula(body, display=True)

    def inline_math(self, body: str) -> str:
        """A formula within a sentence."""
        return formula(body)

    def latex_environment(self, name: str, body: str) -> str:
        """A formula written as an environment."""
        return formula(rf"\begin{{{name}}}{body}\end{{{name}}}", display=True)


def to_html(text: str, anchors: dict[str, int] | None = None) -> str:
    """Markdown as HTML; `anchors` counts those that the page has, so that none comes twice.

    >>> to_html("# A title").strip()
    '<h1 id="a-title">A title</h1>'
    """
    return MarkdownWithMath(renderer=Renderer(anchors)).render(text)
