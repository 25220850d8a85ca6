"""What a file says about networks, checked before anything is built from it.

The state of a network is a dictionary of the official format, version 2 to 4. Here it becomes a
`NetworkRecord` of plain values; nothing in it has been run. See `network_code` for the build
function that it names.
"""

import re
from collections import OrderedDict
from typing import Any, Dict

import numpy as np

from dnnlib import plain_data
from dnnlib.pickle_machine import Call
from dnnlib.tflib import tfutil
from dnnlib.tflib.network import Network
from dnnlib.util import UserError

NETWORK_CLASSES = ('dnnlib.tflib.network.Network', 'dnnlib.tflib.Network')

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z')
_OPTION = re.compile(r'[A-Za-z_][A-Za-z0-9_]{0,99}\Z')
_VARIABLE = re.compile(r'[A-Za-z0-9_.][A-Za-z0-9_.\\/>-]{0,399}\Z')
_MAX_NETWORKS = 64
_MAX_DEPTH = 8
_MAX_VARIABLES = 10000
_MAX_TAPS = 64  # of a filter along one axis
_FILTERS = ('resample_kernel', 'blur_filter')
_VERSIONS = (2, 3, 4)


class NetworkRecord:
    """A network as a file describes it.

    Attributes:
        version, name, build_func_name, static_kwargs: as in the file.
        source: the code of the build function's module.
        components: key -> NetworkRecord. variables: local name -> array, of own variables only.

    Raises (the constructor):
        UserError: the state is not one of a network.
    """

    def __init__(self, state: Any, components: Dict[str, 'NetworkRecord']):
        _demand(isinstance(state, dict), 'a network has no state')
        missing = {'version', 'name', 'build_func_name', 'build_module_src', 'variables'} - set(
            state
        )
        _demand(not missing, 'the state of a network has no %s', ', '.join(sorted(missing)))
        self.version = state['version']
        _demand(
            type(self.version) is int and self.version in _VERSIONS,
            'the file has the unknown format version %.40r; 2, 3 and 4 can be loaded',
            (self.version,),
        )
        self.name = _matching(_NAME, state['name'], 'the name of a network')
        _demand('..' not in self.name, 'the name of a network is %r', self.name)
        self.build_func_name = _matching(
            _OPTION, state['build_func_name'], 'the build function of %s' % self.name
        )
        self.source = state['build_module_src']
        _demand(type(self.source) is str, 'the source code of %s is no text', self.name)
        self.static_kwargs = _checked_options(state.get('static_kwargs', {}), self.name)
        self.components = components
        for key in components:
            _matching(_OPTION, key, 'a component of %s' % self.name)
        self.variables = _checked_variables(state['variables'], self.name)


def from_pickle(value: Any) -> Any:
    """Records in place of the `Call`s that a pickle of networks holds, in lists or tuples or alone.

    Raises:
        UserError: an object that is no network, or a state that is not one of a network.
    """
    return _Records().of(value, 0)


class _Records:
    """Networks share nothing: each component belongs to one network."""

    def __init__(self):
        self._made = {}  # id of the Call -> record, so that (G, D, G) stays that
        self._components = set()

    def of(self, value, depth):
        if type(value) in (list, tuple):
            return type(value)([self.of(item, depth) for item in value])
        if type(value) is dict:
            return {key: self.of(item, depth) for key, item in value.items()}
        if type(value) is not Call:
            return value
        if id(value) not in self._made:
            self._made[id(value)] = self._make(value, depth)
        return self._made[id(value)]

    def _make(self, call, depth):
        _demand(
            not call.args and call.items is None,
            'it tries to build a network instead of holding one; it was not loaded',
        )
        _demand(depth < _MAX_DEPTH, 'its networks are nested more than %d deep', _MAX_DEPTH)
        components = OrderedDict()
        state = call.state
        given = state.get('components', {}) if isinstance(state, dict) else {}
        _demand(
            isinstance(given, dict),
            'the components of a network are no dictionary of networks',
        )
        for key, component in given.items():
            _demand(type(component) is Call, 'the component %s is no network', key)
            _demand(id(component) not in self._components, 'networks share the component %s', key)
            self._components.add(id(component))
            components[key] = self.of(component, depth + 1)
        return NetworkRecord(state, components)


def build(value: Any) -> Any:
    """Networks in place of records, in lists or tuples or alone; networks need a default session.

    Raises:
        UserError: no code of that name is known and trusted, or it cannot build such a network.
    """
    return _build(value, {})


def _build(value, built):
    if type(value) in (list, tuple):
        return type(value)([_build(item, built) for item in value])
    if isinstance(value, dict):
        return {key: _build(item, built) for key, item in value.items()}
    if not isinstance(value, NetworkRecord):
        return value
    if id(value) not in built:
        tfutil.assert_tf_initialized()
        _demand(len(built) < _MAX_NETWORKS, 'it has more than %d networks', _MAX_NETWORKS)
        components = _build(value.components, built)
        built[id(value)] = net = object.__new__(Network)
        try:
            net.__setstate__(
                dict(
                    version=value.version,
                    name=value.name,
                    static_kwargs=value.static_kwargs,
                    components=components,
                    build_module_src=value.source,
                    build_func_name=value.build_func_name,
                    variables=list(value.variables.items()),
                )
            )
        except UserError:
            raise
        except Exception as error:  # a build function may raise anything for odd options
            reason = ' '.join(('%s: %s' % (type(error).__name__, error)).split())
            raise UserError(
                '%s cannot build the network %r with the options in the file (%.300s)'
                % (value.build_func_name, value.name, reason.rstrip(': '))
            ) from error
    return built[id(value)]


def _checked_options(options, name):
    """The static kwargs of a network, as values that a build function can take."""
    what = 'the options of %s' % name
    _demand(isinstance(options, dict), '%s are no dictionary', what)
    for key, value in options.items():
        _matching(_OPTION, key, 'an option of %s' % name)
        if key in _FILTERS and value is not None:
            _check_filter(key, value, name)
    try:
        plain_data.check(options, what, arrays=True)
    except ValueError as error:
        raise UserError(str(error))
    return dict(options)


def _check_filter(key, value, name):
    """Filters become constants of the graph, the square of their taps many numbers."""
    if isinstance(value, np.ndarray):
        sizes = value.shape
    else:
        rows = value if isinstance(value, (list, tuple)) else []
        sizes = [len(rows)] + [len(row) for row in rows if isinstance(row, (list, tuple))]
    _demand(
        max(sizes, default=0) <= _MAX_TAPS,
        '%s of %s has more than %d taps',
        (key, name, _MAX_TAPS),
    )


def _checked_variables(variables, name):
    _demand(
        type(variables) in (list, tuple) and len(variables) <= _MAX_VARIABLES,
        'the variables of %s are no list',
        name,
    )
    found = OrderedDict()
    for pair in variables:
        _demand(
            type(pair) in (list, tuple) and len(pair) == 2,
            'the variables of %s are no list of names and arrays',
            name,
        )
        variable = _matching(_VARIABLE, pair[0], 'a variable of %s' % name)
        _demand(variable not in found, '%s is there twice', variable)
        value = np.asarray(pair[1]) if type(pair[1]) in (int, float) else pair[1]
        _demand(
            isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in 'fiub',
            'the variable %s is no array of numbers',
            variable,
        )
        found[variable] = np.asarray(value)
    return found


def _matching(pattern, text, what):
    _demand(type(text) is str and bool(pattern.match(text)), '%s is %.60r', (what, text))
    return text


def _demand(condition, message, values=()):
    if not condition:
        raise UserError(message % (values if isinstance(values, tuple) else (values,)))
