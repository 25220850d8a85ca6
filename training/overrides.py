"""What a user lays over a configuration: options by --config-file, by --set and by flags.

Such a change maps dotted names to values, as the parts of `training.configs` do.
"""

import inspect
import json
import os
import re
from argparse import ArgumentTypeError
from functools import partial
from typing import Any, Container, Dict, List, Optional, Tuple

from dnnlib.cli import MAX_SEED, any_text, number, parse_json
from dnnlib.options import check_names
from dnnlib.util import UserError, open_regular, reading
from training import configs, misc, run_options, runs
from training.automatic import note_on_gamma
from training.data.opening import load_dataset
from training.schedule import check_minibatches

_COUNT = number(int, 1, 1 << 20)
_WIDTH = number(int, 1, 1 << 14)
_TICKS = number(int, 0, 1 << 20)
_KIMG = number(float, 0, 1e9)
_LRATE = number(float, 0, 1e3)
_SEED = number(int, 0, MAX_SEED)
_TICK_KIMG = number(float, 0, 1e6, above=True)
# What options may be, by dotted names; of a '_dict' every value.
BOUNDS = {
    **dict.fromkeys(['total_kimg', 'resume_kimg', 'G_smoothing_kimg'], _KIMG),
    'checkpoint_minutes': number(float, 0, 1e6, above=True),
    'resume_time': number(float, 0, 1e12),
    'freeze_d': number(int, 0, 1 << 10),
    **dict.fromkeys(['minibatch_repeats', 'G_repeats', 'G_reg_interval', 'D_reg_interval'], _COUNT),
    **dict.fromkeys(['image_snapshot_ticks', 'network_snapshot_ticks'], _TICKS),
    'keep_snapshots': _COUNT,
    **dict.fromkeys(['G_args.fmap_base', 'D_args.fmap_base'], _COUNT),
    **dict.fromkeys(['G_args.fmap_max', 'D_args.fmap_max'], _WIDTH),
    **dict.fromkeys(['G_args.latent_size', 'G_args.dlatent_size', 'G_args.mapping_fmaps'], _WIDTH),
    'G_args.mapping_layers': number(int, 0, 128),
    'D_args.mbstd_group_size': number(int, 0, 1 << 20),
    'D_args.mbstd_num_features': _WIDTH,
    'D_loss_args.gamma': number(float, 0, 1e9),
    **dict.fromkeys(['sched_args.minibatch_size_base', 'sched_args.minibatch_size_dict'], _COUNT),
    **dict.fromkeys(['sched_args.minibatch_gpu_base', 'sched_args.minibatch_gpu_dict'], _COUNT),
    **dict.fromkeys(['sched_args.G_lrate_base', 'sched_args.G_lrate_dict'], _LRATE),
    **dict.fromkeys(['sched_args.D_lrate_base', 'sched_args.D_lrate_dict'], _LRATE),
    **dict.fromkeys(['sched_args.tick_kimg_base', 'sched_args.tick_kimg_dict'], _TICK_KIMG),
    'augment_args.p': number(float, 0, 1),
    'augment_args.target': number(float, -1, 1),
    'augment_args.kimg': _TICK_KIMG,
    'sched_args.lod_initial_resolution': number(int, 4, 1 << 14),
    'sched_args.lrate_rampup_kimg': _KIMG,
    **dict.fromkeys(['sched_args.lod_training_kimg', 'sched_args.lod_transition_kimg'], _KIMG),
    'dataset_args.seed': _SEED,
    'dataset_args.subset': number(int, 1, 1 << 40),
    'dataset_args.validation': number(int, 0, 1 << 40),
    **dict.fromkeys(['tf_config.rnd.np_random_seed', 'tf_config.rnd.tf_random_seed'], _SEED),
}
_KINDS: List[Tuple[Any, str]] = [(bool, 'true or false'), ((int, float), 'a number')]
_KINDS += [(str, 'text'), (dict, 'a group'), ((list, tuple), 'a list')]


def read_file(path: str) -> Tuple[Dict[str, Any], Optional[str]]:
    """The change that a JSON file or the folder of a run describes.

    A run's own JSON, what --dry-run prints, and a folder are whole: they have all options. Of other
    files a group with a func_name is taken as a whole too, for it may be another function's.

    Returns: (the change, name of the configuration if it is whole, else None).

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        options = runs.training_options(path)
        if options is None:
            raise UserError('there is no training run in --config-file=%s' % path)
        return options, _config_of(os.path.basename(os.path.abspath(path)))
    with open_regular(path) as file, reading('--config-file=' + path, 'JSON'):
        tree = parse_json(file.read().decode('utf-8'))
    if not isinstance(tree, dict):
        raise UserError('--config-file=%s must hold options by name: {"G_args": ...}' % path)
    if isinstance(tree.get('run_func_kwargs'), dict):
        return tree['run_func_kwargs'], _config_of(str(tree.get('run_name')))
    if 'version' in tree:
        facts = {name: tree.pop(name, '') for name in ('config', 'num_gpus', 'version')}
        return tree, str(facts['config'])
    change: Dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and 'func_name' not in value:
            change.update(('%s.%s' % (name, key), each) for key, each in value.items())
        else:
            change[name] = value
    return change, None


def _config_of(run_name):
    """The --config in the name of a run's folder, <number>-<kind>-<dataset>-<N>gpu-<config>."""
    return re.sub(r'^.*-\d+gpu-', '', run_name)


class Choice:
    """A configuration with what a user lays over it.

    Args:
        config: its name; None: configs.DEFAULT, or that of a whole `config_file`.
        config_file: see `read_file`; over the configuration. settings: (dotted name, value) each,
            over it. from_flags: over all. metrics: classes of metrics that a file may name.

    Attributes:
        config: the name. from_flags: as given. is_automatic: `automatic` is to complete it.

    Raises:
        UserError: a file that cannot be read, or a whole one beside a configuration.
    """

    def __init__(
        self,
        config: Optional[str],
        config_file: Optional[str],
        settings: List[Tuple[str, Any]],
        from_flags: Dict[str, Any],
        metrics: Container[str] = (),
    ):
        from_file, whole = read_file(config_file) if config_file else ({}, None)
        try:
            run_options.check_names(from_file, metrics)
        except ValueError as error:
            text = '--config-file=%s: %s; if you trust it, give it by --set'
            raise UserError(text % (config_file, error))
        if whole is not None and config is not None:
            raise UserError('--config-file is a whole configuration; leave --config out')
        self.config = whole or config or configs.DEFAULT
        self.is_automatic = whole is None and config in configs.AUTOMATIC
        self._is_named = bool(whole or config)
        # Whole options have all parts that every configuration has.
        self._base = self.config if whole is None else configs.DEFAULT
        self._file = config_file
        self._changes = [from_file, dict(settings), from_flags]
        self.from_flags = from_flags

    def sets(self, path: str) -> bool:
        """Whether the user set an option, by its dotted name, or the group that it is in."""
        names = {path, path.partition('.')[0]}
        return any(names.intersection(change) for change in self._changes)

    def options(self, *parts: Dict[str, Any]) -> Dict[str, Any]:
        """Options of `training_loop`; `parts` are laid between configuration and changes.

        Raises:
            UserError: an option is of another kind than what it replaces, as text for a number, or
                outside of BOUNDS.
        """
        options = configs.resolve(self._base, *parts)
        for index, change in enumerate(self._changes, 1):
            for path, value in change.items():
                _check_kind(options, path, value)
            options = configs.resolve(self._base, *parts, *self._changes[:index])
        _check_bounds(options)
        return options

    def check(self, options: Dict[str, Any], num_gpus: int, is_resumed: bool = False) -> None:
        """Find what would stop a run, before it makes a folder or trains for hours.

        A grid that the user has not laid out gets one class in each row, if all fit, unless the run
        is resumed.
        """
        from dnnlib.tflib import engine, precision
        from training import first_networks

        if options['tf_config'].get('math.deterministic'):
            engine.check_deterministic()
            if not engine.gpu_devices():
                print('On CPUs all runs are deterministic; --deterministic changes nothing here.')
        if options['tf_config'].get(precision.TF32_OPTION):
            precision.check('tf32')
        for name in 'GD':
            precision.check(options[name + '_args'].get('precision', 'float32'))
        training_set = load_dataset(data_dir=options['data_dir'], **options['dataset_args'])
        is_legal = partial(configs.is_legal_on_device, options)
        check_minibatches(options['sched_args'], training_set.resolution, num_gpus, is_legal)
        if not (is_resumed or training_set.label_size) and training_set.offers_labels:
            print('The data set has labels, which are not used; --cond=yes trains on them.')
        for line in self._notes(options, training_set):
            print(line)
        _, rows = misc.grid_size(training_set.shape, options['grid_args']['size'])
        if not is_resumed:
            first_networks.check(options, training_set, self._is_named, self.sets)
        fits = 0 < training_set.label_size <= rows and training_set.has_all_classes()
        if fits and not (is_resumed or self.sets('grid_args.layout')):
            options['grid_args']['layout'] = 'row_per_class'
        training_set.close()

    def _notes(self, options, training_set):
        """Lines on what the user should know of these options before training."""
        from training.augmentation import adaptation

        yield from adaptation.notes(options.get('augment_args', {}), training_set.shape[0])
        loss, sched = options['D_loss_args'], options['sched_args']
        if 'gamma' in loss and not self.is_automatic:
            size = sched['minibatch_size_base']
            size = sched.get('minibatch_size_dict', {}).get(training_set.resolution, size)
            is_chosen = self.sets('D_loss_args.gamma')
            line = note_on_gamma(loss['gamma'], is_chosen, training_set.resolution, size)
            yield from [line] if line else []

    def changes(self) -> Dict[str, Any]:
        """What the user gave on the command line, by dotted names."""
        return dict(self._changes[1], **self._changes[2])

    def __str__(self) -> str:
        from_file = self._changes[0]
        changes = self.changes().items()
        changed = ['%s=%s' % (path, json.dumps(value)) for path, value in changes]
        if from_file:
            changed.insert(0, 'all of %s' % self._file)
        return '%s, changed by the user: %s' % (self.config, ', '.join(changed) or 'nothing')


def _check_kind(options, path, value):
    from training.training_loop import training_loop

    parameters = inspect.signature(training_loop).parameters
    name, _, key = path.partition('.')
    check_names('the configuration', [name], {*parameters, *options}, 'training_loop')
    old = options.get(name, parameters[name].default if name in parameters else None)
    if key:
        if not isinstance(old, dict):
            raise UserError('there is no option %s, since %s is no group of options' % (path, name))
        old = old.get(key)
    # Within groups null is no mistake: it stands for a default or for nothing in many places.
    annotation = parameters[name].annotation if name in parameters else None
    is_text = not key and annotation == Optional[str]
    want, got = 'text' if is_text else _kind(old), _kind(value)
    can_be_none = key or old is None or annotation == Optional[type(old)]
    if (want and got and want != got) or (got is None and not can_be_none):
        values = path, json.dumps(value), want, json.dumps(old, default=str)
        text = '%s is %s; it must be %s' + ('' if old is None else ', such as %s')
        raise UserError(text % values[: text.count('%s')])


def _check_bounds(options):
    for path, bound in BOUNDS.items():
        name, _, key = path.partition('.')
        value = options.get(name)
        if key:
            value = value.get(key) if isinstance(value, dict) else None
        for each in value.values() if isinstance(value, dict) else [value]:
            problem = bound.problem(each) if isinstance(each, (int, float)) else ''
            if problem:
                raise UserError('%s %s' % (path, problem))
    folder = options.get('dataset_args', {}).get('tfrecord_dir')
    paths = {'dataset_args.tfrecord_dir': folder, 'data_dir': options.get('data_dir')}
    for path, text in paths.items():
        try:
            any_text(str(text))
        except ArgumentTypeError as error:
            raise UserError('%s %s' % (path, error))


def _kind(value):
    return next((words for kind, words in _KINDS if isinstance(value, kind)), None)
