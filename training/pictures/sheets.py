"""Sheets: images in rows and columns with titles and labels, as PNG, PDF or SVG."""

import os
import textwrap
from typing import Any, List, NamedTuple, Optional, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from dnnlib.util import atomic_write
from training import misc
from training.pictures import plotting

_GAP = 6  # pixels between blocks, and beside texts
_LETTER_INCHES = 0.13  # height of a font where images are small
_ASCENT = 0.93  # of the font: from the top of a line to its base


class Block(NamedTuple):
    """Images that stand together under a title."""

    title: str
    images: Sequence[Optional[np.ndarray]]  # uint8 [C, H, W], of one size; None: an empty place

    @property
    def side(self) -> int:
        """Pixels of an image's side."""
        return max(image.shape[-1] for image in self.images if image is not None)


class _Font:
    """Matplotlib's font, or where that is missing Pillow's own."""

    def __init__(self, size):
        self.size = size
        self.line_height = size * 5 // 4
        try:
            import matplotlib
        except ImportError:
            self.font: Any = PIL.ImageFont.load_default()
            self._encoding = 'latin-1'  # all that this font has
        else:
            path = os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
            self.font = PIL.ImageFont.truetype(path, size)
            self._encoding = 'utf-8'

    def width(self, text):
        return self.font.getmask(text).size[0]

    def drawable(self, text):
        """Text with escapes for letters that the font does not have."""
        return text.encode(self._encoding, 'backslashreplace').decode(self._encoding)

    def wrap(self, text, width):
        """Lines that are no wider than this, where that can be."""
        text = self.drawable(text)
        lines = []  # type: List[str]
        for letters in range(len(text), 0, -1):
            lines = textwrap.wrap(text, letters)
            if all(self.width(line) <= width for line in lines):
                break
        return lines


def check_size(
    side: int, columns: int, rows: int, scale: Optional[int] = None, dpi: int = 100
) -> None:
    """Raise UserError if a sheet of so many images of `side` pixels would be too large."""
    scale = scale or misc.automatic_scale(side, columns, rows, dpi)
    plotting.check_size(columns, rows, side * scale)


class _Line(NamedTuple):
    text: str
    left: float
    top: float


def save_sheet(
    path: str,
    blocks: Sequence[Block],
    columns: int,
    labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    caption: str = '',
    scale: Optional[int] = None,
    dpi: int = 100,
) -> None:
    """Write blocks of images side by side; the extension says the format: png, pdf or svg.

    Args:
        columns: images in a row of a block.
        labels: below each image, the same in all blocks. row_labels: left of each row.
        caption: above all.
        scale: times that the pixels of the largest images are enlarged; None:
            `misc.automatic_scale`. Smaller images are enlarged to the size of the others.
        dpi: pixels an inch.
    """
    side = max(block.side for block in blocks)
    rows = max((len(block.images) - 1) // columns + 1 for block in blocks)
    scale = scale or misc.automatic_scale(side, columns * len(blocks), rows, dpi)
    sheet = _Sheet(side * scale, dpi)
    sheet.lay_out(blocks, columns, rows, labels, row_labels, caption)
    sheet.draw(blocks)
    if path.endswith('.png'):
        sheet.save_png(path, dpi)
    else:
        sheet.save_vector(path, dpi)


class _Sheet:
    """A picture of images, and the lines of text on it, which stay text in PDF and SVG."""

    def __init__(self, cell, dpi):
        self._cell = cell  # pixels of an image's side
        self._font = _Font(max(int(round(_LETTER_INCHES * dpi)), cell // 14))
        self._lines: List[_Line] = []

    def lay_out(self, blocks, columns, rows, labels, row_labels, caption):
        """Find the place of everything, and put the texts there but for those below images."""
        font, cell = self._font, self._cell
        self._labels = list(map(font.drawable, labels))
        self._columns = columns
        self._pitch = cell, cell  # pixels from one image to the next, across and down
        if labels:
            width = max(map(font.width, self._labels)) + _GAP
            self._pitch = max(cell, width), cell + font.line_height + _GAP
        elif columns == 1:  # a table: as much space between rows as between columns
            self._pitch = cell, cell + _GAP
        beside = [font.wrap(label, max(cell, 8 * font.size)) for label in row_labels]
        widths = [font.width(line) for lines in beside for line in lines]
        self._left = max(widths) + 2 * _GAP if widths else 0
        widest = max(font.width(font.drawable(block.title)) for block in blocks)
        self._block_width = max(columns * self._pitch[0], min(widest, 6 * font.size)) + _GAP
        width = self._left + len(blocks) * self._block_width - _GAP
        top = self._write_centered(font.wrap(caption, width - 2 * _GAP), width / 2, 0)
        titles = [font.wrap(block.title, self._block_width - _GAP) for block in blocks]
        tallest = max(map(len, titles))
        for index, lines in enumerate(titles):
            middle = self._block_left(index) + columns * self._pitch[0] / 2
            above = (tallest - len(lines)) * font.line_height
            self._write_centered(lines, middle, top + above)
        self._top = top + (tallest * font.line_height + 2 * _GAP if tallest else 0)
        for row, lines in enumerate(beside):
            middle = self._top + row * self._pitch[1] + cell / 2
            for index, line in enumerate(lines):
                above = (len(lines) / 2 - index) * font.line_height
                left = self._left - _GAP - font.width(line)
                self._lines.append(_Line(line, left, middle - above))
        self._size = (
            width,
            self._top + rows * self._pitch[1] - (0 if labels else self._pitch[1] - cell),
        )

    def _block_left(self, index):
        return self._left + index * self._block_width

    def _write_centered(self, lines, middle, top):
        """Put lines below each other with a margin; returns where they end."""
        for index, line in enumerate(lines):
            left = middle - self._font.width(line) / 2
            self._lines.append(_Line(line, left, top + _GAP + index * self._font.line_height))
        return top + (len(lines) * self._font.line_height + 2 * _GAP if lines else 0)

    def draw(self, blocks):
        """Make the picture of all images, with their labels."""
        self._canvas = PIL.Image.new('RGB', self._size, 'white')
        for index, block in enumerate(blocks):
            for number, image in enumerate(block.images):
                row, column = divmod(number, self._columns)
                x = self._block_left(index) + column * self._pitch[0]
                y = self._top + row * self._pitch[1]
                if image is None:
                    continue
                picture = misc.convert_to_pil_image(image, [0, 255]).convert('RGB')
                picture = misc.enlarge(picture, max(self._cell // picture.width, 1))
                self._canvas.paste(picture, (x + (self._pitch[0] - self._cell) // 2, y))
                if self._labels:
                    below = y + self._cell - _GAP / 2
                    label = [self._labels[number]]
                    self._write_centered(label, x + self._pitch[0] / 2, below)

    def save_png(self, path, dpi):
        """Write picture and texts as pixels."""
        draw = PIL.ImageDraw.Draw(self._canvas)
        for line in self._lines:
            draw.text((int(line.left), int(line.top)), line.text, 'black', self._font.font)
        with atomic_write(path) as file:
            self._canvas.save(file, 'PNG', optimize=True, dpi=(dpi, dpi))

    def save_vector(self, path, dpi):
        """Write a figure by Matplotlib."""
        width, height = self._size
        figure = plotting.new_figure(width / dpi, height / dpi, dpi)
        axes = figure.add_axes([0, 0, 1, 1])
        extent = 0, width, height, 0
        axes.imshow(self._canvas, interpolation='none', aspect='auto', extent=extent)
        axes.set_axis_off()
        size = self._font.size
        for line in self._lines:
            base = line.top + _ASCENT * size
            axes.text(line.left, base, plotting.literal(line.text), fontsize=size * 72 / dpi)
        plotting.save_figure(figure, path)
