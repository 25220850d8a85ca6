"""Labels of data sets: .npy streams of float32 [num_images, label_size] in *.labels, or classes."""

import glob
import json
import os
from typing import Iterable, Optional, Union

import numpy as np

from dnnlib.util import UserError, open_regular, reading

_MAGIC = b'\x93NUMPY'
_MAX_CLASSES = 100000
_ROWS_AT_A_TIME = 1 << 14


class OneHotLabels:
    """One-hot rows of class numbers, made when they are asked for, as an array [N, classes].

    Args:
        numbers: class of each image, [N]; also an attribute.
        num_classes: label size.
    """

    def __init__(self, numbers: np.ndarray, num_classes: int):
        self.numbers = numbers
        self.shape = (len(self.numbers), num_classes)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        """Return the labels of some rows, float32 [..., classes]."""
        return (np.arange(self.shape[1]) == self.numbers[rows][..., np.newaxis]).astype(np.float32)


Labels = Union[np.ndarray, OneHotLabels]


def first_columns(labels: Labels, max_label_size: Union[int, str]) -> Labels:
    """Return the first so many columns of labels, all for 'full'."""
    if isinstance(max_label_size, str):
        return labels
    if isinstance(labels, OneHotLabels):
        return OneHotLabels(labels.numbers, min(max_label_size, labels.shape[1]))
    return labels[:, :max_label_size]


def take_rows(labels: Labels, rows: np.ndarray) -> Labels:
    """Return the labels of some images [n], in that order."""
    if isinstance(labels, OneHotLabels):
        return OneHotLabels(labels.numbers[rows], labels.shape[1])
    return labels[rows]


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
    text = 'There is no label file %r, neither as it stands nor in %r.'
    raise UserError(text % (label_file, folder))


def load_labels(
    path: Optional[str], max_label_size: Union[int, str], num_images: int, source: str
) -> Optional[Labels]:
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
    labels = open_labels(path)
    if len(labels) != num_images:
        text = '%r has %d labels, but there are %d images in %r; make the data set again.'
        raise UserError(text % (path, len(labels), num_images, source))
    return first_columns(labels, max_label_size)


def open_labels(path: str) -> np.ndarray:
    """Map a file of labels [num_images, label_size] into memory and look at all of them.

    Raises:
        UserError: it is no .npy stream of finite numbers of that shape, or has class numbers.
    """
    with open_regular(path) as file:
        is_stream = file.read(len(_MAGIC)) == _MAGIC
    if not is_stream:
        raise UserError('%r is no label file: it must be a .npy stream of numbers.' % path)
    with reading(path, 'a label file'):
        labels = np.load(path, mmap_mode='r', allow_pickle=False)
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in 'fiub':
        raise UserError('%r must hold one array of numbers [images, label size].' % path)
    check_label_values(labels, path)
    return labels


def check_label_values(labels: np.ndarray, path: str) -> None:
    """Raise UserError unless labels [N, label_size] are finite and no numbers of classes."""
    are_numbers = labels.shape[1] == 1
    for begin in range(0, len(labels), _ROWS_AT_A_TIME):
        part = np.asarray(labels[begin : begin + _ROWS_AT_A_TIME], np.float64)
        if not np.isfinite(part).all():
            row = begin + int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
            raise UserError('%r: label %d is not finite; all must be numbers.' % (path, row))
        are_numbers = are_numbers and bool(np.all((part >= 0) & (part == np.rint(part))))
    if are_numbers and len(labels) and labels.max() > 1:
        raise UserError(
            '%r has shape [%d, 1] and seems to hold class numbers; labels must be one-hot, '
            'np.eye(num_classes)[numbers].' % (path, len(labels))
        )


def labels_from_json(content: bytes, folder: str, names: Iterable[str]) -> Optional[Labels]:
    """Labels of images from a dataset.json of stylegan2-ada-pytorch or stylegan3.

    It holds {"labels": [[name, class number or list of numbers], ...]} or {"labels": null}.

    Args:
        content: of the file. folder: that names in it begin at, with '/', '' for all.
        names: paths of the images whose labels are wanted.

    Returns:
        Labels in the order of `names`, None if there are none.

    Raises:
        Exception: of many kinds, if the content is something else; see `dnnlib.util.reading`.
    """
    entries = json.loads(content.decode('utf-8')).get('labels')
    if entries is None:
        return None
    by_name = {folder + name.replace('\\', '/'): label for name, label in entries}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError('%d images have no label, such as %s' % (len(missing), missing[0]))
    labels = np.array([by_name[name] for name in names])
    if labels.ndim == 1 and labels.dtype.kind in 'iu':
        if labels.min() < 0 or labels.max() >= _MAX_CLASSES:
            raise ValueError('class numbers must be from 0 to %d' % (_MAX_CLASSES - 1))
        return OneHotLabels(labels, int(labels.max()) + 1)
    if labels.ndim != 2 or labels.dtype.kind not in 'fiu':
        raise ValueError('its labels are neither class numbers nor lists of one length')
    labels = labels.astype(np.float32)
    check_label_values(labels, 'dataset.json')
    return labels


def check_class(class_index: int, label_size: int) -> None:
    """Raise UserError unless a network with labels of this size knows the class."""
    if not label_size:
        raise UserError('--class is %d, but the network was trained without labels' % class_index)
    if not 0 <= class_index < label_size:
        raise UserError('--class is %d; it must be from 0 to %d' % (class_index, label_size - 1))


def check_max_label_size(max_label_size: Union[int, str]) -> bool:
    """Return whether labels are asked for; UserError unless it is 'full' or a number from 0."""
    if max_label_size != 'full' and (not isinstance(max_label_size, int) or max_label_size < 0):
        text = "max_label_size is %r; it must be 'full' or a number from 0."
        raise UserError(text % (max_label_size,))
    return max_label_size != 0
