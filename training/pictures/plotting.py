"""Figures by Matplotlib and titled grids of images, each written whole or not at all.

Matplotlib is imported by the functions that need it: it is an optional package.
"""

import os
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from dnnlib.util import UserError, atomic_write
from training import misc

_DPI = 100
_CELL_INCHES = 1.1
CELL = int(_DPI * _CELL_INCHES)  # pixels of a panel
_SMALLEST_CELL = 64  # pixels; smaller images are enlarged by a whole number
_GAP = 6
_LONGEST_SIDE = 60000  # pixels; Matplotlib takes 2^16
_MOST_PIXELS = 1 << 28  # of a picture, which takes some GB of memory while it is made


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


def new_figure(width: float, height: float):
    """An empty figure of this size in inches; no window system and no global state are involved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure, path: str) -> None:
    """Write a figure in the format that the extension says, png or svg."""
    with atomic_write(path) as file:
        figure.savefig(file, format=os.path.splitext(path)[1][1:])


def save_panels(
    path: str,
    rows: Sequence[Sequence[Optional[Panel]]],
    row_labels: Sequence[str] = (),
    caption: str = '',
    bar: Optional[Tuple[Tuple[float, float], str]] = None,
) -> None:
    """Write a table of panels.

    Args:
        rows: panels, None for an empty place.
        row_labels: left of each row. caption: above all.
        bar: (limits, colour map) for a colour bar on the right.
    """
    left = 1.15 if any(row_labels) else 0.1
    top, right = 0.55 if caption else 0.25, 0.75 if bar else 0.1
    has_notes = any(panel and panel.note for row in rows for panel in row)
    cell_height = _CELL_INCHES + (0.2 if has_notes else 0)
    width = left + _CELL_INCHES * max(map(len, rows)) + right
    height = top + cell_height * len(rows)
    figure = new_figure(width, height)

    def axes_at(column, row, cell_width=_CELL_INCHES):
        x = left + column * _CELL_INCHES
        y = top + row * cell_height + _CELL_INCHES - 0.06  # from the top, as text is laid out
        w, h = cell_width - 0.06, _CELL_INCHES - 0.06
        return figure.add_axes([x / width, 1 - y / height, w / width, h / height])

    for y, row in enumerate(rows):
        for x, panel in enumerate(row):
            if panel is not None:
                _draw(axes_at(x, y), panel)
    for y, label in enumerate(row_labels):
        middle = 1 - (top + y * cell_height + _CELL_INCHES / 2) / height
        figure.text((left - 0.1) / width, middle, label, ha='right', va='center', fontsize=7.5)
    if caption:
        figure.text(0.5, 1 - 0.08 / height, caption, ha='center', va='top', fontsize=9)
    if bar:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        axes = axes_at(max(map(len, rows)) + 0.08, 0, 0.2)
        figure.colorbar(ScalarMappable(Normalize(*bar[0]), bar[1]), cax=axes)
        axes.tick_params(labelsize=7)
    save_figure(figure, path)


def _draw(axes, panel):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(panel.title, fontsize=8, pad=3)
    axes.set_xlabel(panel.note, fontsize=7, labelpad=2)
    if panel.values.ndim == 3:
        picture = misc.convert_to_pil_image(panel.values, [0, 255]).convert('RGB')
        axes.imshow(np.asarray(picture), interpolation='nearest')
    else:
        low, high = panel.limits
        axes.imshow(panel.values, panel.colours, interpolation='nearest', vmin=low, vmax=high)


def save_titled_grids(
    path: str, grids: Sequence[np.ndarray], titles: Sequence[str], columns: int
) -> None:
    """Write grids of images side by side, a title above each.

    Args:
        grids: uint8 [N, C, H, W] each; those of smaller images are enlarged to the size of the
            others.
        columns: images in a row of a grid.
    """
    cell = max([_SMALLEST_CELL] + [grid.shape[-1] for grid in grids])
    pictures = [_enlarged_grid(grid, columns, cell) for grid in grids]
    size = max(11, cell // 16)
    width = sum(p.width for p in pictures) + _GAP * (len(pictures) - 1)
    height = max(p.height for p in pictures) + 2 * size
    canvas = PIL.Image.new('RGB', (width, height), 'white')
    draw = PIL.ImageDraw.Draw(canvas)
    x = 0
    for picture, title in zip(pictures, map(misc.drawable, titles)):
        font = _font(title, size, picture.width)
        text_width, text_height = font.getmask(title).size
        place = (x + (picture.width - text_width) // 2, size // 2 - (text_height - size) // 2)
        draw.text(place, title, 'black', font)
        canvas.paste(picture, (x, 2 * size))
        x += picture.width + _GAP
    with atomic_write(path) as file:
        canvas.save(file, 'PNG', optimize=True)


def _enlarged_grid(images, columns, cell):
    """A picture of images, enlarged to `cell` or the largest whole number of times below it."""
    rows = (len(images) - 1) // columns + 1
    picture = misc.convert_to_pil_image(misc.create_image_grid(images, (columns, rows)), [0, 255])
    factor = max(cell // images.shape[-1], 1)
    size = (picture.width * factor, picture.height * factor)
    return picture.convert('RGB').resize(size, PIL.Image.NEAREST)


def _font(text, size, width):
    """Matplotlib's font, made smaller where the text would not fit the width."""
    import matplotlib

    path = os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
    font = PIL.ImageFont.truetype(path, size)
    text_width, _ = font.getmask(text).size
    if text_width > width:
        font = PIL.ImageFont.truetype(path, max(size * width // text_width, 6))
    return font
