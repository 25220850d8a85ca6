"""Data sets of official StyleGAN2: a folder with a .tfrecords file for each level of detail."""

import glob
import os
import time
from typing import TYPE_CHECKING, Dict

import numpy as np

from dnnlib.util import UserError
from training.data.base import Dataset
from training.data.side_file import read_side_file, update_side_file
from training.data.tfrecords import RecordFile, check_shape, parse_image

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf

_RECENT = 2  # seconds


class TFRecordDataset(Dataset):
    """A data set of .tfrecords files, one for each level of detail, and an optional .labels file.

    Args: as those of `Dataset`; files larger than `resolution` are ignored.
    """

    def _open(self, resolution):
        self._files = _open_files(self.tfrecord_dir, resolution)  # lod -> RecordFile
        self.lods = sorted(self._files)
        self._check_number()
        return self._files[0].num_records, self._files[0].shape, None

    @staticmethod
    def parse_tfrecord_np(record: bytes) -> np.ndarray:
        """Unpack a serialized Example into its image, uint8 [C, H, W]; ValueError if it is none."""
        return parse_image(record)

    @staticmethod
    def parse_tfrecord_tf(record: 'tf.Tensor') -> 'tf.Tensor':
        """Unpack a serialized Example, string [], into its image, uint8 [C, H, W]."""
        import tensorflow.compat.v1 as tf

        data, shape = tf.FixedLenFeature([], tf.string), tf.FixedLenFeature([3], tf.int64)
        features = tf.parse_single_example(record, dict(data=data, shape=shape))
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
                'The data set %r has no %dx%d images (a file *-r%02d.tfrecords), which progressive '
                'growing asks for; make it again.' % (self.tfrecord_dir, side, side, log2)
            )
        own, full = self._files[lod], self._files[0]
        if own.num_records != full.num_records:
            raise UserError(
                '%r has %d images, but %r has %d; make the data set again.'
                % (own.path, own.num_records, full.path, full.num_records)
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
                '%r has %d images, but the data set was made with %d; copy it or make it again.'
                % (full.path, full.num_records, max(expected))
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
            'There is no data set folder %r; make it with dataset_tool.py or check --data-dir and '
            '--dataset.' % folder
        )
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), '*.tfrecords')))
    if not paths:
        text = 'There are no *.tfrecords files in %r; make them with dataset_tool.py.'
        raise UserError(text % folder)
    by_side: Dict[int, RecordFile] = {}
    for path in paths:
        file = RecordFile(path)
        check_shape('The images in %r' % path, file.shape)
        height = file.shape[1]
        if height in by_side:
            text = '%r and %r both have %dx%d images; a folder may hold one data set only.'
            raise UserError(text % (by_side[height].path, path, height, height))
        by_side[height] = file
    sides = sorted(by_side)
    largest = by_side[sides[-1]]
    for file in by_side.values():
        if file.shape[0] != largest.shape[0]:
            raise UserError(
                '%r has images of %d channels, but %r of %d; a folder may hold one data set only.'
                % (file.path, file.shape[0], largest.path, largest.shape[0])
            )
    if resolution is None:
        resolution = sides[-1]
    if resolution not in by_side:
        found = ', '.join(map(str, sides))
        text = 'The data set %r has no %dx%d images; it has sides %s.'
        raise UserError(text % (folder, resolution, resolution, found))
    log2 = resolution.bit_length()
    return {log2 - side.bit_length(): by_side[side] for side in sides if side <= resolution}
