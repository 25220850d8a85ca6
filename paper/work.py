"""Doing tasks: each is a program of this project, in a process of its own.

Processes that share a folder, on one machine or many, do no task twice: who does one holds the lock
of its result folder.
"""

import ctypes
import glob
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from typing import Dict, List, Optional, Sequence, Set

from dnnlib import program
from dnnlib.submission.run_lock import Held, RunLock
from dnnlib.util import TEXT, atomic_write, format_time
from paper import plan
from paper.plan import Task

_HEARTBEAT = 60.0  # seconds
_PATIENCE = 600.0  # seconds without a heartbeat, after which others take over
_FAILED = 'failed.txt'  # in the result folder of a task
_PR_SET_PDEATHSIG = 1  # of Linux' prctl
_LONGEST_REASON = 300  # characters


class _Lost(Exception):
    """Another process has taken over what this one seemed to have given up."""


class Work:
    """The folder of a reproduction, and the tasks in it.

    Args:
        folder: of all. tasks: each after those that it needs.
        shard: (i, n): this process begins with its part of n, i from 1.

    Attributes:
        failed: {task: why}, of this process.
    """

    def __init__(self, folder: str, tasks: Sequence[Task], shard=(1, 1)):
        self._folder = folder
        self._tasks = list(tasks)
        self._in_order = _own_first(tasks, shard)
        self._begin = _clock_of(folder)
        self._others: Set[str] = set()  # tasks that others do
        self._folders: Dict[str, str] = {}
        self._seconds: Dict[str, List[float]] = {}  # by kind: taken, estimated
        self.failed: Dict[str, str] = {}

    def run_dir(self, name: str) -> Optional[str]:
        """The folder of a task's finished run; None: it is not done."""
        if name not in self._folders:
            found = finished_run(self._folder, name)
            if found is None:
                return None
            self._folders[name] = found
        return self._folders[name]

    def not_done(self) -> List[Task]:
        """The tasks that are not done."""
        return [task for task in self._tasks if self.run_dir(task.name) is None]

    def do_all(self) -> None:
        """Do what can be done and nobody else does."""
        while any(map(self._do_if_possible, self._in_order)):
            pass  # from the first one on, since there may be new ones that can be done

    def _do_if_possible(self, task):
        """Whether it was done, or at least tried."""
        if task.name in self.failed or self.run_dir(task.name) is not None:
            return False
        if not all(map(self.run_dir, task.needs)):
            return False
        folder = result_dir(self._folder, task.name)
        os.makedirs(folder, exist_ok=True)
        lock = RunLock(folder, _HEARTBEAT, _PATIENCE, may_wait=False)
        try:
            with lock:
                self._others.discard(task.name)
                # Somebody else may have done it, or tried, since this began.
                if self.run_dir(task.name) is not None or self._has_failed(folder):
                    return False
                self._do(task, lock)
                return True
        except Held:
            self._others.add(task.name)
            return False

    def _has_failed(self, folder):
        path = os.path.join(folder, _FAILED)
        return os.path.exists(path) and os.stat(path).st_mtime >= self._begin

    def _do(self, task, lock):
        num_done = len(self._tasks) - len(self.not_done())
        print('%d of %d: %s' % (num_done + 1, len(self._tasks), task.name), end='', flush=True)
        begin = time.time()
        try:
            reason = self._reason_of_failure(task, lock)
        except BaseException:
            print(' stopped', flush=True)
            raise
        seconds, own_dir = time.time() - begin, result_dir(self._folder, task.name)
        if reason:
            self.failed[task.name] = reason
            if not lock.is_lost:
                with atomic_write(os.path.join(own_dir, _FAILED), 'w') as file:
                    file.write(reason + '\n')
        else:
            pace = self._seconds.setdefault(task.kind, [0.0, 0.0])
            pace[0] += seconds
            pace[1] += task.hours * 3600
        how = 'failed' if reason else 'done'
        print(' %s after %s, %s' % (how, format_time(seconds), self._left()), flush=True)

    def log(self, name: str) -> str:
        """Where the output of a task is."""
        return os.path.join(self._folder, 'logs', name + '.log')

    def _left(self):
        """How long the rest takes, at the pace of what was done of its kind."""
        sums = [sum(column) for column in zip(*self._seconds.values())] or [1.0, 1.0]
        seconds = 0.0
        for task in self.not_done():
            if task.name not in self.failed and task.name not in self._others:
                taken, estimated = self._seconds.get(task.kind, sums)
                seconds += task.hours * 3600 * taken / estimated
        return 'about %s left' % format_time(seconds)

    def _reason_of_failure(self, task, lock) -> str:
        """Run a task's program; '' if all went well."""
        words = plan.fill_in(task.words, self._folders)
        command = [sys.executable, os.path.join(program.ROOT, words[0])] + words[1:]
        command.append('--result-dir=' + result_dir(self._folder, task.name))
        log = self.log(task.name)
        os.makedirs(os.path.dirname(log), exist_ok=True)
        try:
            status = _run(command, log, lock)
        except _Lost:
            return 'another process has taken it over; was this one stopped for a while?'
        if status == 0 and self.run_dir(task.name) is not None:
            return ''
        last = _last_line(log) if status else 'it ended before it was finished'
        return 'exit status %d: %s' % (status, last)


def _clock_of(folder) -> float:
    """The time by the clock of a folder's file system, which is that of all files in it."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def _own_first(tasks, shard):
    """Tasks of a shard's own parts, then all others."""
    index, number = shard
    parts = list(dict.fromkeys(task.part for task in tasks))
    own = set(parts[index - 1 :: number])
    return sorted(tasks, key=lambda task: task.part not in own)


def result_dir(folder: str, name: str) -> str:
    """The --result-dir of a task."""
    return os.path.join(folder, 'runs', name)


def failure(folder: str, name: str) -> str:
    """Why a task failed that is not done, '' if nobody has tried it."""
    try:
        with open(os.path.join(result_dir(folder, name), _FAILED), **TEXT) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ''


def finished_run(folder: str, name: str) -> Optional[str]:
    """The folder of a task's finished run; None: there is none."""
    pattern = os.path.join(glob.escape(result_dir(folder, name)), '[0-9]*', '_finished.txt')
    return max(map(os.path.dirname, glob.glob(pattern)), default=None)


def _run(command, log, lock: RunLock) -> int:
    """Run a program until it ends; it ends when this process is asked to, or dies.

    Returns: its exit status.
    """
    with open(log, 'a', **TEXT) as file:
        file.write('$ %s\n' % ' '.join(command))
        file.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us alone
            preexec_fn=_dying_with(os.getpid()),
        )
    try:
        return _wait(process, lock)
    except BaseException:
        # Not SIGINT, which programs in the background of a shell ignore.
        process.terminate()
        try:
            process.wait()
        except BaseException:  # somebody insists
            process.kill()
            process.wait()
            raise
        raise


def _wait(process, lock):
    while True:
        try:
            return process.wait(timeout=_HEARTBEAT)
        except subprocess.TimeoutExpired:
            if lock.is_lost:
                raise _Lost()


def _dying_with(parent):
    """A function for a new process, which so is killed when its parent is: on Linux."""
    if platform.system() != 'Linux':
        return None
    libc = ctypes.CDLL(None)

    def prepare():
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def _last_line(log):
    """What the last command in a log says of its end: its error, else its last line."""
    lines: List[str] = []
    with open(log, encoding='utf-8', errors='replace') as file:
        for line in file:
            lines = [line] if line.startswith('$ ') else lines + [line.strip()]
    lines = list(filter(None, lines))
    errors = [line for line in lines if line.startswith('Error: ')]
    return (errors or lines)[-1][:_LONGEST_REASON]
