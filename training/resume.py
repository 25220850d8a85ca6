"""Which run goes on, and with which options: what `run_training.py --resume` asks."""

import glob
import os
import re
from typing import Any, Container, Dict, Iterator, List, NamedTuple, Optional, Tuple

from dnnlib import plain_data, records
from dnnlib.options import nested
from dnnlib.submission.internal.local import FINISHED
from dnnlib.submission.submit import load_config
from dnnlib.util import UserError
from training import run_options, runs, state

LATEST, AUTO = 'latest', 'auto'
LOOP = 'training.training_loop.training_loop'
# Flags of these are given as false or 0, too.
_OFF_BY_DEFAULT = (
    'dataset_args.max_label_size',
    'dataset_args.validation',
    'tf_config.math.allow_tf32',
    'mirror_augment',
    'freeze_d',
)
_ABORT = 'abort.txt'


class Run(NamedTuple):
    """A run of the training loop, as its folder tells."""

    run_dir: str
    options: Dict[str, Any]
    num_gpus: int
    facts: Dict[str, Any]  # of its start
    is_finished: bool


def find(name: str, result_dir: str) -> Run:
    """The run of a folder, a number, or LATEST.

    Raises:
        UserError: there is none, or its user has stopped it.
    """
    if name == LATEST:
        run = next(_all(result_dir), None)
        if run is None:
            raise UserError(
                'there is no training run in %r; begin one without --resume' % result_dir
            )
    else:
        run = _read(runs.folder(name, result_dir))
        if run is None:
            raise UserError('--resume=%s is no training run (or latest, or auto)' % name)
    if os.path.exists(os.path.join(run.run_dir, _ABORT)):
        raise UserError('%s was stopped by its %s; take that file away' % (run.run_dir, _ABORT))
    return run


def check_states(run: Run) -> None:
    """Raise UserError if a run has saved networks, but there is no state to go on from."""
    if not state.paths(run.run_dir) and runs.network_files(run.run_dir):
        text = (
            'there is no state in %s to go on from; begin anew with its network by --init-from=%s'
        )
        raise UserError(text % (run.run_dir, run.run_dir))


def find_equal(options: Dict[str, Any], fingerprint: str, result_dir: str) -> Optional[Run]:
    """The newest run with these options, but those that may change, on this data; or None."""
    for run in _all(result_dir):
        is_equal = not differences(_comparable(run.options), _comparable(options))
        if is_equal and run.facts.get('data') == fingerprint:
            return run
    return None


def check_names(run: Run, metrics: Container[str]) -> Optional[str]:
    """What the options of a run name that is none of this project; None if there is nothing."""
    try:
        run_options.check_names(run.options, metrics)
    except ValueError as error:
        return str(error)
    return None


def is_complete(run: Run, total_kimg: float) -> bool:
    """Whether a run has finished, and has not become longer since, or its user has stopped it."""
    length = run.options.get('total_kimg')
    if os.path.exists(os.path.join(run.run_dir, _ABORT)):
        return True
    if not run.is_finished or length is None or not records.is_figure(length):
        return False
    return total_kimg <= length


def check_given(run: Run, given: Dict[str, Any]) -> None:
    """Let options that are given again, by dotted names, be those of the run, or may change.

    Raises:
        UserError: one is neither; it is named.
    """
    before, now = _comparable(run.options), _comparable(nested(given))
    for path in given:
        old, new = _at(before, path), _at(now, path)
        if old is None and path in _OFF_BY_DEFAULT:
            old = type(new)()  # false, or 0
        if path.partition('.')[0] not in run_options.MAY_CHANGE and new != old:
            _refuse(run, path, old, new)


def check_equal(run: Run, options: Dict[str, Any]) -> None:
    """Let options of training be those of the run, but those that may change.

    Raises:
        UserError: another one; it is named.
    """
    before, now = _comparable(run.options), _comparable(options)
    for path in differences(before, now):
        _refuse(run, path, _at(before, path), _at(now, path))


def with_changes(run: Run, changes: Dict[str, Any]) -> Dict[str, Any]:
    """Options that a run goes on with: its own, but those of the changes that may change."""
    may_change = {name: changes[name] for name in run_options.MAY_CHANGE if name in changes}
    return dict(run.options, **may_change)


def _comparable(options):
    """Options that have to be equal, as JSON has them.

    The layout of a grid may be left to the program, which chooses once. Networks to begin with are
    known by the folder of their run, which has had more since.
    """
    options = _plain(run_options.fixed(options))
    if isinstance(options.get('grid_args'), dict):
        options['grid_args'].pop('layout', None)
    if options.get('augment_args') == {'mode': 'none'}:
        del options['augment_args']
    source = options.get('init_from')
    if isinstance(source, str) and runs.is_network(os.path.basename(source)):
        options['init_from'] = os.path.dirname(source)
    return options


def differences(before: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """Dotted names of the options that differ; they are as JSON has them."""
    pairs = [dict(_leaves(each)) for each in (before, now)]
    names = sorted(set(pairs[0]) | set(pairs[1]))
    return [name for name in names if pairs[0].get(name) != pairs[1].get(name)]


def _refuse(run, path, before, now):
    text = '%s is %s, but %s of the run in %s; leave it out, or begin another run'
    raise UserError(text % (path, plain_data.to_json(now), plain_data.to_json(before), run.run_dir))


def _plain(value):
    """As it comes back from JSON."""
    return plain_data.from_json(plain_data.to_json(value))


def _leaves(options: Dict[str, Any]) -> Iterator[Tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from (('%s.%s' % (name, key), each) for key, each in value.items())
        else:
            yield name, value


def _at(options, path):
    name, _, key = path.partition('.')
    value = options.get(name)
    return value.get(key) if key and isinstance(value, dict) else value


def _all(result_dir: str) -> Iterator[Run]:
    """The runs of a result folder, the newest one first."""
    pattern = os.path.join(glob.escape(os.path.expanduser(result_dir)), '[0-9]*-*')
    folders = {int(re.split(r'\D', os.path.basename(p))[0]): p for p in glob.glob(pattern)}
    for _, path in sorted(folders.items(), reverse=True):
        run = _read(path)
        if run is not None:
            yield run


def _read(run_dir: str) -> Optional[Run]:
    """What a folder tells; None if it is not of this program's training."""
    try:
        config = load_config(run_dir)
    except (OSError, UserError):
        return None
    options, facts = config['run_func_kwargs'], config.get('facts')
    if config.get('run_func_name') != LOOP:
        return None
    if not isinstance(options, dict) or type(config.get('num_gpus')) is not int:
        return None
    is_finished = os.path.exists(os.path.join(run_dir, FINISHED))
    facts = facts if isinstance(facts, dict) else {}
    return Run(run_dir, options, config['num_gpus'], facts, is_finished)
