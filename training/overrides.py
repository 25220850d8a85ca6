"""What a user lays over a configuration: options of `training_loop` from a file, by --set, by flags.

Such a change maps dotted names to values, as the parts of `training.configs` do.
"""

import inspect
import json
import os
import re
from typing import Any, Dict, Optional, Sequence, Tuple

from dnnlib.cli import parse_json
from dnnlib.util import UserError
from training import configs, runs
from training.training_loop import training_loop

_KINDS = [(bool, 'true or false'), ((int, float), 'a number'), (str, 'text'), (dict, 'a group')]


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
    try:
        with open(path, encoding='utf-8') as file:
            tree = parse_json(file.read())
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError('--config-file=%s cannot be read as JSON: %s' % (path, reason))
    if not isinstance(tree, dict):
        raise UserError('--config-file=%s must hold options by name: {"G_args": ...}' % path)
    if isinstance(tree.get('run_func_kwargs'), dict):
        return tree['run_func_kwargs'], _config_of(str(tree.get('run_name')))
    if 'version' in tree:
        facts = {name: tree.pop(name, '') for name in ('config', 'num_gpus', 'version')}
        return tree, str(facts['config'])
    change = {}
    for name, value in tree.items():
        if isinstance(value, dict) and 'func_name' not in value:
            change.update(('%s.%s' % (name, key), each) for key, each in value.items())
        else:
            change[name] = value
    return change, None


def _config_of(run_name):
    """The --config in the name of a run's folder, <number>-<kind>-<dataset>-<N>gpu-<config>."""
    return re.sub(r'^.*-\d+gpu-', '', run_name)


def lay_over(config: str, changes: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    """Options of `training_loop`: a configuration with changes laid over it, the last one on top.

    Raises:
        UserError: an option is of another kind than what it replaces, such as text for a number.
    """
    options = configs.resolve(config)
    for number, change in enumerate(changes, 1):
        for path, value in change.items():
            _check_kind(options, path, value)
        options = configs.resolve(config, *changes[:number])
    return options


def _check_kind(options, path, value):
    defaults = inspect.signature(training_loop).parameters
    name, _, key = path.partition('.')
    old = options.get(name, defaults[name].default if name in defaults else None)
    if key:
        if not isinstance(old, dict):
            raise UserError('there is no option %s, since %s is no group of options' % (path, name))
        old = old.get(key)
    for kind, words in _KINDS:
        if isinstance(old, kind) and value is not None and not isinstance(value, kind):
            raise UserError('%s is %r; it must be %s, such as %r' % (path, value, words, old))
        if isinstance(old, kind):
            return


def describe(change: Dict[str, Any]) -> str:
    """A change in one line."""
    return ', '.join('%s=%s' % (path, json.dumps(value)) for path, value in change.items())
