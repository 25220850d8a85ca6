"""Networks that are loaded once, and TensorFlow for one thread at a time."""

import contextlib
import os
import threading
from collections import OrderedDict
from typing import Dict, Iterator, List, NamedTuple

import tensorflow.compat.v1 as tf

import pretrained_networks
from dnnlib import tflib
from dnnlib.tflib.network import Network
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
    Gs: Network
    generator: Generator  # to be varied
    about: About


class Networks:
    """Networks by the paths of their files; the last few that were used stay in memory.

    Sessions and graphs are those of a thread, and a page is served by many: each enters by `using`,
    while the others wait.
    """

    def __init__(self) -> None:
        tflib.init_tf()  # what it sets for the process
        self._lock = threading.RLock()
        self._loaded = OrderedDict()  # type: OrderedDict

    @contextlib.contextmanager
    def using(self, path: str) -> Iterator[Loaded]:
        """The network of a file, in whose graph and session this thread is.

        Raises:
            UserError: it cannot be read, or is no generator.
        """
        with self._lock:
            key = path, os.path.exists(path) and os.stat(path).st_mtime_ns  # or it is a URL
            if key not in self._loaded:
                self._loaded[key] = self.load(path)
            self._loaded.move_to_end(key)
            while len(self._loaded) > _MOST:
                self._loaded.popitem(last=False)[1].session.close()
            with self.entered(self._loaded[key]) as loaded:
                yield loaded

    @contextlib.contextmanager
    def entered(self, loaded: Loaded) -> Iterator[Loaded]:
        """Let this thread be in a network's graph and session, alone."""
        with self._lock, loaded.graph.as_default(), loaded.session.as_default():
            yield loaded

    def load(self, path: str) -> Loaded:
        """Load a network anew, for the caller alone, who closes its session."""
        with self._lock, tf.Graph().as_default() as graph:
            session = tflib.create_session()
            try:
                with session.as_default():
                    Gs = pretrained_networks.build_generator(path)
                    generator = Generator(Gs, class_index=0 if anatomy.label_size(Gs) else None)
                    about = _about(Gs, generator)
            except BaseException:
                session.close()
                raise
            return Loaded(graph, session, Gs, generator, about)


def _about(Gs, generator):
    names = generator.layer_names if generator.has_noise else []
    values = tflib.run(anatomy.fr_values(Gs)).values()
    alphas = {}  # type: Dict[str, float]
    if names and anatomy.num_alphas(Gs) == len(names):
        alphas = {name: float(each['alpha']) for name, each in zip(names, values)}
    has_maps = bool(anatomy.fr_layers(Gs))
    return About(anatomy.label_size(Gs), generator.num_layers or 0, names, alphas, has_maps)
