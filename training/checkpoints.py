"""Taking the states of a run while it trains, and putting one back."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import cli, disk_errors, endings, plain_data
from dnnlib.hints import next_command
from dnnlib.submission import run_lock
from dnnlib.tflib import autosummary, cluster, provenance, random
from dnnlib.util import UserError, reason_of
from training import device_state, state
from training.iterations import Iterations
from training.state import State

STATS, _EVENTS = 'stats.jsonl', 'events.out.tfevents.'
_ADDRESS = re.compile(r' at 0x[0-9a-f]+')


def identity(options: Dict[str, Any], fingerprint: str) -> Dict[str, str]:
    """What a run and its states share: its options, but those that may change, and its data.

    Args:
        options: arguments of `training_loop` that a resumed run must have again.
        fingerprint: of the data set.
    """
    plain = plain_data.from_json(_ADDRESS.sub('', plain_data.to_json(options)))
    text = json.dumps(_with_whole_numbers(plain), sort_keys=True)
    return dict(options=hashlib.sha256(text.encode('utf-8')).hexdigest(), data=fingerprint)


def _with_whole_numbers(value):
    """The same value with 5 in place of 5.0, and text for keys."""
    if isinstance(value, dict):
        return {str(key): _with_whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Growing:
    """The files of a run that grow with it; what came after a state is cut off again.

    Args:
        run_dir: the run's folder. metrics: names of its metrics; others may evaluate more.
    """

    def __init__(self, run_dir: str, metrics: Sequence[str]):
        self._run_dir = run_dir
        names = ['metric-%s.%s' % pair for pair in itertools.product(metrics, ['txt', 'jsonl'])]
        self._names = {STATS, *names}

    def sizes(self) -> Dict[str, int]:
        """Bytes of each by its name; OSError if the folder is away."""
        found = {}
        for name in sorted(os.listdir(self._run_dir)):
            if name in self._names or name.startswith(_EVENTS):
                found[name] = os.path.getsize(os.path.join(self._run_dir, name))
        return found

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Take away what files got since they had these sizes."""
        for name, size in self.sizes().items():
            path = os.path.join(self._run_dir, name)
            if name not in sizes:
                os.remove(path)
            elif size > sizes[name]:
                os.truncate(path, sizes[name])


def newest_of_all(run_dir: str) -> Optional[State]:
    """`state.newest` of the chief, which alone needs the folder; the other workers get it, too."""
    workers, data = cluster.current(), b''
    found = state.newest(run_dir) if workers.is_chief else None
    if workers.size == 1:
        return found
    if found is not None:
        with open(state.paths(run_dir)[0], 'rb') as file:
            data = file.read()
    data = workers.share(data)
    if workers.is_chief or not data:
        return found
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(data)
        copy.flush()
        return state.read(copy.name)


def prepare(
    growing: Growing, found: Optional[State], identity: Dict[str, str], num_gpus: int
) -> None:
    """Cut the files of a run back to a state from which it is to go on, None: to nothing.

    A line tells what is other than it was and may change the last bits of numbers.

    Raises:
        UserError: the state is of another run, or of none.
    """
    if found is None:
        growing.cut_back({})
        return
    with _using_state():
        for what, words in [('options', 'other options'), ('data', 'another data set')]:
            if found.facts['identity'][what] != identity[what]:
                text = 'the states in the run folder are of a run with %s; begin another run'
                raise UserError(text % words)
        changes = provenance.differences(
            found.facts['made_by'], provenance.facts(num_gpus * cluster.current().size)
        )
        if changes:
            text = 'Warning: the last bits of numbers may differ from an uninterrupted run (%s)'
            print(text % '; '.join(changes))
        growing.cut_back({str(name): int(size) for name, size in found.facts['files'].items()})


@contextlib.contextmanager
def _using_state():
    """Around all that looks into a state: what its content makes fail becomes a UserError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        text = 'the state in the run folder holds something else than expected (%s); take it away'
        raise UserError(text % reason_of(error)) from error


@contextlib.contextmanager
def telling_how_to_go_on() -> Iterator[None]:
    """Around what trains: asked to end at any moment, a run that has a state tells the command."""
    try:
        yield
    except BaseException as error:
        run_dir = dnnlib.make_run_dir_path()
        if endings.ending_in(error) is not None and state.paths(run_dir):
            print(next_command('run_training.py', '--resume=' + run_dir))
        raise


class CannotGoOn(Exception):
    """The networks will never learn again; says why, in part of a line."""


class Checkpoints:
    """The states of one run.

    Args:
        run_dir: the run's folder.
        minutes: between two states.
        parts: what has a state beside the variables of the graph, by name: objects with `state()`,
            plain data, and `restore(data)`.
        identity: see `identity`. num_gpus: number of devices of this worker. growing: files of the
            run.
        on_written: told, when a state is on the disk, the size that stats.jsonl had then.

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
        growing: Growing,
        on_written: Callable[[int], None] = lambda size: None,
    ):
        self.oldest_nimg = self._last_nimg = 0
        self._run_dir = run_dir
        self._seconds = minutes * 60
        self._parts = parts
        self._identity = identity
        self._num_gpus = num_gpus
        self._growing = growing
        self._on_written = on_written
        self._stats_sizes: Dict[int, int] = {}  # by the iteration of states not told of yet
        self._is_wanted = False  # by a signal
        self._writer = state.Writer(run_dir, disk_errors.until_written)
        self._last_time = time.time()

    def check_disk(self) -> None:
        """Raise UserError unless the disk holds the states that are kept, and the next one."""
        num_bytes = sum(var.dtype.size * var.shape.num_elements() for var in tf.global_variables())
        number = max(3 - len(state.paths(self._run_dir)), 1)
        cli.check_space(self._run_dir, number, number * num_bytes, 'states')

    def is_due(self) -> bool:
        """Whether it is time for the next one, or somebody has asked for it by a signal."""
        self._tell_written()
        self._is_wanted = endings.state_wanted() or self._is_wanted
        if endings.pending():
            return True
        is_time = self._is_wanted or time.time() - self._last_time >= self._seconds
        return is_time and not self._writer.is_busy()

    def take(self, iterations: Iterations) -> None:
        """Copy all that the run needs to go on; a thread of the chief writes it.

        All workers call it at the same moment.

        Raises:
            CannotGoOn: weights are not finite. UserError: the run is no longer this process's.
        """
        if run_lock.is_lost(self._run_dir):
            raise UserError(
                'another process has taken %s over, while this one was not heard of; '
                'it goes on there' % self._run_dir
            )
        autosummary.gather()
        arrays = device_state.take(self._num_gpus)
        if not cluster.current().is_chief:
            return
        for name, array in arrays.items():
            if name.partition('/')[0] in ('G', 'D', 'Gs') and not np.isfinite(array).all():
                raise CannotGoOn('%s is not finite' % name)
        parts = {name: part.state() for name, part in self._parts.items()}  # writes what waits
        facts = dict(
            identity=self._identity,
            made_by=provenance.facts(self._num_gpus * cluster.current().size),
            counters=list(random.counters()),
            totals=autosummary.python_totals(),
            files=disk_errors.until_written('a state', self._growing.sizes),
            nimg_before=self._last_nimg,
            parts=parts,
        )
        is_first = not state.paths(self._run_dir)
        self._stats_sizes[iterations.count] = facts['files'].get(STATS, 0)
        self._writer.save(iterations.count, State(facts, arrays))
        self.oldest_nimg, self._last_nimg = self._last_nimg, iterations.nimg
        if is_first:  # no network is ever saved before there is a state
            self._writer.wait()
        self._last_time, self._is_wanted = time.time(), False

    def describe(self) -> str:
        """Name the last good state, in part of a line."""
        names = [os.path.basename(path) for path in state.paths(self._run_dir)]
        return 'last good state: %s' % names[0] if names else 'there is no state yet'

    def wait(self) -> None:
        """Until the last one is on the disk."""
        self._writer.wait()
        self._tell_written()

    def _tell_written(self):
        if self._writer.written in self._stats_sizes:
            size = self._stats_sizes[self._writer.written]
            self._stats_sizes = {}
            self._on_written(size)

    def give_up(self) -> None:
        """Until the last one is on the disk; what is in the way costs a warning."""
        error = self._writer.give_up()
        if error is not None:
            print('Warning: the last state was not written: %s' % reason_of(error))
        self._tell_written()

    def restore(self, found: State) -> None:
        """Put a state back; UserError if it is of other networks."""
        with _using_state():
            self._restore(found)

    def _restore(self, found):
        facts = found.facts
        for name in facts['counters']:
            random.counter(name)
        problems = device_state.put(found.arrays, self._num_gpus)
        if problems:
            text = 'the state in %s %s; it is of other networks'
            raise UserError(text % (self._run_dir, problems[0]))
        autosummary.set_python_totals(facts['totals'])
        for name, part in self._parts.items():
            part.restore(facts['parts'][name])
        self.oldest_nimg = facts['nimg_before']
        self._last_nimg = facts['parts']['iterations']['nimg']
        self._last_time = time.time()
