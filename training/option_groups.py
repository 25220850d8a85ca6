"""Who takes which option of training, so that a misspelt one ends before anything is made."""

from functools import partial
from typing import Any, Callable, Dict, Mapping

from dnnlib.options import UnknownOption, accepted, check_names, function_of
from dnnlib.options import check as check_taker
from dnnlib.tflib import network_options, optimizer, tfutil
from dnnlib.util import UserError, get_obj_by_name
from training import misc
from training.augmentation import adaptation
from training.data import opening
from training.schedule import training_schedule

LOOP = 'training.training_loop.training_loop'

# What training passes of itself.
_TO_NETWORKS = ('name', 'num_channels', 'resolution', 'label_size')
_TO_LOSSES = ('G', 'D', 'opt', 'training_set', 'minibatch_size', 'reals', 'labels')
_TO_OPTIMIZERS = ('name', 'learning_rate', 'minibatch_multiplier', 'share')

_TO_DATASETS = ('data_dir', 'verbose')


def check(options: Dict[str, Any], flags: Mapping[str, str] = {}) -> None:
    """Raise UserError, one line, for an option of training that no part takes.

    Args:
        options: arguments of `training_loop`, see `configs.resolve`.
        flags: path of an option, 'D_loss_args.gamma', to the flag that set it, '--gamma', for the
            line to name.
    """
    try:
        _check_groups(options)
    except UnknownOption as error:
        flag = flags.get('%s.%s' % (error.what, error.name))
        if flag is None:
            raise
        text = '%s sets the option %r of %s, which %s does not take'
        text = text % (flag, error.name, error.what, error.taker)
        raise UserError(text + '; leave it out, or choose another --config')


def _check_groups(options):
    parameters = accepted(get_obj_by_name(LOOP), options)
    check_names('the configuration', options, parameters, 'training_loop')
    for name, value in options.items():
        if isinstance(value, dict) != (name in _GROUPS):
            article = 'a' if name in _GROUPS else 'no'
            text = 'the option %s is %r; it is %s group of options'
            raise UserError(text % (name, value, article))
    for name, check_group in _GROUPS.items():
        if name in options:
            check_group(name, options)
    for metric_args in options.get('metric_arg_list', []):
        what = 'the metric %r' % metric_args.get('name')
        check_taker(what, *_split(what, metric_args))


def _split(what, args):
    """The function that a group names, and the options for it."""
    if 'func_name' not in args:
        raise UserError('%s has no func_name, the function that takes its options' % what)
    options = {name: value for name, value in args.items() if name != 'func_name'}
    func = args['func_name']
    return func if callable(func) else function_of('func_name of ' + what, func), options


def _check_network(name, options):
    if options[name]:  # there are none where training goes on with the networks of a file
        func, static_kwargs = _split(name, options[name])
        network_options.check_static(name, func, static_kwargs, _TO_NETWORKS)


def _check_loss(name, options):
    func, given = _split(name, options[name])
    check_taker(name, func, given, _TO_LOSSES)


def _check_optimizer(name, options):
    optimizer.check_options(name, options[name], reserved=_TO_OPTIMIZERS)


def _check_augmentation(name, options):
    check_taker(name, adaptation.settings, options[name])
    adaptation.settings(**options[name])


def _check_dataset(name, options):
    opening.check_options(name, options[name], options.get('data_dir'), reserved=_TO_DATASETS)


def _check_function(func, reserved, name, options):
    check_taker(name, func, options[name], reserved)


_GROUPS: Dict[str, Callable[[str, Dict[str, Any]], None]] = {
    **dict.fromkeys(['G_args', 'D_args'], _check_network),
    **dict.fromkeys(['G_loss_args', 'D_loss_args'], _check_loss),
    **dict.fromkeys(['G_opt_args', 'D_opt_args'], _check_optimizer),
    'dataset_args': _check_dataset,
    'sched_args': partial(_check_function, training_schedule, ('cur_nimg', 'training_set')),
    'grid_args': partial(_check_function, misc.setup_snapshot_image_grid, ('training_set',)),
    'augment_args': _check_augmentation,
    'tf_config': lambda name, options: tfutil.check_config(name, options[name]),
}
