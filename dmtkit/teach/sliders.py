"""Sliders over a pure plot function: a picture that is drawn anew, in place, whenever one of them is moved."""

import io
from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ipywidgets import VBox, Widget
    from matplotlib.figure import Figure

DPI = 90
NAMES = {
    "gamma": "γ",
    "gamma1": "γ₁",
    "gamma2": "γ₂",
    "gamma_max": "γ max",
    "confidence": "c_A",
    "student_confidence": "c_B",
    "p": "p_B",
    "alpha": "α",
    "steps": "steps T",
}


def explore_plot(
    plot: Callable[..., Any], *, alt: str = "", labels: dict[str, Any] | None = None, **sliders: Any
) -> "VBox":
    """Sliders for arguments of `plot`, a function that returns Axes or a Figure, above its picture.

    A slider is `(low, high, step, start)`; a list of such is a group that gives one tuple, and a list of anything else a
    choice, its first entry chosen. True or False is a box to tick, and a widget serves as it is. `labels` names what
    the reader sees beside an argument (of a group: a list of names). `alt` describes the picture to those who do not see
    it; by default the first line of `plot`'s docstring does. The values that are set are always said after it.
    """
    from ipywidgets import HTML, Layout, VBox

    texts = {name: (labels or {}).get(name, _label(name)) for name in sliders}
    controls = {name: _controls(spec, texts[name]) for name, spec in sliders.items()}
    what = alt or (plot.__doc__ or "A figure that follows the sliders").strip().splitlines()[0]
    paint = Painter(plot)
    picture = HTML(layout=Layout(width="100%", margin="4px 0"))

    def value(name: str) -> Any:
        values = tuple(control.value for control in controls[name])
        return values if _is_group(sliders[name]) else values[0]

    def redraw(change: Any = None) -> None:
        said = ", ".join(
            f"{c.description} {c.value:g}" if isinstance(c.value, float) else f"{c.description} {c.value}"
            for row in controls.values()
            for c in row
        )
        picture.value = picture_html(paint(**{name: value(name) for name in sliders}), f"{what} Set: {said}.")

    for row in controls.values():
        for control in row:
            control.observe(redraw, "value")
    redraw()
    return VBox([*_rows(list(controls.values())), picture])


class Painter:
    """Draws `plot(**values)` as a PNG, again and again: the first picture's layout is kept, so that nothing jumps.

    Laying out takes as long as drawing. It is done anew only where a figure has another size or other axes.
    """

    def __init__(self, plot: Callable[..., Any]) -> None:
        self.plot = plot
        self._shape: Any = None
        self._places: list[Any] = []

    def __call__(self, **values: Any) -> bytes:
        """The picture for these values; its figure is closed, so that nothing shows it a second time."""
        import matplotlib
        import matplotlib.pyplot as plt
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        with matplotlib.rc_context(
            {"axes.titley": 1.0}
        ):  # or every drawing measures all tick labels for the title's sake
            drawn = self.plot(**values)
        figure: Figure = drawn if hasattr(drawn, "savefig") else drawn.get_figure(root=True)
        try:
            figure.set(dpi=DPI, facecolor="white")
            shape = (len(figure.axes), *figure.get_size_inches())
            if shape == self._shape:
                figure.set_layout_engine("none")
                for ax, place in zip(figure.axes, self._places, strict=True):
                    ax.set_position(place)
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            self._shape, self._places = shape, [ax.get_position(original=True) for ax in figure.axes]
            file = io.BytesIO()
            # The picture only travels to the page beside it: little compression saves most of the time.
            Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(file, "png", compress_level=1)
        finally:
            plt.close(figure)
        return file.getvalue()


def picture_html(png: bytes, alt: str) -> str:
    """A PNG as an image of HTML; it says its size, so that the page does not jump when the next one takes its place.

    >>> picture_html(bytes(16) + bytes([0, 0, 0, 4, 0, 0, 0, 2]), 'w < "1"')[:66]
    '<img alt="w &lt; &quot;1&quot;" width="4" height="2" decoding="syn'
    """
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))  # of its header
    return (
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" decoding="sync" '
        f'style="max-width:100%;height:auto" src="data:image/png;base64,{b64encode(png).decode()}">'
    )


def _label(name: str) -> str:
    return NAMES.get(name, name.replace("_", " "))


def _is_group(spec: Any) -> bool:
    return isinstance(spec, list) and all(isinstance(item, tuple) for item in spec)


def _controls(spec: Any, text: Any) -> "list[Any]":
    if not _is_group(spec):
        return [_control(spec, text)]
    texts = text if isinstance(text, (list, tuple)) else [f"{text} {number}" for number in range(1, len(spec) + 1)]
    return [_control(item, one) for item, one in zip(spec, texts, strict=True)]


def _control(spec: Any, text: str) -> "Widget":
    from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider, Layout, Widget

    shared: dict[str, Any] = {
        "description": text,
        "style": {"description_width": "72px"},
        "layout": Layout(width="300px", max_width="100%"),
    }
    if isinstance(spec, Widget):
        return spec
    if isinstance(spec, bool):
        return Checkbox(spec, **shared)
    if isinstance(spec, list):
        return Dropdown(options=spec, value=spec[0], **shared)
    if not (isinstance(spec, tuple) and len(spec) == 4):
        raise ValueError(
            f"{text}: found {spec!r}, expected (low, high, step, start), a list of choices, True, False or a widget"
        )
    low, high, step, start = spec
    if not low <= start <= high or step <= 0:
        raise ValueError(f"{text}: found {spec!r}, expected low ≤ start ≤ high and a step above 0")
    whole = all(isinstance(number, int) for number in spec)
    kind = IntSlider if whole else FloatSlider
    form = {} if whole else {"readout_format": f".{max(1, min(3, _decimals(step)))}f"}
    return kind(value=start, min=low, max=high, step=step, **form, **shared)


def _decimals(step: float) -> int:
    """Places behind the point that a step needs.

    >>> _decimals(0.05), _decimals(0.5), _decimals(1.0)
    (2, 1, 0)
    """
    return len(f"{step:.6f}".rstrip("0").partition(".")[2])


def _rows(groups: "list[list[Any]]") -> "list[Widget]":
    """Single controls side by side, every group in a row of its own; rows break where the page is narrow."""
    from ipywidgets import HBox, Layout

    singles = [group[0] for group in groups if len(group) == 1]
    rows = [singles] * bool(singles) + [group for group in groups if len(group) > 1]
    return [HBox(row, layout=Layout(flex_flow="row wrap")) for row in rows]
