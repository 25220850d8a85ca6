"""Evaluating the snapshots of a training run while it goes on, in a process of its own."""

import os
import signal
import sys
import time
from typing import Any, List, Optional, Sequence, Set, Tuple

from dnnlib.util import UserError, reason_of
from metrics import recorded
from metrics.metric_base import MetricGroup
from training import runs

SECONDS_BETWEEN_LOOKS = 5.0


def watch(
    run_dir: str,
    metric_kwargs: List[dict],
    best: Optional[str] = None,
    chooses_best: bool = True,
    dataset_args: Optional[dict] = None,
    problems: Sequence[str] = (),
    **options: Any,
) -> None:
    """Evaluate the snapshots of a run that have no result yet, until it has finished.

    Results are recorded in the folder of the run, where its own metrics would be; so is the best
    network. Each look begins anew with what is there, so it does not matter when this starts, how
    often it was interrupted, or what the run has removed.

    Args:
        metric_kwargs: the metrics, see `MetricGroup`.
        best: result that says which is the best, see `metric_names.choose`; None: that of the first
            metric, unless the best is already found by another one.
        chooses_best: False: leave the best alone.
        problems: why metrics were left out.
        options: other arguments of `MetricGroup.run`.

    Raises:
        UserError: results that could not be had, after all others.
    """
    group = MetricGroup(metric_kwargs)
    watcher = _Watcher(run_dir, group, dict(options, dataset_args=dataset_args or {}))
    found = group.best(run_dir, best, takes_over=best is not None) if chooses_best else None
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        watcher.run(found)
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
    problems = list(problems)
    if watcher.failed:
        names = ', '.join('%s of %s' % pair for pair in sorted(watcher.failed))
        problems.append('no result for %s; the warnings above say why' % names)
    if problems:
        raise UserError('; '.join(problems))


class _Watcher:
    def __init__(self, run_dir, group, options):
        self.group = group
        self.failed: Set[Tuple[str, str]] = set()  # (metric, snapshot)
        self._run_dir = run_dir
        self._metrics = list(group.metrics)
        self._options = options
        self._waiting: Set[str] = set()  # snapshots without a result at the last look
        self._told = ''

    def run(self, best):
        while True:
            is_finished = os.path.exists(os.path.join(self._run_dir, '_finished.txt'))
            todo = self._look()
            self._update(best)
            if todo:
                path, metrics = todo[0]
                self._evaluate(path, metrics, len(todo))
            elif is_finished:
                return
            else:
                self._tell_of_waiting()
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _look(self):
        """(path, metrics without a result) of each snapshot that has some, oldest first."""
        done = {metric.name: self._recorded(metric.name) for metric in self._metrics}
        todo = []
        for path in runs.network_files(self._run_dir):
            name = os.path.basename(path)
            missing = [
                metric
                for metric in self._metrics
                if (metric.name, name) not in self.failed and not _is_in(done[metric.name], path)
            ]
            if missing:
                todo.append((path, missing))
        there = {os.path.basename(path) for path in runs.network_files(self._run_dir)}
        for name in sorted(self._waiting - there):
            print('%s was removed before it was evaluated.' % name)
        self._waiting = {os.path.basename(path) for path, _ in todo} & there
        return todo

    def _recorded(self, metric):
        path = recorded.path_of(self._run_dir, metric)
        return recorded.read_records(path) if os.path.exists(path) else []

    def _evaluate(self, path, metrics, rounds):
        name = os.path.basename(path)
        names = ','.join(metric.name for metric in metrics)
        print('Evaluating metrics "%s" for "%s"...' % (names, path))
        self.group.metrics, self.group.rounds = metrics, rounds
        self.group.run(path, self._run_dir, raise_errors=False, **self._options)
        for metric in metrics:
            if not metric.get_results() and os.path.exists(path):
                self.failed.add((metric.name, name))
        self._told = ''

    def _update(self, best):
        try:
            line = best and best.update()
            if line:
                print(line)
        except (OSError, UserError) as error:
            self._tell('Warning: the best network is not up to date: %s' % reason_of(error))

    def _tell_of_waiting(self):
        if runs.has_stopped(self._run_dir):
            text = 'The run was stopped or interrupted; waiting for it to go on'
        else:
            text = 'Waiting for the next snapshot of "%s"' % self._run_dir
        self._tell(text + ' (Ctrl-C ends).')

    def _tell(self, text):
        """Print a line, once in a row."""
        if text != self._told:
            print(text)
            self._told = text


def _is_in(records, path):
    """Whether there is a result of a network file, or the file is gone; it is read if need be."""
    name = os.path.basename(path)
    named = [record for record in records if os.path.basename(record['network']) == name]
    try:
        mtime = os.stat(path).st_mtime_ns
    except OSError:
        return True
    if any(record.get('network_mtime_ns') == mtime for record in named):
        return True
    if not named and name != runs.FINAL:  # which is the last snapshot once more
        return False
    sha256 = recorded.network_sha256(path)
    return sha256 is None or any(record.get('network_sha256') == sha256 for record in records)
