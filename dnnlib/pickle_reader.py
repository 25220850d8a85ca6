"""Reading pickles as data: nothing that they name is imported or called.

Python's unpickler runs whatever a file asks for. Here `pickle_machine` makes inert records of a
file, and this module makes arrays and containers of those whose names stand in its table. So a file
cannot do anything but be refused. The model is the weights-only reader of PyTorch.

The result is bounded by the file's size: arrays hold no more bytes than the file, nothing holds
itself, and if all that is shared were written out, it would be a few times the file's size.
"""

from collections import OrderedDict
from typing import Any, BinaryIO, Callable, Container, Dict, Optional

import numpy as np

from dnnlib import plain_arrays
from dnnlib.pickle_machine import Call, GlobalName, Machine, PickleError
from dnnlib.util import EasyDict, UserError

_MAX_DEPTH = 100
_LEAST_WEIGHT = 1000000  # what small files may weigh; 1 is a number or 16 bytes
_SLACK = 1 << 20

_UNDER_WAY = object()


def read(data: bytes, objects: Optional[Container[str]] = ()) -> Any:
    """What a pickle holds: numbers, text, bytes, arrays, lists, tuples, dictionaries and sets.

    Bytes are a view of the file where there are more than 4096.

    Args:
        data: the file's bytes; text of Python 2 is taken as Latin-1.
        objects: dotted names of classes whose objects are left as `Call`; None: every class, and
            then names are left as `GlobalName`.

    Raises:
        PickleError: broken, more than data, or out of bounds.
    """
    return resolve(Machine(data).run(), len(data), objects)


def resolve(
    record: Any,
    size: int,
    objects: Optional[Container[str]] = (),
    makers: Optional[Dict[str, Callable]] = None,
) -> Any:
    """Data in place of what a `Machine` made of a pickle; see `read`.

    Args:
        size: of the file in bytes. makers: dotted name -> function of (args, state, items) that
            makes data of such an object, beside those of this module.
    """
    return _Resolver(size, objects, dict(_MAKERS, **(makers or {}))).resolve(record)


def load(file: BinaryIO, what: str, objects: Optional[Container[str]] = ()) -> Any:
    """Read a file, see `read`; `what` the file should be, such as 'network file', is for errors.

    Raises:
        UserError: it cannot be read; the line names the file.
    """
    where = getattr(file, 'name', 'the file')
    data = file.read()
    if data[:200].lstrip()[:1] == b'<':
        raise UserError('%s is a web page, not a %s; download it again' % (where, what))
    try:
        return read(data, objects)
    except UnknownObject as error:
        text = 'cannot load %s: it asks for %.200s, which a %s has no need of; it was not loaded'
        raise UserError(text % (where, error, what))
    except PickleError as error:
        text = '%s is not a whole %s (%s); download or save it again'
        raise UserError(text % (where, what, error))


class UnknownObject(PickleError):
    """A pickle asks for something that is no data; the message is its name."""


class _Resolver:
    """Makes data of the records. What is shared in them is shared in the result."""

    def __init__(self, size, objects, makers):
        self._objects, self._makers = objects, makers
        self._done = {}  # id of a record -> its value, _UNDER_WAY while it is being made
        self._weights = {}  # id of a record -> weight of its value written out
        self._max_weight = _LEAST_WEIGHT + size // 4
        self._array_bytes = size + _SLACK  # that may still be made

    def resolve(self, record, depth=0):
        kind = type(record)
        if kind in (int, float, bool, type(None), str, bytes, memoryview):
            return record
        key = id(record)
        value = self._done.get(key)
        if value is _UNDER_WAY:
            raise PickleError('something holds itself')
        if value is None:
            if depth > _MAX_DEPTH:
                raise PickleError('it is nested more than %d deep' % _MAX_DEPTH)
            self._done[key] = _UNDER_WAY
            value = self._done[key] = self._make(record, kind, depth + 1)
            parts = _parts(record)
            self._weights[key] = 1 + len(parts) + sum(map(self._weight, parts))
            if self._weights[key] > self._max_weight:
                raise PickleError('it repeats itself beyond measure')
        return value

    def _weight(self, record):
        if type(record) in (str, bytes, memoryview):
            return len(record) // 16
        return self._weights.get(id(record), 0)

    def _make(self, record, kind, depth):
        if kind is dict:
            return {key: self.resolve(value, depth) for key, value in record.items()}
        if kind is list or kind is tuple:
            return kind([self.resolve(value, depth) for value in record])
        if kind is Call:
            return self._make_object(record, depth)
        if kind is GlobalName and self._objects is not None:
            raise UnknownObject(record.text)
        return record  # a set, whose elements are scalars, or a name

    def _make_object(self, call, depth):
        make = self._makers.get(call.func)
        if make is None and self._objects is not None and call.func not in self._objects:
            raise UnknownObject(call.func)
        args = [
            arg if type(arg) is GlobalName else self.resolve(arg, depth + 1) for arg in call.args
        ]
        state, items = self.resolve(call.state, depth), self.resolve(call.items, depth)
        if make is None:
            return Call(call.func, tuple(args), call.offset, state, items)
        try:
            value = make(args, state, items)
        except (PickleError, ValueError, TypeError, OverflowError) as error:
            raise PickleError('%s before byte %d: %s' % (call.func, call.offset, error))
        if isinstance(value, np.ndarray) and value.flags.writeable:  # no view of the file
            self._array_bytes -= value.nbytes
            if self._array_bytes < 0:
                raise PickleError('its arrays hold more than the file')
        return value


def _parts(record):
    if type(record) is Call:
        return record.args + (record.state, record.items)
    if type(record) is dict:
        return list(record.values())
    return record if type(record) in (list, tuple, set, frozenset) else ()


def _demand(condition, what):
    if not condition:
        raise PickleError(what)


def _is_only(args, state, items, *counts):
    """Whether a call has neither state nor items, and one of these numbers of arguments."""
    return state is None and items is None and len(args) in counts


def _make_type(args, state, items):
    """numpy.dtype(name, False, True), with the state (version, byte order, None ...)."""
    _demand(items is None and 1 <= len(args) <= 3, 'a type has other arguments')
    if state is None:
        return plain_arrays.number_type(args[0])
    _demand(
        type(state) is tuple
        and len(state) in (8, 9)
        and state[1] in ('<', '>', '=', '|')
        and state[2:8] == (None, None, None, -1, -1, 0),
        'a type is no plain type of numbers',
    )
    return plain_arrays.number_type(args[0], state[1])


def _make_array(shape, dtype, data, fortran_order=False):
    if type(data) is str:  # bytes of Python 2
        data = data.encode('latin-1')
    _demand(
        type(shape) in (tuple, list)
        and isinstance(dtype, np.dtype)
        and type(data) in (bytes, memoryview)
        and fortran_order in (False, True),
        'an array is not given by a shape, a type of numbers and bytes',
    )
    return plain_arrays.make(shape, dtype, data, bool(fortran_order))


def _array_of_state(args, state, items):
    """_reconstruct(ndarray, (0,), b'b') with the state (version, shape, dtype, order, bytes)."""
    _demand(
        items is None
        and len(args) == 3
        and type(args[0]) is GlobalName
        and args[0].text == 'numpy.ndarray'
        and type(state) is tuple
        and len(state) in (4, 5),
        'an array has no state',
    )
    shape, dtype, fortran_order, data = state[-4:]
    return _make_array(shape, dtype, data, fortran_order)


def _array_of_call(args, state, items):
    """numpy.ndarray(shape, name of the type, bytes), as `pickles.save` writes."""
    _demand(_is_only(args, state, items, 3), 'an array has other arguments')
    return _make_array(args[0], plain_arrays.number_type(args[1]), args[2])


def _array_of_buffer(args, state, items):
    """_frombuffer(bytes, dtype, shape, order), of protocol 5."""
    is_known = _is_only(args, state, items, 4, 5) and args[3] in ('C', 'F')
    _demand(is_known, 'an array has other arguments')
    return _make_array(args[2], args[1], args[0], args[3] == 'F')


def _make_scalar(args, state, items):
    """numpy.core.multiarray.scalar(dtype, bytes)."""
    _demand(_is_only(args, state, items, 2), 'a number has other arguments')
    return _make_array((), args[0], args[1])[()]


def _number_class(name):
    """numpy.float32(number) and the like, as `pickles.save` writes."""
    number_class = np.dtype(name).type

    def make(args, state, items):
        is_number = _is_only(args, state, items, 1) and type(args[0]) in (int, float, bool)
        _demand(is_number, 'a number has other arguments')
        return number_class(args[0])

    return make


def _easy_dict(args, state, items):
    _demand(not args and state is None, 'a dictionary has arguments or a state')
    return EasyDict(items or {})


def _ordered_dict(args, state, items):
    """OrderedDict() with items, or of Python 2 OrderedDict([[key, value], ...])."""
    _demand(state is None and len(args) <= 1, 'a dictionary has arguments or a state')
    pairs = args[0] if args else []
    _demand(
        type(pairs) is list
        and all(type(p) in (list, tuple) and len(p) == 2 and type(p[0]) is str for p in pairs),
        'a dictionary is made of something else',
    )
    return OrderedDict(list(map(tuple, pairs)) + list((items or {}).items()))


def _encoded(args, state, items):
    """_codecs.encode(text, 'latin1'): bytes of Python 3 in protocols 0 to 2."""
    is_text = _is_only(args, state, items, 2) and type(args[0]) is str
    is_known = is_text and args[1] in ('latin1', 'latin-1')
    _demand(is_known, 'text is encoded in another way than bytes are')
    return args[0].encode('latin-1')


def _empty_bytes(args, state, items):
    """bytes(): no bytes, of Python 3 in protocols 0 to 2."""
    _demand(_is_only(args, state, items, 0), 'bytes have arguments')
    return b''


def _make_set(args, state, items):
    """set([...]), in protocols 0 to 3."""
    is_list = _is_only(args, state, items, 1) and type(args[0]) is list
    _demand(is_list, 'a set is made of something else')
    _demand(all(type(x) in (str, int, bool) for x in args[0]), 'a set holds more than text')
    return set(args[0])


# dotted name -> function of (args, state, items) that makes the data
_MAKERS = {
    'numpy.dtype': _make_type,
    'numpy.ndarray': _array_of_call,
    'numpy.core.multiarray._reconstruct': _array_of_state,
    'numpy.core.multiarray.scalar': _make_scalar,
    'numpy.core.numeric._frombuffer': _array_of_buffer,
    'collections.OrderedDict': _ordered_dict,
    'dnnlib.EasyDict': _easy_dict,
    'dnnlib.util.EasyDict': _easy_dict,
    '_codecs.encode': _encoded,
    'builtins.bytes': _empty_bytes,
    'builtins.set': _make_set,
}
for _name in 'float16 float32 float64 int8 uint8 int16 uint16 int32 uint32 int64 uint64'.split():
    _MAKERS['numpy.' + _name] = _number_class(_name)
_MAKERS['numpy.bool_'] = _MAKERS['numpy.bool'] = _number_class('bool')
