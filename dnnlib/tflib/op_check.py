"""Compiled ops are compared with plain TensorFlow before they are trusted.

On the first start with a new library, engine, device or driver every op is evaluated with its
gradients of first and second order, and so it is by plain TensorFlow in float64 on the CPU. That
takes seconds; what was found is kept beside the library in the cache.
"""

import contextlib
import glob
import hashlib
import json
import os
import sys
from collections import OrderedDict
from functools import partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import native_build
from dnnlib.tflib import engine, tfutil
from dnnlib.tflib.ops import conv2d, upfirdn_2d
from dnnlib.tflib.ops.bias_act_ref import activation_funcs
from dnnlib.tflib.ops.decisions import Decisions
from dnnlib.tflib.ops.fused_bias_act import channel_sum, fused_bias_act
from dnnlib.util import TEXT, UserError, atomic_write

# Largest difference that is rounding, as a share of the largest entry.
TOLERANCES = {'float32': 1e-5, 'float16': 2e-3, 'bfloat16': 2e-2}
ORDERS = ('values', 'gradients', 'second order')

_HALF_TYPES = {'native': ['bfloat16'], 'cuda': ['bfloat16', 'float16']}
_ALWAYS_WINOGRAD = Decisions(
    winograd_pixels={1: 0, 2: 0},
    winograd_channels=dict.fromkeys(['conv2d', 'input_gradient', 'weight_gradient'], {1: 0, 2: 0}),
)


class Case(NamedTuple):
    """Something to compare: op(impl, *inputs) for inputs of these shapes."""

    name: str
    dtype: str
    op: Callable
    shapes: Sequence[Sequence[int]]


class Finding(NamedTuple):
    """The largest difference of an op in some type and order of gradients, and in which case."""

    op: str
    dtype: str
    order: str
    difference: float  # as a share of the largest entry; inf where there is no number
    case: str

    def is_fine(self) -> bool:
        """Whether it is rounding."""
        return self.difference <= TOLERANCES[self.dtype]


def of_library(kind: str, library: str) -> List[Finding]:
    """What was found, now or before, for the ops compiled for a kind of device.

    Args:
        kind: 'native' or 'cuda'. library: all that the ops were built of, as a key.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sources = sorted(glob.glob(os.path.join(glob.escape(here), 'ops', '*.py'))) + [__file__]
    return kept(kind, library, sources, 'the compiled ops', lambda: compare(kind))


def kept(
    kind: str, library: str, sources: Sequence[str], what: str, find: Callable[[], List[Finding]]
) -> List[Finding]:
    """The findings of `find`, now or before, for a kind of device and the ops compiled for it.

    Args:
        sources: files that they depend on besides. what: is compared, for a line that says so.
    """
    parts = [
        what,
        kind,
        library,
        tf.__version__,
        engine.gpu_description() if kind == 'cuda' else '',
    ]
    for path in sources:
        with open(path, **TEXT) as file:
            parts.append(file.read())
    digest = hashlib.sha256('\n'.join(parts).encode('utf-8')).hexdigest()
    path = os.path.join(native_build.cache_dir(), 'check-%s.json' % digest[:24])
    with contextlib.suppress(OSError, ValueError, TypeError), open(path, **TEXT) as file:
        return [Finding(*row) for row in json.load(file)]
    text = 'Comparing %s on %s with plain TensorFlow; this takes some seconds, once.'
    device = 'this GPU' if kind == 'cuda' else 'this CPU'
    print(text % (what, device), file=sys.stderr, flush=True)
    findings = find()
    if not np.all(np.isfinite([each.difference for each in findings])):
        return findings  # perhaps another program had the memory: not for ever
    with contextlib.suppress(OSError, UserError), atomic_write(path, 'w') as file:
        json.dump(findings, file)
    return findings


def compare(kind: str) -> List[Finding]:
    """Evaluate all cases of all ops, each op in a graph of its own."""
    cases = OrderedDict(FusedBiasAct=list(_bias_act(kind)), UpFirDn2D=list(_upfirdn(kind)))
    if kind == 'native':
        cases['Winograd'] = list(_winograd())
    return [finding for op, each in cases.items() for finding in _compare(op, each, kind)]


def of_both_orders(
    op: Callable, arrays: Sequence[np.ndarray], dtype: str, like: str = 'float32'
) -> List[list]:
    """Tensors of y = op(*inputs), its gradients, and the gradients of all those together.

    The directions are random, the same at every call. Inputs that have no influence count as 0.
    `like` is a type that has all numbers of inputs and directions.
    """
    rng = np.random.RandomState(1)
    zero = tf.UnconnectedGradients.ZERO

    def constant(value):
        exact = np.float32(value) if like == 'float32' else np.round(value * 8) / 8
        return tf.constant(exact, dtype)

    inputs = [constant(array) for array in arrays]
    y = op(*inputs)
    dy = constant(rng.randn(*y.shape.as_list()))
    first = tf.gradients(y, inputs, dy, unconnected_gradients=zero)
    directions = [constant(rng.randn(*array.shape)) for array in arrays]
    second = tf.gradients(first, [dy] + inputs, directions, unconnected_gradients=zero)
    return [[y], first, second]


def difference(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference, as a share of the largest entry wanted; inf if not finite."""
    worst = np.max(np.abs(got - want), initial=0) / max(np.max(np.abs(want), initial=0), 1e-3)
    return float(worst) if np.isfinite(worst) else float('inf')


def problems(findings: Sequence[Finding]) -> Dict[str, str]:
    """What is wrong with ops, by their names; those that are fine are not in it."""
    wrong: Dict[str, str] = {}
    for finding in sorted(findings, key=lambda each: each.difference / TOLERANCES[each.dtype]):
        if not finding.is_fine():
            wrong[finding.op] = 'its %s differ by %.1e of the largest in %s (%s)' % (
                finding.order if finding.order != 'second order' else 'second gradients',
                finding.difference,
                finding.dtype,
                finding.case,
            )
    return wrong


def _compare(op, cases, kind):
    rng, worst = np.random.RandomState(0), OrderedDict()  # type: ignore[var-annotated]
    device = engine.device(0) if kind == 'cuda' else '/cpu:0'
    with engine.full_float32(), tf.Graph().as_default(), tfutil.create_session() as session:
        for case in cases:
            arrays = [rng.randn(*shape) for shape in case.shapes]
            with tf.device('/cpu:0'):
                want = of_both_orders(partial(case.op, 'ref'), arrays, 'float64', case.dtype)
            with tf.device(device):
                got = of_both_orders(partial(case.op, kind), arrays, case.dtype, case.dtype)
                got = [[tf.cast(t, tf.float64) for t in tensors] for tensors in got]
            try:
                pairs = zip(*session.run([got, want]))
                found = [max(map(difference, *pair)) for pair in pairs]
            except tf.errors.OpError:
                found = [float('inf')] * len(ORDERS)
            for order, value in zip(ORDERS, found):
                key = op, case.dtype, order
                if key not in worst or value > worst[key].difference:
                    worst[key] = Finding(*key, value, case.name)
    return list(worst.values())


def _bias_act(kind: str) -> Iterator[Case]:
    def case(act, axis, dtype='float32'):
        def op(impl, x, b, style, scale, shift):
            extras = dict(b=b, style=style, scale=scale, shift=shift)
            return fused_bias_act(x, axis=axis, act=act, impl=impl, **extras)

        shapes = [_image(axis, 10), [10], [2, 10], _image(axis, 1), _image(axis, 1)]
        return Case('%s, channels on axis %d' % (act, axis), dtype, op, shapes)

    def sums(axis, dtype):
        def op(impl, x, style):
            return channel_sum(x, style, axis, impl)

        name = 'sum over channels on axis %d' % axis
        return Case(name, dtype, op, [_image(axis, 10), [2, 10]])

    for act in activation_funcs:
        yield case(act, 1 if kind == 'cuda' else 3)
    for axis in (1, 3):
        yield sums(axis, 'float32')
        for dtype in ['float32'] + _HALF_TYPES[kind]:
            yield case('lrelu', axis, dtype)


def _upfirdn(kind: str) -> Iterator[Case]:
    ways = dict(
        filter_2d=dict(k=[1, 3, 3, 1]),
        upsample_2d=dict(k=[1, 3, 3, 1]),
        downsample_2d=dict(k=[1, 2, 1, 3]),
    )
    for data_format, dtype in [('NCHW', 'float32'), ('NHWC', 'float32')] + [
        ('NCHW' if kind == 'cuda' else 'NHWC', half) for half in _HALF_TYPES[kind]
    ]:
        for name, options in ways.items():

            def op(impl, x, name=name, options=options, data_format=data_format):
                function = getattr(upfirdn_2d, name)
                return function(x, data_format=data_format, impl=impl, **options)

            shape = _image(data_format.index('C'), 5)
            yield Case('%s, %s' % (name, data_format), dtype, op, [shape])

    def general(impl, x):
        k = np.arange(12).reshape(3, 4) / 32
        return upfirdn_2d.upfirdn_2d(
            x, k, upx=2, upy=3, downx=3, padx0=2, padx1=-1, pady0=1, pady1=3, impl=impl
        )

    yield Case('other factors', 'float32', general, [_image(3, 5)])


def _winograd() -> Iterator[Case]:
    for stride, padding in [(1, 'SAME'), (2, 'VALID')]:

        def op(impl, x, w, stride=stride, padding=padding):
            decisions = Decisions() if impl == 'ref' else _ALWAYS_WINOGRAD
            return conv2d.conv2d(x, w, stride, padding, decisions=decisions)

        yield Case('stride %d' % stride, 'float32', op, [[2, 9, 7, 16], [3, 3, 16, 32]])


def _image(axis, channels):
    """Shape of small images, [N, C, H, W] or [N, H, W, C]."""
    return [2, channels, 9, 12] if axis == 1 else [2, 9, 12, channels]
