"""Networks as one .npz or .safetensors of plain numbers with a JSON header: no pickle, no code.

The header, entry 'header' or text of that name, says what to build: {format, version,
is_single, networks: {key: {name, module, build_func_name, static_kwargs, components: {key: ...},
variables: [[name, shape, dtype], ...]}}}. The array of a variable is the entry
'<key>.<component key>...:<variable>'.
"""

import contextlib
import importlib
import inspect
import json
import os
import re
import struct
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO, Dict, Iterator

import numpy as np

from dnnlib import plain_arrays, plain_data, safetensors
from dnnlib.tflib import network_code
from dnnlib.tflib.network import Network
from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError, atomic_write

_FORMAT, _VERSION = 'stylegan2 weights', 1
_ROLES = ('G', 'D', 'Gs')
_MAX_DEPTH = 8  # of components in components
_SLACK = 64 << 20
_LONGEST_HEADER = 10000  # of one array, in bytes
_NPY_HEADER = re.compile(
    rb"\{'descr': '([<>|][a-zA-Z?][0-9]+)', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}(?:, ?|(?=\))))*)\),? *\} *\n?\Z"
)


def by_role(loaded: Any) -> Dict[str, Any]:
    """What a network file holds, by name: G, D, Gs, or the name of a single network.

    Raises:
        UserError: the file holds neither three networks nor one.
    """
    if isinstance(loaded, (NetworkRecord, Network)):
        return {loaded.name: loaded}
    if isinstance(loaded, (tuple, list)) and len(loaded) == len(_ROLES):
        if all(isinstance(net, (NetworkRecord, Network)) for net in loaded):
            return dict(zip(_ROLES, loaded))
    raise UserError('the file holds neither (G, D, Gs) nor one network')


def export_npz(loaded: Any, path: str) -> None:
    """Write network records, as `pickles.load_records` returns them, to an .npz file.

    Raises:
        UserError: options that JSON cannot hold, or the file cannot be written.
    """
    header, arrays = _header_and_arrays(loaded)
    with atomic_write(path) as file:
        np.savez(file, header=np.array(header), **arrays)


def export_safetensors(loaded: Any, path: str) -> None:
    """Write network records to a .safetensors file; see `export_npz`."""
    header, arrays = _header_and_arrays(loaded)
    with atomic_write(path) as file:
        safetensors.write(file, arrays, dict(header=header))


def _header_and_arrays(loaded):
    arrays: Dict[str, Any] = {}
    networks = {key: _describe(record, key, arrays) for key, record in by_role(loaded).items()}
    is_single = isinstance(loaded, NetworkRecord)
    header = dict(format=_FORMAT, version=_VERSION, is_single=is_single, networks=networks)
    try:
        return json.dumps(header), arrays
    except TypeError as error:
        raise UserError('an option of these networks cannot be written as JSON: %s' % error)


def _describe(record, key, arrays):
    """The header's entry for a network; its variables go into `arrays`."""
    module = network_code.local_namesake(record.source, record.build_func_name)
    for name, value in record.variables.items():
        if value.dtype.kind not in 'fiub':
            raise UserError('variable %s of %r holds no numbers' % (name, record.name))
        arrays[key + ':' + name] = value
    return dict(
        name=record.name,
        module=module.__name__ if module else None,
        build_func_name=record.build_func_name,
        static_kwargs=record.static_kwargs,
        components={
            name: _describe(component, key + '.' + name, arrays)
            for name, component in record.components.items()
        },
        variables=[
            [name, list(value.shape), value.dtype.str] for name, value in record.variables.items()
        ],
    )


def read_npz(file: BinaryIO) -> Any:
    """The network records of an .npz file: (G, D, Gs) or one, as what was exported.

    Raises:
        UserError: no such file, or broken.
    """
    with reading_numbers(file), zipfile.ZipFile(file) as archive:
        _check_size(archive, file)
        shape, type_name, _, data = _read_entry(archive, 'header')
        if shape != () or not type_name.startswith('<U'):
            raise ValueError('the header is no text')
        header = bytes(data).decode('utf-32-le').rstrip('\0')
        return _read_networks(header, lambda name: _read_entry(archive, name))


def records_of(arrays: Dict[str, np.ndarray], metadata: Dict[str, str]) -> Any:
    """The network records of what stands in a .safetensors file, within `reading_numbers`."""

    def read(name):
        array = arrays[name]
        return array.shape, array.dtype.str, False, array.tobytes()

    return _read_networks(metadata['header'], read)


@contextlib.contextmanager
def reading_numbers(file: BinaryIO) -> Iterator[None]:
    """Around all that looks into an exported file: what fails becomes one UserError."""
    where = getattr(file, 'name', 'the file')
    try:
        yield
    except UserError as error:
        raise UserError('cannot import %s: %s' % (where, error))
    except Exception as error:  # what zipfile and its decoders raise for broken files is no list
        raise UserError(
            '%s is no whole file of exported networks (%s: %.200s); export it again'
            % (where, type(error).__name__, ' '.join(str(error).split()))
        )


def _check_size(archive, file):
    """Refuse an archive that unpacks to much more than weights do."""
    size = sum(entry.file_size for entry in archive.infolist())
    packed = file.seek(0, os.SEEK_END)
    if size > 8 * packed + _SLACK:
        raise UserError('its %d bytes unpack to %d, which weights do not' % (packed, size))


def _read_networks(header, read):
    """The records that the header describes; read: (name) -> as `_read_entry`."""
    header = plain_data.from_json(header)
    if header['format'] != _FORMAT or header['version'] != _VERSION:
        raise UserError(
            'it has the format %.40r, version %.40r; only %r, version %r can be read'
            % (header['format'], header['version'], _FORMAT, _VERSION)
        )
    networks = header['networks']
    if (len(networks) != 1) if header['is_single'] else (tuple(networks) != _ROLES):
        raise UserError('it holds neither (G, D, Gs) nor one network')
    records = [_read_network(read, key, entry, 0) for key, entry in networks.items()]
    return records[0] if header['is_single'] else tuple(records)


def _read_network(read, key, entry, depth):
    """The record of one network's entry in the header."""
    func_name = entry['build_func_name']
    if entry['module'] not in network_code.LOCAL_MODULES:
        raise UserError(
            'network %.100r needs the build function %.100r, which is not known here'
            % (entry['name'], func_name)
        )
    if depth == _MAX_DEPTH:
        raise UserError('its networks are nested more than %d deep' % _MAX_DEPTH)
    variables = OrderedDict()
    for name, shape, type_name in entry['variables']:
        if name in variables:
            raise UserError('variable %.100s of %.100r is there twice' % (name, entry['name']))
        found_shape, found_type, fortran_order, data = read(key + ':' + name)
        if list(found_shape) != shape or found_type != type_name:
            raise UserError(
                'variable %.100s of %.100r is not what the header says; export it again'
                % (name, entry['name'])
            )
        dtype = plain_arrays.number_type(type_name)
        variables[name] = plain_arrays.make(shape, dtype, data, fortran_order)
    state = dict(
        version=4,
        name=entry['name'],
        static_kwargs=entry['static_kwargs'],
        build_module_src=inspect.getsource(importlib.import_module(entry['module'])),
        build_func_name=func_name,
        variables=list(variables.items()),
    )
    components = {
        name: _read_network(read, key + '.' + name, component, depth + 1)
        for name, component in entry['components'].items()
    }
    return NetworkRecord(state, components)


def _read_entry(archive, name):
    """(shape, name of the type, whether in Fortran order, bytes) of an array."""
    data = archive.read(name + '.npy')
    if data[:6] != b'\x93NUMPY' or data[6] not in (1, 2, 3):
        raise ValueError('%.100s is no array' % name)
    code = '<H' if data[6] == 1 else '<I'
    start = 8 + struct.calcsize(code)
    (length,) = struct.unpack(code, data[8:start])
    found = _NPY_HEADER.match(data[start : start + length][:_LONGEST_HEADER])
    if not found:
        raise ValueError('%.100s is an array without a plain header' % name)
    type_name, order, sizes = (part.decode('ascii') for part in found.groups())
    shape = tuple(int(size) for size in sizes.replace(',', ' ').split())
    return shape, type_name, order == 'True', memoryview(data)[start + length :]
