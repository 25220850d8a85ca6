"""Networks as one .npz of plain numbers with a JSON header: no pickle, no code.

The header, entry 'header', says what to build: {format, version, is_single, networks: {key:
{name, module, build_func_name, static_kwargs, components: {key: ...}, variables: [[name, shape,
dtype], ...]}}}. The array of a variable is the entry '<key>.<component key>...:<variable>'.
"""

import importlib
import inspect
import json
import os
from typing import Any, BinaryIO, Dict
from zipfile import BadZipFile

import numpy as np

from dnnlib.tflib import network_code
from dnnlib.tflib.network import Network
from dnnlib.tflib.pickles import NetworkRecord
from dnnlib.util import UserError, atomic_write

_FORMAT, _VERSION = 'stylegan2 weights', 1
_ROLES = ('G', 'D', 'Gs')
# What reading a file may raise that is cut off, or no .npz of this format.
_MOST_UNPACKED = 100  # times the size of the file
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile)


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
    arrays: Dict[str, Any] = {}
    networks = {key: _describe(record, key, arrays) for key, record in by_role(loaded).items()}
    is_single = isinstance(loaded, NetworkRecord)
    header = dict(format=_FORMAT, version=_VERSION, is_single=is_single, networks=networks)
    try:
        arrays['header'] = np.array(json.dumps(header))
    except TypeError as error:
        raise UserError('an option of these networks cannot be written as JSON: %s' % error)
    with atomic_write(path) as file:
        np.savez(file, **arrays)


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


def import_npz(file: BinaryIO) -> Any:
    """Build the networks of an .npz file by local code; needs a default session.

    Returns:
        (G, D, Gs), or the single network, as what was exported.

    Raises:
        UserError: no such file, broken, or networks that do not fit the local code.
    """
    where = getattr(file, 'name', 'the file')
    try:
        with np.load(file, allow_pickle=False) as arrays:
            _check_size(arrays, os.fstat(file.fileno()).st_size)
            header = json.loads(str(arrays['header']))
            if header['format'] != _FORMAT or header['version'] != _VERSION:
                raise UserError(
                    '%s has the format %r, version %r; only %r, version %r can be read'
                    % (where, header['format'], header['version'], _FORMAT, _VERSION)
                )
            networks = [_build(entry, key, arrays) for key, entry in header['networks'].items()]
            return networks[0] if header['is_single'] else tuple(networks)
    except _BROKEN as error:
        raise UserError(
            '%s is no whole file of exported networks (%s: %s); export it again'
            % (where, type(error).__name__, error)
        )


def _check_size(arrays, file_size):
    """Raise ValueError if the arrays of an .npz file unpack to far more than numbers do."""
    size = sum(entry.file_size for entry in arrays.zip.infolist())
    if size > _MOST_UNPACKED * file_size:
        raise ValueError('it unpacks to %d MiB' % (size >> 20))


def _build(entry, key, arrays):
    """The network that an entry of the header describes."""
    if entry['module'] not in network_code.LOCAL_MODULES:
        raise UserError(
            'network %r needs the build function %r, which is not known here'
            % (entry['name'], entry['build_func_name'])
        )
    variables = []
    for name, shape, dtype in entry['variables']:
        value = arrays[key + ':' + name]
        if list(value.shape) != shape or value.dtype.str != dtype:
            raise UserError(
                'variable %s of %r is not what the header says; export it again'
                % (name, entry['name'])
            )
        variables.append((name, value))
    components = {
        name: _build(component, key + '.' + name, arrays)
        for name, component in entry['components'].items()
    }
    module = importlib.import_module(entry['module'])
    net = object.__new__(Network)
    net.__setstate__(
        dict(
            version=4,
            name=entry['name'],
            static_kwargs=entry['static_kwargs'],
            components=components,
            build_module_src=inspect.getsource(module),
            build_func_name=entry['build_func_name'],
            variables=variables,
        )
    )
    return net
