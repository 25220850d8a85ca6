"""What is evaluated and how: one network, real images, devices, seed; and gathering its samples."""

import contextlib
import gc
import hashlib
import json
import os
from typing import Callable, Dict, Iterable, Iterator, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import Phases
from dnnlib.download import cache_dir
from dnnlib.tflib import engine, random
from dnnlib.tflib.network import Network
from dnnlib.tflib.precision import use as use_precision
from dnnlib.util import UserError
from metrics import protocol, sampling, together
from metrics.features import copies_on_devices
from metrics.image_features import ImageFeatures
from metrics.metric_names import REALS
from metrics.sample_store import SampleStore
from training import anatomy, misc
from training.data.base import Dataset
from training.data.labels import check_class
from training.data.opening import load_dataset
from training.perception import feature_nets


class Evaluation:
    """One network under evaluation.

    As a context manager it deletes, when all went well, the files for going on after an
    interruption, and frees its graphs.

    Args (others as those of `metric_base.MetricGroup.run`):
        seed: of all that is random; the same seed gives the same figures.
        trust_network_code: run code that is embedded in the pickle.
        class_index: look at real and generated images of this class alone.
        feature_nets_dir: folder of the pretrained networks; None: see `feature_nets`.
        reals: 'first' or 'random', which real images are taken where not all are; None: what is
            usual for the kind of data set, see `Dataset.metric_reals`.
        precision: of the generator, whatever its file says, see `dnnlib.tflib.precision`. TF32 is
            never used.

    Attributes:
        phases: bars of the work; how long each takes is told by `MetricGroup.run`.
        network_sha256: hash of the network file. network_mtime_ns: when it was written; None of a
            URL.
        generator: facts about it, once it was loaded: shape, latent and label size, truncation.
        is_of_reals: the network is REALS: no generator, but one half of the data stands for its
            images, and the other half is compared with them.
        images: features of real and generated images.
    """

    def __init__(
        self,
        network_pkl: str,
        run_dir: Optional[str] = None,
        data_dir: Optional[str] = None,
        dataset_args: Optional[dict] = None,
        mirror_augment: bool = False,
        num_gpus: int = 1,
        tf_config: Optional[dict] = None,
        Gs_kwargs: Optional[dict] = None,
        seed: int = 0,
        trust_network_code: bool = False,
        class_index: Optional[int] = None,
        feature_nets_dir: Optional[str] = None,
        reals: Optional[str] = None,
        phases: Optional[Phases] = None,
        precision: str = 'float32',
    ):
        self.network_pkl = network_pkl
        self.run_dir = run_dir
        self.mirror_augment = mirror_augment
        self.num_gpus = num_gpus
        self.Gs_kwargs = dict(is_validation=True) if Gs_kwargs is None else Gs_kwargs
        self.seed = seed
        self.class_index = class_index
        self.phases = phases or Phases()
        self.precision = precision
        self._reals = reals
        self.generator: dict = {}
        self.is_of_reals = network_pkl == REALS
        path = os.path.expanduser(network_pkl)
        self.network_mtime_ns = os.stat(path).st_mtime_ns if os.path.isfile(path) else None
        self._trust_network_code = trust_network_code
        self._feature_nets_dir = feature_nets_dir
        self._data_dir = data_dir
        self._dataset_args = dataset_args or None
        self._dataset: Optional[Dataset] = None
        self._label_source: Optional[Dataset] = None
        self._tf_config = dict(tf_config or {})
        if num_gpus > 1 and not engine.gpu_devices():
            self._tf_config['device_count.CPU'] = num_gpus
        self._stores: List[SampleStore] = []
        self.images = ImageFeatures(self)
        self.network_sha256 = self._identify()

    def __enter__(self) -> 'Evaluation':
        return self

    def __exit__(self, error_type, *_rest) -> None:
        for store in self._stores:
            store.close(is_done=error_type is None)
        for dataset in [self._dataset, self._label_source]:
            if dataset is not None:
                dataset.close()
        # Graphs refer to themselves, and Python seldom looks at what has lived for a while.
        gc.collect()

    def _identify(self):
        """Hash of the network file or, where real images are evaluated, of the data set."""
        if not self.is_of_reals:
            return misc.file_sha256(self.network_pkl)
        self.generator = dict(shape=self.dataset.shape)
        if self.class_index is not None:
            self._label_source = self._open_dataset(max_label_size='full')
            self.generator['label_size'] = self._label_source.label_size
            check_class(self.class_index, self.generator['label_size'])
        return hashlib.sha256(self.dataset.fingerprint().encode('utf-8')).hexdigest()

    @property
    def dataset(self):
        """The real images; UserError if none are named."""
        if self._dataset is None:
            self._dataset = self._open_dataset()
        return self._dataset

    def has_dataset(self) -> bool:
        """Whether real images are named."""
        return self._dataset_args is not None

    def dataset_name(self) -> Optional[str]:
        """The data set's folder as it was named, None if none was."""
        return (self._dataset_args or {}).get('tfrecord_dir')

    def rng(self, name: str, index: int) -> np.random.RandomState:
        """A generator of its own for a purpose and a number."""
        return random.generator(name, index, self.seed)

    @contextlib.contextmanager
    def graph(self) -> Iterator[None]:
        """A graph and session of its own, with seeds set."""
        graph = tf.Graph().as_default()
        with engine.full_float32(), graph, tflib.create_session(self._tf_config):
            tf.set_random_seed(self.seed)
            yield

    def load_generator(self) -> Network:
        """Load the network, of (G, D, Gs) the last, into the default graph."""
        if self.is_of_reals:
            raise UserError('%s are no generator, which this metric needs' % REALS)
        with tf.device(engine.device(0)):
            loaded = misc.load_pkl(self.network_pkl, self._trust_network_code)
        Gs = loaded[-1] if isinstance(loaded, (tuple, list)) else loaded
        if not isinstance(Gs, Network):
            raise UserError('%s holds no network' % self.network_pkl)
        use_precision(Gs, self.precision)
        suffix = '_val' if self.Gs_kwargs.get('is_validation') else ''
        options = dict(Gs.static_kwargs, **self.Gs_kwargs)
        self.generator = dict(
            shape=Gs.output_shape[1:],
            latent_size=Gs.input_shape[1:],
            label_size=anatomy.label_size(Gs),
            truncation_psi=options.get('truncation_psi' + suffix),
            truncation_cutoff=options.get('truncation_cutoff' + suffix),
        )
        if self.class_index is not None:
            check_class(self.class_index, self.generator['label_size'])
        return Gs

    def load_feature_net(self, name: str) -> List[Network]:
        """Load a network of `feature_nets` into the default graph, with a copy for each device."""
        with tf.device(engine.device(0)):
            net = feature_nets.load(name, self._feature_nets_dir)
        return copies_on_devices(net, self.num_gpus)

    def feature_net_hashes(self, names: Iterable[str]) -> Dict[str, str]:
        """Hashes of the files of networks of `feature_nets`, by their names."""
        return {name: feature_nets.sha256(name, self._feature_nets_dir) for name in names}

    def draw_latents(self, rng: np.random.RandomState, number: int) -> np.ndarray:
        """Latents z from N(0, 1), float32 [number, latent_size]."""
        return rng.randn(number, *self.generator['latent_size']).astype(np.float32)

    def draw_labels(self, rng: np.random.RandomState, number: int) -> np.ndarray:
        """Labels of random real images, or of the one class; float32 [number, label_size]."""
        label_size = self.generator['label_size']
        if not label_size:
            return np.zeros([number, 0], np.float32)
        if self.class_index is not None:
            return np.tile(np.eye(label_size, dtype=np.float32)[self.class_index], [number, 1])
        source = self._open_labels()
        indices = rng.randint(source.num_images, size=number)
        return np.stack([source.get_label(int(index)) for index in indices])

    def draw_inputs(self, rng: np.random.RandomState, number: int) -> Dict[str, np.ndarray]:
        """Latents and labels, {'latents': `draw_latents`, 'labels': `draw_labels`}."""
        latents = self.draw_latents(rng, number)
        return dict(latents=latents, labels=self.draw_labels(rng, number))

    @property
    def reals_order(self) -> str:
        """'first' or 'random': which real images a metric takes if it does not take all."""
        return self._reals or self.dataset.metric_reals

    def real_indices(self) -> np.ndarray:
        """Numbers of the real images to compare with, those of the one class if there is one.

        Metrics take the first ones of them; they are in random order where `reals_order` says so.
        The generator must have been loaded.

        Raises:
            UserError: the data set has no such class.
        """
        if self.is_of_reals:
            return self.halves()[0]
        indices = self._indices_of_class()
        is_random = self.reals_order == 'random'
        return self.rng('order of reals', 0).permutation(indices) if is_random else indices

    def halves(self) -> Tuple[np.ndarray, np.ndarray]:
        """Numbers of the real images in two halves, by the seed; the first may have one more."""
        order = self.rng('halves of reals', 0).permutation(self._indices_of_class())
        return order[::2], order[1::2]

    def _indices_of_class(self):
        if self.class_index is None:
            return np.arange(self.dataset.num_images)
        classes = self._open_labels().class_numbers()
        if classes is None:
            text = 'the labels of the data set %r are not one-hot; leave --class out'
            raise UserError(text % self.dataset_name())
        found = np.flatnonzero(classes == self.class_index)
        if not len(found):
            text = 'the data set %r has no images of class %d; choose another --class'
            raise UserError(text % (self.dataset_name(), self.class_index))
        return found

    def _open_labels(self):
        """The data set with labels as the generator takes them."""
        label_size = self.generator['label_size']
        source = self._label_source
        if source is None:
            source = self._label_source = self._open_dataset(max_label_size=label_size)
        if source.label_size != label_size:
            raise UserError(
                'the network takes labels of size %d, those of the data set have %d; '
                'choose the data set that it was trained on' % (label_size, source.label_size)
            )
        return source

    def collect(
        self,
        title: str,
        name: str,
        num_samples: int,
        unit_size: int,
        make_inputs: Callable,
        make_outputs: Callable,
        convert: Optional[Callable] = None,
        key: Optional[dict] = None,
    ) -> SampleStore:
        """Gather samples of the network; see `sampling.collect`.

        Args:
            title: what is gathered; names the bar. name: names the random numbers.
            key: all that the samples depend on beside the network and the settings of this
                evaluation, as JSON.
        """
        facts = self._facts(name, unit_size, key)
        together.check_alike(facts)
        store = SampleStore(_work_folder(facts))
        self._stores.append(store)
        sizes = num_samples, unit_size, self.num_gpus

        def make_bar(done):
            if done:
                print('%s: going on after %d of %d.' % (title, done, num_samples))
            return self.phases.bar(title, title, num_samples, ' samples', done)

        draws = name, self.seed
        sampling.collect(store, make_bar, *sizes, *draws, make_inputs, make_outputs, convert)
        return store

    def _open_dataset(self, **kwargs):
        if self._dataset_args is None:
            raise UserError('this metric needs real images; name a data set by --dataset')
        return load_dataset(data_dir=self._data_dir, **dict(self._dataset_args, **kwargs))

    def _facts(self, name, unit_size, key):
        """All that samples depend on, other than their number, as JSON."""
        facts = dict(
            key=key,
            name=name,
            unit_size=unit_size,
            seed=self.seed,
            network=self.network_sha256,
            class_index=self.class_index,
            precision=self.precision,
            Gs_kwargs=self.Gs_kwargs,
            mirror_augment=self.mirror_augment,
            code=protocol.code_hash(),
            engine=protocol.engine_name(),
            dataset=self.dataset.fingerprint() if self.has_dataset() else None,
        )
        return json.loads(json.dumps(facts, default=str))


def _work_folder(facts):
    """A folder whose name stands for facts."""
    text = json.dumps(facts, sort_keys=True)
    digest = hashlib.sha256(text.encode('utf-8')).hexdigest()
    return os.path.join(cache_dir(), 'metrics-work', digest[:32])
