"""Images of an HDF5 file, looked at before a data set is made of them."""

import os
from typing import Any, List, Optional, Tuple

import numpy as np

from dnnlib.util import UserError, open_regular, reading
from training.data.decoding import MAX_SIDE
from training.data.labels import open_labels
from training.misc import adjust_dynamic_range

VALUES = {'0..255': (0, 255), '0..1': (0, 1), '-1..1': (-1, 1)}  # --values
_KIND = 'an HDF5 file of images'
_BYTES_AT_A_TIME = 64 << 20
_SAMPLE = 64  # images that are looked at before all are
_OVERSHOOT = 0.02  # part of the range, as resizing leaves it


class Hdf5Images:
    """Context manager for the largest array data* [N, C, R, R] of an HDF5 file.

    Arrays whose values are in other files are not opened: a file could copy any file that way.

    Args:
        path: the file.
        values: range of its values, a key of VALUES.

    Attributes:
        shape: (C, R, R) of the images.

    Raises:
        UserError: it is no such file.
    """

    def __init__(self, path: str, values: str = '0..255'):
        import h5py  # not all have it

        self.path = os.path.expanduser(path)
        self._range = VALUES[values]
        open_regular(self.path).close()
        with reading(self.path, _KIND):
            self._file = h5py.File(self.path, 'r')
            arrays = self._arrays(h5py)
            if not arrays:
                raise UserError('%r has no array data* of images [N, C, R, R].' % self.path)
            self._images = max(arrays, key=lambda array: array.shape[3])
        channels, height, width = map(int, self._images.shape[1:])
        self.shape = channels, height, width
        if self._images.dtype.kind not in 'uif':
            raise UserError('%r holds %s, not numbers.' % (self.path, self._images.dtype))
        is_power = height >= 4 and not height & (height - 1) and height <= MAX_SIDE
        if channels not in (1, 3, 4) or height != width or not is_power or not len(self):
            raise UserError(
                '%r has images %s; they must be [N, C, R, R], C 1, 3 or 4 and R a power of two '
                'from 4 to %d.' % (self.path, list(self._images.shape), MAX_SIDE)
            )

    def __enter__(self) -> 'Hdf5Images':
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._images.shape[0])

    def read(self, index: int) -> np.ndarray:
        """Return an image [C, R, R] with values 0..255."""
        with reading(self.path, _KIND):
            image = self._images[index]
        return adjust_dynamic_range(image, self._range, [0, 255])

    def labels(self) -> Optional[np.ndarray]:
        """Labels [N, label_size] of <name>-labels.npy beside the file, None without that."""
        path = os.path.splitext(self.path)[0] + '-labels.npy'
        if not os.path.lexists(path):
            return None
        labels = open_labels(path)
        if len(labels) != len(self):
            text = '%r has shape %s, expected [%d, label size].'
            raise UserError(text % (path, list(labels.shape), len(self)))
        return labels

    def check_values(self) -> None:
        """Raise UserError unless all values are in their range, and do not look like another."""
        if self._images.dtype == np.uint8 and self._range == (0, 255):
            return
        with reading(self.path, _KIND):
            sample = self._images[:: -(-len(self) // _SAMPLE)]
        self._check_extremes(float(sample.min()), float(sample.max()))
        self._check_extremes(*self._extremes())

    def _check_extremes(self, low, high):
        least, most = self._range
        slack = (most - least) * _OVERSHOOT
        if not least - slack <= low <= high <= most + slack:  # also if one is NaN
            problem = 'are from %g to %g' % (low, high)
        elif self._images.dtype.kind == 'f' and most == 255 and high <= 1:
            problem = 'are floating-point numbers, none above 1'
        else:
            return
        others = ' or --values='.join(VALUES)
        text = 'The values in %r %s; they must be %d..%d, or else say what they are by --values=%s.'
        raise UserError(text % (self.path, problem, least, most, others))

    def _extremes(self) -> Tuple[float, float]:
        """Smallest and largest of all values; NaN if there is one."""
        step = max(1, _BYTES_AT_A_TIME // (int(np.prod(self.shape)) * 8))
        low, high = np.inf, -np.inf
        for begin in range(0, len(self), step):
            with reading(self.path, _KIND):
                part = self._images[begin : begin + step]
            low, high = np.minimum(low, part.min()), np.maximum(high, part.max())
        return float(low), float(high)

    def _arrays(self, h5py) -> List[Any]:
        arrays = []
        for name in sorted(self._file):
            if not name.startswith('data'):
                continue
            if not isinstance(self._file.get(name, getlink=True), h5py.HardLink):
                raise UserError('%r has the link %r; only own arrays are read.' % (self.path, name))
            array = self._file[name]
            if not isinstance(array, h5py.Dataset) or array.ndim != 4:
                continue
            if array.external or array.is_virtual:
                raise UserError('%r keeps the values of %r in other files.' % (self.path, name))
            arrays.append(array)
        return arrays
