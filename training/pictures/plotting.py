"""Figures by Matplotlib, each written whole or not at all.

Matplotlib is imported by the functions that need it: it is an optional package.
"""

import os
import warnings
from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from dnnlib.util import UserError, atomic_write
from training import misc

# Images of 8, 16, 32, ... pixels are enlarged by a whole number at 100, 200, 300, ... dpi.
_PANEL_INCHES = 1.28
_CELL_INCHES = 1.34  # with the space beside it
# The same figure is the same file; fonts in PDF are such as conferences take.
_REPRODUCIBLE = {'svg.hashsalt': 'stylegan2', 'pdf.fonttype': 42}
_UNDATED = {'pdf': {'CreationDate': None}, 'svg': {'Date': None}, 'png': {}}
_LONGEST_SIDE = 60000  # pixels; Matplotlib takes 2^16
_MOST_PIXELS = 1 << 27  # of a picture; Pillow warns of larger ones as bombs


class Panel(NamedTuple):
    """An image or a map in a figure, with texts above and below, '' for none."""

    values: np.ndarray  # an image, uint8 [C, H, W], or a map [H, W]
    title: str = ''
    note: str = ''
    limits: Tuple[float, float] = (0.0, 1.0)  # of a map
    colours: str = 'viridis'  # a map's colour map, by its name in Matplotlib


def check_size(columns: int, rows: int, cell: int) -> None:
    """Raise UserError if a picture of so many cells of `cell`^2 pixels would be too large."""
    if max(columns, rows) * cell > _LONGEST_SIDE or columns * rows * cell**2 > _MOST_PIXELS:
        text = 'a picture of %d x %d images of %dx%d pixels is too large; choose fewer seeds'
        raise UserError(text % (columns, rows, cell, cell))


def panel_pixels(dpi: int) -> int:
    """Pixels of a panel of `save_panels` with the space beside it."""
    return int(dpi * _CELL_INCHES)


def literal(text: str) -> str:
    """Text in which Matplotlib shall find no formulas, nor bytes that are no text."""
    return misc.drawable(text).replace('$', r'\$')


def new_figure(width: float, height: float, dpi: int = 100):
    """An empty figure of this size in inches; no window system and no global state are involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path: str, **options: Any) -> None:
    """Write a figure in the format that the extension says: png, pdf or svg.

    Args:
        options: of Matplotlib's `savefig`.
    """
    import matplotlib

    extension = os.path.splitext(path)[1][1:]
    options.update(format=extension, dpi=figure.dpi, metadata=_UNDATED[extension])
    with matplotlib.rc_context(_REPRODUCIBLE), warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Glyph .* missing')  # a box is drawn for such a letter
        with atomic_write(path) as file:
            figure.savefig(file, **options)


def save_panels(
    path: str,
    rows: Sequence[Sequence[Optional[Panel]]],
    row_labels: Sequence[str] = (),
    caption: str = '',
    bar: Optional[Tuple[Tuple[float, float], str]] = None,
    dpi: int = 100,
) -> None:
    """Write a table of panels; the extension says the format: png, pdf or svg.

    Args:
        rows: panels, None for an empty place.
        row_labels: left of each row. caption: above all.
        bar: (limits, colour map) for a colour bar on the right.
        dpi: pixels an inch.
    """
    letters = max(len(line) for label in [*row_labels, ''] for line in label.split('\n'))
    left = 0.2 + 0.075 * letters
    top, right = 0.55 if caption else 0.25, 0.75 if bar else 0.1
    has_notes = any(panel and panel.note for row in rows for panel in row)
    cell_height = _CELL_INCHES + (0.2 if has_notes else 0)
    width = left + _CELL_INCHES * max(map(len, rows)) + right
    height = top + cell_height * len(rows)
    figure = new_figure(width, height, dpi)

    def axes_at(column, row, w=_PANEL_INCHES):
        x = left + column * _CELL_INCHES
        y = top + row * cell_height + _PANEL_INCHES  # from the top, as text is laid out
        return figure.add_axes([x / width, 1 - y / height, w / width, _PANEL_INCHES / height])

    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            if panel is not None:
                _draw(axes_at(x, y), panel)
    for y, label in enumerate(row_labels):
        middle = 1 - (top + y * cell_height + _CELL_INCHES / 2) / height
        figure.text((left - 0.1) / width, middle, label, ha='right', va='center', fontsize=8)
    if caption:
        figure.text(0.5, 1 - 0.08 / height, caption, ha='center', va='top', fontsize=9)
    if bar:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        axes = axes_at(max(map(len, rows)) + 0.08, 0, 0.14)
        figure.colorbar(ScalarMappable(Normalize(*bar[0]), bar[1]), cax=axes)
        axes.tick_params(labelsize=8)
    save_figure(figure, path)


def _draw(axes, panel):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(panel.title, fontsize=9, pad=3)
    axes.set_xlabel(panel.note, fontsize=8, labelpad=2)
    if panel.values.ndim == 3:
        picture = misc.convert_to_pil_image(panel.values, [0, 255]).convert('RGB')
        axes.imshow(np.asarray(picture), interpolation='nearest')
    else:
        low, high = panel.limits
        axes.imshow(panel.values, panel.colours, interpolation='nearest', vmin=low, vmax=high)
