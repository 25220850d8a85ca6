"""Where a network's build function comes from: a local module, or the source saved in a pickle.

A pickle is a program. Its embedded source runs only inside `trust()`, or if its hash is one that
the project knows; otherwise the local build function of the same name stands in.
"""

import contextlib
import functools
import hashlib
import importlib
import inspect
import re
import sys
import types
import uuid
from typing import Callable, Iterator, NamedTuple, Optional

from dnnlib.tflib import engine
from dnnlib.util import UserError

# Modules whose build functions may stand in for saved code.
LOCAL_MODULES = ['training.networks_stylegan2', 'training.networks_stylegan', 'dcgan.networks']

# SHA-256 of embedded sources that have been read and found harmless.
KNOWN_SOURCES = frozenset()  # type: frozenset

_trusting = [False]


class Code(NamedTuple):
    """A build function and the source of its module."""

    func: Callable
    func_name: str
    source: str
    from_pickle: bool


@contextlib.contextmanager
def trust(trusted: bool = True) -> Iterator[None]:
    """While open with True, networks run the source embedded in their pickle."""
    _trusting.append(trusted)
    try:
        yield
    finally:
        _trusting.pop()


def of_module(module: types.ModuleType, func_name: str) -> Code:
    """The code of a build function in an imported module."""
    source = getattr(module, '_network_source', None) or _source_of(module)
    return Code(getattr(module, func_name), func_name, source, False)


def of_state(state: dict) -> Code:
    """The code for a saved network: embedded if trusted or known, else the local namesake.

    Raises:
        UserError: no local build function of that name, and no trust in the saved one.
    """
    source, func_name = state['build_module_src'], state['build_func_name']
    if _trusting[-1] or is_known(source):
        module = _execute(source)
        return Code(getattr(module, func_name), func_name, source, True)
    module = local_namesake(source, func_name)
    if module is None:
        raise UserError(
            'network %r needs the code saved in its file, build function %r, which is not known '
            'here; to run it, if you trust its source, pass --trust-network-code'
            % (state['name'], func_name)
        )
    return of_module(module, func_name)


def is_known(source: str) -> bool:
    """Whether embedded source is one that may run without being trusted."""
    return hashlib.sha256(source.encode('utf-8')).hexdigest() in KNOWN_SOURCES


def local_namesake(source: str, func_name: str) -> Optional[types.ModuleType]:
    """The local module with that build function, None if there is none.

    Of several, the one that shares most function names with the source.
    """
    saved = set(_function_names(source))
    best, best_shared = None, -1
    for name in LOCAL_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        shared = len(saved.intersection(_function_names(_source_of(module))))
        if is_build_function(module, func_name) and shared > best_shared:
            best, best_shared = module, shared
    return best


def is_build_function(module: types.ModuleType, func_name: str) -> bool:
    """Whether a module has a public function of that name, of its own package."""
    func = vars(module).get(func_name)
    if not inspect.isfunction(func) or func_name.startswith('_'):
        return False
    return func.__module__.split('.')[0] == module.__name__.split('.')[0]


@functools.lru_cache(maxsize=None)
def _source_of(module):
    """Source text, one object for each module, so that a pickle of many networks holds it once."""
    return inspect.getsource(module)


def _function_names(source):
    return re.findall(r'^def (\w+)', source, re.MULTILINE)


def _execute(source):
    """Run embedded source as a module of its own."""
    module = types.ModuleType('_tflib_network_import_' + uuid.uuid4().hex)
    module.__dict__['_network_source'] = source
    sys.modules[module.__name__] = module
    exec(source if engine.runs_source_for_tf1() else _for_tf2(source), module.__dict__)
    return module


def _for_tf2(source):
    """Source written for TensorFlow 1, with imports of what TensorFlow 2 has in its place.

    tensorflow.contrib is gone; published networks import it without need, so its imports are left
    out.
    """
    source = re.sub(
        r'^([ \t]*)import tensorflow(?: as (\w+))?(?=[ \t]*(?:#|$))',
        lambda m: '%simport tensorflow.compat.v1 as %s' % (m.group(1), m.group(2) or 'tensorflow'),
        source,
        flags=re.MULTILINE,
    )
    return re.sub(
        r'^([ \t]*)(?:import tensorflow\.contrib\b|from tensorflow\.contrib\b|'
        r'from tensorflow import contrib\b).*$',
        r'\1pass',
        source,
        flags=re.MULTILINE,
    )
