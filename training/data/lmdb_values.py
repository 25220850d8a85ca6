"""The values of an LMDB folder, read in a process of its own, which a broken file may crash."""

import os
import struct
import subprocess
import sys
from typing import Iterator

from dnnlib.util import UserError, open_regular
from training.data.decoding import MAX_FILE_SIZE

_NUMBER = struct.Struct('<q')
_LONGEST_ERROR = 1 << 16  # bytes

# LMDB maps the file into memory and believes its page numbers: if they are wrong, the process ends.
_READER = """
import struct, sys
import lmdb
number, put = struct.Struct('<q').pack, sys.stdout.buffer.write
with lmdb.open(sys.argv[1], readonly=True, lock=False) as folder, folder.begin() as transaction:
    put(number(transaction.stat()['entries']))
    for _, value in transaction.cursor():
        put(number(len(value)))
        put(value)
sys.stdout.flush()
"""


class LmdbValues:
    """Reads the values of an LMDB folder in the order of their keys, until it is closed.

    Attributes:
        num_entries: their number.

    Raises:
        UserError: it is none, or is broken.
    """

    def __init__(self, path: str):
        self.path = os.path.expanduser(path)
        open_regular(os.path.join(self.path, 'data.mdb')).close()
        command = [sys.executable, '-c', _READER, self.path]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            self.num_entries = self._number()
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.num_entries):
            yield self._read(self._number())

    def close(self) -> None:
        """End the process that reads."""
        self._child.kill()
        self._child.communicate()

    def _number(self):
        (number,) = _NUMBER.unpack(self._read(_NUMBER.size))
        return number

    def _read(self, size):
        stdout, stderr = self._child.stdout, self._child.stderr
        assert stdout is not None and stderr is not None
        data = stdout.read(size) if 0 <= size <= MAX_FILE_SIZE else b''
        if len(data) < size:
            lines = stderr.read(_LONGEST_ERROR).decode('utf-8', 'replace').splitlines()
            reason = lines[-1] if lines else 'its reader crashed'
            text = '%r cannot be read as an LMDB folder (%s); copy it again from its source.'
            raise UserError(text % (self.path, reason))
        return data
