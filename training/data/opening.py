"""Opening a data set by its path or its class."""

import contextlib
import glob
import os
from typing import Any, Dict, Iterable, Optional

from dnnlib.files import sweep
from dnnlib.options import accepted, check_names, function_of, named
from dnnlib.util import UserError, get_obj_by_name
from training.data.base import Dataset
from training.data.image_files import has_files


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

    Raises:
        UserError: the class does not take one of them.
    """
    class_name, kwargs = _locate(class_name, data_dir, **kwargs)
    if data_dir:
        sweep(os.path.expanduser(data_dir))
    check_options('dataset_args', dict(kwargs, class_name=class_name))
    if verbose:
        print('Streaming data using %s...' % class_name)
    dataset = get_obj_by_name(class_name)(**kwargs)
    if verbose:
        print('Dataset shape =', dataset.shape)
        print('Dynamic range =', dataset.dynamic_range)
        print('Label size    =', dataset.label_size)
    return dataset


def load_held_out(
    dataset: Dataset, data_dir: Optional[str], dataset_args: Dict[str, Any]
) -> Optional[Dataset]:
    """The images that a data set of these options holds out; None: there are none."""
    if not dataset.num_validation:
        return None
    options = dict(dataset_args, seed=dataset.seed, split='validation')
    return load_dataset(data_dir=data_dir, **options)


def fingerprint(data_dir: Optional[str], dataset_args: Dict[str, Any]) -> str:
    """That of the data set of these options; see `Dataset.fingerprint`."""
    with contextlib.closing(load_dataset(data_dir=data_dir, **dataset_args)) as dataset:
        return dataset.fingerprint()


def check_options(
    what: str,
    dataset_args: Dict[str, Any],
    data_dir: Optional[str] = None,
    reserved: Iterable[str] = (),
) -> None:
    """Raise UserError, one line, for an option that neither `load_dataset` nor the class takes.

    Args:
        what: where the options stand. dataset_args, data_dir: arguments of `load_dataset`.
        reserved: options that the caller itself passes.
    """
    others = {name: dataset_args[name] for name in dataset_args if name not in _OWN}
    class_name, _ = _locate(dataset_args.get('class_name'), data_dir, **others)
    dataset_class = function_of('class_name of ' + what, class_name)
    allowed = accepted(dataset_class, others, also=_OWN)
    check_names(what, dataset_args, allowed, dataset_class.__name__, reserved)


_OWN = set(named(load_dataset, {})[0])


def _locate(class_name, data_dir, **kwargs):
    """Name of the class, and its arguments."""
    if 'tfrecord_dir' in kwargs:
        path = os.path.expanduser(kwargs['tfrecord_dir'])
        inside = os.path.join(os.path.expanduser(data_dir or ''), path)
        if os.path.exists(inside) or not os.path.exists(path):
            path = inside
        kwargs['tfrecord_dir'] = path
        class_name = class_name or _class_for(path)
    if class_name is None:
        raise UserError('dataset_args needs tfrecord_dir, the data set, or class_name')
    return class_name, kwargs


def load_with_labels(tfrecord_dir: str) -> Dataset:
    """Open a data set with all its labels, if it has any."""
    dataset = load_dataset(tfrecord_dir=tfrecord_dir)
    if not dataset.offers_labels:
        return dataset
    dataset.close()
    return load_dataset(tfrecord_dir=tfrecord_dir, max_label_size='full')


def _class_for(path):
    """Name of the class that opens a path."""
    has_records = glob.glob(os.path.join(glob.escape(path), '*.tfrecords'))
    if not has_records and (os.path.isfile(path) or has_files(path)):
        return 'training.data.image_folder.ImageFolderDataset'
    return 'training.dataset.TFRecordDataset'
