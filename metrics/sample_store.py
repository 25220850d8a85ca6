"""Samples of long work: in memory, and on disk so that work that was killed can go on."""

import contextlib
import fcntl
import functools
import glob
import itertools
import os
import shutil
import time
from typing import IO, Any, Dict, List, Optional, Tuple, Union

import numpy as np

from dnnlib.files import sweep
from dnnlib.util import UserError, atomic_write

SECONDS_BETWEEN_SAVES = 20.0


@functools.lru_cache(maxsize=None)
def warn_once(text: str) -> None:
    """Print a warning, however often it is given."""
    print('Warning: ' + text)


class Samples:
    """Named arrays [num_samples, ...] of a store, read one by one since they may be large."""

    def __init__(self, store: 'Union[SampleStore, ArrayStore]', num_samples: int, prefix: str = ''):
        self.store = store
        self._prefix = prefix
        self.num_samples = num_samples

    def names(self) -> List[str]:
        """Names of the arrays."""
        start = len(self._prefix)
        return [name[start:] for name in self.store.names() if name.startswith(self._prefix)]

    def read(self, name: str) -> np.ndarray:
        """One array."""
        return self.store.read(self._prefix + name)[: self.num_samples]


class ArrayStore:
    """Samples that are all in memory from the start."""

    def __init__(self, arrays: Dict[str, np.ndarray]):
        self._arrays = arrays

    def names(self) -> List[str]:
        """Names of the arrays."""
        return list(self._arrays)

    def read(self, name: str) -> np.ndarray:
        """One array."""
        return self._arrays[name]


class SampleStore:
    """Samples of units 0, 1, 2, ..., added in that order.

    What was added is saved every SECONDS_BETWEEN_SAVES to .npz files in `folder`, and leaves the
    memory. An object for the same folder, in another process too, starts with what is there; while
    another object works there, it has a folder of its own. Where nothing can be saved, samples stay
    in memory.

    Args:
        folder: folder for the files; its name must stand for all that the samples depend on.
    """

    def __init__(self, folder: str):
        self._files: List[str] = []
        self._units: List[Dict[str, np.ndarray]] = []
        self._saved_time = time.time()
        self.num_units = 0
        self._name = self._folder = folder
        self._lock: Optional[IO] = None
        try:
            self._folder, self._lock = _take_folder(folder)
        except OSError as error:
            self._warn(error)
        self._can_save = self._lock is not None
        pattern = os.path.join(glob.escape(self._folder), 'units-*.npz')
        for path in sorted(glob.glob(pattern)) if self._lock else ():
            begin, end = (int(part) for part in os.path.basename(path)[6:-4].split('-'))
            if begin == self.num_units and _is_whole(path):
                self._files.append(path)
                self.num_units = end

    def add(self, arrays: Dict[str, np.ndarray]) -> None:
        """Add a unit, arrays [samples, ...]; later ones may lack names of which there is enough."""
        self._units.append(arrays)
        self.num_units += 1
        if self._can_save and time.time() - self._saved_time >= SECONDS_BETWEEN_SAVES:
            self._save()
            self._saved_time = time.time()

    def names(self) -> List[str]:
        """Names of the arrays."""
        if self._files:
            with np.load(self._files[0], allow_pickle=False) as arrays:
                return list(arrays.keys())
        return list(self._units[0]) if self._units else []

    def read(self, name: str) -> np.ndarray:
        """All samples of one array."""
        parts = []
        for path in self._files:
            with np.load(path, allow_pickle=False) as arrays:
                if name in arrays.files:
                    parts.append(arrays[name])
        return np.concatenate(parts + [unit[name] for unit in self._units if name in unit])

    def close(self, is_done: bool) -> None:
        """Let others work in the folder; delete the files if the work is done."""
        if self._lock is None:
            return
        if is_done or not self._files:
            _delete(self._folder)
            for path in glob.glob(glob.escape(self._name) + '-*'):  # of others that were killed
                lock = _try_lock(path)
                if lock:
                    with lock:
                        _delete(path)
        self._lock.close()

    def _warn(self, error):
        place = os.path.dirname(self._name)
        warn_once('if killed, evaluations start from their beginning (%s: %s)' % (place, error))

    def _save(self):
        first = self.num_units - len(self._units)
        path = os.path.join(self._folder, 'units-%08d-%08d.npz' % (first, self.num_units))
        arrays: Dict[str, Any] = {}
        for name in self._units[0]:
            arrays[name] = np.concatenate([unit[name] for unit in self._units if name in unit])
        try:
            with atomic_write(path) as file:
                np.savez(file, **arrays)
        except (OSError, UserError) as error:
            self._can_save = False
            self._warn(error)
            return
        self._files.append(path)
        self._units = []


def _take_folder(folder: str) -> Tuple[str, IO]:
    """The first of folder, folder-2, folder-3, ... that nobody works in, and its lock.

    The lock goes with the process, however that ends.
    """
    for number in itertools.count(1):
        path = folder + ('-%d' % number if number > 1 else '')
        lock = _try_lock(path)
        if lock:
            sweep(path)
            return path, lock
    raise AssertionError


def _try_lock(folder):
    """The lock of a folder, which is made if needed; None if another one has it."""
    path = os.path.join(folder, 'lock')
    while True:
        os.makedirs(folder, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as opened:
            lock = opened.enter_context(open(path, 'ab'))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Else the one before has deleted the folder meanwhile.
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
                opened.pop_all()
                return lock


def _delete(folder):
    """Delete a folder, its lock last, for others take what is there once they have that."""
    for path in glob.glob(os.path.join(glob.escape(folder), 'units-*')):
        with contextlib.suppress(OSError):
            os.remove(path)
    shutil.rmtree(folder, ignore_errors=True)


def _is_whole(path):
    try:
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as file:
            return bool(file.files)
    except Exception:  # zip files that are broken raise nearly anything
        return False
