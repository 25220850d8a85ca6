"""Networks that are loaded once, and TensorFlow for one thread at a time."""

import contextlib
import os
import threading
from collections import OrderedDict
from typing import Dict, Iterator, List, NamedTuple

import tensorflow.compat.v1 as tf

import pretrained_networks
from dnnlib import tflib
from dnnlib.tflib import engine, network_state
from dnnlib.tflib.network import Network
from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError
from training import anatomy
from training.pictures.generate import Generator

_MOST = 4  # networks in memory


class About(NamedTuple):
    """What a page has to know of a network."""

    label_size: int
    num_layers: int  # styles, 0 without W
    layer_names: List[str]  # with noise that makes a difference
    alphas: Dict[str, float]  # of these, as learned; {} without
    has_maps: bool  # s and sigma


class Loaded(NamedTuple):
    """A network in a graph of its own, which goes when it is closed."""

    graph: tf.Graph
    session: tf.Session
    record: NetworkRecord  # whose weights the network has
    Gs: Network
    generator: Generator  # to be varied
    fr_values: Dict[str, Dict[str, tf.Tensor]]  # of `anatomy`
    about: About


class Networks:
    """Networks by the paths of their files; the last few that were used stay in memory.

    Networks that differ in their weights alone, such as the snapshots of a run, share a graph.
    Sessions and graphs are those of a thread, and a page is served by many: each enters by `using`,
    while the others wait.
    """

    def __init__(self) -> None:
        tflib.init_tf()  # what it sets for the process
        self._lock = threading.RLock()
        self._records = OrderedDict()  # type: OrderedDict[tuple, NetworkRecord]
        self._loaded = OrderedDict()  # type: OrderedDict[tuple, Loaded]

    @contextlib.contextmanager
    def using(self, path: str) -> Iterator[Loaded]:
        """The network of a file, in whose graph and session this thread is.

        Raises:
            UserError: it cannot be read, or is no generator.
        """
        with self._lock:
            record = self._record(path)
            structure = _structure(record)
            if structure not in self._loaded:
                self._loaded[structure] = self.load(path)
            loaded = _last(self._loaded, structure, lambda old: old.session.close())
            with self.entered(loaded):
                if loaded.record is not record:
                    tflib.set_vars(dict(_weights(loaded.Gs, record)))
                    about = _about(loaded.Gs, loaded.generator, loaded.fr_values)
                    loaded = loaded._replace(record=record, about=about)
                    self._loaded[structure] = loaded
                yield loaded

    @contextlib.contextmanager
    def entered(self, loaded: Loaded) -> Iterator[Loaded]:
        """Let this thread be in a network's graph and session, alone."""
        with self._lock, loaded.graph.as_default(), loaded.session.as_default():
            yield loaded

    def load(self, path: str) -> Loaded:
        """Build a network anew, for the caller alone, who closes its session."""
        with self._lock, tf.Graph().as_default() as graph:
            record = self._record(path)
            session = tflib.create_session()
            try:
                with session.as_default(), tf.device(engine.device(0)):
                    Gs = network_state.build(record)
                    generator = Generator(Gs, class_index=0 if anatomy.label_size(Gs) else None)
                    fr_values = anatomy.fr_values(Gs)
                    about = _about(Gs, generator, fr_values)
            except BaseException as error:
                session.close()
                if isinstance(error, UserError):
                    raise UserError('cannot load %s: %s' % (path, error))
                raise
            return Loaded(graph, session, record, Gs, generator, fr_values, about)

    def _record(self, path):
        key = path, os.path.exists(path) and os.stat(path).st_mtime_ns  # or it is a URL
        if key not in self._records:
            self._records[key] = pretrained_networks.read_generator(path)
        return _last(self._records, key)


def _last(kept, key, let_go=lambda value: None):
    """The value of a key, which becomes the last one of those that are kept."""
    kept.move_to_end(key)
    while len(kept) > _MOST:
        let_go(kept.popitem(last=False)[1])
    return kept[key]


def _structure(record):
    """All of a network but its weights."""
    shapes = [(name, value.shape) for name, value in record.variables.items()]
    parts = [(name, _structure(part)) for name, part in record.components.items()]
    return record.build_func_name, repr(sorted(record.static_kwargs.items())), repr(shapes + parts)


def _weights(net, record):
    """(variable, value) of a network and its components."""
    for name, value in record.variables.items():
        yield net.own_vars[name], value
    for name, part in record.components.items():
        yield from _weights(net.components[name], part)


def _about(Gs, generator, fr_values):
    names = generator.layer_names if generator.has_noise else []
    alphas = {}  # type: Dict[str, float]
    if names and anatomy.num_alphas(Gs) == len(names):
        values = tflib.run(fr_values).values()
        alphas = {name: float(each['alpha']) for name, each in zip(names, values)}
    return About(anatomy.label_size(Gs), generator.num_layers or 0, names, alphas, bool(fr_values))
