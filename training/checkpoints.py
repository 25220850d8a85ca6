"""Taking the states of a run while it trains, and putting one back."""

import glob
import hashlib
import os
import re
import time
from typing import Any, Dict, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import cli, disk_errors, endings, plain_data, tflib
from dnnlib.hints import next_command
from dnnlib.tflib import autosummary, provenance, random
from dnnlib.util import UserError
from training import state
from training.iterations import Iterations
from training.state import State

# Files that grow with a run; what was added after a state was taken is cut off again.
_GROWING = ('stats.jsonl', 'metric-*', 'events.out.tfevents.*')
_ADDRESS = re.compile(r' at 0x[0-9a-f]+')

# Names of what each device has of its own, with that of the first device.
_OF_DEVICES = [
    (re.compile(r'^([GD])_shadow(_\d+)?/'), r'\1/'),
    (re.compile(r'^GPU\d+/'), 'GPU0/'),
    (re.compile(r'/Apply\d+/'), '/Apply0/'),
    (re.compile(r'_opt\d+'), '_opt0'),
    (re.compile(r'/loss_scaling_var(_\d+)?$'), '/loss_scaling_var'),
]
# What may be left at its start where devices are added: sums that each state begins anew, nearly.
_EXPENDABLE = re.compile(r'^Autosummary/|/grad_acc_')


def identity(options: Dict[str, Any], fingerprint: str) -> Dict[str, str]:
    """What a run and its states share: its options, but those that may change, and its data.

    Args:
        options: arguments of `training_loop` that a resumed run must have again.
        fingerprint: of the data set.
    """
    text = _ADDRESS.sub('', plain_data.to_json(sorted(options.items())))
    return dict(options=hashlib.sha256(text.encode('utf-8')).hexdigest(), data=fingerprint)


def prepare(run_dir: str, found: Optional[State], identity: Dict[str, str], num_gpus: int) -> None:
    """Cut the files of a run back to a state from which it is to go on, None: to nothing.

    A line tells what is other than it was and may change the last bits of numbers.

    Raises:
        UserError: the state is of another run.
    """
    if found is None:
        _cut_back(run_dir, {})
        return
    for what, words in [('options', 'other options'), ('data', 'another data set')]:
        if found.facts['identity'][what] != identity[what]:
            text = 'the states in %s are of a run with %s; take them away to begin anew'
            raise UserError(text % (run_dir, words))
    changes = provenance.differences(found.facts['made_by'], provenance.facts(num_gpus))
    if changes:
        text = 'Warning: the last bits of numbers may differ from an uninterrupted run (%s)'
        print(text % '; '.join(changes))
    _cut_back(run_dir, found.facts['files'])


class CannotGoOn(Exception):
    """The networks will never learn again; says why, in part of a line."""


class Checkpoints:
    """The states of one run.

    Args:
        run_dir: the run's folder.
        minutes: between two states.
        parts: what has a state beside the variables of the graph, by name: objects with `state()`,
            plain data, and `restore(data)`.
        identity: see `identity`. num_gpus: number of devices.

    Attributes:
        oldest_nimg: images seen at the oldest state that is kept.
    """

    def __init__(
        self,
        run_dir: str,
        minutes: float,
        parts: Mapping[str, Any],
        identity: Dict[str, str],
        num_gpus: int,
    ):
        self.oldest_nimg = self._last_nimg = 0
        self._run_dir = run_dir
        self._seconds = minutes * 60
        self._parts = parts
        self._identity = identity
        self._num_gpus = num_gpus
        self._writer = state.Writer(run_dir, disk_errors.until_written)
        self._last_time = time.time()

    def check_disk(self) -> None:
        """Raise UserError unless the disk holds the states that are kept, and the next one."""
        num_bytes = sum(var.dtype.size * var.shape.num_elements() for var in tf.global_variables())
        cli.check_space(self._run_dir, 3, 3 * num_bytes, 'states')

    def is_due(self) -> bool:
        """Whether it is time for the next one, or somebody has asked for it by a signal."""
        if endings.state_wanted() or endings.pending():
            return True
        return time.time() - self._last_time >= self._seconds and not self._writer.is_busy()

    def take(self, iterations: Iterations) -> None:
        """Copy all that the run needs to go on; a thread writes it.

        Raises:
            CannotGoOn: weights are not finite.
        """
        arrays = {name: np.asarray(x) for name, x in tflib.run(_variables()).items()}
        for name, array in arrays.items():
            if name.partition('/')[0] in ('G', 'D', 'Gs') and not np.isfinite(array).all():
                raise CannotGoOn('%s is not finite' % name)
        facts = dict(
            identity=self._identity,
            made_by=provenance.facts(self._num_gpus),
            counters=list(random.counters()),
            totals=autosummary.python_totals(),
            files=_sizes(self._run_dir),
            nimg_before=self._last_nimg,
            parts={name: part.state() for name, part in self._parts.items()},
        )
        is_first = not state.paths(self._run_dir)
        self._writer.save(iterations.count, State(facts, arrays))
        self.oldest_nimg, self._last_nimg = self._last_nimg, iterations.nimg
        if is_first:  # no network is ever saved before there is a state
            self._writer.wait()
        self._last_time = time.time()

    def describe(self) -> str:
        """Name the last good state, in part of a line."""
        names = [os.path.basename(path) for path in state.paths(self._run_dir)]
        return 'last good state: %s' % names[0] if names else 'there is no state yet'

    def next_command(self) -> str:
        """A line with the command that goes on."""
        return next_command('run_training.py', '--resume=' + self._run_dir)

    def wait(self) -> None:
        """Until the last one is on the disk."""
        self._writer.wait()

    def restore(self, found: State) -> None:
        """Put a state back; UserError if it is of other networks."""
        facts = found.facts
        for name in facts['counters']:
            random.counter(name)
        self._assign(found.arrays, facts['made_by']['num_gpus'])
        autosummary.set_python_totals(facts['totals'])
        for name, part in self._parts.items():
            part.restore(facts['parts'][name])
        self.oldest_nimg = facts['nimg_before']
        self._last_nimg = facts['parts']['iterations']['nimg']
        self._last_time = time.time()

    def _assign(self, arrays, num_gpus):
        has_same_devices = num_gpus == self._num_gpus
        values = {}
        for name, var in _variables().items():
            source = name if has_same_devices else _of_first_device(name)
            if source in arrays and list(arrays[source].shape) == var.shape.as_list():
                values[var] = arrays[source]
            elif has_same_devices or not _EXPENDABLE.search(name):
                text = 'the state in %s has no variable %s %s; it is of other networks'
                raise UserError(text % (self._run_dir, name, var.shape.as_list()))
        if has_same_devices and len(values) != len(arrays):
            text = 'the state in %s has %d variables, this run %d; it is of other networks'
            raise UserError(text % (self._run_dir, len(arrays), len(values)))
        tflib.set_vars(values)


def _variables():
    return {var.op.name: var for var in tf.global_variables()}


def _of_first_device(name):
    for pattern, first in _OF_DEVICES:
        name = pattern.sub(first, name)
    return name


def _sizes(run_dir):
    """Bytes of each file that grows."""
    paths = [p for name in _GROWING for p in glob.glob(os.path.join(glob.escape(run_dir), name))]
    return {os.path.basename(path): os.path.getsize(path) for path in sorted(paths)}


def _cut_back(run_dir, sizes):
    """Take away what files got since they had these sizes."""
    for name, size in _sizes(run_dir).items():
        path = os.path.join(run_dir, name)
        if name not in sizes:
            os.remove(path)
        elif size > sizes[name]:
            os.truncate(path, sizes[name])
