#!/usr/bin/env python3
"""Make the sheet of tiles that the demo's data set is cut from: people and faces of Noto Emoji.

The pictures are those of the npm package emoji-datasource-google, 64x64 with transparency:

    npm pack emoji-datasource-google@16.0.0
    python tools/make_demo_sheet.py emoji-datasource-google-16.0.0.tgz

brings the package and makes people-32.png and classes.json anew, with --size=64 people-64.png.
"""

import argparse
import io
import json
import os
import sys
import tarfile
from typing import Dict, List, NamedTuple, Optional

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, flags  # first, see dnnlib/startup.py

# isort: split

from PIL import Image

from dnnlib.flags import flag
from dnnlib.util import UserError, atomic_write, open_regular, reading

COLUMNS = 36
_SUBCATEGORIES = ('person', 'person-role', 'person-fantasy', 'person-gesture')
_FACES = ('cat-face', 'monkey-face', 'face-')
_TONES = ('1F3FB', '1F3FC', '1F3FD', '1F3FE', '1F3FF')
CLASSES = [
    'face',
    'person',
    'person light',
    'person medium-light',
    'person medium',
    'person medium-dark',
    'person dark',
]
_PACKAGE_SIDE = 64

_FLAGS = flags.group(
    'what',
    flag('package', str, 'emoji-datasource-google-16.0.0.tgz, as `npm pack` brings it'),
    flag('--size', cli.number(int, 4, _PACKAGE_SIDE), 'side of the tiles; the package has 64', 32),
    flag('--output', 'DIR', 'folder for people-SIZE.png and classes.json', '.'),
)


class Tile(NamedTuple):
    """A picture of the package, and the number of its class."""

    file: str
    class_number: int


def choose_tiles(emoji: List[dict]) -> List[Tile]:
    """Tiles in the package's own order, each person followed by its skin tones from light to dark.

    Args:
        emoji: content of the package's emoji.json.
    """
    tiles = []
    for entry in sorted(emoji, key=lambda entry: entry['sort_order']):
        is_face = entry['subcategory'].startswith(_FACES)
        if not is_face and entry['subcategory'] not in _SUBCATEGORIES:
            continue
        tones = sorted(entry.get('skin_variations', {}).items())
        for key, variation in [('', entry)] + tones:
            if variation['has_img_google']:
                tone = key.split('-')[0]
                number = 0 if is_face else 2 + _TONES.index(tone) if tone else 1
                tiles.append(Tile(variation['image'], number))
    return tiles


def make_sheet(pictures: List[Image.Image], size: int) -> Image.Image:
    """Pictures with transparency as tiles over white, in rows of COLUMNS."""
    rows = (len(pictures) - 1) // COLUMNS + 1
    sheet = Image.new('RGB', (COLUMNS * size, rows * size), 'white')
    for number, picture in enumerate(pictures):
        picture = picture.convert('RGBA')
        tile = Image.alpha_composite(Image.new('RGBA', picture.size, 'white'), picture)
        y, x = divmod(number, COLUMNS)
        sheet.paste(tile.convert('RGB').resize((size, size), Image.LANCZOS), (x * size, y * size))
    return sheet


def read_package(path: str) -> Dict[str, bytes]:
    """The files of the package that matter: emoji.json, and pictures by their names."""
    files = {}
    with open_regular(path) as file, reading(path, 'the package emoji-datasource-google'):
        with tarfile.open(fileobj=file, mode='r|*') as archive:
            for member in archive:
                folder, name = os.path.split(member.name)
                if folder == 'package/img/google/64' or member.name == 'package/emoji.json':
                    files[name] = archive.extractfile(member).read()
    if 'emoji.json' not in files:
        raise UserError('%r has no package/emoji.json; see --help for the package' % path)
    return files


def main(argv: Optional[List[str]] = None) -> None:
    """Parse and make the sheet."""
    args = parse_args(argv)
    cli.check_writable_dir(args.output)
    files = read_package(args.package)
    with reading(args.package, 'the package emoji-datasource-google'):
        tiles = choose_tiles(json.loads(files['emoji.json']))
        if not tiles:
            raise UserError('%r has no tiles: no faces or people; see --help' % args.package)
        pictures = [Image.open(io.BytesIO(files[tile.file])) for tile in tiles]
        sheet = make_sheet(pictures, args.size)
    about = dict(columns=COLUMNS, classes=CLASSES, of_tiles=[tile.class_number for tile in tiles])
    os.makedirs(args.output, exist_ok=True)
    path = os.path.join(args.output, 'people-%d.png' % args.size)
    with atomic_write(path) as file:
        sheet.save(file, 'PNG', optimize=True)
    with atomic_write(os.path.join(args.output, 'classes.json'), 'w') as file:
        json.dump(about, file)
        file.write('\n')
    print('Wrote "%s", %d tiles, and classes.json.' % (path, len(tiles)))


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    description = __doc__.split('\n')[0]
    examples = [('The sheet that comes with this program:', 'emoji-datasource-google-16.0.0.tgz')]
    return flags.parse('tools/make_demo_sheet.py', description, _FLAGS, argv, examples)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
