"""What all kinds of data sets share: order, TensorFlow pipeline, labels.

Images have levels of detail: lod 0 = full resolution, each next lod half the side, down to 4x4.
"""

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Tuple, Union

import numpy as np

from dnnlib.util import UserError
from training.data.image_order import image_indices
from training.data.labels import (
    Labels,
    OneHotLabels,
    check_max_label_size,
    find_label_file,
    first_columns,
    load_labels,
    take_rows,
)
from training.data.splits import numbers_of

if TYPE_CHECKING:
    import tensorflow.compat.v1 as tf

_ENDLESS = 1 << 62
_MAX_PREFETCHED_MINIBATCHES = 16
_LABELS_AT_A_TIME = 1 << 14


class Dataset:
    """A stream of (image, label) pairs: epoch after epoch, each in an order of its own.

    What comes at which position depends on `seed` and the position alone, neither on minibatch
    sizes nor on what was read before, and no buffer is shuffled: a stream goes on exactly where it
    stopped with `configure(..., position=images consumed)`. Memory use does not grow with the data
    set. A kind of data set adds how its files are opened and how one image is read.

    Args:
        tfrecord_dir: where the data set is.
        resolution: side of the images at lod 0, a power of two; None = that of the largest images.
        label_file: .npy stream of labels [num_images, label_size], also relative to the folder;
            None = the first *.labels file of the folder, if any.
        max_label_size: 0 = no labels, 'full' = all columns, n = the first n columns.
        max_images: use only the first so many; None = all.
        repeat: False = the stream ends after one epoch with tf.errors.OutOfRangeError; its last
            minibatch may be short.
        shuffle_mb: 0 = file order, anything else = a new order of all images for each epoch. The
            size itself has no meaning here: the order is computed, there is no buffer.
        prefetch_mb: limit of the minibatches read ahead, in MiB (1 to 16 minibatches in any case).
        buffer_mb: of no effect: records are read one by one, at random places.
        num_threads: minibatches read at the same time.
        seed: number from 0 that determines the order; None = draw one from NumPy's generator.
        subset, validation, split: which of the images there are, see `splits.numbers_of`.

    Attributes:
        tfrecord_dir, label_file (None without labels), num_images, shape = [C, R, R], resolution,
        resolution_log2, dtype = 'uint8', dynamic_range = [0, 255], label_size,
        label_dtype = 'float32', seed.
        num_validation: images held out of these. lods: levels of detail that there are.
        offers_labels: there are labels, used or not.
        metric_reals: 'first' or 'random', which images metrics take unless they are told.

    Raises:
        UserError: files or labels are missing, broken or do not fit together.
    """

    lods: List[int]
    metric_reals = 'first'

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
        subset: Optional[int] = None,
        validation: int = 0,
        split: str = 'train',
    ):
        self.tfrecord_dir = os.path.expanduser(tfrecord_dir)
        num_images, shape, labels = self._open(resolution)
        self.label_file = find_label_file(self.tfrecord_dir, label_file)
        self.offers_labels = self.label_file is not None or labels is not None
        if self.label_file is not None or labels is None:
            labels = load_labels(self.label_file, max_label_size, num_images, self.tfrecord_dir)
        elif check_max_label_size(max_label_size):
            labels = first_columns(labels, max_label_size)
        else:
            labels = None
        if max_images is not None and max_images < 1:
            raise UserError('max_images is %r; it must be at least 1.' % max_images)
        self.num_images = num_images if max_images is None else min(num_images, max_images)
        self.seed = int(np.random.randint(1 << 31)) if seed is None else int(seed)
        self.num_validation = int(validation) if split == 'train' else 0
        self._chosen = numbers_of(split, self.num_images, self.seed, subset, validation)
        if self._chosen is not None:
            self.num_images = len(self._chosen)
            labels = None if labels is None else take_rows(labels, self._chosen)
        self.shape = list(shape)
        self.resolution = self.shape[1]
        self.resolution_log2 = self.resolution.bit_length() - 1
        self.dtype = 'uint8'
        self.dynamic_range = [0, 255]
        self.label_dtype = 'float32'
        self._labels = np.zeros([1, 0], np.float32) if labels is None else labels
        self.label_size = self._labels.shape[1]
        self._has_labels = labels is not None
        self._repeat = repeat
        self._shuffle = shuffle_mb > 0
        self._prefetch_bytes = prefetch_mb << 20
        self._num_threads = num_threads
        self._iterator: Any = None
        self._fetch_np: Any = None
        self._fingerprint: Optional[str] = None
        self._configured: Optional[Tuple[int, int]] = None
        self._errors: List[Tuple[int, UserError]] = []  # positions that could not be read

    def close(self) -> None:
        """Let go of open files; reading goes on no further."""

    def get_image(self, index: int, lod: int = 0) -> np.ndarray:
        """Return image `index` in file order, uint8 [C, H, W]; needs no session."""
        return self._read_image(index if self._chosen is None else int(self._chosen[index]), lod)

    def get_label(self, index: int) -> np.ndarray:
        """Return the label of image `index` in file order, float32 [label_size]."""
        return self._labels_of(np.array([index]))[0]

    def class_numbers(self) -> Optional[np.ndarray]:
        """Class of each image in file order, int32 [num_images]; None if labels are not one-hot."""
        for labels in self._all_labels():
            if np.any((labels != 0) & (labels != 1)) or np.any(labels.sum(axis=1) != 1):
                return None
        return self.largest_labels()

    def largest_labels(self) -> np.ndarray:
        """Column of the largest label of each image, int32 [num_images]; 0 without labels."""
        if not self.label_size:
            return np.zeros([self.num_images], np.int32)
        if isinstance(self._labels, OneHotLabels):
            numbers = self._labels.numbers[: self.num_images]
            return np.where(numbers < self.label_size, numbers, 0)
        return np.concatenate([part.argmax(axis=1).astype(np.int32) for part in self._all_labels()])

    def stream_order(self, begin: int, stop: int) -> np.ndarray:
        """Numbers of the images at positions [begin, stop) of the stream, int64."""
        return image_indices(np.arange(begin, stop), self.num_images, self.seed, self._shuffle)

    def has_all_classes(self) -> bool:
        """Whether the labels are one-hot and every class has images."""
        classes = self.class_numbers()
        return classes is not None and len(np.unique(classes)) == self.label_size

    def fingerprint(self) -> str:
        """16 hex digits that identify the data: they change with every image and label."""
        if self._fingerprint is None:
            parts = self._identity() + [self.num_images, self.shape, self.label_size]
            parts += [] if self._chosen is None else [self._chosen.tolist()]
            digest = hashlib.sha256(repr(parts).encode('utf-8', 'surrogateescape'))
            if self._has_labels:
                self._hash_labels(digest)
            self._fingerprint = digest.hexdigest()[:16]
        return self._fingerprint

    def configure(
        self,
        minibatch_size: int,
        lod: float = 0,
        position: Optional[int] = None,
        share: Tuple[int, int] = (0, 1),
    ) -> None:
        """Choose minibatch size, level of detail and place in the stream; needs a default session.

        Args:
            minibatch_size: images per minibatch.
            lod: level of detail, rounded down to a whole level.
            position: number of images of the stream already consumed, to go on from exactly there;
                None = start from 0 if minibatch size or level changed, else change nothing.
            share: (i, n): n readers of the stream take a minibatch each in turns, this one is
                number i; the position is that of all.

        Raises:
            UserError: the data set does not hold that level of detail.
        """
        assert minibatch_size >= 1 and (position is None or position >= 0)
        lod = int(np.floor(lod))
        if position is None and self._configured == (minibatch_size, lod):
            return
        self.check_lod(lod)
        self._build_iterator()
        num_channels, side = self.shape[0], self.resolution >> lod
        minibatch_bytes = minibatch_size * num_channels * side * side
        prefetch = np.clip(self._prefetch_bytes // minibatch_bytes, 1, _MAX_PREFETCHED_MINIBATCHES)
        self._errors.clear()
        reader, num_readers = share
        start = (position or 0) + reader * minibatch_size
        feed = {self._start: start, self._stride: minibatch_size * num_readers}
        feed.update({self._minibatch_size: minibatch_size})
        feed.update({self._lod: lod, self._prefetch: int(prefetch)})
        _run(self._iterator.initializer, feed)
        self._configured = (minibatch_size, lod)

    def get_minibatch_tf(self) -> 'Tuple[tf.Tensor, tf.Tensor]':
        """Return the next minibatch as tensors: uint8 [N, C, H, W], float32 [N, label_size].

        Each call adds one fetch. Fetches in the same session run take minibatches in no fixed
        order; tie them together with control dependencies where the order matters.
        """
        import tensorflow.compat.v1 as tf

        self._build_iterator()
        with tf.name_scope('Dataset'), tf.device('/cpu:0'):
            return self._iterator.get_next()

    def get_minibatch_np(
        self, minibatch_size: int, lod: float = 0
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Configure, then return the next minibatch: uint8 [N, C, H, W], float32 [N, label_size].

        Raises:
            UserError: a record is broken, or the level of detail is missing.
            tf.errors.OutOfRangeError: the stream has ended (repeat=False).
        """
        self.configure(minibatch_size, lod)
        self._fetch_np = self._fetch_np or self.get_minibatch_tf()
        with self.reading_errors():
            images, labels = _run(self._fetch_np)
        return images, labels

    def get_random_labels_tf(self, minibatch_size: 'Union[int, tf.Tensor]') -> 'tf.Tensor':
        """Return a tensor of labels drawn uniformly with replacement, float32 [N, label_size]."""
        import tensorflow.compat.v1 as tf

        from dnnlib.tflib import random

        with tf.name_scope('Dataset'), tf.device('/cpu:0'):
            if not self._has_labels:
                return tf.zeros([minibatch_size, 0], tf.float32)
            indices = random.uniform([minibatch_size], 'labels', 0, self.num_images, tf.int64)
            labels = tf.py_func(self._labels_of, [indices], tf.float32, name='Labels')
            labels.set_shape([indices.shape[0], self.label_size])
            return labels

    def get_random_labels_np(self, minibatch_size: int) -> np.ndarray:
        """Return labels drawn uniformly with replacement by NumPy's generator, [N, label_size]."""
        if not self._has_labels:
            return np.zeros([minibatch_size, 0], np.float32)
        return self._labels_of(np.random.randint(self.num_images, size=[minibatch_size]))

    @contextlib.contextmanager
    def reading_errors(self) -> Iterator[None]:
        """Around session runs that fetch minibatches: a broken record raises its own UserError.

        Such a record ends the stream (tf.errors.OutOfRangeError), which keeps TensorFlow's own long
        report of an error in its reading threads away from the user; this context manager raises
        the error that lies behind it. Other errors pass unchanged, so does the end of a stream.
        """
        import tensorflow.compat.v1 as tf

        try:
            yield
        except tf.errors.OutOfRangeError:
            if self._errors:
                raise min(self._errors, key=lambda e: e[0])[1] from None  # first of the stream
            raise

    def _build_iterator(self):
        if self._iterator is not None:
            return
        import tensorflow.compat.v1 as tf

        with tf.name_scope('Dataset'), tf.device('/cpu:0'):
            self._start, self._stride, self._minibatch_size, self._lod, self._prefetch = (
                tf.placeholder(tf.int64, [], name)
                for name in ('start', 'stride', 'minibatch_size', 'lod', 'prefetch')
            )
            stop = _ENDLESS if self._repeat else self.num_images
            positions = tf.data.Dataset.range(self._start, stop, self._stride)
            minibatches = positions.map(self._minibatch_tf, num_parallel_calls=self._num_threads)
            sound = minibatches.apply(tf.data.experimental.take_while(lambda *batch: batch[-1]))
            self._iterator = tf.data.make_initializable_iterator(
                sound.map(lambda *batch: batch[:2]).prefetch(self._prefetch)
            )

    def _minibatch_tf(self, position):
        import tensorflow.compat.v1 as tf

        inputs, types = [position, self._minibatch_size, self._lod], [tf.uint8, tf.float32, tf.bool]
        images, labels, sound = tf.py_func(self._read_minibatch, inputs, types, name='Read')
        side = self.resolution if self.resolution_log2 == 2 else None
        images.set_shape([None, self.shape[0], side, side])
        labels.set_shape([None, self.label_size])
        sound.set_shape([])
        return images, labels, sound

    def _read_minibatch(self, position, minibatch_size, lod):
        """Called by TensorFlow's threads: images, labels, and False instead of a UserError."""
        stop = position + minibatch_size
        if not self._repeat:
            stop = min(stop, self.num_images)
        indices = self.stream_order(position, stop)
        try:
            images = np.stack([self.get_image(int(i), int(lod)) for i in indices])
            return images, self._labels_of(indices), True
        except UserError as error:
            self._errors = self._errors[-_MAX_PREFETCHED_MINIBATCHES:] + [(position, error)]
            return np.zeros([0] + self.shape, np.uint8), self._labels_of(indices[:0]), False

    def _labels_of(self, indices):
        if not self._has_labels:
            return np.zeros([len(indices), 0], np.float32)
        return np.asarray(self._labels[indices], np.float32)

    def _all_labels(self):
        for begin in range(0, self.num_images, _LABELS_AT_A_TIME):
            stop = min(begin + _LABELS_AT_A_TIME, self.num_images)
            yield self._labels_of(np.arange(begin, stop))

    def _hash_labels(self, digest):
        if isinstance(self._labels, OneHotLabels):
            digest.update(self._labels.numbers[: self.num_images].astype('<i4').tobytes())
            return
        for labels in self._all_labels():
            digest.update(labels.tobytes())

    def check_lod(self, lod):
        """Raise UserError unless images of this level of detail can be read."""
        if not 0 <= lod <= self.resolution_log2 - 2:
            text = 'There is no level of detail %d of %dx%d images; it must be 0 to %d.'
            raise UserError(text % (lod, *self.shape[1:], self.resolution_log2 - 2))

    def _open(self, resolution) -> Tuple[int, Tuple[int, int, int], Optional[Labels]]:
        """Open the files and set `lods`; returns number and shape of the images, and own labels."""
        raise NotImplementedError

    def _read_image(self, index, lod):
        """Return one image, uint8 [C, H, W]."""
        raise NotImplementedError

    def _identity(self):
        """What changes with every image, such as a hash of their checksums; a list."""
        raise NotImplementedError


def _run(fetches, feed_dict=None):
    from dnnlib.tflib import tfutil

    return tfutil.run(fetches, feed_dict)
