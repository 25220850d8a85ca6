"""Image files of a folder or a .zip: listing, decoding, checking before any of them is used."""

import array
import collections
import concurrent.futures
import contextlib
import hashlib
import io
import os
import sys
import zipfile
from typing import Any, BinaryIO, Callable, Deque, Dict, Iterable, Iterator, List, Optional, Tuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from dnnlib.bars import track
from dnnlib.util import UserError, open_regular, reading
from training.data import decoding
from training.data.decoding import ImageOptions, UnusableImage
from training.data.file_names import NameTable, class_folders, files_under, is_ignored, strays
from training.data.labels import Labels, OneHotLabels, labels_from_json
from training.data.zip_files import ZipFiles

IGNORED_NAMES = ('.*', '__MACOSX', '*.labels')
LABELS_NAME = 'dataset.json'  # of stylegan2-ada-pytorch and stylegan3
_ALIKE = '--resize and --convert of create_from_images make them alike'


class ImageFiles:
    """The files of a folder or .zip, in the order of their names; hidden files do not count.

    All files lie side by side, or one folder deeper, where each folder is a class. Outer folders
    that all files share do not count. Where there is a dataset.json, as stylegan2-ada-pytorch and
    stylegan3 write it, that has the labels, and folders mean nothing.

    Args:
        path: folder or .zip.
        skip_bad: leave out, and name on stderr, files that lie at another depth than most.

    Attributes:
        names: paths inside the folder or .zip, a sequence.
        classes: names of the classes, sorted; empty if the files lie side by side.
        labels: of every file, [num_files, label_size]; None without classes and dataset.json.

    Raises:
        UserError: nothing there, or the folders have no such structure.
    """

    def __init__(self, path: str, skip_bad: bool = False):
        self.path = os.path.expanduser(path)
        self._zip = None
        self._notes: Dict[str, array.array] = {}  # what was done: numbers of files
        left_out: List[str] = []
        if os.path.isdir(self.path):
            self.names = _names_in_folder(self.path, left_out)
        elif os.path.isfile(self.path) and zipfile.is_zipfile(self.path):
            self._zip = ZipFiles(self.path, lambda name: _is_wanted(name, left_out))
            self.names = self._zip.names
        else:
            raise UserError('%r is neither a folder nor a .zip file.' % path)
        left_out = [name for name in left_out if not name.endswith('.labels')]
        _report('left out (hidden, or a folder that was listed before)', left_out, left_out)
        labels_file = self._take_out_labels_file()
        if not self.names:
            raise UserError('There are no files in %r.' % path)
        self.classes: List[str] = []
        self.labels: Optional[Labels] = None
        if labels_file is not None:
            with reading(os.path.join(path, LABELS_NAME), 'labels of images'):
                content, folder = labels_file
                self.labels = labels_from_json(content, folder, self.names)
        else:
            self._find_classes(skip_bad)

    def open(self, index: int, options: ImageOptions = ImageOptions()) -> Image.Image:
        """Return file `index` as `decoding.plain_image` does; UnusableImage if it is none."""
        with self._opened(index) as image:
            return self._decode(index, image, options)

    def shape(self, index: int) -> Tuple[int, int, int]:
        """Return (C, R, R) from the header of file `index`; UnusableImage as for `decode`."""
        with self._opened(index) as image:
            shape = decoding.header_shape(image, ImageOptions())
            self._note(index, decoding.header_notes(image, ImageOptions()))
            return shape

    def decode(self, index: int, options: ImageOptions = ImageOptions()) -> np.ndarray:
        """Return file `index` as uint8 image [C, R, R], R a power of two from 4.

        Raises:
            UnusableImage: the file is no such image.
        """
        with self._opened(index) as image:
            decoding.header_shape(image, options)
            return decoding.square_array(self._decode(index, image, options), options)

    def report(self) -> None:
        """Say on stderr, one line for each kind, what was done to the images opened so far."""
        for note, numbers in sorted(self._notes.items()):
            rows = sorted(set(numbers))  # threads may have opened one twice
            _report(note, rows, [self.names[row] for row in rows[:4]])
        self._notes.clear()

    def fingerprint(self) -> str:
        """Hash that changes with every file: checksums in a .zip, sizes and times in a folder."""
        if self._zip is not None:
            return self._zip.sha256()
        digest = hashlib.sha256(self.names.sha256().encode())
        with reading(self.path, 'a folder of images'):
            for index in range(len(self.names)):
                status = os.stat(self._path_of(index))
                digest.update(b'%d %d\n' % (status.st_size, status.st_mtime_ns))
        return digest.hexdigest()

    def close(self) -> None:
        """Close the .zip file."""
        if self._zip is not None:
            self._zip.close()

    def _decode(self, index, image, options):
        image, notes = decoding.plain_image(image, options)
        self._note(index, notes)
        return image

    def _note(self, index, notes):
        for note in notes:
            self._notes.setdefault(note, array.array('q')).append(index)

    @contextlib.contextmanager
    def _opened(self, index):
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(self._content(index))
            except (UserError, ValueError) as error:
                raise UnusableImage('cannot be read as an image (%s)' % error)
            yield stack.enter_context(decoding.opened_image(file))

    def _content(self, index) -> BinaryIO:
        if self._zip is not None:
            return io.BytesIO(self._zip.read(index, decoding.MAX_FILE_SIZE))
        file = open_regular(self._path_of(index))
        decoding.check_file_size(file)
        return file

    def _path_of(self, index):
        return os.path.join(os.fsencode(self.path), self.names.raw(index))

    def _keep(self, rows):
        (self._zip or self.names).keep(rows)

    def _take_out_labels_file(self):
        """Content and folder (with '/') of the outermost dataset.json, which is no image."""
        is_labels = np.array([n.rpartition('/')[2] == LABELS_NAME for n in self.names], bool)
        found = sorted(np.flatnonzero(is_labels), key=lambda row: self.names[row].count('/'))
        result = None
        if found:
            with reading(self.names[found[0]], 'a file'), self._content(found[0]) as file:
                result = file.read(), self.names[found[0]][: -len(LABELS_NAME)]
            self._keep(np.flatnonzero(~is_labels))
        return result

    def _find_classes(self, skip_bad):
        folders = class_folders(self.names)
        if folders is None:
            stray = strays(self.names)
            odd = [self.names[row] for row in np.flatnonzero(stray)]
            if odd and skip_bad:
                _report('left out since most files lie at another depth', odd, odd)
                self._keep(np.flatnonzero(~stray))
                folders = class_folders(self.names)
        if folders is None:
            raise UserError(
                '%r has files at several depths (%s); put all images side by side, or into one '
                'folder per class, or leave such files out with create_from_images --skip-bad.'
                % (self.path, _some(odd) or self.names[0])
            )
        numbers, self.classes = folders
        self.labels = None if numbers is None else OneHotLabels(numbers, len(self.classes))


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
    for index, result in enumerate(track(results, 'Checking images', len(files.names))):
        if not isinstance(result, str):
            if not good:
                shape, first = result, files.names[index]
            if result == shape:
                good.append(index)
                continue
            words = decoding.in_words(result), first, decoding.in_words(shape), _ALIKE
            result = 'is %s, but the first image, %s, is %s; %s' % words
        num_bad += 1
        tqdm.write('%s: %s' % (files.names[index], result), file=sys.stderr)
    if num_bad and not (skip_bad and good):
        raise UserError(
            '%d of the %d files in %r cannot be used, see the list above; mend or remove them, or '
            'make a data set of the others with dataset_tool.py create_from_images --skip-bad.'
            % (num_bad, len(files.names), files.path)
        )
    files.report()
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


def has_files(path: str) -> bool:
    """Whether a folder has files that count as images, whatever they are called."""
    try:
        return os.path.isdir(path) and any(True for _ in files_under(path, IGNORED_NAMES))
    except OSError:
        return True  # opening it will say what is wrong


def _names_in_folder(folder, left_out):
    try:
        names = NameTable(files_under(folder, IGNORED_NAMES, left_out))
    except OSError as error:
        raise UserError('The folder %r cannot be read: %s.' % (error.filename, error.strerror))
    names.sort()
    return names


def _is_wanted(name, left_out):
    ignored = is_ignored(name, IGNORED_NAMES)
    if ignored:
        left_out.append(name)
    return not ignored


def _report(what, items, names):
    if items:
        print('%d x %s: %s' % (len(items), what, _some(names)), file=sys.stderr)


def _some(names):
    return ', '.join(sorted(names)[:3]) + (', ...' if len(names) > 3 else '')
