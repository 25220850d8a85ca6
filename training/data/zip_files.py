"""Reading .zip archives of very many files in little memory.

Python's zipfile keeps about a kilobyte for each file of an archive; this keeps name and place.
Format: PKWARE's .ZIP File Format Specification (APPNOTE), sections 4.3 and 4.4.
"""

import array
import hashlib
import os
import struct
import weakref
import zlib
from typing import BinaryIO, Callable, Iterator, Tuple

import numpy as np

from dnnlib.util import UserError, open_regular
from training.data.file_names import NameTable

_END = struct.Struct('<4s4H2LH')  # end of central directory
_END64_LOCATOR = struct.Struct('<4sLQL')
_END64 = struct.Struct('<4sQ2H2L4Q')
_ENTRY = struct.Struct('<4s6H3L5H2L')  # of the central directory
_LOCAL = struct.Struct('<4s5H3L2H')  # before the content of a file
_LONGEST_COMMENT = 0xFFFF
_NOT_HERE = 0xFFFFFFFF  # the number is in the extra field of 64-bit archives
_LONGEST_NAME = 1024  # bytes; each name takes as much memory as the longest
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800  # flags


class ZipFiles:
    """The files of a .zip archive; safe to read from several threads.

    Args:
        path: the archive.
        wanted: tells by the path inside the archive whether a file counts.

    Attributes:
        names: sorted paths inside the archive.

    Raises:
        UserError: it is no complete .zip archive.
    """

    def __init__(self, path: str, wanted: Callable[[str], bool]):
        self.path = path
        file = open_regular(path)
        self._file = file.fileno()
        self._size = os.fstat(self._file).st_size
        self._close = weakref.finalize(self, file.close)
        self._shift = 0  # of all offsets, where something stands before the archive
        positions, contents = array.array('Q'), array.array('Q')

        def names():
            for position, content, name in self._entries(file):
                if not name.endswith('/') and wanted(name):
                    positions.append(position)
                    contents.append(content)
                    yield name

        try:
            self.names = NameTable(names())
        except (ValueError, OSError, struct.error):
            self.close()
            raise UserError('%r is no complete .zip file; copy it again from its source.' % path)
        order = self.names.sort()
        self._positions = np.array(positions, np.uint64)[order]
        self._contents = np.array(contents, np.uint64)[order]

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the files of these numbers, in this order."""
        self.names.keep(rows)
        self._positions, self._contents = self._positions[rows], self._contents[rows]

    def sha256(self) -> str:
        """Hash of the names, sizes and checksums of all files."""
        digest = hashlib.sha256(self.names.sha256().encode())
        digest.update(self._contents.tobytes())
        return digest.hexdigest()

    def read(self, index: int, max_size: int = 1 << 30) -> bytes:
        """Return the content of a file.

        Raises:
            ValueError: it is broken, larger than `max_size`, encrypted or compressed by an uncommon
                method.
        """
        begin, method, crc, packed_size, size = self._locate(int(self._positions[index]))
        if max(size, packed_size) > max_size:
            raise ValueError('it has %d MiB, more than %d' % (size >> 20, max_size >> 20))
        content = self._read(begin, packed_size)
        if method == _DEFLATED:
            try:
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size + 1)
            except zlib.error as error:
                raise ValueError('its content in the .zip is broken: %s' % error)
        if len(content) != size or zlib.crc32(content) != crc:
            raise ValueError('its checksum in the .zip does not fit its content')
        return content

    def close(self) -> None:
        """Close the archive."""
        self._close()

    def _entries(self, file: BinaryIO) -> Iterator[Tuple[int, int, str]]:
        """Yield place, checksum with size, and name of the entries of the central directory."""
        position, end = self._find_directory()
        file.seek(position)
        while position < end:
            fields = _ENTRY.unpack(file.read(_ENTRY.size))
            sizes = fields[10:13]  # name, extra field, comment
            texts = file.read(sum(sizes))
            too_long = sizes[0] > _LONGEST_NAME
            if fields[0] != b'PK\1\2' or len(texts) < sum(sizes) or too_long:
                raise ValueError('its directory is broken')
            name = texts[: sizes[0]].decode('utf-8' if fields[3] & _UTF8 else 'cp437')
            yield position, fields[7] << 32 | fields[9], name
            position += _ENTRY.size + len(texts)

    def _find_directory(self):
        """First and last + 1 byte of the central directory."""
        size = os.fstat(self._file).st_size
        tail_size = min(_END.size + _LONGEST_COMMENT, size)
        tail = self._read(size - tail_size, tail_size)
        at = tail.rfind(b'PK\5\6')
        if at < 0:
            raise ValueError('its end is missing')
        end = size - tail_size + at
        directory_size, offset = _END.unpack_from(tail, at)[5:7]
        locator = end - _END64_LOCATOR.size
        if locator >= 0 and self._read(locator, 4) == b'PK\6\7':
            end = locator - _END64.size
            directory_size, offset = _END64.unpack(self._read(end, _END64.size))[8:10]
        begin = end - directory_size
        if begin < 0:
            raise ValueError('its directory lies outside')
        self._shift = begin - offset
        return begin, end

    def _locate(self, position):
        """Of an entry: first byte of the content, method, checksum, packed size, size."""
        fields = _ENTRY.unpack(self._read(position, _ENTRY.size))
        flags, method, crc, packed_size = fields[3], fields[4], fields[7], fields[8]
        if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
            raise ValueError('it is encrypted, or compressed by other than the usual method')
        extra = self._read(position + _ENTRY.size + fields[10], fields[11])
        size, packed_size, offset = _with_64_bits([fields[9], packed_size, fields[16]], extra)
        begin = self._shift + offset
        local = _LOCAL.unpack(self._read(begin, _LOCAL.size))
        if local[0] != b'PK\3\4':
            raise ValueError('it is not where the directory of the .zip says')
        return begin + _LOCAL.size + local[9] + local[10], method, crc, packed_size, size

    def _read(self, offset, size):
        if offset < 0:
            raise ValueError('an offset is outside of the .zip')
        data = os.pread(self._file, size, offset) if offset + size <= self._size else b''
        if len(data) < size:
            raise ValueError('the .zip ends inside it')
        return data


def _with_64_bits(numbers, extra):
    """Replace numbers that did not fit into 32 bits by those of the extra field, in its order."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from('<2H', extra, at)
        if kind == 1:
            long_numbers = iter(struct.unpack_from('<%dQ' % (size // 8), extra, at + 4))
            return [next(long_numbers, n) if n == _NOT_HERE else n for n in numbers]
        at += 4 + size
    return numbers
