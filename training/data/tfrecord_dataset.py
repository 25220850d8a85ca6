"""Data sets of official StyleGAN2: a folder with a .tfrecords file for each level of detail."""

import glob
import os
import time
from typing import Dict, Optional, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.util import UserError
from training.data.base import Dataset
from training.data.labels import find_label_file, load_labels
from training.data.side_file import read_side_file, update_side_file
from training.data.tfrecords import RecordFile, parse_image

_RECENT = 2  # seconds


class TFRecordDataset(Dataset):
    """A data set of .tfrecords files, one for each level of detail, and an optional .labels file.

    Args:
        tfrecord_dir: folder of the files.
        resolution: side of the images at lod 0, a power of two; None = that of the largest images.
            Larger files are ignored.
        label_file: .npy stream of labels [num_images, label_size], also relative to the folder;
            None = the first *.labels file of the folder, if any.
        max_label_size: 0 = no labels, 'full' = all columns, n = the first n columns.
        max_images: use only the first so many; None = all.
        repeat, seed, prefetch_mb, num_threads: see `Dataset`.
        shuffle_mb: 0 = file order, anything else = a new order of all images for each epoch. The
            size itself has no meaning here: the order is computed, there is no buffer.
        buffer_mb: of no effect: records are read one by one, at random places.

    Attributes (beside those of `Dataset`):
        tfrecord_dir, label_file (None without labels).

    Raises:
        UserError: files or labels are missing, broken or do not fit together.
    """

    def __init__(
        self,
        tfrecord_dir: str,
        resolution: Optional[int] = None,
        label_file: Optional[str] = None,
        max_label_size: Union[int, str] = 0,
        max_images: Optional[int] = None,
        repeat: bool = True,
        shuffle_mb: int = 4096,
        prefetch_mb: int = 256,
        buffer_mb: int = 256,
        num_threads: int = 2,
        seed: Optional[int] = 0,
    ):
        self.tfrecord_dir = os.path.expanduser(tfrecord_dir)
        self._files = _open_files(self.tfrecord_dir, resolution)  # lod -> RecordFile
        self.lods = sorted(self._files)
        full = self._files[0]
        self._check_number()
        self.label_file = find_label_file(self.tfrecord_dir, label_file)
        self.offers_labels = self.label_file is not None
        labels = load_labels(self.label_file, max_label_size, full.num_records, self.tfrecord_dir)
        super().__init__(
            full.num_records,
            full.shape,
            labels,
            max_images,
            repeat,
            shuffle_mb > 0,
            seed,
            prefetch_mb,
            num_threads,
        )

    @staticmethod
    def parse_tfrecord_np(record: bytes) -> np.ndarray:
        """Unpack a serialized Example into its image, uint8 [C, H, W]; ValueError if it is none."""
        return parse_image(record)

    @staticmethod
    def parse_tfrecord_tf(record: tf.Tensor) -> tf.Tensor:
        """Unpack a serialized Example, string [], into its image, uint8 [C, H, W]."""
        features = tf.parse_single_example(
            record,
            {'data': tf.FixedLenFeature([], tf.string), 'shape': tf.FixedLenFeature([3], tf.int64)},
        )
        return tf.reshape(tf.decode_raw(features['data'], tf.uint8), features['shape'])

    def close(self) -> None:
        """Close the files; a stream that is still read ahead ends with an error."""
        for file in self._files.values():
            file.close()

    def check_lod(self, lod):
        super().check_lod(lod)
        if lod not in self._files:
            side, log2 = self.resolution >> lod, self.resolution_log2 - lod
            raise UserError(
                'The data set %r has no %dx%d images (a file *-r%02d.tfrecords), which '
                'progressive growing asks for; make the data set again with '
                'dataset_tool.py.' % (self.tfrecord_dir, side, side, log2)
            )
        count, full_count = self._files[lod].num_records, self._files[0].num_records
        if count != full_count:
            raise UserError(
                '%r has %d images, but %r has %d; all files of a data set must hold '
                'the same images. Make the data set again.'
                % (self._files[lod].path, count, self._files[0].path, full_count)
            )

    def _check_number(self):
        """Raise UserError if a file was cut between two records, as far as that can be known."""
        full = self._files[0]
        expected = [file.num_records for file in self._files.values()]
        noted = read_side_file(self.tfrecord_dir).get('num_images')
        if isinstance(noted, dict) and isinstance(noted.get(full.first_checksum()), int):
            expected.append(noted[full.first_checksum()])
        if full.num_records < max(expected):
            raise UserError(
                '%r has %d images, but the data set was made with %d; copy it again from its '
                'source or make it again.' % (full.path, full.num_records, max(expected))
            )

    def _read_image(self, index, lod):
        return self._files[lod].read(index)

    def _identity(self):
        """Name and hash of the file; the hash is noted, since reading it may take a while."""
        file = self._files[0]
        status = os.stat(file.path)
        changed = max(status.st_mtime, status.st_ctime)
        key = [os.path.basename(file.path), status.st_ino, status.st_size]
        key += [status.st_mtime_ns, status.st_ctime_ns]
        noted = read_side_file(self.tfrecord_dir).get('checksums')
        if isinstance(noted, dict) and noted.get('file') == key:
            return [key[0], noted.get('sha256')]
        digest = file.sha256()
        if time.time() - changed > _RECENT:  # a change right now might leave the times as they are
            update_side_file(self.tfrecord_dir, checksums=dict(file=key, sha256=digest))
        return [key[0], digest]


def _open_files(folder, resolution):
    """Open the record files of a folder: {lod: RecordFile} with lod 0 for certain."""
    if not os.path.isdir(folder):
        raise UserError(
            'There is no data set folder %r; make it with dataset_tool.py or check '
            '--data-dir and --dataset.' % folder
        )
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), '*.tfrecords')))
    if not paths:
        raise UserError(
            'There are no *.tfrecords files in %r; make them with dataset_tool.py.' % folder
        )
    by_side: Dict[int, RecordFile] = {}
    for path in paths:
        file = RecordFile(path)
        channels, height, width = file.shape
        if height != width or height & (height - 1) or height < 4 or channels not in (1, 3, 4):
            raise UserError(
                '%r has images of %d channels and %dx%d pixels; they must be square, '
                'the side a power of two from 4, with 1, 3 or 4 channels.'
                % (path, channels, width, height)
            )
        if height in by_side:
            raise UserError(
                '%r and %r both have %dx%d images; a folder may hold one data set only.'
                % (by_side[height].path, path, height, height)
            )
        by_side[height] = file
    sides = sorted(by_side)
    largest = by_side[sides[-1]]
    for side in sides:
        if by_side[side].shape[0] != largest.shape[0]:
            raise UserError(
                '%r has images of %d channels, but %r of %d; all files of a data set '
                'must hold the same images.'
                % (by_side[side].path, by_side[side].shape[0], largest.path, largest.shape[0])
            )
    if resolution is None:
        resolution = sides[-1]
    if resolution not in by_side:
        raise UserError(
            'The data set %r has no %dx%d images; it has sides %s.'
            % (folder, resolution, resolution, ', '.join(str(side) for side in sides))
        )
    return {
        resolution.bit_length() - side.bit_length(): by_side[side]
        for side in sides
        if side <= resolution
    }
