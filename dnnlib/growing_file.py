"""A file that grows by whole pieces, even where the disk is full for a while."""

import errno
import os
from typing import List

from .disk_errors import Expendable


class GrowingFile:
    """Appends pieces to a file; those that the disk does not take wait in memory.

    What an interrupted write has left of a piece is overwritten by the next one.

    Args:
        path: file to go on with, or to make.
        what: its name in lines.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, what: str):
        self.path = path
        self._disk = Expendable(what)
        self._pieces: List[bytes] = []  # that are not written yet, or the last one
        with open(path, 'ab') as file:
            self._start = file.tell()  # of the first of these

    @property
    def is_failing(self) -> bool:
        """Whether pieces wait."""
        return self._disk.is_failing

    @property
    def waiting(self) -> bytes:
        """What is not written yet."""
        return b''.join(self._pieces) if self.is_failing else b''

    def append(self, piece: bytes) -> None:
        """Add a piece at the end."""
        if not self.is_failing:
            self._start += sum(map(len, self._pieces))
            self._pieces = []
        self._pieces.append(piece)
        self._write()

    def replace_last(self, piece: bytes) -> None:
        """Let another piece take the place of the last one."""
        self._pieces[-1] = piece
        self._write()

    def retry(self) -> None:
        """Write what waits, if the disk takes it now."""
        if self.is_failing:
            self._write()

    def _write(self):
        with self._disk.writing():
            flags, pieces = os.O_RDWR | os.O_CREAT, b''.join(self._pieces)
            with os.fdopen(os.open(self.path, flags, 0o666), 'r+b', buffering=0) as file:
                self._start = min(self._start, os.fstat(file.fileno()).st_size)  # it may be new
                file.truncate(self._start)
                file.seek(self._start)
                try:
                    if file.write(pieces) < len(pieces):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    file.truncate(self._start)  # no half pieces
                    raise
