#!/usr/bin/env python3
"""Kills small training runs at random moments, resumes them, and compares them with unbroken ones.

A run of a configuration is trained in one go, and once more in a process that SIGKILL ends at a
random moment, again and again, until it has been killed so often and is let go on to its end. A
third of the kills fall into the start, the others into the seconds after a new state. Each start is
the same command, with --resume=auto. What then has to be equal: all variables of the last
state to the last bit; stats.jsonl, TensorBoard's points and the metrics' files but for times; the
names of all files. Nothing may be left behind. Of two workers one is killed; what the other says
then, and how long it lives, is printed. With --signal=TERM processes are asked to end, all workers
of a run at once.

The networks are tiny, so that most of the time is spent in starting; states are written every
second.
"""

import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import number, parse_name_list, run_cli  # first, see dnnlib/startup.py

# isort: split

from dnnlib import flags, quiet, records
from dnnlib.flags import flag
from dnnlib.util import UserError
from training import state

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PROGRAM = os.path.join(_ROOT, 'run_training.py')
_LAUNCH = [sys.executable, os.path.join(_ROOT, 'tools', 'launch.py'), '2', '--']
_DUMMY = dict(func_name='metrics.metric_base.DummyMetric', name='dummy')
_SETTINGS = {
    'sched_args.tick_kimg_base': 0.1,
    'G_args.fmap_base': 64,
    'G_args.fmap_max': 16,
    'D_args.fmap_base': 64,
    'D_args.fmap_max': 16,
    'image_snapshot_ticks': 2,
    'network_snapshot_ticks': 3,
    'checkpoint_minutes': 0.02,
    'grid_args.size': 'one',
    'metric_arg_list': [_DUMMY],
}
# Cases by name: flags, and settings over those of all.
_CASES = {
    'config-e': (['--config=config-e'], {}),
    'config-e-fr': (['--config=config-e-fr'], {}),
    'config-a': (
        ['--config=config-a'],
        {'sched_args.lod_training_kimg': 0.2, 'sched_args.lod_transition_kimg': 0.2},
    ),
    'dcgan-fr': (['--config=dcgan-fr'], {}),
    'cond': (['--config=config-e-fr', '--cond=yes'], {}),
    'accumulation': (['--config=config-e-fr', '--minibatch-gpu=4'], {}),
    'two-devices': (['--config=config-e-fr', '--num-gpus=2', '--minibatch-gpu=8'], {}),
    'mixed': (['--config=config-e-fr', '--precision=mixed'], {}),
    'two-workers': (
        ['--config=dcgan-fr', '--minibatch-gpu=8', '--augment=ada', '--augment-pipe=b'],
        {},
    ),
}
# Figures that differ from one run to the next.
_TIMES = ('Timing/', 'Resources/', 'timestamp')
_FACTS = ('seconds', 'time', 'network', 'network_mtime_ns')

_FLAGS = flags.group(
    'what to do',
    flag('--cases', parse_name_list, 'cases, comma-separated (default: all)'),
    flag('--kills', number(int, 0, 10000), 'how often each is killed', 1),
    flag('--signal', ['KILL', 'TERM'], 'what ends them', 'KILL'),
    flag('--after', number(float, 0, 1e6), 'most seconds from a new state to a kill', 4.0),
    flag('--kimg', number(float, 0, 1e6), 'length of a run', 2.0),
    flags.seed('of the moments', 0),
    flag('--data-dir', 'DIR', 'folder of data sets (default: datasets)', 'datasets'),
    flag('--keep', 'DIR', 'folder for the runs, which stay there (default: a temporary one)'),
)


def parse_args(argv=None):
    """Parse the command line."""
    return flags.parse('bench/kills.py', 'Kill and resume training runs.', _FLAGS, argv)


def main(argv=None) -> int:
    """Run all cases; status 1 if any differs."""
    args = parse_args(argv)
    cases = args.cases or list(_CASES)
    for name in cases:
        if name not in _CASES:
            raise UserError('there is no case %r; choose from %s' % (name, ', '.join(_CASES)))
    number_of_signal = getattr(signal, 'SIG' + args.signal)
    killer = _Killer(random.Random(args.seed), args.after, number_of_signal)
    folder = args.keep or tempfile.mkdtemp(prefix='kills-')
    print('%-14s %6s %7s %6s %6s  %s' % ('case', 'kills', 'starts', 'iter', 'vars', 'differences'))
    differs = False
    for name in cases:
        whole, killed = (os.path.join(folder, name + each) for each in ('-whole', '-killed'))
        command = _command(name, args)
        _train(command, whole)
        kills, starts = _train_and_kill(command, killed, args.kills, killer)
        problems, facts = compare(_run_in(whole), _run_in(killed))
        print(
            '%-14s %6d %7d %6d %6d  %s'
            % (name, kills, starts, *facts, '; '.join(problems) or 'none'),
            flush=True,
        )
        differs = differs or bool(problems)
    if args.keep is None:
        shutil.rmtree(folder)
    return 1 if differs else 0


def _command(case, args):
    case_flags, settings = _CASES[case]
    options = dict(_SETTINGS, total_kimg=args.kimg, **settings)
    if case.startswith('dcgan'):
        options = {k: v for k, v in options.items() if 'minibatch' not in k}
    sets = ['--set=%s=%s' % (path, json.dumps(value)) for path, value in options.items()]
    fixed = ['--resume=auto', '--data-dir=' + args.data_dir]
    launch = _LAUNCH if case == 'two-workers' else []
    return launch + [sys.executable, _PROGRAM] + case_flags + fixed + sets


class _Killer:
    """Ends processes at random moments; calls return whether it did."""

    def __init__(self, moments, after, signal_number):
        self._moments = moments
        self._after = after
        self._signal = signal_number
        self._start_seconds = 10.0  # until the first new state, as it was last

    def __call__(self, process, result_dir):
        """End a process that trains in a folder, or its workers, unless it ends before."""
        begin, states = time.time(), _states(result_dir)
        if self._moments.random() < 1 / 3:
            limit = begin + self._moments.uniform(0, self._start_seconds)
        else:
            while _states(result_dir) <= states and process.poll() is None:
                time.sleep(0.05)
            self._start_seconds = time.time() - begin
            limit = time.time() + self._moments.uniform(0, self._after)
        while time.time() < limit and process.poll() is None:
            time.sleep(0.01)
        if process.poll() is not None:
            return False
        begin, workers = time.time(), _workers(process)
        index = self._moments.randrange(len(workers)) if workers else None
        if index is None or self._signal != signal.SIGKILL:
            process.send_signal(self._signal)  # which a launcher passes on
            who = 'all workers'
        else:
            os.kill(workers[index], self._signal)
            who = 'worker %d' % index
        process.wait()
        for other in range(len(workers)):
            if who != 'worker %d' % other:
                said = _last_line(os.path.join(result_dir, 'output.txt'), '[%d] ' % other)
                text = '%s to %s; after %.1f s %d had said: %s'
                facts = self._signal.name, who, time.time() - begin, other, said
                print(text % facts, flush=True)
        return True


def _workers(process):
    """Numbers of the processes that tools/launch.py has started as workers; else none."""
    if process.args[: len(_LAUNCH)] != _LAUNCH:
        return []
    with open('/proc/%d/task/%d/children' % (process.pid, process.pid)) as file:
        children = [int(number) for number in file.read().split()]
    return [number for number in children if _arguments(number)[1:2] == [_PROGRAM]]


def _arguments(number):
    try:
        with open('/proc/%d/cmdline' % number) as file:
            return file.read().split('\0')
    except OSError:  # it has ended
        return []


def _last_line(path, prefix):
    with open(path, errors='replace') as file:
        lines = [line[len(prefix) :].strip() for line in file if line.startswith(prefix)]
    return lines[-1] if lines else 'nothing'


def _states(result_dir):
    return set(glob.glob(os.path.join(glob.escape(result_dir), '*', 'state-*')))


def _train(command, result_dir, killer=None):
    """Whether the command has ended by itself, well."""
    os.makedirs(result_dir, exist_ok=True)
    with open(os.path.join(result_dir, 'output.txt'), 'ab') as output:
        process = subprocess.Popen(
            command + ['--result-dir=' + result_dir], stdout=output, stderr=subprocess.STDOUT
        )
        is_killed = killer is not None and killer(process, result_dir)
        status = process.wait()
    if is_killed and status:
        return False
    if status:
        with open(output.name, errors='replace') as file:
            raise UserError('a run ended with status %d: ...%s' % (status, file.read()[-2000:]))
    return True


def _train_and_kill(command, result_dir, num_kills, killer):
    """Train to the end; returns numbers of kills and starts."""
    kills = 0
    while kills < num_kills and not _train(command, result_dir, killer):
        kills += 1
    if kills == num_kills:
        _train(command, result_dir)
    return kills, kills + 1


def _run_in(result_dir):
    """The one run of a folder, beside those that were killed before they said what they are."""
    found = glob.glob(os.path.join(glob.escape(result_dir), '*', '_finished.txt'))
    if len(found) != 1:
        raise UserError('%d runs have finished in %s' % (len(found), result_dir))
    return os.path.dirname(found[0])


def compare(whole, killed):
    """What differs between two runs, in words, and (iterations, variables)."""
    states = [state.read(state.paths(run_dir)[0]) for run_dir in (whole, killed)]
    arrays = [each.arrays for each in states]
    problems = []
    if set(arrays[0]) != set(arrays[1]):
        problems.append('names of variables')
    values = [{name: x.tobytes() for name, x in each.items()} for each in arrays]
    different = [name for name, x in values[0].items() if x != values[1].get(name)]
    if different:
        problems.append('%d variables (%s, ...)' % (len(different), different[0]))
    for what, read in [
        ('stats.jsonl', _stats),
        ('events', _points),
        ('metrics', _metrics),
        ('files', _names),
    ]:
        if read(whole) != read(killed):
            problems.append(what)
    return problems, (states[0].facts['parts']['iterations']['count'], len(arrays[0]))


def _stats(run_dir):
    lines = records.read_lines(os.path.join(run_dir, 'stats.jsonl'))
    return [{k: v for k, v in line.items() if not k.startswith(_TIMES)} for _, line in lines]


def _points(run_dir):
    """What TensorBoard shows, in the order of its files."""
    with quiet.without_noise():
        import tensorflow.compat.v1 as tf
    tf.logging.set_verbosity(tf.logging.ERROR)
    points = []
    for path in sorted(glob.glob(os.path.join(glob.escape(run_dir), 'events.*'))):
        for event in tf.train.summary_iterator(path):
            points += [
                (event.step, value.tag, value.SerializeToString())
                for value in event.summary.value
                if not value.tag.startswith(_TIMES)
            ]
    return points


def _metrics(run_dir):
    found = {}
    for path in glob.glob(os.path.join(glob.escape(run_dir), 'metric-*.jsonl')):
        lines = [line for _, line in records.read_lines(path)]
        found[os.path.basename(path)] = [
            {k: v for k, v in line.items() if k not in _FACTS} for line in lines
        ]
    for path in glob.glob(os.path.join(glob.escape(run_dir), 'metric-*.txt')):
        with open(path) as file:
            found[os.path.basename(path)] = re.sub(r'time \S+( \d\S*)*', '', file.read())
    return found


def _names(run_dir):
    return sorted(
        name for name in os.listdir(run_dir) if not name.startswith(('events.', 'state-'))
    )


if __name__ == '__main__':
    sys.exit(run_cli(main))
