"""The opcodes of pickles, of protocols 0 to 5: bytes become containers, names and records of calls.

A short list of them, those that real files need; nothing is imported or called. `pickle_reader`
makes data of the result. Steps are bounded, so that a small file stays small in memory.
"""

import codecs
import math
import struct
from typing import Any, Dict, List

MAX_COST = 1000000  # of all steps together; CIFAR-100's file with 50,000 file names costs 300,000
_CONTAINER_COST = 4  # of a step that makes an object of 100 to 300 bytes
_MAX_DIGITS = 1000
_MAX_LONG_BYTES = 415  # 1000 digits
_MAX_NAME = 4096

_OLD_MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}  # of Python 2


class PickleError(Exception):
    """Why a pickle cannot be read, in one line."""


class GlobalName:
    """The dotted name of a module's member, by today's module names; nothing is imported."""

    def __init__(self, module: str, name: str):
        module = module.replace('numpy._core', 'numpy.core')  # NumPy 2
        self.text = '%s.%s' % (_OLD_MODULES.get(module, module), name)


class Call:
    """An object as a file describes it: the name to call and with what. It is never called.

    Attributes:
        func: dotted name. args: tuple. state: what `__setstate__` would get, None for nothing.
        items: content of a dictionary's subclass, None for nothing. offset: byte in the file.
    """

    def __init__(self, func: str, args: tuple, offset: int, state: Any = None, items: Any = None):
        self.func, self.args, self.offset = func, args, offset
        self.state, self.items = state, items


class Machine:
    """Runs through the opcodes of a file's bytes.

    Large bytes become views of the file; what was memorized is shared, so the result is a graph.
    """

    def __init__(self, data: bytes):
        self.data, self.view, self.position = data, memoryview(data), 0
        self.stack: List[Any] = []
        self.marked: List[List[Any]] = []
        self.memo: Dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the file ends with.

        Raises:
            PickleError: broken, an opcode outside the list, or too many steps.
        """
        budget = MAX_COST
        while budget > 0:
            offset = self.position
            try:
                code = self.take(1)[0]
                if code == _STOP:
                    return self._finish()
                entry = _OPCODES.get(code)
                if entry is None:
                    raise PickleError(_REFUSED.get(code, 'the opcode 0x%02x is not known' % code))
                read_argument, action, cost = entry
                action(self, read_argument(self) if read_argument else None)
                budget -= cost
            except IndexError:
                raise PickleError('byte %d: the object to work on is missing' % offset)
            except (PickleError, ValueError, OverflowError) as error:
                raise PickleError('byte %d: %s' % (offset, error))
        raise PickleError('byte %d: it has too many steps' % self.position)

    def _finish(self):
        if self.marked or len(self.stack) != 1:
            raise PickleError('it does not end with one object')
        return self.stack.pop()

    def take(self, count: int) -> memoryview:
        """The next `count` bytes."""
        start, end = self.position, self.position + count
        if not start <= end <= len(self.data):
            raise PickleError('it ends too early')
        self.position = end
        return self.view[start:end]

    def line(self, longest: int) -> bytes:
        """The bytes up to the next line feed."""
        end = self.data.find(b'\n', self.position, self.position + longest + 1)
        if end < 0:
            raise PickleError('a line does not end, or has more than %d bytes' % longest)
        start, self.position = self.position, end + 1
        return self.data[start:end]

    def push_marked(self, make):
        values = self.pop_marked()
        self.stack.append(make(values))

    def pop_marked(self):
        values, self.stack = self.stack, self.marked.pop()
        return values

    def mark(self):
        self.marked.append(self.stack)
        self.stack = []

    def push_tuple(self, count):
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append(self, values):
        if type(self.stack[-1]) is not list:
            raise PickleError('something is appended to what is no list')
        self.stack[-1].extend(values)

    def add(self, values):
        if type(self.stack[-1]) is not set:
            raise PickleError('something is added to what is no set')
        self.stack[-1].update(map(_check_key, values))

    def set_items(self, pairs):
        target = self.stack[-1]
        if type(target) is Call:
            if target.items is None:
                target.items = {}
            target = target.items
        if type(target) is not dict:
            raise PickleError('an item is set on what is no dictionary')
        target.update(_dict_of(pairs))

    def call(self):
        args, func = self.stack.pop(), self.stack.pop()
        if type(func) is not GlobalName or type(args) is not tuple:
            raise PickleError('something other than a name is called, or without arguments')
        func, state, items = func.text, None, None
        if func == 'copyreg._reconstructor' and len(args) == 3:  # objects in protocols 0 and 1
            (func, _, items), args = args, ()
            if type(func) is not GlobalName or type(items) not in (dict, type(None)):
                raise PickleError('an object is made of what is no dictionary')
            func = func.text
        self.stack.append(Call(func, args, self.position, state, items))

    def build(self):
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is not Call or target.state is not None:
            raise PickleError('a state is set on what is no new object')
        target.state = state

    def push_global(self, module, name):
        if type(module) is not str or type(name) is not str:
            raise PickleError('a name is no text')
        self.stack.append(GlobalName(module, name))

    def recall(self, index):
        if index not in self.memo:
            raise PickleError('number %d of the memory is empty' % index)
        self.stack.append(self.memo[index])

    def memorize(self, index):
        self.memo[index] = self.stack[-1]

    def refer(self):
        raise PickleError('it keeps data outside of itself (a persistent id), as PyTorch does')


def _dict_of(pairs):
    if len(pairs) % 2:
        raise PickleError('a key has no value')
    return dict(zip(map(_check_key, pairs[::2]), pairs[1::2]))


def _check_key(key):
    """A key that is hashed and compared in no time, as tuples, NaN and huge numbers are not."""
    kind = type(key)
    if (
        (kind in (str, bytes) and len(key) <= _MAX_NAME)
        or (kind in (bool, int) and abs(key) < 1 << 60)
        or (kind is float and math.isfinite(key))
    ):
        return key
    raise PickleError('a key is neither short text nor a number')


def _int_or_bool(line):
    return line == b'01' if line in (b'00', b'01') else int(line)


def _long(view):
    if len(view) > _MAX_LONG_BYTES:
        raise PickleError('a number has more than %d digits' % _MAX_DIGITS)
    return int.from_bytes(view, 'little', signed=True)


def _raw(view):
    return bytes(view) if len(view) <= _MAX_NAME else view


def _quoted(line):
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b'"', b"'"):
        raise PickleError('text has no quotation marks')
    return codecs.escape_decode(line[1:-1])[0].decode('latin-1')


def _escaped(line):
    text = line.decode('raw-unicode-escape')
    text.encode('utf-8')  # half a surrogate pair is no text
    return text


def _number(code):
    """Reader of a number of `struct`'s format."""
    packed = struct.Struct(code)
    return lambda machine: packed.unpack(machine.take(packed.size))[0]


def _counted(code):
    """Reader of as many bytes as a number before them says."""
    count = _number(code)
    return lambda machine: machine.take(count(machine))


def _short_line(machine):
    return machine.line(_MAX_DIGITS)


def _long_line(machine):
    return machine.line(len(machine.data))


def _index_line(machine):
    return int(machine.line(10))


def _two_names(machine):
    return machine.line(_MAX_NAME).decode('utf-8'), machine.line(_MAX_NAME).decode('utf-8')


def _scalar(read_argument, convert=lambda value: value):
    """A step that pushes a value."""
    return read_argument, lambda machine, value: machine.stack.append(convert(value)), 1


def _container(action, read_argument=None):
    """A step that makes an object."""
    return read_argument, action, _CONTAINER_COST


def _step(action, read_argument=None):
    return read_argument, action, 1


_U1, _U2, _I4, _U4, _U8 = (_number('<' + code) for code in 'BHiIQ')
_BYTES1, _BYTES4, _BYTES8 = (_counted('<' + code) for code in 'BIQ')
_STOP = ord('.')

_OPCODES = {
    0x80: _step(lambda m, version: None, _U1),
    0x95: _step(lambda m, size: None, _U8),  # a frame, which only streams have need of
    ord('('): _container(lambda m, _: m.mark()),
    ord('N'): _scalar(None),
    0x88: _scalar(lambda m: True),
    0x89: _scalar(lambda m: False),
    ord('I'): _scalar(_short_line, _int_or_bool),
    ord('L'): _scalar(_short_line, lambda line: int(line.rstrip(b'L'))),
    ord('F'): _scalar(_short_line, float),
    ord('J'): _scalar(_I4),
    ord('K'): _scalar(_U1),
    ord('M'): _scalar(_U2),
    ord('G'): _scalar(_number('>d')),
    0x8A: _scalar(_BYTES1, _long),
    0x8B: _scalar(_BYTES4, _long),
    ord('S'): _scalar(_long_line, _quoted),
    ord('T'): _scalar(_BYTES4, lambda view: str(view, 'latin-1')),
    ord('U'): _scalar(_BYTES1, lambda view: str(view, 'latin-1')),
    ord('V'): _scalar(_long_line, _escaped),
    ord('X'): _scalar(_BYTES4, lambda view: str(view, 'utf-8')),
    0x8C: _scalar(_BYTES1, lambda view: str(view, 'utf-8')),
    0x8D: _scalar(_BYTES8, lambda view: str(view, 'utf-8')),
    ord('C'): _scalar(_BYTES1, _raw),
    ord('B'): _scalar(_BYTES4, _raw),
    0x8E: _scalar(_BYTES8, _raw),
    0x96: _scalar(_BYTES8, _raw),  # of a bytearray
    ord(')'): _scalar(lambda m: ()),
    0x85: _container(lambda m, _: m.push_tuple(1)),
    0x86: _container(lambda m, _: m.push_tuple(2)),
    0x87: _container(lambda m, _: m.push_tuple(3)),
    ord('t'): _container(lambda m, _: m.push_marked(tuple)),
    ord(']'): _container(lambda m, _: m.stack.append([])),
    ord('l'): _container(lambda m, _: m.push_marked(list)),
    ord('a'): _step(lambda m, _: m.append([m.stack.pop()])),
    ord('e'): _step(lambda m, _: m.append(m.pop_marked())),
    ord('}'): _container(lambda m, _: m.stack.append({})),
    ord('d'): _container(lambda m, _: m.push_marked(_dict_of)),
    ord('s'): _step(lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1])),
    ord('u'): _step(lambda m, _: m.set_items(m.pop_marked())),
    0x8F: _container(lambda m, _: m.stack.append(set())),
    0x90: _step(lambda m, _: m.add(m.pop_marked())),
    0x91: _container(lambda m, _: m.push_marked(lambda v: frozenset(map(_check_key, v)))),
    ord('c'): _container(lambda m, names: m.push_global(*names), _two_names),
    0x93: _container(lambda m, _: m.push_global(*[m.stack.pop(), m.stack.pop()][::-1])),
    ord('R'): _container(lambda m, _: m.call()),
    0x81: _container(lambda m, _: m.call()),  # NEWOBJ
    ord('b'): _step(lambda m, _: m.build()),
    ord('Q'): _container(lambda m, _: m.refer()),
    ord('g'): _step(lambda m, index: m.recall(index), _index_line),
    ord('h'): _step(lambda m, index: m.recall(index), _U1),
    ord('j'): _step(lambda m, index: m.recall(index), _U4),
    ord('p'): _step(lambda m, index: m.memorize(index), _index_line),
    ord('q'): _step(lambda m, index: m.memorize(index), _U1),
    ord('r'): _step(lambda m, index: m.memorize(index), _U4),
    0x94: _step(lambda m, _: m.memorize(len(m.memo))),
}

_REFUSED = {
    ord('P'): 'it keeps data outside of itself (a persistent id)',
    0x97: 'it keeps data outside of itself (a buffer)',
    0x98: 'it keeps data outside of itself (a buffer)',
    ord('i'): 'it holds an object of an old class of Python 2',
    ord('o'): 'it holds an object of an old class of Python 2',
    ord('0'): 'it throws away what it has made, which no pickle of data does',
    ord('1'): 'it throws away what it has made, which no pickle of data does',
}
