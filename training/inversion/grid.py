"""The pictures of several projection runs side by side, as in figure 9 of the paper."""

import textwrap
from typing import Any, List, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw

from dnnlib.util import UserError
from training.misc import convert_to_pil_image, create_image_grid
from training.pictures.plotting import check_size

_SMALLEST_CELL = 128  # pixels; smaller images are enlarged by a whole factor
_LETTER = 6, 12  # pixels of a letter of Pillow's own font, with the space below it


def common_names(runs: Sequence[Tuple[str, List[Any]]]) -> List[str]:
    """Names of the images that all runs have, in order.

    Args:
        runs: (folder, its projections) each.

    Raises:
        UserError: there is none, or images of one name are not the same.
    """
    by_name = [{result.name: result for result in results} for _, results in runs]
    names = [name for name in by_name[0] if all(name in found for found in by_name)]
    if not names:
        raise UserError('%s have no image in common' % ' and '.join(folder for folder, _ in runs))
    check_size(len(runs) + 1, len(names), _cell(by_name[0][names[0]].target))
    for name in names:
        for (folder, _), found in zip(runs, by_name):
            if not np.array_equal(found[name].target, by_name[0][name].target):
                text = '%s in %r is another image than in %r; choose runs of the same images'
                raise UserError(text % (name, folder, runs[0][0]))
    return names


def make_grid(columns: Sequence[Tuple[str, Sequence[np.ndarray]]]) -> Image.Image:
    """A picture with a titled column for each network.

    Args:
        columns: title and images [C, H, W] in [-1, 1], as many in each.
    """
    images = [image for row in zip(*[column for _, column in columns]) for image in row]
    size = len(columns), len(columns[0][1])
    grid = convert_to_pil_image(create_image_grid(np.stack(images), size), [-1, 1]).convert('RGB')
    side = images[0].shape[2]
    factor = _cell(images[0]) // side
    grid = grid.resize((grid.width * factor, grid.height * factor), Image.NEAREST)
    titles = [textwrap.wrap(_latin(title), side * factor // _LETTER[0]) for title, _ in columns]
    head = (max(map(len, titles)) + 1) * _LETTER[1]
    picture = Image.new('RGB', (grid.width, grid.height + head), 'white')
    picture.paste(grid, (0, head))
    draw = ImageDraw.Draw(picture)
    for index, lines in enumerate(titles):
        for row, line in enumerate(lines):
            place = index * side * factor + _LETTER[0] // 2, row * _LETTER[1] + _LETTER[1] // 2
            draw.text(place, line, fill='black')
    return picture


def _cell(image):
    """Pixels of an enlarged image's side."""
    return image.shape[-1] * max(1, -(-_SMALLEST_CELL // image.shape[-1]))


def _latin(title):
    """A title with escapes for letters that Pillow's own font lacks."""
    return title.encode('latin-1', 'backslashreplace').decode('latin-1')
