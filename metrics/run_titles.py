"""Short names of runs that tell them apart, for pictures and tables."""

import json
import os
import re
from typing import Any, Dict, List, Optional, Sequence

from metrics.paper_tables import config_of_run
from training import runs

_MOST_OPTIONS = 3  # that a name tells
_LONGEST_VALUE = 24  # characters
# Options that decide on nothing that is compared.
_IRRELEVANT = ['data_dir', 'metric_arg_list', 'grid_args', 'image_snapshot_ticks']
_IRRELEVANT += ['network_snapshot_ticks', 'save_tf_graph', 'save_weight_histograms']


def titles(paths: Sequence[str]) -> List[str]:
    """Names of training runs, or of networks in them.

    The configuration, or the file's name where there is none; where that is the same for several,
    also what differs in their paths, such as the number of the run, and in their options.
    """
    paths = [os.path.abspath(os.path.expanduser(path)) for path in paths]
    names = [
        config_of_run(os.path.basename(path))
        or config_of_run(os.path.basename(os.path.dirname(path)))
        or os.path.splitext(os.path.basename(path))[0]
        for path in paths
    ]
    return tell_apart(names, paths, [_training_options(path) for path in paths])


def _training_options(path):
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    options = runs.training_options(folder, is_needed=False) or {}
    return {name: value for name, value in options.items() if name not in _IRRELEVANT}


def tell_apart(
    names: Sequence[str], paths: Sequence[str], options: Sequence[Dict[str, Any]]
) -> List[str]:
    """Add to names that several have what differs: 'config-e' -> 'config-e (00003, gamma=5)'.

    Args:
        paths: of the run with each name. options: its options, plain data, perhaps in groups.
    """
    flat = list(map(_flat, options))
    unique = []
    for name, path, own in zip(names, paths, flat):
        namesakes = [index for index, other in enumerate(names) if other == name]
        parts = []
        if len(namesakes) > 1:
            parts.append(_own_part(path, [paths[index] for index in namesakes]))
            parts += _own_options(own, [flat[index] for index in namesakes])
        text = ', '.join(filter(None, parts))
        unique.append('%s (%s)' % (name, text) if text else name)
    return unique


def _own_part(path, paths):
    """The part of a path between what all of these begin and end with."""
    # A run's folder is told by its number.
    short = [re.sub(r'/(\d{5,})-[^/]*', r'/\1', each) for each in paths]
    if len(set(short)) < len(set(paths)):
        short = list(paths)
    parts = [each.split('/') for each in short]
    own = parts[paths.index(path)]
    begin = len(os.path.commonprefix(parts))
    end = len(os.path.commonprefix([part[begin:][::-1] for part in parts]))
    return '/'.join(own[begin : len(own) - end])


def _own_options(own, flat):
    """Texts such as 'gamma=5' of a few options that are not the same in all of these."""
    differing = [
        name
        for name in sorted(set().union(*flat))
        if len({json.dumps(each.get(name), default=str) for each in flat}) > 1
    ]
    if len(differing) > _MOST_OPTIONS:
        return []
    texts = []
    for name in differing:
        value = own.get(name)
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        texts.append('%s=%s' % (name.rpartition('.')[2], text.rpartition('/')[2][-_LONGEST_VALUE:]))
    return texts


def _flat(options, prefix=''):
    """{'D_loss_args.gamma': 5} of {'D_loss_args': {'gamma': 5}}."""
    found: Dict[str, Optional[Any]] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            found.update(_flat(value, '%s%s.' % (prefix, name)))
        else:
            found['%s%s' % (prefix, name)] = value
    return found
