"""Reading files of PyTorch as data: tensors become arrays, nothing is imported or called.

Three forms hold tensors:

    zip      of torch.save since 1.6: the pickle NAME/data.pkl beside the numbers of each storage,
             NAME/data/KEY
    legacy   of torch.save before: five pickles one after the other, a magic number, a version,
             facts about the machine, the content and a list of keys, and then for each key the
             numbers of one storage
    pickle   of Python, as stylegan2-ada-pytorch writes: each storage is a call with the bytes of a
             legacy file of its own

In the first two the pickle names storages by persistent ids. The numbers are views of the file.
"""

import io
import zipfile
from typing import Any, Callable, Dict, Optional

import numpy as np

from dnnlib import pickle_reader
from dnnlib.pickle_machine import GlobalName, Machine, PickleError

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19'  # how the magic number is pickled
_ZIP = b'PK\3\4'
_TYPES = {
    'torch.%sStorage' % name: dtype
    for name, dtype in [
        ('Float', '<f4'),
        ('Double', '<f8'),
        ('Half', '<f2'),
        ('Long', '<i8'),
        ('Int', '<i4'),
        ('Short', '<i2'),
        ('Char', 'i1'),
        ('Byte', 'u1'),
        ('Bool', 'u1'),
    ]
}


class _Storage:
    """What a persistent id says of the numbers that stand elsewhere, and then these."""

    def __init__(self, identity: Any):
        is_storage = (
            type(identity) is tuple
            and len(identity) in (5, 6)
            and identity[0] == 'storage'
            and type(identity[1]) is GlobalName
            and identity[1].text in _TYPES
            and type(identity[2]) is str
            and type(identity[4]) is int
        )
        if not is_storage:
            raise PickleError('it keeps other data outside of itself than arrays of numbers')
        self.key, self.size = identity[2], identity[4]
        self.dtype = np.dtype(_TYPES[identity[1].text])
        self.numbers: Optional[np.ndarray] = None

    def take(self, content: Any) -> None:
        """The bytes are found."""
        if len(content) != self.size * self.dtype.itemsize:
            raise PickleError('an array has another size than the file says before')
        self.numbers = np.frombuffer(content, self.dtype)


class _TorchMachine(Machine):
    """Runs through one pickle after the other; keeps the storages that they name."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self.storages: Dict[str, _Storage] = {}

    def refer(self):
        storage = _Storage(self.stack.pop())
        kept = self.storages.setdefault(storage.key, storage)
        if (kept.dtype, kept.size) != (storage.dtype, storage.size):
            raise PickleError('an array has another size than the file says before')
        self.stack.append(kept)

    def next_pickle(self) -> Any:
        """The object of the next pickle."""
        self.memo = {}
        return self.run()


def is_legacy(data: bytes) -> bool:
    """Whether a file begins like one of torch.save before version 1.6."""
    return data[: len(_LEGACY)] == _LEGACY


def read(data: bytes) -> Any:
    """What a file of one of the three forms holds.

    Returns: numbers, text, lists, tuples, dictionaries, and arrays, which cannot be written to, in
        place of tensors; objects of other classes stay `Call`s, names `GlobalName`s.

    Raises:
        PickleError: broken, or arrays of other things than numbers.
    """
    if data[:4] == _ZIP:
        content = _read_zip(data)
    elif is_legacy(data):
        content = _read_legacy(data)
    else:
        content = Machine(data).run()
    return pickle_reader.resolve(content, len(data), None, _MAKERS)


def read_weights(data: bytes) -> Dict[str, np.ndarray]:
    """Arrays of a dictionary of weights by their names.

    Raises:
        PickleError: see `read`; or it holds something else.
    """
    if data[:4] != _ZIP and not is_legacy(data):
        raise PickleError('it is no file of PyTorch')
    weights = read(data)
    if not isinstance(weights, dict):
        raise PickleError('it holds something else than a dictionary of weights')
    for name, value in weights.items():
        if not isinstance(value, np.ndarray):
            raise PickleError('%.100r is no array' % name)
    return weights


def _read_legacy(data):
    machine = _TorchMachine(data)
    magic, version, _, content, keys = [machine.next_pickle() for _ in range(5)]
    if (magic, version) != (_MAGIC, _VERSION):
        raise PickleError('it is no file of PyTorch 1.5 or earlier')
    if type(keys) is not list or set(keys) != set(machine.storages):
        raise PickleError('its arrays are not those that it names')
    for key in keys:
        (size,) = np.frombuffer(machine.take(8), '<i8')
        storage = machine.storages[key]
        if size != storage.size:
            raise PickleError('an array has another size than the file says before')
        storage.take(machine.take(storage.size * storage.dtype.itemsize))
    return content


def _read_zip(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _content_of(archive, len(data))
    except PickleError:
        raise
    except Exception as error:  # what zipfile raises for broken files is no list
        text = '%s: %s' % (type(error).__name__, ' '.join(str(error).split()))
        raise PickleError('it is no whole archive of PyTorch (%.200s)' % text)


def _content_of(archive, size):
    entries = {entry.filename: entry for entry in archive.infolist()}
    (pickled,) = [name for name in entries if name.endswith('/data.pkl')] or [None]
    if pickled is None:
        raise PickleError('there is no data.pkl in it')
    # torch.save packs nothing; so the content is no larger than the file.
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values())
    if packed or sum(entry.file_size for entry in entries.values()) > size:
        raise PickleError('its content is packed, or larger than itself')
    folder = pickled[: -len('data.pkl')]
    if folder + 'byteorder' in entries and archive.read(folder + 'byteorder') != b'little':
        raise PickleError('it was written on a big-endian machine')
    machine = _TorchMachine(archive.read(pickled))
    content = machine.run()
    for storage in machine.storages.values():
        storage.take(archive.read('%sdata/%s' % (folder, storage.key)))
    return content


def _make_tensor(args, state, items):
    """torch._utils._rebuild_tensor_v2(storage, begin, shape, strides, ...)."""
    if len(args) < 4 or type(args[0]) is not _Storage or args[0].numbers is None:
        raise PickleError('a tensor is made of something else than numbers')
    storage, begin, shape, strides = args[:4]
    whole = (begin,), shape, strides
    if not all(type(x) is tuple and all(type(n) is int and n >= 0 for n in x) for x in whole):
        raise PickleError('a tensor has no shape')
    last = begin + sum((n - 1) * step for n, step in zip(shape, strides))
    count = 1
    for number in shape:
        count *= number
    if len(shape) != len(strides) or len(shape) > 32 or max(count, last + 1) > storage.size:
        raise PickleError('a tensor is larger than what it is a part of')
    steps = [step * storage.dtype.itemsize for step in strides]
    part = storage.numbers[begin:]
    return np.lib.stride_tricks.as_strided(part, shape, steps, writeable=False)


def _make_parameter(args, state, items):
    """torch._utils._rebuild_parameter(tensor, ...), or with a state more."""
    if not args or not isinstance(args[0], np.ndarray):
        raise PickleError('a parameter is no tensor')
    return args[0]


def _make_storage(args, state, items):
    """torch.storage._load_from_bytes(bytes of a legacy file)."""
    if len(args) != 1 or type(args[0]) not in (bytes, memoryview):
        raise PickleError('a storage is made of something else than bytes')
    storage = _read_legacy(bytes(args[0]))
    if type(storage) is not _Storage:
        raise PickleError('a storage is none')
    return storage


def _make_dictionary(args, state, items):
    """collections.OrderedDict() of weights, whose state are the versions of their modules."""
    if args:
        raise PickleError('a dictionary is made of something else')
    return dict(items or {})


_MAKERS: Dict[str, Callable] = {
    'collections.OrderedDict': _make_dictionary,
    'torch._utils._rebuild_tensor_v2': _make_tensor,
    'torch._utils._rebuild_parameter': _make_parameter,
    'torch._utils._rebuild_parameter_with_state': _make_parameter,
    'torch.storage._load_from_bytes': _make_storage,
}
