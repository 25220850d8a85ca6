"""Samples of long work: in memory, and on disk so that work that was killed can go on."""

import glob
import os
import shutil
import time
from typing import Any, Dict, List, Union

import numpy as np

from dnnlib.util import UserError, atomic_write

SECONDS_BETWEEN_SAVES = 20.0


class Samples:
    """Named arrays [num_samples, ...] of a store, read one by one since they may be large."""

    def __init__(self, store: 'Union[SampleStore, ArrayStore]', num_samples: int, prefix: str = ''):
        self._store = store
        self._prefix = prefix
        self.num_samples = num_samples

    def names(self) -> List[str]:
        """Names of the arrays."""
        start = len(self._prefix)
        return [name[start:] for name in self._store.names() if name.startswith(self._prefix)]

    def read(self, name: str) -> np.ndarray:
        """One array."""
        return self._store.read(self._prefix + name)[: self.num_samples]


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
    memory. An object for the same folder, in another process too, starts with what is there.

    Args:
        folder: folder for the files, made when needed; its name must stand for all that the samples
            depend on.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._files: List[str] = []
        self._units: List[Dict[str, np.ndarray]] = []
        self._can_save = True
        self._saved_time = time.time()
        self.num_units = 0
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), 'units-*.npz'))):
            begin, end = (int(part) for part in os.path.basename(path)[6:-4].split('-'))
            if begin == self.num_units:
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

    def remove(self) -> None:
        """Delete the files: the work is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _save(self):
        first = self.num_units - len(self._units)
        path = os.path.join(self._folder, 'units-%08d-%08d.npz' % (first, self.num_units))
        arrays: Dict[str, Any] = {}
        for name in self._units[0]:
            arrays[name] = np.concatenate([unit[name] for unit in self._units if name in unit])
        try:
            os.makedirs(self._folder, exist_ok=True)
            with atomic_write(path) as file:
                np.savez(file, **arrays)
        except (OSError, UserError) as error:
            self._can_save = False
            print('Warning: if killed, this will start from its beginning: %s' % error)
            return
        self._files.append(path)
        self._units = []
