"""One process at a time writes a run: `run.lock` in its folder, with a heartbeat."""

import contextlib
import datetime
import json
import os
import threading
import time
import uuid
from typing import Any, Dict, Optional

from .. import owner
from ..files import UserError, reason_of, temporary_path
from ..util import format_time

FILE_NAME = 'run.lock'
HEARTBEAT = 30.0  # seconds
# Seconds without a heartbeat until a process of another machine, or container, counts as dead.
PATIENCE = 300.0

_LONGEST = 1 << 16  # bytes
_held: Dict[str, bytes] = {}  # locks of this process, with their content
_SUFFIX = '.next'  # of the lock that decides who replaces a lock


class Held(UserError):
    """Another process holds a lock."""


class RunLock:
    """Context manager that holds the lock of a run folder.

    A lock that a dead process has left is taken over, by one of those that try. A process of this
    machine is dead if it is gone. Of another machine's one has to wait for a heartbeat: at most
    `patience` seconds since the last one. Time is that of the file system, whatever clocks show.

    Args:
        run_dir: the folder, which exists.
        heartbeat, patience: seconds; the same in all processes.
        may_wait: False: do not wait for a heartbeat; the lock is held until patience has passed.

    Raises:
        Held: another process holds the lock.
        UserError: no file can be made in the folder.
    """

    def __init__(
        self,
        run_dir: str,
        heartbeat: float = HEARTBEAT,
        patience: float = PATIENCE,
        may_wait: bool = True,
    ):
        self._path = os.path.join(run_dir, FILE_NAME)
        self._heartbeat, self._patience = heartbeat, patience
        self._may_wait = may_wait
        self._content = b''
        self._pid = 0
        self._is_lost = False
        self._end = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def __enter__(self) -> 'RunLock':
        self._content, self._pid, self._is_lost = _new_content(), os.getpid(), False
        try:
            _take(self._path, self._content, self._patience, self._may_wait)
        except OSError as error:
            text = 'Cannot write %r: %s; choose a run in a folder that you may write to.'
            raise UserError(text % (self._path, reason_of(error))) from error
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name='run.lock', daemon=True)
        self._thread.start()
        _held[os.path.abspath(self._path)] = self._content
        return self

    def __exit__(self, *exception: Any) -> None:
        if os.getpid() != self._pid:  # a child process, which has no part in it
            return
        self._end.set()
        _held.pop(os.path.abspath(self._path), None)
        assert self._thread is not None
        self._thread.join(self._heartbeat)  # it may be waiting for a disk that is away
        with contextlib.suppress(OSError):
            if _read(self._path) == self._content:
                os.remove(self._path)

    @property
    def is_lost(self) -> bool:
        """Whether the last heartbeat, or `check`, found no lock or that of another process."""
        return self._is_lost

    def check(self) -> bool:
        """Look at once whether the lock is still held, such as before a state is written.

        An answer that cannot be had, as the disk is away, changes nothing.
        """
        with contextlib.suppress(OSError):
            self._is_lost = _read(self._path) != self._content
        return not self._is_lost

    def _beat(self):
        while not self._end.wait(self._heartbeat):
            if self.check():
                with contextlib.suppress(OSError):
                    os.utime(self._path)


def is_lost(run_dir: str) -> bool:
    """Whether this process held the lock of a run folder, and another one has taken it over."""
    path = os.path.abspath(os.path.join(run_dir, FILE_NAME))
    with contextlib.suppress(OSError):
        return path in _held and _read(path) not in (None, _held[path])
    return False  # the disk is away


def give_back_all() -> None:
    """Remove the locks of this process, which is about to end without leaving their blocks."""
    for path, content in list(_held.items()):
        with contextlib.suppress(OSError):
            if _read(path) == content:
                os.remove(path)


def is_abandoned(run_dir: str) -> bool:
    """Whether a process of this host held the lock of a run folder and is dead."""
    content = _read(os.path.join(run_dir, FILE_NAME))
    holder = None if content is None else owner.from_dict(_facts(content))
    return holder is not None and bool(owner.is_dead(holder))


def _new_content():
    now = datetime.datetime.now().isoformat(' ')[: len('2020-01-01 00:00:00')]
    facts = dict(owner.current()._asdict(), since=now, id=uuid.uuid4().hex)
    return (json.dumps(facts) + '\n').encode()


def _read(path):
    """Content of a lock; None if there is none."""
    try:
        with open(path, 'rb') as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return None


def _take(path, content, patience, may_wait=True):
    """Make the lock file, or replace that of a dead process; Held if another one lives.

    Only who holds the lock `path + _SUFFIX` may replace a lock, so one does; nobody finds no lock
    in between and makes one. That lock is itself held for a moment, and is taken the same way.
    """
    own = temporary_path(path)
    with open(own, 'xb') as file:
        file.write(content)
    try:
        while not _make(own, path):
            found = _read(path)
            if found is None:
                continue
            try:
                _wait_for_death(path, found, own, patience, may_wait)
            except FileNotFoundError:  # it was given back
                continue
            _take(path + _SUFFIX, content, patience)
            try:
                if _read(path) == found:
                    os.replace(own, path)
                    return
            finally:
                os.remove(path + _SUFFIX)
    finally:
        with contextlib.suppress(OSError):
            os.remove(own)


def _make(own, path):
    """Give a file a second name, whole at once; False if something has that name."""
    try:
        os.link(own, path)
    except FileExistsError:
        return os.stat(own).st_nlink == 2  # else the answer of a network disk was lost
    except OSError:  # some network disks have no links
        with open(own, 'rb') as source:
            content = source.read()
        try:
            with open(path, 'xb') as target:
                target.write(content)
        except FileExistsError:
            return False
    return True


def _wait_for_death(path, content, probe, patience, may_wait):
    """Return when the holder of a lock has shown that it is dead; Held if it lives."""
    facts = _facts(content)
    holder = owner.from_dict(facts)
    is_dead = owner.is_dead(holder) if holder else None
    if is_dead:
        return
    first, age = _last_heartbeat(path, probe)
    is_told = False
    while is_dead is None and age < patience:
        if not may_wait:
            is_dead = False
            break
        if not is_told:
            text = 'Waiting at most %s for a heartbeat of %s, which has the run.'
            print(text % (format_time(patience - age), _name(facts, holder)), flush=True)
            is_told = True
        time.sleep(min(1.0, patience / 10))
        last, age = _last_heartbeat(path, probe)
        if last != first or _read(path) != content:
            is_dead = False
    if is_dead is False:
        text = '%s is being written by %s since %s, last heartbeat %s ago; let it end, or stop it'
        raise Held(
            text
            % (
                os.path.dirname(path) or '.',
                _name(facts, holder),
                facts.get('since', 'an unknown time'),
                format_time(max(age, 0)),
            )
        )


def _facts(content: bytes) -> Dict[str, Any]:
    try:
        facts = json.loads(content.decode('utf-8'))
    except (ValueError, RecursionError):
        facts = None  # broken, or not yet complete
    return facts if isinstance(facts, dict) else {}


def _name(facts, holder):
    if holder is None:
        return 'an unknown process'
    return 'process %d on host %s' % (holder.pid, holder.host)


def _last_heartbeat(path, probe):
    """Time of a lock's last heartbeat, and its age by the file system's clock; both in seconds."""
    os.utime(probe)
    with open(path, 'rb') as lock, open(probe, 'rb') as now:  # opened: else network disks may tell
        last = os.fstat(lock.fileno()).st_mtime  # what they remember
        return last, os.fstat(now.fileno()).st_mtime - last
