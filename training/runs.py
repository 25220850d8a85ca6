"""Finding earlier runs: the newest one of a result folder, its snapshots and its options."""

import glob
import os
import re
from typing import Any, List, Optional

from dnnlib import records
from dnnlib.submission import run_lock
from dnnlib.util import UserError
from training.misc import parse_config_for_previous_run

FINAL = 'network-final.pkl'


def newest_run(result_dir: str) -> str:
    """The run with the highest number in a result folder that has saved a network.

    Raises:
        UserError: there is none.
    """
    return training_runs(result_dir)[-1]


def training_runs(result_dir: str) -> List[str]:
    """The runs of a result folder that have saved a network, by their numbers.

    Raises:
        UserError: there is none.
    """
    result_dir = os.path.expanduser(result_dir)
    runs = []
    for path in glob.glob(os.path.join(glob.escape(result_dir), '[0-9]*-*')):
        if network_files(path):
            number = re.split(r'\D', os.path.basename(path))[0]
            runs.append((int(number), path))
    if not runs:
        advice = 'train one by run_training.py, or name one by --network (or another --result-dir)'
        raise UserError('no run in %r has saved a network; %s' % (result_dir, advice))
    return [path for _, path in sorted(runs)]


def folder(run: str, result_dir: str) -> str:
    """The folder of a run, which is named by its path, or by its number in a result folder.

    Other text than a number is returned as it is, a leading ~ expanded.

    Raises:
        UserError: there is no such number.
    """
    path = os.path.expanduser(run)
    if not re.match(r'[0-9]{1,9}$', run) or os.path.exists(path):
        return path
    pattern = os.path.join(glob.escape(os.path.expanduser(result_dir)), '[0-9]*-*')
    for path in sorted(filter(os.path.isdir, glob.glob(pattern))):
        if int(re.split(r'\D', os.path.basename(path))[0]) == int(run):
            return path
    raise UserError('there is no run number %s in %r' % (run, result_dir))


def trained_kimg(run_dir: str) -> Optional[float]:
    """Thousands of images that a run had seen at its last tick; None if it does not tell."""
    path = os.path.join(os.path.expanduser(run_dir), 'stats.jsonl')
    if not os.path.exists(path):
        return None
    kimg = None
    for number, stats in records.read_lines(path, skip_unfinished=True):
        kimg = stats.get('Progress/kimg', kimg)
        if kimg is not None and not records.is_figure(kimg):
            raise records.broken_line(path, number, 'Progress/kimg is no number')
    return kimg


def snapshots(run_dir: str) -> List[str]:
    """Network pickles of a run in the order in which they were saved.

    Raises:
        UserError: there is none.
    """
    paths = network_files(os.path.expanduser(run_dir))
    if not paths:
        text = 'there is no network-*.pkl in %r; choose the folder of a training run'
        raise UserError(text % run_dir)
    return paths


def network_files(run_dir: str) -> List[str]:
    """Snapshots by number, then the final network; none where there is none yet."""
    paths = glob.glob(os.path.join(glob.escape(run_dir), 'network-snapshot-*.pkl'))
    numbered = [p for p in paths if re.match(r'network-snapshot-\d+\.pkl$', os.path.basename(p))]
    numbered.sort(key=lambda p: int(re.findall(r'\d+', os.path.basename(p))[-1]))
    final = os.path.join(run_dir, FINAL)
    return numbered + ([final] if os.path.isfile(final) else [])


def is_snapshot(name: Any) -> bool:
    """Whether a file's name, without folder, is that of a snapshot of networks."""
    return isinstance(name, str) and bool(re.fullmatch(r'network-snapshot-[0-9]+\.pkl', name))


def is_network(name: str) -> bool:
    """Whether a file's name is that of networks which a run saves."""
    return is_snapshot(name) or name in (FINAL, 'network-best.pkl')


def has_stopped(run_dir: str) -> bool:
    """Whether a run has ended, or was interrupted, without finishing."""
    path = os.path.join(run_dir, 'run.txt')
    if run_lock.is_abandoned(run_dir):
        return True
    if not os.path.exists(path):
        return False
    with open(path, encoding='utf-8', errors='replace') as file:
        return "'stop_time'" in file.read()


def last_snapshot(run_dir: str) -> str:
    """The network pickle that a run saved last; UserError if there is none."""
    return snapshots(run_dir)[-1]


def training_options(run_dir: str, is_needed: bool = True) -> Optional[dict]:
    """Options of `training_loop` that a run was started with; None if the folder does not tell.

    Raises:
        UserError: what tells is broken; if the options are not needed, None takes its place.
    """
    try:
        return parse_config_for_previous_run(os.path.expanduser(run_dir))['train']
    except FileNotFoundError:
        return None
    except (OSError, UserError) as error:
        if not is_needed:
            return None
        raise UserError('%s; name the data set by --dataset' % error)
