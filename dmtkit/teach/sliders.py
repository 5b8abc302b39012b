"""Sliders over a pure plot function: a picture that is drawn anew, in place, whenever one of them is moved."""

import io
from base64 import b64encode
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ipywidgets import VBox, Widget

NAMES = {"gamma": "γ", "gamma1": "γ₁", "gamma2": "γ₂", "gamma_max": "γ max", "confidence": "c_A"}
NAMES |= {"p": "p_B", "alpha": "α", "steps": "steps T"}


def explore_plot(plot: Callable[..., Any], *, alt: str = "", **sliders: Any) -> "VBox":
    """Sliders for arguments of `plot`, a function that returns Axes or a Figure, above its picture.

    A slider is `(low, high, step, start)`; a list is a choice, its first entry chosen. `alt` describes the picture to those who
    do not see it; by default the first line of `plot`'s docstring does. The values that are set are always said after it.
    """
    from ipywidgets import HTML, HBox, Layout, VBox

    controls = {name: _control(spec, NAMES.get(name, name.replace("_", " "))) for name, spec in sliders.items()}
    what = alt or (plot.__doc__ or "A figure that follows the sliders.").strip().splitlines()[0]
    paint, picture = Painter(plot), HTML(layout=Layout(width="100%", margin="4px 0"))

    def redraw(change: Any = None) -> None:
        values = {name: control.value for name, control in controls.items()}
        said = ", ".join(f"{control.description} {control.value:g}" for control in controls.values())
        picture.value = paint(f"{what} Set: {said}.", **values)

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    return VBox([HBox(list(controls.values()), layout=Layout(flex_flow="row wrap")), picture])


class Painter:
    """Draws `plot(**values)` as an image of HTML, again and again: the first picture's layout is kept, so that nothing jumps.

    Laying out takes as long as drawing. It is done anew only where a figure has another size or other axes.
    """

    def __init__(self, plot: Callable[..., Any]) -> None:
        self.plot, self._shape, self._places = plot, (), list[Any]()

    def __call__(self, alt: str, **values: Any) -> str:
        """The picture for these values, described by `alt`; its figure is closed, so that nothing shows it a second time."""
        import matplotlib.pyplot as plt
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        with plt.rc_context({"axes.titley": 1.0}):  # or every drawing measures all tick labels for the title's sake
            drawn = self.plot(**values)
        figure = drawn if hasattr(drawn, "savefig") else drawn.get_figure(root=True)
        try:
            figure.set(dpi=90, facecolor="white")
            shape = (len(figure.axes), *figure.get_size_inches())
            if shape == self._shape:
                figure.set_layout_engine("none")
                for ax, place in zip(figure.axes, self._places, strict=True):
                    ax.set_position(place)
            canvas, png = FigureCanvasAgg(figure), io.BytesIO()
            canvas.draw()
            self._shape, self._places = shape, [ax.get_position(original=True) for ax in figure.axes]
            # The picture only travels to the page beside it: little compression saves most of the time.
            image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
            image.save(png, "png", compress_level=1)
        finally:
            plt.close(figure)
        size = 'width="{}" height="{}"'.format(*image.size)  # or the page jumps from picture to picture
        source = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
        return f'<img alt="{escape(alt)}" {size} decoding="sync" style="max-width:100%;height:auto" src="{source}">'


def _control(spec: Any, text: str) -> "Widget":
    from ipywidgets import Dropdown, FloatSlider, IntSlider, Layout

    shared: Any = {"description": text, "style": {"description_width": "72px"}}
    shared["layout"] = Layout(width="300px", max_width="100%")
    if isinstance(spec, list):
        return Dropdown(options=spec, value=spec[0], **shared)
    if not (isinstance(spec, tuple) and len(spec) == 4):
        raise ValueError(f"{text}: found {spec!r}, expected (low, high, step, start) or a list of choices")
    low, high, step, start = spec
    if not low <= start <= high or step <= 0:
        raise ValueError(f"{text}: found {spec!r}, expected low ≤ start ≤ high and a step above 0")
    if all(isinstance(number, int) for number in spec):
        return IntSlider(value=start, min=low, max=high, step=step, **shared)
    digits = 1 if round(10 * step, 6) % 1 == 0 else 2
    return FloatSlider(value=start, min=low, max=high, step=step, readout_format=f".{digits}f", **shared)
