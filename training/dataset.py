"""Data sets of training and metrics: opening them, and what is done to their images before use.

`TFRecordDataset` is the kind of official StyleGAN2: one .tfrecords file for each level of detail.
"""
import glob
import os
from typing import Optional, Sequence, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from dnnlib.tflib import tfutil
from dnnlib.util import UserError, get_obj_by_name
from training.dataset_base import Dataset
from training.labels import find_label_file, load_labels
from training.misc import adjust_dynamic_range
from training.tfrecords import RecordFile, parse_image


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
        tfrecord_dir, label_file (None without labels), lods: levels of detail that there are,
        offers_labels: whether there are labels, used or not.

    Raises:
        UserError: files or labels are missing, broken or do not fit together.
    """

    def __init__(self, tfrecord_dir: str, resolution: Optional[int] = None,
                 label_file: Optional[str] = None, max_label_size: Union[int, str] = 0,
                 max_images: Optional[int] = None, repeat: bool = True, shuffle_mb: int = 4096,
                 prefetch_mb: int = 256, buffer_mb: int = 256, num_threads: int = 2,
                 seed: Optional[int] = 0):
        self.tfrecord_dir = os.path.expanduser(tfrecord_dir)
        self._files = _open_files(self.tfrecord_dir, resolution)  # lod -> RecordFile
        self.lods = sorted(self._files)
        full = self._files[0]
        self.label_file = find_label_file(self.tfrecord_dir, label_file)
        self.offers_labels = self.label_file is not None
        labels = load_labels(self.label_file, max_label_size, full.num_records, self.tfrecord_dir)
        super().__init__(full.num_records, full.shape, labels, max_images, repeat, shuffle_mb > 0,
                         seed, prefetch_mb, num_threads)

    @staticmethod
    def parse_tfrecord_np(record: bytes) -> np.ndarray:
        """Unpack a serialized Example into its image, uint8 [C, H, W]; ValueError if it is none."""
        return parse_image(record)

    @staticmethod
    def parse_tfrecord_tf(record: tf.Tensor) -> tf.Tensor:
        """Unpack a serialized Example, string [], into its image, uint8 [C, H, W]."""
        features = tf.parse_single_example(record, {
            'data': tf.FixedLenFeature([], tf.string),
            'shape': tf.FixedLenFeature([3], tf.int64)})
        return tf.reshape(tf.decode_raw(features['data'], tf.uint8), features['shape'])

    def close(self) -> None:
        """Close the files; a stream that is still read ahead ends with an error."""
        for file in self._files.values():
            file.close()

    def check_lod(self, lod):
        super().check_lod(lod)
        if lod not in self._files:
            side, log2 = self.resolution >> lod, self.resolution_log2 - lod
            raise UserError('The data set %r has no %dx%d images (a file *-r%02d.tfrecords), which '
                            'progressive growing asks for; make the data set again with '
                            'dataset_tool.py.' % (self.tfrecord_dir, side, side, log2))
        count, full_count = self._files[lod].num_records, self._files[0].num_records
        if count != full_count:
            raise UserError('%r has %d images, but %r has %d; all files of a data set must hold '
                            'the same images. Make the data set again.'
                            % (self._files[lod].path, count, self._files[0].path, full_count))

    def _read_image(self, index, lod):
        return self._files[lod].read(index)

    def _identity(self):
        path = self._files[0].path
        return [os.path.basename(path), os.path.getsize(path)]


def load_dataset(class_name: Optional[str] = None, data_dir: Optional[str] = None,
                 verbose: bool = False, **kwargs) -> Dataset:
    """Open a data set.

    Args:
        class_name: class of the data set; None with `tfrecord_dir` = what fits that path:
            TFRecordDataset for a folder of .tfrecords files, ImageFolderDataset for images.
        data_dir: folder that `tfrecord_dir` is relative to, unless only the plain path exists.
        verbose: print what was opened.
        kwargs: arguments of the class.
    """
    kwargs = dict(kwargs)
    if 'tfrecord_dir' in kwargs:
        path = os.path.expanduser(kwargs['tfrecord_dir'])
        inside = os.path.join(os.path.expanduser(data_dir or ''), path)
        if os.path.exists(inside) or not os.path.exists(path):
            path = inside
        kwargs['tfrecord_dir'] = path
        class_name = class_name or _class_for(path)
    assert class_name is not None, 'class_name or tfrecord_dir is needed'
    if verbose:
        print('Streaming data using %s...' % class_name)
    dataset = get_obj_by_name(class_name)(**kwargs)
    if verbose:
        print('Dataset shape =', dataset.shape)
        print('Dynamic range =', dataset.dynamic_range)
        print('Label size    =', dataset.label_size)
    return dataset


def _class_for(path):
    """Name of the class that opens a path."""
    has_images = os.path.isfile(path) or any(
        os.path.splitext(name)[1].lower() in Image.registered_extensions()
        for _, _, names in os.walk(path) for name in names)
    has_records = glob.glob(os.path.join(glob.escape(path), '*.tfrecords'))
    if has_images and not has_records:
        return 'training.image_folder.ImageFolderDataset'
    return 'training.dataset.TFRecordDataset'


def process_reals(x: tf.Tensor, labels: tf.Tensor, lod, mirror_augment: bool,
                  drange_data: Sequence[float],
                  drange_net: Sequence[float]) -> Tuple[tf.Tensor, tf.Tensor]:
    """Bring a minibatch into the form that networks take.

    Args:
        x: images [N, C, H, W] of any type, H = W = R / 2^floor(lod).
        labels: [N, label_size], passed through.
        lod: level of detail, float [] or number; between whole levels, images fade into those of
            the next level (Karras et al., "Progressive Growing of GANs", 2018).
        mirror_augment: flip each image along W with probability 1/2.
        drange_data: range of the values of x, such as [0, 255].
        drange_net: range of the result, such as [-1, 1].

    Returns:
        (float32 images [N, C, R, R], labels).
    """
    with tf.name_scope('ProcessReals'):
        x = adjust_dynamic_range(tf.cast(x, tf.float32), drange_data, drange_net)
        if mirror_augment:
            keep = tf.random_uniform([tf.shape(x)[0]]) < 0.5
            x = tf.where(keep, x, tf.reverse(x, [3]))
        lod = tf.cast(lod, tf.float32)
        whole = tf.floor(lod)
        x = tfutil.lerp(x, _repeat_pixels(_halve(x), 2), lod - whole)
        x = _repeat_pixels(x, tf.cast(tf.round(2.0 ** whole), tf.int32))
        return x, labels


def _halve(x):
    """Mean of 2x2 blocks [N, C, H, W]; written with reshapes since CPUs pool no NCHW images."""
    n, c, h, w = tf.unstack(tf.shape(x))
    return tf.reduce_mean(tf.reshape(x, [n, c, h // 2, 2, w // 2, 2]), axis=[3, 5])


def _repeat_pixels(x, factor):
    """Nearest-neighbour enlargement of [N, C, H, W] by a whole factor."""
    n, c, h, w = tf.unstack(tf.shape(x))
    tiled = tf.tile(tf.reshape(x, [n, c, h, 1, w, 1]), [1, 1, 1, factor, 1, factor])
    enlarged = tf.reshape(tiled, [n, c, h * factor, w * factor])
    enlarged.set_shape([x.shape[0], x.shape[1], None, None])
    return enlarged


def _open_files(folder, resolution):
    """Open the record files of a folder: {lod: RecordFile} with lod 0 for certain."""
    if not os.path.isdir(folder):
        raise UserError('There is no data set folder %r; make it with dataset_tool.py or check '
                        '--data-dir and --dataset.' % folder)
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), '*.tfrecords')))
    if not paths:
        raise UserError('There are no *.tfrecords files in %r; make them with dataset_tool.py.'
                        % folder)
    by_side = {}
    for path in paths:
        file = RecordFile(path)
        channels, height, width = file.shape
        if height != width or height & (height - 1) or height < 4 or channels not in (1, 3, 4):
            raise UserError('%r has images of %d channels and %dx%d pixels; they must be square, '
                            'the side a power of two from 4, with 1, 3 or 4 channels.'
                            % (path, channels, width, height))
        if height in by_side:
            raise UserError('%r and %r both have %dx%d images; a folder may hold one data set only.'
                            % (by_side[height].path, path, height, height))
        by_side[height] = file
    sides = sorted(by_side)
    largest = by_side[sides[-1]]
    for side in sides:
        if by_side[side].shape[0] != largest.shape[0]:
            raise UserError('%r has images of %d channels, but %r of %d; all files of a data set '
                            'must hold the same images.' % (
                                by_side[side].path, by_side[side].shape[0],
                                largest.path, largest.shape[0]))
    if resolution is None:
        resolution = sides[-1]
    if resolution not in by_side:
        raise UserError('The data set %r has no %dx%d images; it has sides %s.' % (
            folder, resolution, resolution, ', '.join(str(side) for side in sides)))
    return {resolution.bit_length() - side.bit_length(): by_side[side]
            for side in sides if side <= resolution}
