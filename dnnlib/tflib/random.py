"""Random numbers as a function of (run seed, what for, step, device, draw), without hidden state.

    latents = random.normal([4, 512], 'latents')    # anew in each run of the session

Every draw of a graph has a key of its own: the graph's seed (`tf.set_random_seed`,
`tflib.init_tf`), the stream that it belongs to (`stream`), the variable scope within its network,
its purpose, and its number among those of equal scope and purpose in the stream. With the key goes
a step, which counts the runs of the session that draw (`counter`). It is a variable: who saves it
goes on with the same numbers. The generator behind it is TensorFlow's Philox (Salmon et al.,
"Parallel Random Numbers: As Easy as 1, 2, 3", 2011), which mixes all 128 bits of key and step.
"""

import collections
import contextlib
import hashlib
import os
import zlib
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import tfutil
from dnnlib.tflib.placement import exactly_on, make_state_variable

Shape = Union[tf.Tensor, Sequence]
Source = Callable[[str, Shape, tf.DType], tf.Tensor]

_SCOPE = 'Random'
_STATE_KEY = ('dnnlib_random',)  # a tuple, so that tf.train.export_meta_graph passes it over

_streams: List['_Stream'] = []  # those that are open
_sources: List[Source] = []


class _State:
    """What the module keeps for one graph."""

    def __init__(self):
        self.drawn_seed = int.from_bytes(os.urandom(6), 'little')  # for a graph without a seed
        self.variables: Dict[str, tf.Variable] = collections.OrderedDict()
        self.steps: Dict[str, tf.Tensor] = {}
        self.stream: Optional[_Stream] = None  # of draws outside of all others


class _Stream:
    """Draws that are numbered together."""

    def __init__(self, purpose, step, device, seed):
        self.graph = _graph()
        self._step = step
        self._facts = _seed() if seed is None else int(seed), purpose, device
        self._numbers: Dict[tuple, int] = collections.Counter()

    def key(self, purpose: str) -> tf.Tensor:
        """Key of the next draw, int64 [2]."""
        # Without the network's own name, which depends on what else is in the graph.
        place = tf.get_variable_scope().name.partition('/')[2], purpose
        self._numbers[place] += 1
        facts = self._facts + place + (self._numbers[place],)
        step = counter('evaluations') if self._step is None else self._step
        with tf.init_scope(), exactly_on('/cpu:0'), tfutil.absolute_name_scope(_SCOPE):
            return tf.stack([tf.constant(_hash(facts), tf.int64), step])


def normal(shape: Shape, purpose: str, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Numbers from N(0, 1); `purpose` says what for, as 'path_noise', and names the op."""
    if _sources:
        return _sources[-1]('normal', shape, dtype)
    return tf.random.stateless_normal(shape, _key(purpose), dtype=dtype, name=purpose)


def uniform(
    shape: Shape, purpose: str, minval: Any = 0, maxval: Any = 1, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Numbers from [minval, maxval), integers if dtype is one; purpose: see `normal`."""
    if _sources:
        return _sources[-1]('integer' if dtype.is_integer else 'uniform', shape, dtype)
    return tf.random.stateless_uniform(shape, _key(purpose), minval, maxval, dtype, name=purpose)


def normal_initializer(mean: float = 0.0, stddev: float = 1.0) -> Callable[..., tf.Tensor]:
    """Initializer of variables from N(mean, stddev^2), by the graph's seed and the variable's name.

    A variable so begins with the same numbers whatever else is in the graph, and at each reset.
    """

    def initialize(shape, dtype=tf.float32, partition_info=None):  # as TensorFlow 1.14 calls it
        name = tf.get_default_graph().get_name_scope()  # <variable>/Initializer
        key = tf.stack([tf.constant(_hash((_seed(), 'initial values', name)), tf.int64), _zero()])
        return tf.random.stateless_normal(shape, key, mean, stddev, dtype)

    return initialize


def generator(purpose: str, index: int = 0, seed: Optional[int] = None) -> np.random.RandomState:
    """NumPy's generator of (seed, purpose, index), which draws the same whenever it is made.

    seed: None for that of the graph.
    """
    seed = _seed() if seed is None else seed
    return np.random.RandomState([seed % (1 << 32), zlib.crc32(purpose.encode('utf-8')), index])


@contextlib.contextmanager
def stream(
    purpose: str,
    step: Optional[tf.Tensor] = None,
    device: int = 0,
    seed: Optional[int] = None,
) -> Iterator[None]:
    """While open, draws that are built belong to a stream of their own.

    Another stream of equal purpose, device and seed has the same numbers at the same step.

    Args:
        step: int64 []; None: `counter('evaluations')`.
        device: number of the device, where each has numbers of its own.
        seed: None for that of the graph.
    """
    _streams.append(_Stream(purpose, step, device, seed))
    try:
        yield
    finally:
        _streams.pop()


def counter(name: str) -> tf.Tensor:
    """A number, int64 [], that is greater by 1 in each run of the session which needs it.

    All draws of a run see the same value. It stands in a variable, see `counters`.
    """
    state = _state()
    if name not in state.steps:
        state.variables[name] = make_state_variable(_SCOPE, name, '/cpu:0', dtype=tf.int64)
        with tf.init_scope(), exactly_on('/cpu:0'), tfutil.absolute_name_scope(_SCOPE):
            state.steps[name] = tf.identity(state.variables[name].assign_add(1))
            if tf.get_default_session() is not None:
                tfutil.run(state.variables[name].initializer)
    return state.steps[name]


def counters() -> Dict[str, tf.Variable]:
    """The counters of the graph by name: all the state that random numbers have."""
    return collections.OrderedDict(_state().variables)


@contextlib.contextmanager
def use(source: Source) -> Iterator[None]:
    """While open, draws that are built come from source(kind, shape, dtype).

    For recorded numbers; kind is 'normal', 'uniform' or 'integer'. Initial values are no draws.
    """
    _sources.append(source)
    try:
        yield
    finally:
        _sources.pop()


def stateful_ops(fetches: Any) -> List[tf.Operation]:
    """Random ops that keep a state of their own, among all that evaluating `fetches` runs.

    What they draw depends on how often they ran before in this process. Initializers of variables
    are not among them, since no evaluation runs these.
    """
    pending = [getattr(x, 'op', x) for x in tf.nest.flatten(fetches)]
    seen, found, is_random = set(pending), [], {}  # type: set, list, dict
    while pending:
        op = pending.pop()
        if op.type not in is_random:
            is_random[op.type] = _keeps_random_state(op)
        if is_random[op.type]:
            found.append(op)
        before = {x.op for x in op.inputs}.union(op.control_inputs) - seen
        seen |= before
        pending.extend(before)
    return sorted(found, key=lambda op: op.name)


def _keeps_random_state(op):
    return op.op_def.is_stateful and {'seed', 'seed2'} <= {attr.name for attr in op.op_def.attr}


def _key(purpose):
    if _repeats():
        text = 'draw %r inside a loop or function would be the same each time; draw before it'
        raise ValueError(text % purpose)
    if _streams and _streams[-1].graph is _graph():
        return _streams[-1].key(purpose)
    state = _state()
    if state.stream is None:
        state.stream = _Stream('', None, 0, None)
    return state.stream.key(purpose)


def _repeats():
    """Whether what is being built may be evaluated several times in one run of the session."""
    graph = tf.get_default_graph()
    context = graph._get_control_flow_context()
    return graph is not _graph() or (context is not None and context.GetWhileContext() is not None)


def _zero():
    """0 by way of the clock: with a constant key TensorFlow draws beforehand, and keeps it all."""
    return tf.cast(tf.minimum(tf.timestamp(), 0.0), tf.int64)


def _hash(facts) -> int:
    """64 bits of a tuple of plain values, as a signed number."""
    digest = hashlib.sha256(repr(facts).encode('utf-8', 'surrogateescape')).digest()
    return int.from_bytes(digest[:8], 'little', signed=True)


def _graph():
    """The graph that variables are made in."""
    with tf.init_scope():
        return tf.get_default_graph()


def _state():
    states = _graph().get_collection_ref(_STATE_KEY)
    if not states:
        states.append(_State())
    return states[0]


def _seed():
    seed = _graph().seed
    return _state().drawn_seed if seed is None else int(seed)
