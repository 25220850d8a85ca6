"""Which implementation an op uses, decided in one place: compiled, or plain TensorFlow.

Compiled ops are built when the first op is made (see kernel_build), and compared with plain
TensorFlow (op_check). Where they cannot be built, or one is wrong, a warning says why, and plain
TensorFlow does the same, slower.
"""

import contextlib
import os
import warnings
from typing import Any, Dict, Iterator, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from dnnlib import native_build
from dnnlib.native_build import BuildError
from dnnlib.options import check_choice
from dnnlib.tflib import engine, kernel_build
from dnnlib.util import UserError

OP_NAMES = ('FusedBiasAct', 'UpFirDn2D')
IMPLEMENTATIONS = ('auto', 'ref', 'cuda', 'native')

# Plain TensorFlow in place of compiled ops is an error if this is set in the environment.
REQUIRE_VARIABLE = 'STYLEGAN2_REQUIRE_NATIVE_OPS'

# Module of the ops' functions; the CUDA kernels are further kernels of these ops.
_library: Any = None
_failures: Dict[str, Optional[str]] = {}  # of 'native' and 'cuda': why it could not be built
_keys: Dict[str, str] = {}  # of what was built
_wrong: Dict[str, Dict[str, str]] = {}  # of each kind: ops that compute wrong numbers, and how
_doing_without: List[bool] = []


@contextlib.contextmanager
def doing_without() -> Iterator[None]:
    """While open, ops are made of plain TensorFlow, for graphs that leave this process."""
    _doing_without.append(True)
    try:
        yield
    finally:
        _doing_without.pop()


def implementation_of(op_name: str) -> Tuple[str, str]:
    """What impl='auto' chooses for an op in the current device scope, and why, in one sentence.

    Compiles the ops where that was not done yet.
    """
    assert op_name in OP_NAMES, op_name
    if _doing_without:
        return 'ref', '%s is not wanted' % op_name
    kind = _compiled_kind()
    failure = _ensure_built(kind)
    if failure is not None:
        return 'ref', '%s could not be compiled: %s' % (op_name, failure.splitlines()[0])
    problem = _wrong_ops(kind).get(op_name)
    if problem is not None:
        return 'ref', '%s is wrong here: %s' % (op_name, problem)
    return kind, '%s is compiled for this %s' % (op_name, 'GPU' if kind == 'cuda' else 'CPU')


def resolve_impl(impl: str, op_name: str) -> str:
    """Turn an `impl` argument into the implementation to use.

    impl: 'auto' (the best there is), 'ref' (plain TensorFlow), 'native' (compiled for CPUs) or
        'cuda' (compiled for GPUs).
    Raises UserError for any other name, and where the wanted implementation does not exist.
    """
    check_choice('impl of %s,' % op_name, impl, IMPLEMENTATIONS)
    if impl == 'ref':
        return impl
    if impl not in ('auto', _compiled_kind()):
        kinds = 'for GPUs, and this is a CPU' if impl == 'cuda' else 'for CPUs, and this is a GPU'
        text = "impl='%s' of %s cannot be used: it is %s; use impl='auto' or 'ref'"
        raise UserError(text % (impl, op_name, kinds))
    available, reason = implementation_of(op_name)
    if impl not in ('auto', available):
        raise UserError("impl='%s' cannot be used: %s; use impl='auto' or 'ref'" % (impl, reason))
    return available


def has_winograd() -> bool:
    """Whether the current scope is a CPU's and the ops of `ops.winograd` are there and right."""
    if _doing_without:
        return False
    is_there = _compiled_kind() == 'native' and _ensure_built('native') is None
    return is_there and 'Winograd' not in _wrong_ops('native')


def library() -> Any:
    """Module of the compiled ops' functions.

    There is one where `resolve_impl` chose 'native' or 'cuda', or `has_winograd` is true.
    """
    assert _library is not None
    return _library


def kernel_dtypes() -> tuple:
    """Types of images that the compiled ops know on the device of the current scope."""
    types = (tf.float32, tf.bfloat16)
    return types + (tf.float16,) if _compiled_kind() == 'cuda' else types


def require_native_ops(required: bool = True) -> None:
    """Build the compiled ops now, and raise UserError where they cannot be had.

    So do programs started from here. Does nothing if not `required`, unless the environment has
    STYLEGAN2_REQUIRE_NATIVE_OPS=1.
    """
    if required:
        os.environ[REQUIRE_VARIABLE] = '1'
    if _is_required():
        kind = 'cuda' if engine.gpu_devices() else 'native'
        _ensure_built(kind)
        _wrong_ops(kind)


def built() -> Tuple[str, str]:
    """Kind of ops of the current scope, 'native' or 'cuda', and a key of all they were built of.

    The key is '' where they could not be built.
    """
    kind = _compiled_kind()
    return kind, _keys[kind] if _ensure_built(kind) is None else ''


def distrust(problem: str) -> None:
    """Do without all ops compiled for the device of the current scope, with a warning.

    Raises UserError where they are required.
    """
    kind = _compiled_kind()
    if _ensure_built(kind) is None:
        _tell_wrong(kind, dict.fromkeys([*OP_NAMES, 'Winograd'], problem))
        _wrong_ops(kind)


def _is_required():
    return os.environ.get(REQUIRE_VARIABLE, '0') not in ('', '0')


def _compiled_kind():
    return 'cuda' if engine.is_gpu_scope() else 'native'


def _ensure_built(kind):
    """Build and load the kernels for one kind of device; None, or why that is impossible."""
    if kind not in _failures:
        _failures[kind] = _failure_to_build(kind)
        if _failures[kind] is not None and not _is_required():
            text = 'plain TensorFlow takes the place of the compiled ops, slower: %s'
            warnings.warn(text % _failures[kind], RuntimeWarning, stacklevel=2)
    if _failures[kind] is not None and _is_required():
        raise UserError('compiled ops are required, but there are none: %s' % _failures[kind])
    return _failures[kind]


def _failure_to_build(kind):
    try:
        _build(kind)
    except BuildError as error:
        return str(error)


def _wrong_ops(kind):
    """Ops compiled for a kind of device that are not to be used, and what is wrong with them."""
    if kind not in _wrong:
        from dnnlib.tflib import op_check  # which looks at the ops, and they at this

        _wrong[kind] = {}  # while they are looked at, all are used
        _tell_wrong(kind, op_check.problems(op_check.of_library(kind, _keys[kind])))
    if _wrong[kind] and _is_required():
        text = 'compiled ops are required, but %s is wrong here: %s'
        raise UserError(text % next(iter(_wrong[kind].items())))
    return _wrong[kind]


def _tell_wrong(kind, problems):
    _wrong[kind] = problems
    for problem in sorted(set(problems.values())):
        if not _is_required():
            names = ', '.join(name for name in problems if problems[name] == problem)
            text = 'plain TensorFlow takes the place of the compiled %s, slower: %s'
            warnings.warn(text % (names, problem), RuntimeWarning, stacklevel=3)


def _build(kind):
    global _library
    if kind == 'cuda':
        if 'native' not in _failures:
            _failures['native'] = _failure_to_build('native')
        if _failures['native'] is not None:
            raise BuildError(_failures['native'])
        recipe = kernel_build.cuda_recipe(engine.gpu_architectures())
        kernel_build.build_and_load(recipe)
        _keys[kind] = _keys['native'] + native_build.key_of(recipe)
    else:
        recipe = kernel_build.cpu_recipe()
        _library = kernel_build.build_and_load(recipe)
        _keys[kind] = native_build.key_of(recipe)
