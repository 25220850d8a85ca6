"""States: all that a run needs to go on exactly, each in one file of numbers and JSON.

A file is a line that names the format, the length of a JSON header (8 bytes, little-endian), the
header, the bytes of the arrays one after the other, and the SHA-256 of all that. The header holds
the facts of the state and {name, dtype, shape} of each array. Nothing in it names what is imported
or called.
"""

import contextlib
import functools
import glob
import hashlib
import json
import operator
import os
import re
import threading
from collections import OrderedDict
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np

from dnnlib import plain_arrays, plain_data
from dnnlib.util import UserError, atomic_write, open_regular, reading, reason_of

_MAGIC = b'stylegan2 state 1\n'
_DIGEST_BYTES = hashlib.sha256().digest_size
_LONGEST_HEADER = 16 << 20
_PIECE = 16 << 20
_NUM_KEPT = 2
_PATTERN = re.compile(r'state-(\d{9})\.bin')


class BrokenState(UserError):
    """A file that is not what was written."""


class State(NamedTuple):
    """A run at the end of an iteration."""

    facts: Dict[str, Any]  # plain data
    arrays: Dict[str, np.ndarray]  # variables by name


def path_of(run_dir: str, iteration: int) -> str:
    """Where the state after so many iterations stands."""
    return os.path.join(run_dir, 'state-%09d.bin' % iteration)


def paths(run_dir: str) -> List[str]:
    """States of a run, the newest one first."""
    found = glob.glob(os.path.join(glob.escape(run_dir), 'state-*.bin'))
    return sorted((p for p in found if _PATTERN.match(os.path.basename(p))), reverse=True)


def write(path: str, state: State) -> None:
    """Write a state, so that it is whole or not there, even if the machine stops.

    Raises:
        UserError: it cannot be written.
    """
    header = dict(
        facts=state.facts,
        arrays=[[name, x.dtype.str, list(x.shape)] for name, x in state.arrays.items()],
    )
    text = json.dumps(header).encode('utf-8')
    digest = hashlib.sha256()
    with atomic_write(path) as file:

        def put(data):
            digest.update(data)
            file.write(data)

        put(_MAGIC + len(text).to_bytes(8, 'little') + text)
        for array in state.arrays.values():
            put(np.ascontiguousarray(array).data.cast('B') if array.size else b'')
        file.write(digest.digest())
    with contextlib.suppress(OSError):  # not all systems have this
        _sync_folder(os.path.dirname(path))


def _sync_folder(folder):
    """Make sure that the name of a new file is on the disk, too."""
    descriptor = os.open(folder or '.', os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: str) -> State:
    """Read a state.

    Raises:
        BrokenState: it is no state, or not whole. UserError: it cannot be read at all.
    """
    with open_regular(path) as file, reading(path, 'the state of a run'):
        try:
            return _read(file)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            text = '%r cannot be read as the state of a run: %s.'
            raise BrokenState(text % (path, reason_of(error)))


def _read(file):
    size = os.fstat(file.fileno()).st_size
    _check_digest(file, size - _DIGEST_BYTES)
    file.seek(len(_MAGIC))
    length = int.from_bytes(file.read(8), 'little')
    if length > _LONGEST_HEADER:
        raise ValueError('its header has %d bytes' % length)
    header = plain_data.from_json(file.read(length).decode('utf-8'))
    arrays: Dict[str, np.ndarray] = OrderedDict()
    left = size - _DIGEST_BYTES - file.tell()
    for name, type_name, shape in header['arrays']:
        dtype = plain_arrays.number_type(type_name)
        num_bytes = functools.reduce(operator.mul, map(int, shape), dtype.itemsize)
        if not 0 <= num_bytes <= left:
            raise ValueError('array %.100s has more bytes than there are' % name)
        arrays[name] = plain_arrays.make(shape, dtype, file.read(num_bytes))
        left -= num_bytes
    if left or not isinstance(header['facts'], dict):
        raise ValueError('its header does not fit its arrays')
    return State(header['facts'], arrays)


def _check_digest(file, length):
    """Raise ValueError unless the file ends in the digest of its first `length` bytes."""
    if length <= 0 or file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError('it does not begin as one')
    file.seek(0)
    digest, left = hashlib.sha256(), length
    while left:
        piece = file.read(min(left, _PIECE))
        if not piece:
            raise ValueError('it was cut off')
        digest.update(piece)
        left -= len(piece)
    if file.read() != digest.digest():
        raise ValueError('its bytes are not those that were written (by their SHA-256)')


def newest(run_dir: str) -> Optional[State]:
    """The newest whole state of a run, None if it has none at all.

    A line tells of a broken one, which gets another name.

    Raises:
        UserError: all are broken.
    """
    broken: List[str] = []
    for path in paths(run_dir):
        try:
            found = read(path)
        except BrokenState as error:
            broken.append(path)
            print('Warning: %s' % error)
            continue
        for each in broken:
            os.replace(each, os.path.join(run_dir, 'state.broken'))
        if broken:
            print('Going on from the state before, %s.' % os.path.basename(path))
        return found
    if broken:
        text = 'no whole state is left in %s; begin with its last network by --init-from=%s'
        raise UserError(text % (run_dir, run_dir))
    return None


class Writer:
    """Writes the states of a run in a thread and keeps the last two.

    Args:
        run_dir: the run's folder.
        attempt: given a name for lines and a function, calls it until the disk takes what it
            writes.

    Attributes:
        written: iteration of the last state that is on the disk, None before the first.
    """

    def __init__(self, run_dir: str, attempt: Callable[[str, Callable], Any]):
        self._run_dir = run_dir
        self._attempt = attempt
        self._thread: Optional[threading.Thread] = None
        self._error: Optional[Exception] = None
        self._gives_up = False
        self.written: Optional[int] = None

    def is_busy(self) -> bool:
        """Whether a state is being written."""
        return self._thread is not None and self._thread.is_alive()

    def save(self, iteration: int, state: State) -> None:
        """Begin to write a state, once the one before is written."""
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(iteration, state))
        self._thread.start()

    def wait(self) -> None:
        """Until the last state is on the disk; what went wrong there is raised here."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def give_up(self) -> Optional[Exception]:
        """Wait as well, but try no more where the disk is in the way; what went wrong, or None."""
        self._gives_up = True
        try:
            self.wait()
        except Exception as error:
            return error
        return None

    def _try(self, path, state):
        try:
            write(path, state)
        except UserError as error:
            if self._gives_up:
                raise RuntimeError(str(error))  # which is not tried again
            raise

    def _write(self, iteration, state):
        path = path_of(self._run_dir, iteration)
        try:
            self._attempt(os.path.basename(path), functools.partial(self._try, path, state))
            self.written = iteration
            for old in paths(self._run_dir)[_NUM_KEPT:]:
                with contextlib.suppress(OSError):
                    os.remove(old)
        except Exception as error:
            self._error = error
