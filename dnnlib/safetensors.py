"""Files of named arrays in the format safetensors: numbers behind a JSON header, nothing to run.

Format: 8 bytes, the length of the header, little-endian; the header, {name: {dtype, shape,
data_offsets}} with texts under '__metadata__'; then the numbers, little-endian, in C order.
"""

import json
import struct
from typing import IO, Dict, Mapping, Tuple

import numpy as np

from dnnlib import plain_data

_TYPES = {
    'F64': '<f8',
    'F32': '<f4',
    'F16': '<f2',
    'I64': '<i8',
    'I32': '<i4',
    'I16': '<i2',
    'I8': '|i1',
    'U8': '|u1',
    'BOOL': '|b1',
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_METADATA = '__metadata__'
_ALIGNMENT = 8


def write(file: IO, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays of the types above, and texts about them.

    Raises:
        ValueError: another type.
    """
    header: Dict[str, dict] = {_METADATA: dict(metadata)} if metadata else {}
    begin = 0
    for name, array in arrays.items():
        type_name = array.dtype.newbyteorder('<').str
        if type_name not in _NAMES:
            raise ValueError('%s has numbers of the type %s' % (name, array.dtype))
        end = begin + array.nbytes
        shape = list(array.shape)
        header[name] = dict(dtype=_NAMES[type_name], shape=shape, data_offsets=[begin, end])
        begin = end
    text = json.dumps(header).encode('utf-8')
    text += b' ' * (-len(text) % _ALIGNMENT)
    file.write(struct.pack('<Q', len(text)) + text)
    for array in arrays.values():
        file.write(array.astype(array.dtype.newbyteorder('<'), order='C', copy=False).tobytes())


def is_one(begin: bytes) -> bool:
    """Whether a file that begins with these bytes, 9 or more, can be one."""
    return len(begin) > 8 and begin[4:9] == b'\0\0\0\0{'


def read(data: bytes) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """Arrays, which are views of the file's bytes and cannot be written to, and texts by name.

    Raises:
        ValueError: broken, or another format.
    """
    if not is_one(data):
        raise ValueError('it does not begin like one')
    (length,) = struct.unpack('<Q', data[:8])
    if length > len(data) - 8:
        raise ValueError('it ends within its header')
    header = plain_data.from_json(data[8 : 8 + length].decode('utf-8'))
    numbers = memoryview(data)[8 + length :]
    metadata = header.pop(_METADATA, {})
    if not all(type(text) is str for pair in metadata.items() for text in pair):
        raise ValueError('what it says about the arrays is no text')
    return {name: _array(name, entry, numbers) for name, entry in header.items()}, metadata


def _array(name, entry, numbers):
    dtype, shape = _TYPES.get(entry['dtype']), entry['shape']
    begin, end = entry['data_offsets']
    if dtype is None:
        raise ValueError('%.100s has numbers of the type %.20r' % (name, entry['dtype']))
    is_plain = all(type(n) is int and 0 <= n < 1 << 40 for n in [begin, end, *shape])
    count = 1
    for size in shape:
        count *= size
    is_whole = is_plain and len(shape) <= 32 and begin <= end <= len(numbers)
    if not is_whole or end - begin != count * np.dtype(dtype).itemsize:
        raise ValueError('%.100s is not what the header says' % name)
    content = numbers[begin:end]
    if dtype == '|b1':  # any byte but 0 is true
        return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
    return np.frombuffer(content, dtype).reshape(shape)
