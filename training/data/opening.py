"""Opening a data set by its path or its class."""

import glob
import os
from typing import Optional

from PIL import Image

from dnnlib.util import get_obj_by_name
from training.data.base import Dataset


def load_dataset(
    class_name: Optional[str] = None,
    data_dir: Optional[str] = None,
    verbose: bool = False,
    **kwargs,
) -> Dataset:
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
        for _, _, names in os.walk(path)
        for name in names
    )
    has_records = glob.glob(os.path.join(glob.escape(path), '*.tfrecords'))
    if has_images and not has_records:
        return 'training.data.image_folder.ImageFolderDataset'
    return 'training.dataset.TFRecordDataset'
