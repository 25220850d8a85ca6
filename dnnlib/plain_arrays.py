"""Arrays from what files say about them: a shape, a type from a closed list, and bytes."""

import re
from typing import Sequence, Union

import numpy as np

_MAX_RANK = 32  # of NumPy 1

# Numbers and truth values. Anything else is text, structures, or objects, which are pointers.
_TYPE = re.compile(r'[<>|=]?(\?|b1|[iu][1248]|f[248])\Z')
_TYPE_NAMES = re.compile(r'(bool|u?int(8|16|32|64)|float(16|32|64))\Z')


def number_type(name: str, byte_order: str = '=') -> np.dtype:
    """The type of a name such as '<f4', 'u1' or 'float32'.

    Raises:
        ValueError: no type of numbers.
    """
    if not isinstance(name, str) or not (_TYPE.match(name) or _TYPE_NAMES.match(name)):
        raise ValueError('arrays of the type %.40r are not read, only numbers' % (name,))
    dtype = np.dtype(name)
    return dtype if byte_order in ('=', '|') else dtype.newbyteorder(byte_order)


def make(
    shape: Sequence[int],
    dtype: np.dtype,
    data: Union[bytes, memoryview],
    fortran_order: bool = False,
) -> np.ndarray:
    """An array of its own memory.

    Args:
        data: of exactly the size that shape and type ask for.

    Raises:
        ValueError: not that size, or a shape that arrays cannot have.
    """
    shape = tuple(shape)
    are_sizes = all(type(size) is int and 0 <= size < 1 << 40 for size in shape)
    if len(shape) > _MAX_RANK or not are_sizes:
        raise ValueError('an array has the shape %.200r' % (shape,))
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size != len(data):
        text = 'an array of %d bytes has shape %.200s of %s, which are %d bytes'
        raise ValueError(text % (len(data), list(shape), dtype, size))
    if dtype.kind == 'b':
        flat = np.frombuffer(data, np.uint8) != 0 if size else np.zeros([0], np.bool_)
    else:
        # An aligned copy that can be written to; NumPy's own start slower (huge pages).
        flat = np.frombuffer(bytearray(data), dtype) if size else np.zeros([0], dtype)
    return flat.reshape(shape, order='F' if fortran_order else 'C')
