"""Names of very many files in little memory: one array of bytes, in place of a list of texts."""

import fnmatch
import hashlib
import itertools
import os
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np

_AT_A_TIME = 1 << 14


class NameTable:
    """A sequence of names (str) that takes, for each of them, the bytes of the longest.

    Args:
        names: the names, which are read once.
    """

    def __init__(self, names: Iterable[str]):
        encoded, parts = map(_encode, names), []
        for part in iter(lambda: list(itertools.islice(encoded, _AT_A_TIME)), []):
            parts.append(np.array(part))
        self._names = np.concatenate(parts) if parts else np.empty([0], 'S1')

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> str:
        return _decode(self._names[index])

    def raw(self, index: int) -> bytes:
        """Return a name as the file system has it, whatever the locale."""
        return bytes(self._names[index])

    def __iter__(self) -> Iterator[str]:
        return map(_decode, self._names)

    def sort(self) -> np.ndarray:
        """Sort the names as texts are sorted; returns the former number of each, int64 [N]."""
        order = np.argsort(self._names, kind='stable')
        self._names = self._names[order]
        return order

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the names of these numbers, in this order."""
        self._names = self._names[rows]

    def sha256(self) -> str:
        """Hash of the names, joined by line feeds, in hexadecimal digits."""
        digest = hashlib.sha256()
        for index, name in enumerate(self):
            digest.update(_encode('\n' + name if index else name))
        return digest.hexdigest()


def files_under(
    folder: str, ignored: Sequence[str] = (), left_out: Optional[List[str]] = None
) -> Iterator[str]:
    """Yield the paths of all files in a folder, from there on, with '/' between folders.

    Links to folders are followed; a folder that was listed already is left out, so loops end.

    Args:
        ignored: fnmatch patterns of names of files and folders to leave out.
        left_out: list that gets the paths of what is left out.
    """
    left_out = [] if left_out is None else left_out
    listed, waiting = set(), ['']
    while waiting:
        prefix = waiting.pop()
        path = os.path.join(folder, prefix)
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in listed:
            left_out.append(prefix)
            continue
        listed.add((status.st_dev, status.st_ino))
        folders = []
        with os.scandir(path) as entries:
            for entry in entries:
                if is_ignored(entry.name, ignored):
                    left_out.append(prefix + entry.name)
                elif entry.is_dir():
                    folders.append((not entry.is_symlink(), prefix + entry.name + '/'))
                else:
                    yield prefix + entry.name
        links = sorted(name for is_real, name in folders if not is_real)
        waiting = links + waiting + sorted(name for is_real, name in folders if is_real)


def is_ignored(path: str, ignored: Sequence[str]) -> bool:
    """Whether any part of a path with '/' matches one of the patterns."""
    return any(fnmatch.fnmatch(part, pattern) for part in path.split('/') for pattern in ignored)


def class_folders(names: NameTable) -> Optional[Tuple[Optional[np.ndarray], List[str]]]:
    """The folder of each file where all files lie in folders side by side.

    Outer folders that all files share do not count.

    Args:
        names: sorted paths of files.

    Returns:
        (number of each file's folder, int32 [N]; names of the folders, sorted); (None, []) if all
        files lie side by side; None if they lie at several depths.
    """
    first, last = names[0].split('/')[:-1], names[-1].split('/')[:-1]
    shared = len(os.path.commonprefix([first, last]))  # what these share, all between do
    depths = set()
    found: Dict[str, int] = {}
    numbers = np.zeros([len(names)], np.int32)
    for index, name in enumerate(names):
        parts = name.split('/')[shared:]
        depths.add(len(parts))
        if len(parts) > 1:
            numbers[index] = found.setdefault(parts[0], len(found))
    if depths not in ({1}, {2}):
        return None
    if not found:
        return None, []
    classes = sorted(found)
    rank = np.empty([len(classes)], np.int32)
    rank[[found[name] for name in classes]] = np.arange(len(classes))
    return rank[numbers], classes


def strays(names: NameTable) -> np.ndarray:
    """Which files do not lie at the depth of most files, bool [N]."""
    depths = np.array([name.count('/') for name in names])
    return depths != np.bincount(depths).argmax()


def _encode(name):
    return name.encode('utf-8', 'surrogateescape')


def _decode(name):
    return name.decode('utf-8', 'surrogateescape')
