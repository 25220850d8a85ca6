"""Labels of data sets: .npy streams of float32 [num_images, label_size] in *.labels, or classes."""

import glob
import os
from typing import Optional, Union

import numpy as np

from dnnlib.util import UserError


class OneHotLabels:
    """One-hot rows of class numbers, made when they are asked for, as an array [N, classes].

    Args:
        numbers: class of each image, [N].
        num_classes: label size.
    """

    def __init__(self, numbers: np.ndarray, num_classes: int):
        self._numbers = numbers
        self.shape = (len(self._numbers), num_classes)

    def __len__(self) -> int:
        return self.shape[0]

    def first_columns(self, count: int) -> 'OneHotLabels':
        """Return the same labels without the columns from `count` on."""
        return OneHotLabels(self._numbers, min(count, self.shape[1]))

    def of(self, rows: np.ndarray) -> 'OneHotLabels':
        """Return the labels of some rows [n], in that order."""
        return OneHotLabels(self._numbers[rows], self.shape[1])

    def __getitem__(self, rows) -> np.ndarray:
        """Return the labels of some rows, float32 [..., classes]."""
        return (np.arange(self.shape[1]) == self._numbers[rows][..., np.newaxis]).astype(np.float32)


def find_label_file(folder: str, label_file: Optional[str]) -> Optional[str]:
    """Find the label file of a data set.

    Args:
        folder: of the data set.
        label_file: path as it stands or from the folder on; None = the first *.labels file of the
            folder, if it has one.

    Raises:
        UserError: a file was given and is not there.
    """
    if label_file is None:
        found = sorted(glob.glob(os.path.join(glob.escape(folder), '*.labels')))
        return found[0] if found else None
    for path in (os.path.expanduser(label_file), os.path.join(folder, label_file)):
        if os.path.isfile(path):
            return path
    raise UserError(
        'There is no label file %r, neither as it stands nor in %r.' % (label_file, folder)
    )


def load_labels(
    path: Optional[str], max_label_size: Union[int, str], num_images: int, source: str
) -> Optional[np.ndarray]:
    """Open labels without loading them into memory.

    Args:
        path: label file, None if there is none.
        max_label_size: 0 = no labels, 'full' = all columns, n = the first n columns.
        num_images: number of labels that there must be.
        source: data set that the labels belong to, for messages.

    Returns:
        float labels [num_images, label_size]; None for max_label_size 0.

    Raises:
        UserError: labels were asked for and are missing, unreadable or of another number.
    """
    if not check_max_label_size(max_label_size):
        return None
    if path is None:
        raise UserError(
            'The data set %r has no labels (no *.labels file), but labels are asked '
            'for; add labels to it, or do without (train with --cond=no).' % source
        )
    try:
        labels = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise UserError('%r is no label file: it must be a .npy stream of numbers.' % path)
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in 'fiub':
        raise UserError('%r must hold one array of numbers [images, label size].' % path)
    if len(labels) != num_images:
        raise UserError(
            '%r has %d labels, but there are %d images in %r; make the data set again.'
            % (path, len(labels), num_images, source)
        )
    return labels if max_label_size == 'full' else labels[:, :max_label_size]


def check_class(class_index: int, label_size: int) -> None:
    """Raise UserError unless a network with labels of this size knows the class."""
    if not label_size:
        raise UserError('--class is %d, but the network was trained without labels' % class_index)
    if not 0 <= class_index < label_size:
        raise UserError('--class is %d; it must be from 0 to %d' % (class_index, label_size - 1))


def check_max_label_size(max_label_size: Union[int, str]) -> bool:
    """Return whether labels are asked for; UserError unless it is 'full' or a number from 0."""
    if max_label_size != 'full' and (not isinstance(max_label_size, int) or max_label_size < 0):
        raise UserError(
            "max_label_size is %r; it must be 'full' or a number from 0." % (max_label_size,)
        )
    return max_label_size != 0
