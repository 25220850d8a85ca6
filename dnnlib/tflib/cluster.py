"""Several processes, the workers, that train as one: a TensorFlow server each, and collectives.

    cluster.join(workers, facts, options)     # waits for all; compares what they are about to do
    sums = cluster.current().all_sum(tensors)   # in the graph
    flags = cluster.current().agree(ends=True)  # between runs of the session

All workers make the same calls in the same order. A process that is alone may make them, too. What
`gather` and `share` send are bytes, as whole numbers to which the others add zeros.
"""

import contextlib
import ctypes
import json
import re
import socket
import time
from typing import Any, Dict, List, Optional

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.ops import collective_ops

from dnnlib import endings, peers
from dnnlib.tflib import check_in, engine
from dnnlib.util import UserError, reason_of
from dnnlib.workers import Workers, split_address

_PIECE = 1 << 18  # numbers of 4 bytes that are sent at a time
_TIME_TO_HEAR = 0.5  # seconds for the last answer to reach the others
_TIME_TO_NOTICE = 15.0  # seconds until a lost worker is known to be
# What TensorFlow says where a worker has gone, among other things.
_SIGNS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)
# TensorFlow 2 names each run of a server's session by a random number, of 32 random bits, and takes
# two of equal number for one that was sent twice: one of 43,000 runs is refused, before it begins.
_REFUSED = 'request was received twice'
# What the others hear where such a run was a sum that they had begun; and others of its kind.
_UNHEARD = re.compile('BufRendezvous|' + _REFUSED)


class Alone:
    """A process without others.

    Attributes:
        size: number of workers. index: number of this one; 0 is the chief.
    """

    size = 1
    index = 0

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that decides and writes."""
        return self.index == 0

    def session_options(self) -> Dict[str, Any]:
        """Arguments of tf.Session beside its configuration."""
        return {}

    def adapt(self, config: tf.ConfigProto) -> tf.ConfigProto:
        """Let a session of this configuration take part in collectives."""
        return config

    def all_sum(self, tensors: List[tf.Tensor]) -> List[tf.Tensor]:
        """Sum over all workers, of tensors of equal shapes on different devices of each.

        The number of tensors is that of the devices that take part; each gets the sum.
        """
        return list(tensors)

    def gather(self, data: bytes) -> List[bytes]:
        """Bytes of each worker, which are equally many."""
        return [data]

    def share(self, data: bytes) -> bytes:
        """Bytes of the chief, which the others get, whatever they give."""
        return data

    def agree(self, **flags: bool) -> Dict[str, bool]:
        """Whether any worker says so, by the name of a flag."""
        return flags

    def leave(self) -> None:
        """Wait for all; from now on each may end by itself."""

    def was_refused(self, error: tf.errors.OpError) -> bool:
        """Whether a run of the session did not begin, for no reason, and is to be repeated."""
        return False

    def raise_if_lost(self, error: tf.errors.OpError) -> None:
        """Raise WorkerLost if an error came of a worker that has gone."""


class Cluster(Alone):
    """A worker among others; see `join`."""

    def __init__(self, workers: Workers, options: Dict[str, Any], advice: str):
        self.size, self.index = len(workers.addresses), workers.rank
        self.workers = workers
        self._options = dict(options)
        self._advice = advice
        self._watch: Optional[peers.Watch] = None
        self._num_instances = 0  # of collectives: the same ones have the same number everywhere
        spec = tf.train.ClusterSpec({'worker': list(workers.addresses)})
        config = self.adapt(engine.session_config(self._options))
        try:
            self._server = tf.train.Server(spec, 'worker', self.index, config=config)
        except tf.errors.OpError as error:
            text = '%s cannot be served: %s'
            raise UserError(text % (workers.name(self.index), reason_of(error)))
        # It lives as long as the process: TensorFlow 1.14 fails to take it down at the end.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))
        self._graph = tf.Graph()
        self._session = tf.Session(self._server.target, graph=self._graph, config=config)
        self._sums: Dict[int, Any] = {}  # by length

    def start(self) -> None:
        """Watch the others from now on."""
        text = '%s has ended, ' + self._advice
        self._watch = peers.Watch(self.workers, lambda name: text % name)

    def session_options(self) -> Dict[str, Any]:
        return dict(target=self._server.target)

    def adapt(self, config: tf.ConfigProto) -> tf.ConfigProto:
        config.experimental.collective_group_leader = '/job:worker/replica:0/task:0'
        config.device_filters.append('/job:worker/task:%d' % self.index)
        # Servers place no pruned graphs, and rewrite those that are whole, which changes last bits.
        config.graph_options.place_pruned_graph = False
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        if engine.gpu_devices():
            config.experimental.collective_nccl = True
        return config

    def all_sum(self, tensors: List[tf.Tensor]) -> List[tf.Tensor]:
        self._num_instances += 1
        keys = self.size * len(tensors), len(tensors), self._num_instances
        sums = []
        for tensor in tensors:
            with tf.device(tensor.device or '/cpu:0'):
                sums.append(collective_ops.all_reduce(tf.identity(tensor), *keys, 'Add', 'Id'))
        return sums

    def gather(self, data: bytes) -> List[bytes]:
        words = np.zeros([self.size, -(-len(data) // 4)], np.int32)
        words[self.index] = np.frombuffer(data + bytes(-len(data) % 4), np.int32)
        return [row.tobytes()[: len(data)] for row in self._sum(words)]

    def share(self, data: bytes) -> bytes:
        length = len(data) if self.is_chief else 0
        length = int.from_bytes(self.gather(length.to_bytes(8, 'little'))[0], 'little')
        words = np.zeros([-(-length // 4)], np.int32)
        if self.is_chief:
            words[:] = np.frombuffer(data + bytes(-len(data) % 4), np.int32)
        return self._sum(words).tobytes()[:length]

    def agree(self, **flags: bool) -> Dict[str, bool]:
        names = sorted(flags)
        rows = self.gather(bytes(bool(flags[name]) for name in names))
        return {name: any(row[i] for row in rows) for i, name in enumerate(names)}

    def leave(self) -> None:
        self.agree(leaves=True)
        if self._watch is not None:
            self._watch.close()
        time.sleep(_TIME_TO_HEAR)

    def was_refused(self, error: tf.errors.OpError) -> bool:
        return isinstance(error, tf.errors.AbortedError) and _REFUSED in error.message

    def raise_if_lost(self, error: tf.errors.OpError) -> None:
        if isinstance(error, _SIGNS) and endings.pending():
            raise endings.Terminated() from error  # as the others were, probably
        if self._watch is not None and isinstance(error, _SIGNS):
            lost = self._watch.lost(_TIME_TO_NOTICE)
            if lost is not None:
                raise lost from error
            if _UNHEARD.search(error.message):
                text = 'a message of another worker was lost, ' + self._advice
                raise peers.WorkerLost(text) from error

    def _sum(self, words: np.ndarray) -> np.ndarray:
        """Sum of an int32 array over all workers."""
        flat = words.reshape(-1)
        pieces = [self._sum_piece(flat[i : i + _PIECE]) for i in range(0, flat.size, _PIECE)]
        return np.concatenate(pieces or [flat]).reshape(words.shape)

    def _sum_piece(self, piece):
        length = 1 << max(piece.size - 1, 1).bit_length()  # so that there are few graphs
        if length not in self._sums:
            with self._graph.as_default(), tf.device('/cpu:0'):
                words = tf.placeholder(tf.int32, [length])
                (total,) = self.all_sum([words])
            self._sums[length] = self._session.make_callable(total, [words])
        padded = np.zeros([length], np.int32)
        padded[: piece.size] = piece
        while True:
            try:
                return self._sums[length](padded)[: piece.size]
            except tf.errors.OpError as error:
                if not self.was_refused(error):
                    self.raise_if_lost(error)
                    raise


_current: Alone = Alone()


def current() -> Alone:
    """The cluster that this process is in, perhaps as the only one."""
    return _current


def join(workers: Workers, facts: Dict[str, Any], options: Dict[str, Any], advice: str) -> None:
    """Become one of several workers, once all are there.

    Args:
        facts: what has to be equal, plain data: names that lines may mention.
        options: of the server's devices, see `engine.session_config`.
        advice: what follows where another worker has ended, and what to do.

    Raises:
        UserError: a worker has not come, or is not like the others; on all of them.
    """
    global _current
    deadline = time.time() + check_in.PATIENCE
    _check_port(workers)
    found = Cluster(workers, options, advice)
    print('Waiting for %d workers; this is %s.' % (found.size, workers.name(found.index)))
    facts = json.loads(json.dumps(dict(facts, workers=list(workers.addresses))))
    if found.is_chief:
        check_in.receive(workers, facts, deadline)
    else:
        check_in.check_in(workers, facts, deadline)
    found.start()
    _current = found


def _check_port(workers):
    """Raise UserError if somebody serves the port already."""
    _, port = split_address(workers.addresses[workers.rank])
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError as error:
            text = 'port %d of %s cannot be had: %s; another process may be the same task'
            raise UserError(text % (port, workers.name(workers.rank), reason_of(error)))
