"""Writing data sets: a folder of .tfrecords files, one for each level of detail, and labels.

The folder appears complete under its name or not at all.
"""

import contextlib
import os
import shutil
from typing import BinaryIO, Iterator, List, Optional, Tuple, Union

import numpy as np

from dnnlib import cli
from dnnlib.bars import Bar
from dnnlib.files import sweep, temporary_path
from dnnlib.util import UserError
from training.data.labels import OneHotLabels
from training.data.side_file import update_side_file
from training.data.tfrecords import RecordFile, check_shape, frame, serialize_image

MAX_IMAGES = 10**8
_DATASET_SUFFIXES = ('.tfrecords', '.labels')
_LABELS_AT_A_TIME = 1 << 12


class TFRecordExporter:
    """Context manager that writes a data set; the folder appears when its body ends without error.

    Files are <dir>/<name of dir>-r<NN>.tfrecords with NN = log2 of the side, from full resolution
    down to 4x4, and <name of dir>-rxx.labels. Each level is the mean of 2x2 blocks of the level
    above it before rounding. All are byte-identical from run to run.

    Args:
        tfrecord_dir: folder to make.
        expected_images: number of images to come, for progress and order.
        print_progress: show a progress bar and two lines of text.
        progress_interval: images per step of the progress bar.
        force: replace a data set that already is in the folder.

    Raises:
        UserError: the folder is in use or cannot be written.
    """

    def __init__(
        self,
        tfrecord_dir: str,
        expected_images: int,
        print_progress: bool = True,
        progress_interval: int = 10,
        force: bool = False,
    ):
        self.tfrecord_dir = os.path.abspath(os.path.expanduser(tfrecord_dir))
        self.expected_images = expected_images
        self.cur_images = 0
        self.shape: Optional[Tuple[int, int, int]] = None  # (C, R, R) of the first image
        self._print_progress = print_progress
        self._force = force
        self._name = os.path.basename(self.tfrecord_dir)
        self._writers: List[BinaryIO] = []  # by level of detail
        self._labels: Union[np.ndarray, OneHotLabels, None] = None
        check_target(self.tfrecord_dir, force)
        sweep(os.path.dirname(self.tfrecord_dir))
        self._temp_dir = temporary_path(self.tfrecord_dir)
        with _writing_errors(self.tfrecord_dir):
            os.makedirs(self._temp_dir)
        if print_progress:
            print('Creating dataset "%s"' % tfrecord_dir)
        self._bar = Bar('Images', expected_images, ' img') if print_progress else None
        self._progress_interval = progress_interval

    def __enter__(self) -> 'TFRecordExporter':
        return self

    def __exit__(self, exception_type, *exception) -> None:
        if exception_type is None:
            self.close()
        else:
            self.abort()

    def choose_shuffled_order(self) -> np.ndarray:
        """Return the order [expected_images] in which upstream adds images: always the same."""
        order = np.arange(self.expected_images)
        np.random.RandomState(123).shuffle(order)
        return order

    def add_image(self, image: np.ndarray) -> None:
        """Append an image [C, R, R] with values 0..255: C 1, 3 or 4, R a power of two from 4.

        Raises:
            UserError: the image differs in shape, or the disk is full.
        """
        if self.shape is None:
            self._open_writers(*image.shape)
            self.shape = image.shape
        if image.shape != self.shape:
            text = 'Image %d has shape %s, the first one %s; all must be alike.'
            raise UserError(text % (self.cur_images, list(image.shape), list(self.shape)))
        with _writing_errors(self.tfrecord_dir):
            for level, writer in zip(image_levels(image), self._writers):
                writer.write(frame(serialize_image(level)))
        self.cur_images += 1
        if self._bar and self.cur_images % self._progress_interval == 0:
            self._bar.update(self._progress_interval)

    def add_labels(self, labels: Union[np.ndarray, OneHotLabels]) -> None:
        """Store labels [number of images added, label_size], in the order of the images."""
        assert len(labels) == self.cur_images and len(labels.shape) == 2, labels.shape
        self._labels = labels

    def close(self) -> None:
        """Complete the files and give the folder its name."""
        if self._bar:
            self._bar.close()
        try:
            if not self.cur_images:
                raise UserError('No images for the data set %r.' % self.tfrecord_dir)
            with _writing_errors(self.tfrecord_dir):
                for writer in self._writers:
                    writer.close()
                if self._labels is not None:
                    path = os.path.join(self._temp_dir, self._name + '-rxx.labels')
                    with open(path, 'wb') as file:
                        _save_labels(file, self._labels)
            self._install()
            self._note_number()
        except BaseException:
            self.abort()
            raise
        if self._print_progress:
            print('Added %d images.' % self.cur_images)

    def abort(self) -> None:
        """Remove what was written so far."""
        if self._bar:
            self._bar.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                writer.close()
        shutil.rmtree(self._temp_dir, ignore_errors=True)

    def _open_writers(self, channels, height, width):
        check_shape('The images', (channels, height, width))
        with _writing_errors(self.tfrecord_dir):
            for log2 in range(height.bit_length() - 1, 1, -1):
                path = os.path.join(self._temp_dir, self._file_name(log2))
                self._writers.append(open(path, 'wb'))

    def _file_name(self, log2):
        return '%s-r%02d.tfrecords' % (self._name, log2)

    def _install(self):
        """Move the finished folder to its place; an old data set leaves only then."""
        check_target(self.tfrecord_dir, self._force)
        with _writing_errors(self.tfrecord_dir):
            old = temporary_path(self.tfrecord_dir, 'old')
            if os.path.isdir(self.tfrecord_dir) and os.listdir(self.tfrecord_dir):
                os.rename(self.tfrecord_dir, old)
            os.rename(self._temp_dir, self.tfrecord_dir)
            shutil.rmtree(old, ignore_errors=True)

    def _note_number(self):
        """Note the number of images, so that a file that is cut between two of them is found."""
        assert self.shape is not None
        name = self._file_name(self.shape[1].bit_length() - 1)
        with RecordFile(os.path.join(self.tfrecord_dir, name)) as records:
            noted = {records.first_checksum(): self.cur_images}
            update_side_file(self.tfrecord_dir, num_images=noted)


def check_target(tfrecord_dir: str, force: bool = False) -> None:
    """Raise UserError unless a data set may be made at this path; worth a call before long work."""
    path = os.path.expanduser(tfrecord_dir)
    if '\0' in path:
        raise UserError('%r is no name of a folder.' % tfrecord_dir)
    if not os.path.isdir(path):
        if os.path.lexists(path):
            raise UserError('%r is a file; name a folder for the data set.' % tfrecord_dir)
        return
    names = os.listdir(path)
    foreign = sorted(name for name in names if not name.endswith(_DATASET_SUFFIXES))
    if foreign:
        text = '%r holds other files (such as %r); name a new folder for the data set.'
        raise UserError(text % (tfrecord_dir, foreign[0]))
    if names and not force:
        text = '%r already holds a data set; use --force to replace it, or name another folder.'
        raise UserError(text % tfrecord_dir)


def check_space(tfrecord_dir: str, num_images: int, shape: Tuple[int, int, int]) -> None:
    """Raise UserError if images of a shape are more than a data set or the disk can hold."""
    num_bytes = num_images * int(np.prod(shape))
    cli.check_space(tfrecord_dir, num_images, num_bytes, most=MAX_IMAGES)


def _save_labels(file, labels):
    """Write what np.save would of float32 labels, part by part since all may be too many."""
    header = dict(descr='<f4', fortran_order=False, shape=tuple(labels.shape))
    np.lib.format.write_array_header_1_0(file, header)
    for begin in range(0, len(labels), _LABELS_AT_A_TIME):
        file.write(np.asarray(labels[begin : begin + _LABELS_AT_A_TIME], '<f4').tobytes())


def image_levels(image: np.ndarray, last_side: int = 4) -> Iterator[np.ndarray]:
    """Yield an image [C, R, R] as uint8 at every level of detail, from full size to `last_side`."""
    level = np.asarray(image, np.float32)
    while True:
        yield np.rint(level).clip(0, 255).astype(np.uint8)
        side = level.shape[1] // 2
        if side < last_side:
            return
        level = level.reshape(-1, side, 2, side, 2).mean(axis=(2, 4), dtype=np.float32)


@contextlib.contextmanager
def _writing_errors(path: str) -> Iterator[None]:
    """Turn what files raise, a full disk above all, into UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            'Cannot write the data set %r: %s. Nothing was left behind; free some space or '
            'choose a place you may write to.' % (path, error.strerror)
        )
