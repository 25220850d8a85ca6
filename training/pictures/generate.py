"""Images of a generator by seed: one place, so that a seed gives the same image in every command.

Seed s stands for a latent and for noise maps, drawn from RandomState(s) in this order, as official
StyleGAN2 draws them.
"""

import itertools
import re
from collections import OrderedDict
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import anatomy
from training.data.labels import check_class
from training.pictures.layer_noise import LayerNoise


class _Graph(NamedTuple):
    """Tensors of a network."""

    scope: str  # of all its ops
    inputs: List[tf.Tensor]  # latents and, if there are any, labels
    noise: List[tf.Tensor]  # maps [N or 1, 1, H, W]
    dlatents: Optional[tf.Tensor]  # w, if there is one
    images: tf.Tensor
    uint8_images: tf.Tensor
    psi: Optional[tf.Tensor]  # [], where it is fed
    t: Optional[tf.Tensor]  # exponents of the alphas [1, layers], where any is not 1


class Generator:
    """A generator network with everything that, beside a seed, decides on an image.

    Args:
        Gs: network of latents [N, latent_size] and, if it has two inputs, labels.
        truncation_psi: strength of the truncation towards the mean w, 1 for none; up to the layer
            that the network itself sets.
        noise: 'random': each image has the noise of its own seed. 'const': the noise stored in the
            network. 'none': zeros. 'seed:N': that of seed N.
        class_index: class of all images; None for a network without labels.
        minibatch_size: images at a time.
        layers: what is changed in layers with noise, by `layer_names`.

    Attributes:
        minibatch_size: as given.
        num_layers: styles of an image, None if the network has no w.
        noise_shapes: [1, 1, H, W] of the noise maps, in the order of the layers; [] if the network
            has none, or its code is of another project and cannot be given any.

    Raises:
        UserError: a class for a network that has none, no class for one that has, or one outside;
            no such layer, or a t where there is no alpha.
    """

    def __init__(
        self,
        Gs: Network,
        truncation_psi: float = 0.5,
        noise: str = 'random',
        class_index: Optional[int] = None,
        minibatch_size: int = 4,
        layers: Optional[Dict[str, LayerNoise]] = None,
    ):
        self._sampling = dict(truncation_psi=truncation_psi, noise=noise, class_index=class_index)
        self._sampling.update(minibatch_size=minibatch_size, layers=layers)
        label_size = anatomy.label_size(Gs)
        if class_index is not None:
            check_class(class_index, label_size)
        elif label_size:
            text = 'the network knows %d classes; choose one from 0 to %d by --class'
            raise UserError(text % (label_size, label_size - 1))
        self._Gs = Gs
        self._noise = noise
        self._truncation_psi = truncation_psi
        self.minibatch_size = minibatch_size
        self._label = np.zeros([label_size], np.float32)
        if class_index is not None:
            self._label[class_index] = 1
        noise_vars, takes_noise = anatomy.noise_inputs(Gs), anatomy.takes_noise(Gs)
        self._noise_vars = noise_vars if takes_noise else []
        self._ignores_noise = noise != 'const' and not takes_noise and bool(noise_vars)
        self._graphs: Dict[Any, _Graph] = {}
        self._feeds_psi = False
        self.num_layers = anatomy.num_layers(Gs)
        self.noise_shapes = [var.shape.as_list() for var in self._noise_vars]
        self._layers = self._changed_layers(layers or {})

    def varied(self, **sampling: Any) -> 'Generator':
        """A generator with other arguments than this one's, but without a graph of its own.

        All that are made of one share its graphs, in which truncation_psi is fed.
        """
        other = Generator(self._Gs, **dict(self._sampling, **sampling))
        other._graphs, other._feeds_psi = self._graphs, True
        return other

    def _changed_layers(self, layers):
        names = self.layer_names
        wrong = [name for name in layers if name not in names]
        if wrong:
            text = '--layer names %r; the layers with noise are: %s'
            raise UserError(text % (wrong[0], ', '.join(names) or 'none'))
        if any(each.t != 1 for each in layers.values()) and not anatomy.num_alphas(self._Gs):
            text = 'the noise injection of network %r has no alpha in (0, 1), which t could change'
            raise UserError(text % self._Gs.name)
        return [layers.get(name, LayerNoise()) for name in names]

    @property
    def layer_names(self) -> List[str]:
        """The layers with noise by their size, such as 4x4; 8x8a and 8x8b where two have it."""
        sizes = ['%dx%d' % tuple(shape[2:]) for shape in self.noise_shapes]
        letters = ['ab'[sizes[:index].count(size)] for index, size in enumerate(sizes)]
        return [s if sizes.count(s) == 1 else s + letter for s, letter in zip(sizes, letters)]

    @property
    def image_bytes(self) -> int:
        """Bytes of an image's pixels; a PNG file has about half as many."""
        return int(np.prod(self._Gs.output_shape[1:]))

    @property
    def resolution(self) -> int:
        """Side of the images in pixels."""
        return self._Gs.output_shape[-1]

    @property
    def has_noise(self) -> bool:
        """Whether noise can make a difference to an image."""
        return bool(self._noise_vars) and anatomy.injects_noise(self._Gs)

    @property
    def has_noise_per_image(self) -> bool:
        """Whether each image has noise of its own."""
        return self._noise == 'random' and bool(self._noise_vars)

    def latents(self, seeds: Iterable[int]) -> np.ndarray:
        """Latents z of seeds, [N, latent_size]."""
        return np.stack([self._draw_latent(np.random.RandomState(seed)) for seed in seeds])

    def noise_of(self, seed: int) -> List[np.ndarray]:
        """Noise maps of a seed, [1, 1, H, W] each, in the order of the network's variables.

        A layer with a seed of its own has that one's.
        """
        return self._with_own_seeds(self._drawn_noise(seed))

    def _drawn_noise(self, seed):
        random = np.random.RandomState(seed)
        self._draw_latent(random)
        return [random.randn(*shape) for shape in self.noise_shapes]

    def _with_own_seeds(self, maps):
        return [
            x if layer.seed is None else self._drawn_noise(layer.seed)[index]
            for index, (x, layer) in enumerate(zip(maps, self._layers))
        ]

    def noises(self, seeds: Iterable[int]) -> Optional[Iterator[List[np.ndarray]]]:
        """Noise maps of the images of seeds, for `images`; None if all have the same."""
        return map(self.noise_of, seeds) if self.has_noise_per_image else None

    def dlatents(self, latents: np.ndarray) -> np.ndarray:
        """Truncated w of latents, [N, num_layers, dlatent_size].

        Raises:
            UserError: the network goes from z to images at once.
        """
        graph = self._build()
        if graph.dlatents is None:
            text = 'the generator %r has no intermediate latents w, so neither styles nor walks'
            raise UserError(text % self._Gs.name)
        parts = [latents[begin:end] for begin, end in self._minibatches(len(latents))]
        return np.concatenate([tflib.run(graph.dlatents, self._feed(part)) for part in parts])

    def images(
        self,
        latents: np.ndarray,
        dlatents: Optional[np.ndarray] = None,
        noises: Optional[Iterable[Sequence[np.ndarray]]] = None,
        as_uint8: bool = True,
    ) -> Iterator[np.ndarray]:
        """Yield images [C, H, W].

        Args:
            latents: z [N, latent_size].
            dlatents: w [N, num_layers, dlatent_size] to use in place of that of the latents.
            noises: noise maps of each image, in place of those that `noise` says.
            as_uint8: False: float32 as the network makes them, nominally in [-1, 1].
        """
        graph = self._build()
        fetch = graph.uint8_images if as_uint8 else graph.images
        return (image for (image,) in self.evaluate([fetch], latents, dlatents, noises))

    def tensors(self, pattern: str) -> 'OrderedDict[str, tf.Tensor]':
        """Tensors [N, ...] inside of the network for `evaluate`, by the group of a pattern.

        Args:
            pattern: regular expression for the end of their names, with one group.

        Returns: in the order in which they were built.
        """
        graph = self._build()
        tensors = OrderedDict()
        for op in tf.get_default_graph().get_operations():
            match = re.search(pattern + '$', op.name)
            if match and op.name.startswith(graph.scope):
                tensors[match.group(1)] = op.outputs[0]
        return tensors

    def evaluate(
        self,
        tensors: Sequence[tf.Tensor],
        latents: np.ndarray,
        dlatents: Optional[np.ndarray] = None,
        noises: Optional[Iterable[Sequence[np.ndarray]]] = None,
    ) -> Iterator[Tuple[np.ndarray, ...]]:
        """Yield the values of tensors for one image after the other; arguments as of `images`."""
        graph = self._build()
        shared_noise = self._shared_noise()
        noises = None if noises is None else iter(noises)
        for begin, end in self._minibatches(len(latents)):
            feed = self._feed(latents[begin:end])
            if dlatents is not None:
                feed[graph.dlatents] = dlatents[begin:end]
            maps = shared_noise
            if noises is not None:  # a list of maps for each image -> maps of all for each layer
                maps = map(np.concatenate, zip(*itertools.islice(noises, end - begin)))
            maps = (x if y.scale == 1 else x * y.scale for x, y in zip(maps, self._layers))
            feed.update(zip(graph.noise, maps))
            for values in zip(*tflib.run(list(tensors), feed)):
                yield values

    def images_of_seeds(self, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        """Yield the images of seeds, uint8 [C, H, W]."""
        for begin, end in self._minibatches(len(seeds)):
            part = seeds[begin:end]
            for image in self.images(self.latents(part), noises=self.noises(part)):
                yield image

    def _draw_latent(self, random):
        return random.randn(1, *self._Gs.input_shape[1:])[0]

    def _minibatches(self, number):
        step = self.minibatch_size
        return [(begin, min(begin + step, number)) for begin in range(0, number, step)]

    def _shared_noise(self):
        """Maps for all images; [] for those stored in the network."""
        if self._noise == 'none':
            return self._with_own_seeds([np.zeros(shape) for shape in self.noise_shapes])
        if self._noise.startswith('seed:'):
            return self.noise_of(int(self._noise[len('seed:') :]))
        if self._noise == 'const' and any(each != LayerNoise() for each in self._layers):
            return self._with_own_seeds(tflib.run(self._noise_vars))
        return []

    def _build(self):
        """One graph for all ways in: w can be fed, and so can noise in place of the stored one."""
        psi, has_t = self._truncation_psi, any(each.t != 1 for each in self._layers)
        is_fed = (
            self._feeds_psi and psi != 1
        )  # without truncation w stays as it is, to the last bit
        key = 'fed' if is_fed else psi, has_t
        if key not in self._graphs:
            if self._ignores_noise:
                text = 'Warning: the code of network %r takes no noise; --noise has no effect.'
                print(text % self._Gs.name)
            with tf.name_scope('Generate') as scope, tf.device(engine.device(0)):
                shapes = [[None] + shape[1:] for shape in self._Gs.input_shapes]
                inputs = [tf.placeholder(tf.float32, shape) for shape in shapes]
                fed_psi = tf.placeholder(tf.float32, []) if is_fed else None
                t = tf.placeholder(tf.float32, [1, len(self._layers)]) if has_t else None
                noise = [
                    tf.placeholder_with_default(tf.identity(var), [None] + shape[1:])
                    for var, shape in zip(self._noise_vars, self.noise_shapes)
                ]
                options: Dict[str, Any] = {'noise_values': noise} if noise else {}
                options.update(truncation_psi=fed_psi if is_fed else psi, randomize_noise=False)
                if has_t:
                    options['alpha_powers'] = t
                if self.num_layers is not None:
                    options['return_dlatents'] = True
                outputs = self._Gs.get_output_for(*inputs, return_as_list=True, **options)
                images, w = outputs[0], outputs[1] if len(outputs) > 1 else None
                found = images, tflib.convert_images_to_uint8(images), fed_psi, t
                self._graphs[key] = _Graph(scope, inputs, noise, w, *found)
        return self._graphs[key]

    def _feed(self, latents):
        graph = self._build()
        latent_input, *label_inputs = graph.inputs
        labels = np.tile(self._label, [len(latents), 1])
        feed = {latent_input: latents, **dict.fromkeys(label_inputs, labels)}
        if graph.psi is not None:
            feed[graph.psi] = self._truncation_psi
        if graph.t is not None:
            feed[graph.t] = [[each.t for each in self._layers]]
        return feed


def slerp(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Point at t in [0, 1] of the arc from a to b, arrays of one shape taken as vectors.

    Shoemake, "Animating Rotation with Quaternion Curves", 1985. Of normal variables it is one
    again, unlike their mean; t of 0 and 1 give exactly a and b.
    """
    cosine = np.vdot(a, b) / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return a + (b - a) * t
    return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def walk(
    generator: Generator, seeds: Sequence[int], frames_per_seed: int, space: str = 'z'
) -> Iterator[np.ndarray]:
    """Yield the images of a walk from seed to seed and back to the first, uint8 [C, H, W].

    The first image of each leg is that of its seed. `space` is 'z' for arcs between latents or 'w'
    for straight lines between styles; noise of their own moves along on arcs.
    """
    z = generator.latents(seeds)
    w = generator.dlatents(z) if space == 'w' else None
    step = generator.minibatch_size
    for index, seed in enumerate(seeds):
        following = (index + 1) % len(seeds)
        times = np.arange(frames_per_seed) / frames_per_seed
        noises = None
        if generator.has_noise_per_image:
            noises = _noise_walk(generator, seed, seeds[following], times)
        for part in np.split(times, range(step, frames_per_seed, step)):
            latents = np.stack([slerp(z[index], z[following], t) for t in part])
            dlatents = None
            if w is not None:
                dlatents = np.stack([w[index] + (w[following] - w[index]) * t for t in part])
            for image in generator.images(latents, dlatents, noises):
                yield image


def _noise_walk(generator, first, second, times):
    """Yield the noise maps on arcs from those of one seed to those of another."""
    begin, end = generator.noise_of(first), generator.noise_of(second)
    for t in times:
        yield [slerp(a, b, t) for a, b in zip(begin, end)]
