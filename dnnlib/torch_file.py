"""Reading the arrays of a file of PyTorch weights as data: nothing is imported or called.

It is the format that torch.save wrote before version 1.6: five pickles one after the other, a magic
number, a version, facts about the machine, the dictionary of weights and a list of names, and then
for each name the numbers of one storage. The dictionary's pickle names storages by persistent ids.
"""

from typing import Any, Dict, List, NamedTuple

import numpy as np

from dnnlib.pickle_machine import Call, GlobalName, Machine, PickleError

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_TYPES = {'torch.FloatStorage': '<f4', 'torch.LongStorage': '<i8'}


class _Storage(NamedTuple):
    """What a persistent id says of the numbers that follow the pickles."""

    key: str
    dtype: np.dtype
    size: int


class _TorchMachine(Machine):
    """Runs through one pickle after the other."""

    def refer(self):
        identity = self.stack.pop()
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
        dtype = np.dtype(_TYPES[identity[1].text])
        self.stack.append(_Storage(identity[2], dtype, identity[4]))

    def next_pickle(self) -> Any:
        """The object of the next pickle."""
        self.memo = {}
        return self.run()


def read(data: bytes) -> Dict[str, np.ndarray]:
    """Arrays of a dictionary of weights by their names, as views of the file's bytes.

    Raises:
        PickleError: another format, broken, or more than numbers.
    """
    machine = _TorchMachine(data)
    magic, version, _, weights, keys = [machine.next_pickle() for _ in range(5)]
    if (magic, version) != (_MAGIC, _VERSION):
        raise PickleError('it is no file of PyTorch 1.5 or earlier')
    if type(weights) is not Call or weights.func != 'collections.OrderedDict':
        raise PickleError('it holds something else than a dictionary of weights')
    tensors = {name: _Tensor(name, value) for name, value in (weights.items or {}).items()}
    arrays = _read_storages(machine, keys, [tensor.storage for tensor in tensors.values()])
    return {name: tensor.of(arrays[tensor.storage.key]) for name, tensor in tensors.items()}


class _Tensor:
    """A part of a storage, as the pickle describes it."""

    def __init__(self, name, value):
        is_tensor = (
            type(value) is Call
            and value.func == 'torch._utils._rebuild_tensor_v2'
            and len(value.args) >= 4
            and type(value.args[0]) is _Storage
        )
        if not is_tensor:
            raise PickleError('%.100r is no array' % name)
        self.storage, self._begin, self._shape, self._strides = value.args[:4]
        whole = (self._begin,), self._shape, self._strides
        if not all(type(x) is tuple and all(type(n) is int and n >= 0 for n in x) for x in whole):
            raise PickleError('%.100r has no shape' % name)
        last = self._begin + sum((n - 1) * step for n, step in zip(self._shape, self._strides))
        count = 1
        for number in self._shape:
            count *= number
        if len(self._shape) != len(self._strides) or max(count, last + 1) > self.storage.size:
            raise PickleError('%.100r is larger than what it is a part of' % name)

    def of(self, numbers):
        """The array, of the numbers of its storage."""
        strides = [step * numbers.itemsize for step in self._strides]
        return np.lib.stride_tricks.as_strided(
            numbers[self._begin :], self._shape, strides, writeable=False
        )


def _read_storages(machine, keys, storages: List[_Storage]):
    by_key = {storage.key: storage for storage in storages}
    if type(keys) is not list or set(keys) != set(by_key):
        raise PickleError('its arrays are not those that it names')
    arrays = {}
    for key in keys:
        (size,) = np.frombuffer(machine.take(8), '<i8')
        storage = by_key[key]
        if size != storage.size:
            raise PickleError('an array has another size than the file says before')
        content = machine.take(int(size) * storage.dtype.itemsize)
        arrays[key] = np.frombuffer(content, storage.dtype)
    return arrays
