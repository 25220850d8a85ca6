"""How much of a generator's images is decided by noise, and how much by latents."""

from typing import Dict

import tensorflow.compat.v1 as tf

from dnnlib.util import UserError
from metrics.base import MetricBase
from metrics.features import copies_on_devices


class NoiseShare(MetricBase):
    """The part of the variance of images that noise makes: 0 if latents decide, 1 if noise does.

    With D the mean squared difference of two images, pixels clipped to [-1, 1]: D of the same
    latents with different noise, divided by D of different latents with different noise. By the law
    of total variance that is the part of the images' variance that is left once their latents (and
    labels) are known. 0 where all images are the same.

    Path lengths and condition numbers move latents and leave noise as it is: a generator that lets
    noise decide is smooth by these.

    Args:
        num_samples: number of pairs. minibatch_per_gpu: pairs at a time, two or more.
    """

    def __init__(self, num_samples: int, minibatch_per_gpu: int, name: str):
        super().__init__(name)
        if num_samples < 1:
            raise UserError('%s of %d samples: it must be positive' % (name, num_samples))
        self._num_samples = num_samples
        self._minibatch_per_gpu = minibatch_per_gpu

    def phases(self) -> Dict[str, float]:
        return {self.name: 2.0 * self._num_samples}

    def _evaluate(self, Gs, Gs_kwargs, num_gpus):
        batch = self._minibatch_per_gpu
        generators = copies_on_devices(Gs, num_gpus)

        def make_inputs(_unit, rng):
            return self.evaluation.draw_inputs(rng, batch)

        def make_outputs(index, inputs):
            net = generators[index]
            twice = [tf.concat([inputs[name]] * 2, axis=0) for name in ['latents', 'labels']]
            images = net.get_output_for(*twice[: net.num_inputs], **Gs_kwargs)
            images = tf.clip_by_value(tf.cast(images, tf.float32), -1, 1)
            one, other = tf.split(images, 2)
            neighbours = tf.concat([other[1:], other[:1]], axis=0)
            return dict(by_noise=_difference(one, other), by_all=_difference(one, neighbours))

        key = self.get_protocol()
        store = self.evaluation.collect(
            self.name, 'noise', self._num_samples, batch, make_inputs, make_outputs, key=key
        )
        by_noise, by_all = (
            store.read(name)[: self._num_samples].sum() for name in ['by_noise', 'by_all']
        )
        self._report_result(by_noise / by_all if by_all else 0.0)

    def get_protocol(self) -> dict:
        return dict(num_samples=self._num_samples, clipped=[-1, 1])


def _difference(a, b):
    """Mean squared difference of images, float64 [N]."""
    return tf.reduce_mean(tf.square(tf.cast(a - b, tf.float64)), axis=[1, 2, 3])
