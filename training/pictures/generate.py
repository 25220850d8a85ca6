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


class _Graph(NamedTuple):
    """Tensors of a network."""

    scope: str  # of all its ops
    inputs: List[tf.Tensor]  # latents and, if there are any, labels
    noise: List[tf.Tensor]  # maps [N or 1, 1, H, W]
    dlatents: Optional[tf.Tensor]  # w, if there is one
    images: tf.Tensor
    uint8_images: tf.Tensor


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

    Attributes:
        minibatch_size: as given.
        num_layers: styles of an image, None if the network has no w.
        noise_shapes: [1, 1, H, W] of the noise maps, in the order of the layers; [] if the network
            has none, or its code is of another project and cannot be given any.

    Raises:
        UserError: a class for a network that has none, no class for one that has, or one outside.
    """

    _graph: Optional[_Graph]

    def __init__(
        self,
        Gs: Network,
        truncation_psi: float = 0.5,
        noise: str = 'random',
        class_index: Optional[int] = None,
        minibatch_size: int = 4,
    ):
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
        self._graph = None
        self.num_layers = anatomy.num_layers(Gs)
        self.noise_shapes = [var.shape.as_list() for var in self._noise_vars]

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
        """Noise maps of a seed, [1, 1, H, W] each, in the order of the network's variables."""
        random = np.random.RandomState(seed)
        self._draw_latent(random)
        return [random.randn(*shape) for shape in self.noise_shapes]

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
            return [np.zeros(shape) for shape in self.noise_shapes]
        if self._noise.startswith('seed:'):
            return self.noise_of(int(self._noise[len('seed:') :]))
        return []

    def _build(self):
        """One graph for all ways in: w can be fed, and so can noise in place of the stored one."""
        if self._graph is None:
            if self._ignores_noise:
                text = 'Warning: the code of network %r takes no noise; --noise has no effect.'
                print(text % self._Gs.name)
            with tf.name_scope('Generate') as scope, tf.device(engine.device(0)):
                shapes = [[None] + shape[1:] for shape in self._Gs.input_shapes]
                inputs = [tf.placeholder(tf.float32, shape) for shape in shapes]
                noise = [
                    tf.placeholder_with_default(tf.identity(var), [None] + shape[1:])
                    for var, shape in zip(self._noise_vars, self.noise_shapes)
                ]
                options: Dict[str, Any] = {'noise_values': noise} if noise else {}
                options.update(truncation_psi=self._truncation_psi, randomize_noise=False)
                if self.num_layers is not None:
                    options['return_dlatents'] = True
                outputs = self._Gs.get_output_for(*inputs, return_as_list=True, **options)
                images, w = outputs[0], outputs[1] if len(outputs) > 1 else None
                as_uint8 = tflib.convert_images_to_uint8(images)
                self._graph = _Graph(scope, inputs, noise, w, images, as_uint8)
        return self._graph

    def _feed(self, latents):
        latent_input, *label_inputs = self._build().inputs
        labels = np.tile(self._label, [len(latents), 1])
        return {latent_input: latents, **dict.fromkeys(label_inputs, labels)}


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
