"""Points in the latent spaces Z and W of a generator, and the images at these points."""

from typing import List

import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import random
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import anatomy


class LatentSpace:
    """One latent space of a generator.

    Args:
        Gs: the generator; it has a W if its components are mapping and synthesis.
        space: 'z', 'w', or 'auto': W where there is one, else Z. With `fallback`, 'w' means the
            same as 'auto'.
        kwargs: options for the networks.

    Attributes:
        space: 'z' or 'w'. shape: of a point, [latent_size] or [layers, dlatent_size].
    """

    def __init__(self, Gs: Network, space: str, kwargs: dict, fallback: bool = True):
        has_w = anatomy.has_w(Gs)
        if space == 'w' and not has_w and not fallback:
            text = 'network %r has no W space (no mapping network); choose a metric in Z'
            raise UserError(text % Gs.name)
        self.space = 'w' if has_w and space != 'z' else 'z'
        self.shape = anatomy.latent_shape(Gs, self.space)
        self._has_w = has_w
        self._kwargs = dict(kwargs, randomize_noise=False)

    def points(self, net: Network, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """The points [N, *shape] of latents z: z itself, or w without truncation.

        Args:
            net: the generator or a copy of it.
        """
        return latents if self.space == 'z' else self._map(net, latents, labels)

    def images(self, net: Network, points: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Images at points, float32 [N, C, H, W], without truncation.

        All have the same noise inputs, drawn anew. Call it once for each copy of the network.
        """
        with tf.control_dependencies(_redraw_noise(net)):
            if not self._has_w:
                inputs = [tf.identity(points), labels][: net.num_inputs]
                images = net.get_output_for(*inputs, **self._kwargs)
            else:
                w = points if self.space == 'w' else self._map(net, points, labels)
                images = net.components.synthesis.get_output_for(tf.identity(w), **self._kwargs)
        return tf.cast(images, tf.float32)

    def _map(self, net, latents, labels):
        w = net.components.mapping.get_output_for(latents, labels, **self._kwargs)
        return tf.cast(w, tf.float32)


def _redraw_noise(net: Network) -> List[tf.Operation]:
    """Ops that give the fixed noise inputs new values from N(0, 1)."""
    variables = anatomy.noise_inputs(net)
    return [tf.assign(var, random.normal(var.shape.as_list(), 'noise')) for var in variables]


def crop_face(images: tf.Tensor) -> tf.Tensor:
    """The face in aligned images [N, C, H, W]: rows from 3/8 to 7/8, columns from 2/8 to 6/8."""
    unit = images.shape.as_list()[2] // 8
    return images[:, :, 3 * unit : 7 * unit, 2 * unit : 6 * unit]


def limit_size(images: tf.Tensor, size: int = 256) -> tf.Tensor:
    """Images [N, C, H, W] shrunk by the whole factor H // size if they are larger."""
    factor = images.shape.as_list()[2] // size
    return tflib.box_downscale(images, factor) if factor > 1 else images


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Scale vectors along the last axis to length 1."""
    return x * tf.rsqrt(tf.reduce_sum(tf.square(x), axis=-1, keepdims=True))


def slerp(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Spherical interpolation from a to b [..., D] by t [..., 1]; the result has length 1."""
    a, b = normalize(a), normalize(b)
    d = tf.reduce_sum(a * b, axis=-1, keepdims=True)
    angle = t * tf.acos(d)
    c = normalize(b - d * a)
    return normalize(a * tf.cos(angle) + c * tf.sin(angle))
