"""Image files of a folder or a .zip: listing, decoding, checking before any of them is used."""

import array
import collections
import concurrent.futures
import contextlib
import io
import os
import sys
import zipfile
from typing import Any, BinaryIO, Callable, Deque, Iterable, Iterator, NamedTuple, Optional, Tuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from dnnlib.util import UserError
from training.data.file_names import NameTable, class_folders, files_under, is_ignored
from training.data.labels import OneHotLabels
from training.data.zip_files import ZipFiles

CONVERSIONS = {'rgb': 'RGB', 'gray': 'L', 'rgba': 'RGBA'}  # --convert -> Pillow's mode
_IGNORED_NAMES = ('.*', '__MACOSX', '*.labels')


class ImageOptions(NamedTuple):
    """How an image file becomes an image of the data set."""

    resize: Optional[int] = None  # side to resize to, None = leave
    crop: bool = False  # cut out the middle square
    convert: Optional[str] = None  # key of CONVERSIONS, None = RGB and gray files as they are


class UnusableImage(ValueError):
    """A file cannot become an image of a data set; the text gives the reason."""


class ImageFiles:
    """The files of a folder or .zip, in the order of their names; hidden files do not count.

    All files lie side by side, or one folder deeper, where each folder is a class. Outer folders
    that all files share do not count.

    Args:
        path: folder or .zip.

    Attributes:
        names: paths inside the folder or .zip, a sequence.
        classes: names of the classes, sorted; empty if the files lie side by side.

    Raises:
        UserError: nothing there, or the folders have no such structure.
    """

    def __init__(self, path: str):
        self.path = os.path.expanduser(path)
        self._zip = None
        if os.path.isdir(self.path):
            self.names = _names_in_folder(self.path)
        elif zipfile.is_zipfile(self.path):
            self._zip = ZipFiles(self.path, lambda name: not is_ignored(name, _IGNORED_NAMES))
            self.names = self._zip.names
        else:
            raise UserError('%r is neither a folder nor a .zip file.' % path)
        if not self.names:
            raise UserError('There are no files in %r.' % path)
        folders = class_folders(self.names)
        if folders is None:
            raise UserError(
                '%r has files at several depths; put all images side by side, or into '
                'one folder per class.' % path
            )
        self._class_numbers, self.classes = folders

    def labels(self) -> Optional[OneHotLabels]:
        """One-hot class of every file, [num_files, num_classes]; None without classes."""
        if self._class_numbers is None:
            return None
        return OneHotLabels(self._class_numbers, len(self.classes))

    def open(self, index: int) -> Image.Image:
        """Return file `index` as a decoded Pillow image; UnusableImage if it is none."""
        with self._opened(index) as image:
            image.load()
            return image

    def shape(self, index: int) -> Tuple[int, int, int]:
        """Return (C, R, R) from the header of file `index`; UnusableImage as for `decode`."""
        with self._opened(index) as image:
            image = _transform(image, ImageOptions())
            return (len(image.getbands()), image.size[1], image.size[0])

    def decode(self, index: int, options: ImageOptions = ImageOptions()) -> np.ndarray:
        """Return file `index` as uint8 image [C, R, R], R a power of two from 4.

        Raises:
            UnusableImage: the file is no such image.
        """
        return _to_array(_transform(self.open(index), options))

    def close(self) -> None:
        """Close the .zip file."""
        if self._zip is not None:
            self._zip.close()

    @contextlib.contextmanager
    def _opened(self, index):
        try:
            with self._content(index) as file:
                yield Image.open(file)
        except UnusableImage:
            raise
        except Exception as error:  # broken files make Pillow raise nearly anything
            raise UnusableImage('cannot be read as an image (%s)' % ' '.join(str(error).split()))

    def _content(self, index) -> BinaryIO:
        if self._zip is not None:
            return io.BytesIO(self._zip.read(index))
        return open(os.path.join(self.path, self.names[index]), 'rb')


def scan(
    files: ImageFiles, shape_of: Callable[[int], Tuple[int, int, int]], skip_bad: bool = False
) -> Tuple[np.ndarray, Tuple[int, int, int]]:
    """Look at all files once; those that cannot be used are listed on stderr with the reason.

    Args:
        files: the files.
        shape_of: gives the shape (C, R, R) of file number i or raises UnusableImage.
        skip_bad: go on with the others.

    Returns:
        (numbers of the usable files, int64 [n]; shape (C, R, R) of their images).

    Raises:
        UserError: some file cannot be used (none can, with skip_bad).
    """

    def examine(index):
        try:
            return shape_of(index)
        except UnusableImage as error:
            return str(error)

    good, num_bad = array.array('q'), 0
    shape, first = (0, 0, 0), ''
    results = threaded_map(examine, range(len(files.names)))
    for index, result in enumerate(
        tqdm(results, 'Checking images', len(files.names), unit='img', disable=None, leave=False)
    ):
        if not isinstance(result, str):
            if not good:
                shape, first = result, files.names[index]
            if result == shape:
                good.append(index)
                continue
            result = (
                'is %s, but the first image, %s, is %s; --resize and --convert of '
                'create_from_images make them alike' % (_in_words(result), first, _in_words(shape))
            )
        num_bad += 1
        tqdm.write('%s: %s' % (files.names[index], result), file=sys.stderr)
    if num_bad and not (skip_bad and good):
        raise UserError(
            '%d of the %d files in %r cannot be used, see the list above; mend or '
            'remove them, or make a data set of the others with dataset_tool.py '
            'create_from_images --skip-bad.' % (num_bad, len(files.names), files.path)
        )
    return np.frombuffer(good, np.int64), shape


def threaded_map(function: Callable[[Any], Any], items: Iterable) -> Iterator:
    """Yield function(item) in the order of the items; threads work a few items ahead."""
    num_threads = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
        pending: Deque[concurrent.futures.Future] = collections.deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= 4 * num_threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _names_in_folder(folder):
    try:
        names = NameTable(files_under(folder, _IGNORED_NAMES))
    except OSError as error:
        raise UserError('The folder %r cannot be read: %s.' % (error.filename, error.strerror))
    names.sort()
    return names


def _transform(image, options):
    """Apply conversion, crop and resizing to a Pillow image."""
    if image.mode.startswith(('I', 'F')):
        raise UnusableImage('has more than 8 bits per channel; store it with 8 bits')
    if options.convert:
        image = image.convert(CONVERSIONS[options.convert])
    elif image.mode not in ('RGB', 'L'):
        raise UnusableImage(
            'is neither RGB nor gray (mode %s); --convert=rgb, gray or rgba '
            'converts it' % image.mode
        )
    width, height = image.size
    if options.crop:
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    elif width != height:
        raise UnusableImage(
            'is %dx%d pixels, not square; --crop cuts out the middle' % (width, height)
        )
    if options.resize:
        image = image.resize((options.resize, options.resize), Image.LANCZOS)
    side = image.size[0]
    if side < 4 or side & (side - 1):
        raise UnusableImage(
            'is %dx%d pixels, the side is no power of two from 4; --resize=N '
            'changes it' % (side, side)
        )
    return image


def _to_array(image):
    """Pillow image -> uint8 [C, H, W]."""
    array = np.asarray(image, np.uint8)
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def _in_words(shape):
    return '%dx%d %s' % (shape[2], shape[1], {1: 'gray', 3: 'rgb', 4: 'rgba'}[shape[0]])
