"""From the bytes of an image file to the pixels of a data set, the same way for all programs.

Images are upright, as their EXIF data says; transparency is blended over a background; 16 bits per
channel become 8.
"""

import contextlib
import os
import warnings
from typing import Any, BinaryIO, NamedTuple, Optional, Set, Tuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dnnlib.util import reason_of

CONVERSIONS = {'rgb': 'RGB', 'gray': 'L', 'rgba': 'RGBA'}  # --convert -> Pillow's mode
MAX_FILE_SIZE = 256 << 20  # bytes
MAX_MEGAPIXELS = 80
MAX_SIDE = 8192  # of the images of a data set

# Formats that Pillow decodes by itself; for others, such as EPS, it calls other programs.
_FORMATS = tuple('AVIF BMP GIF JPEG JPEG2000 MPO PCX PNG PPM SGI TGA TIFF WEBP'.split())
_ORIENTATION = 0x0112  # EXIF tag
_TRANSPARENT_MODES = ('RGBA', 'LA', 'PA', 'RGBa', 'La')

# Notes on what was done to an image.
BLENDED = 'transparency was blended with the background'
SCALED = '16 bits per channel were scaled to 8'
TURNED = 'turned as EXIF data says'

# Pillow warns of large images; here they are refused.
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


class ImageOptions(NamedTuple):
    """How an image file becomes an image of the data set."""

    resize: Optional[int] = None  # side to resize to, None = leave
    crop: bool = False  # cut out the middle square
    convert: Optional[str] = None  # key of CONVERSIONS, None = RGB and gray files as they are
    background: Tuple[int, int, int] = (255, 255, 255)  # behind transparent pixels


class UnusableImage(ValueError):
    """A file cannot become an image of a data set; the text gives the reason."""


@contextlib.contextmanager
def opened_image(file: BinaryIO):
    """Open an image file: a Pillow image of which only the header has been read.

    What goes wrong in the body, while pixels are decoded above all, becomes UnusableImage.
    """
    try:
        Image.init()
        known = [name for name in _FORMATS if name in Image.OPEN]
        with _open(file, known) as image:
            if image.size[0] * image.size[1] > MAX_MEGAPIXELS * 10**6:
                text = 'is %dx%d pixels; images may have up to %d megapixels'
                raise UnusableImage(text % (*image.size, MAX_MEGAPIXELS))
            yield image
    except UnusableImage:
        raise
    except Exception as error:  # broken files make Pillow raise nearly anything
        raise UnusableImage('cannot be read as an image (%s)' % reason_of(error)) from error


def _open(file, formats):
    try:
        return Image.open(file, formats=formats)
    except Image.DecompressionBombError:  # Pillow's own limit is above ours
        raise UnusableImage('is an image of more than %d megapixels' % MAX_MEGAPIXELS)
    except UnidentifiedImageError:
        raise UnusableImage('cannot be read as an image (it is none of %s)' % ', '.join(formats))


def check_file_size(file: BinaryIO) -> None:
    """Raise UnusableImage if a file is larger than images are."""
    size = os.fstat(file.fileno()).st_size
    if size > MAX_FILE_SIZE:
        text = 'has %d MiB; image files may have up to %d'
        raise UnusableImage(text % (size >> 20, MAX_FILE_SIZE >> 20))


def header_shape(image: Image.Image, options: ImageOptions) -> Tuple[int, int, int]:
    """Shape (C, R, R) that an image will have in the data set, from its header alone.

    Raises:
        UnusableImage: it cannot be used with these options.
    """
    channels = Image.getmodebands(_final_mode(image, options))
    width, height = image.size
    if width != height and not options.crop:
        text = 'is %dx%d pixels, not square; --crop cuts out the middle'
        raise UnusableImage(text % (width, height))
    side = options.resize or min(width, height)
    if side < 4 or side & (side - 1) or side > MAX_SIDE:
        text = 'is %dx%d pixels, the side is no power of two from 4 to %d; --resize=N changes it'
        raise UnusableImage(text % (side, side, MAX_SIDE))
    return channels, side, side


def header_notes(image: Image.Image, options: ImageOptions) -> Set[str]:
    """What `plain_image` will do to an image, as far as its header tells: BLENDED, SCALED."""
    notes = set()
    if _is_transparent(image) and options.convert != 'rgba':
        notes.add(BLENDED)
    if _is_deep(image):
        notes.add(SCALED)
    return notes


def plain_image(image: Image.Image, options: ImageOptions) -> Tuple[Image.Image, Set[str]]:
    """Decode an image: upright, 8 bits per channel, without transparency unless that is asked for.

    Args:
        image: what `opened_image` gave.
        options: its `convert` and `background` are used.

    Returns:
        (Pillow image of mode L, RGB or RGBA; without `convert` also of other modes that files have;
        what was done to it: BLENDED, SCALED, TURNED).
    """
    _check_depth(image)
    notes = header_notes(image, options)
    image.load()
    orientation = _orientation(image)
    if orientation in range(2, 9):
        image = ImageOps.exif_transpose(image)
        notes.add(TURNED)
    if image.mode.startswith('I'):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if BLENDED in notes:
        mode = 'L' if image.mode in ('L', 'LA', 'La') else 'RGB'
        canvas = Image.new('RGBA', image.size, options.background + (255,))
        image = Image.alpha_composite(canvas, image.convert('RGBA')).convert(mode)
    if options.convert:
        image = image.convert(CONVERSIONS[options.convert])
    return image, notes


def square_array(image: Image.Image, options: ImageOptions) -> np.ndarray:
    """Crop and resize an image that `header_shape` accepts; uint8 [C, R, R]."""
    width, height = image.size
    side = min(width, height)
    if options.crop:
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if options.resize:
        image = image.resize((options.resize, options.resize), Image.LANCZOS)
    pixels = np.asarray(image, np.uint8)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def in_words(shape: Tuple[int, int, int]) -> str:
    """Write a shape as 'WxH rgb'."""
    return '%dx%d %s' % (shape[2], shape[1], {1: 'gray', 3: 'rgb', 4: 'rgba'}[shape[0]])


def _final_mode(image, options):
    """Mode of the image in the data set."""
    _check_depth(image)
    if options.convert:
        return CONVERSIONS[options.convert]
    if image.mode in ('L', 'LA') or image.mode.startswith('I'):
        return 'L'
    if image.mode in ('RGB', 'RGBA'):
        return 'RGB'
    text = 'is neither RGB nor gray (mode %s); --convert=rgb, gray or rgba converts it'
    raise UnusableImage(text % image.mode)


def _check_depth(image):
    if image.mode == 'F' or image.mode.startswith('I') and not _is_deep_mode(image):
        raise UnusableImage('has more than 16 bits per channel; store it with 8 or 16')


def _is_transparent(image):
    return image.mode in _TRANSPARENT_MODES or 'transparency' in image.info


def _is_deep(image):
    """Whether the file has 16 bits per channel; Pillow itself reads the upper 8 of colours."""
    tile: Any = getattr(image, 'tile', None)
    return _is_deep_mode(image) or bool(tile) and ';16' in str(tile[0][3])


def _is_deep_mode(image):
    return image.mode.startswith('I;16') or image.mode == 'I' and image.format in ('PNG', 'PPM')


def _orientation(image):
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken EXIF data: viewers show the picture as it is stored
        return 1
