"""Many tensors in one buffer, so that one kernel does what would take one for each of them.

On GPUs a kernel takes some microseconds however little it does, and a network has a hundred
variables, most of them small.
"""

from typing import List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

_ROW = 16  # numbers; as float32 they are 64 bytes, on which TensorFlow aligns tensors


class Packing:
    """Where tensors of given shapes lie in a buffer [rows, 16].

    Those of a multiple of 16 numbers lie first, in rows of their own: TensorFlow splits rows of 64
    bytes without copying them. Not `together`: each tensor is its own buffer.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], together: bool = True):
        self._together = together
        self._shapes = [list(shape) for shape in shapes]
        sizes = [int(np.prod(shape)) for shape in shapes]
        whole = [i for i, size in enumerate(sizes) if size % _ROW == 0]
        odd = [i for i, size in enumerate(sizes) if size % _ROW != 0]
        self._order = whole + odd
        self._odd_sizes = [sizes[i] for i in odd]
        self._padding = -sum(self._odd_sizes) % _ROW
        odd_rows = (sum(self._odd_sizes) + self._padding) // _ROW
        self._rows = [sizes[i] // _ROW for i in whole] + [odd_rows] * bool(odd)

    def pack(self, tensors: Sequence[tf.Tensor]) -> List[tf.Tensor]:
        """The buffers of these tensors, which have one type."""
        if not self._together:
            return list(tensors)
        pieces = [tf.reshape(tensors[i], [-1]) for i in self._order]
        if self._padding:
            pieces.append(tf.zeros([self._padding], pieces[0].dtype))
        return [tf.reshape(tf.concat(pieces, axis=0), [sum(self._rows), _ROW])]

    def unpack(self, buffers: Sequence[tf.Tensor]) -> List[tf.Tensor]:
        """The tensors of their buffers, in the order of the shapes."""
        if not self._together:
            return list(buffers)
        pieces = tf.split(buffers[0], self._rows)
        if self._odd_sizes:
            sizes = self._odd_sizes + [self._padding] * bool(self._padding)
            pieces[-1:] = tf.split(tf.reshape(pieces[-1], [-1]), sizes)
        order = sorted(range(len(self._order)), key=self._order.__getitem__)
        return [tf.reshape(pieces[i], shape) for i, shape in zip(order, self._shapes)]
