"""What later programs take from an earlier run's options: its data set and mirroring, checked.

A run's folder may come from anybody, so a class of data sets is one of those here, never a name to
import. `load_dataset(class_name=...)` takes any class, from the user's own code.
"""

from typing import Any, Container, Dict, Iterator, Tuple

_RECORDS = 'training.dataset.TFRecordDataset'
_IMAGES = 'training.data.image_folder.ImageFolderDataset'
DATASET_CLASSES = {
    _RECORDS: _RECORDS,
    'training.data.tfrecord_dataset.TFRecordDataset': _RECORDS,
    'training.image_folder.ImageFolderDataset': _IMAGES,
    _IMAGES: _IMAGES,
}

_NETWORKS = ('training.networks_stylegan2', 'training.networks_stylegan', 'dcgan.networks')
# Modules of the functions and classes that a file of options may name, by group.
_MODULES = {
    **dict.fromkeys(['G_args.func_name', 'D_args.func_name'], _NETWORKS),
    **dict.fromkeys(['G_loss_args.func_name', 'D_loss_args.func_name'], ('training.loss',)),
    **dict.fromkeys(['G_opt_args.tf_optimizer', 'D_opt_args.tf_optimizer'], ('tf.train',)),
}

# Options of training that a resumed run may have other than before; and --num-gpus.
MAY_CHANGE = (
    'total_kimg',
    'metric_arg_list',
    'image_snapshot_ticks',
    'network_snapshot_ticks',
    'checkpoint_minutes',
    'keep_snapshots',
    'best',
    'track',
    'data_dir',
)

_LARGEST = dict(subset=1 << 40, validation=1 << 40)
_LARGEST.update(resolution=1 << 16, max_images=1 << 40, num_threads=1024, seed=(1 << 32) - 1)
_LARGEST.update(max_label_size=1 << 31, shuffle_mb=1 << 31, prefetch_mb=1 << 31, buffer_mb=1 << 31)


def check(train: Any) -> dict:
    """Options of a run, if what is used of them can be used.

    Raises:
        ValueError: what of them cannot.
    """
    if not isinstance(train, dict) or not all(type(key) is str for key in train):
        raise ValueError('the options of the run are no dictionary')
    train = dict(train)
    if train.get('dataset_args') is not None:
        train['dataset_args'] = _checked_dataset_args(train['dataset_args'])
    if type(train.get('mirror_augment')) not in (bool, int, type(None)):
        raise ValueError('mirror_augment is neither true nor false')
    if not _is_path(train.get('data_dir', '')) and train['data_dir'] is not None:
        raise ValueError('data_dir is no path')
    return train


def fixed(options: Dict[str, Any]) -> Dict[str, Any]:
    """Those options of training that a resumed run must have again."""
    return {name: value for name, value in options.items() if name not in MAY_CHANGE}


def check_names(change: Dict[str, Any], metrics: Container[str]) -> None:
    """Let a file of options name functions and classes of this project alone.

    Args:
        change: options or groups by their dotted names, from a file. metrics: names of the classes
            of metrics.

    Raises:
        ValueError: another one, or a variable of the environment; its option is named.
    """
    for path in [*change, *('tf_config.' + key for key in _keys(change.get('tf_config')))]:
        if path.startswith('tf_config.env.'):
            raise ValueError('%.100s sets the environment of programs' % path)
    for path, name in _names(change):
        if name is None:
            continue
        if path in _MODULES:
            is_known = str(name).rpartition('.')[0] in _MODULES[path]
        else:
            is_known = str(name) in (metrics if path == 'metric_arg_list' else DATASET_CLASSES)
        if type(name) is not str or not is_known:
            raise ValueError('%s is %.100r, which is none of this project' % (path, name))


def _keys(group):
    return map(str, group) if isinstance(group, dict) else ()


def _names(change: Dict[str, Any]) -> Iterator[Tuple[str, Any]]:
    """(dotted name of an option, the function or class that it names)."""
    paths = [*_MODULES, 'dataset_args.class_name']
    for path in paths:
        group, _, key = path.partition('.')
        values = change.get(group)
        yield path, change.get(path)
        yield path, values.get(key) if isinstance(values, dict) else None
    metrics = change.get('metric_arg_list')
    for kwargs in metrics if isinstance(metrics, (list, tuple)) else ():
        yield 'metric_arg_list', kwargs.get('func_name') if isinstance(kwargs, dict) else kwargs


def _checked_dataset_args(args):
    if not isinstance(args, dict):
        raise ValueError('dataset_args is no dictionary')
    args = dict(args)
    if args and not _is_path(args.get('tfrecord_dir')):
        raise ValueError('tfrecord_dir is no path')
    if args.get('class_name') is not None:
        if type(args['class_name']) is not str or args['class_name'] not in DATASET_CLASSES:
            raise ValueError('%.100r is no class of data sets' % (args['class_name'],))
        args['class_name'] = DATASET_CLASSES[args['class_name']]
    for name, value in args.items():
        if not _is_fit(name, value):
            raise ValueError('%.100r is no option of data sets, or not %.100r' % (name, value))
    return args


def _is_fit(name, value):
    if value is None or name in ('tfrecord_dir', 'class_name'):
        return True
    if name in ('repeat', 'verbose'):
        return type(value) is bool
    if name == 'label_file':
        return _is_path(value)
    if (name, value) == ('max_label_size', 'full'):
        return True
    return type(value) is int and 0 <= value <= _LARGEST.get(name, -1)


def _is_path(text):
    return type(text) is str and len(text) < 4096 and '\0' not in text
