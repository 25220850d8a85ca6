"""Perceptual path length (Karras et al. 2018, arXiv:1812.04948, section 4.1)."""

from typing import Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.util import UserError
from metrics.base import MetricBase
from metrics.features import apply_net, copies_on_devices, to_rgb
from metrics.latent_space import LatentSpace, crop_face, limit_size, slerp
from training.perception import feature_nets


class PPL(MetricBase):
    """How much images change, to the eye, on a small step between two latents; lower is better.

    Args:
        num_samples: number of steps. epsilon: their length, as part of the way.
        space: 'z' or 'w'; networks without W are measured in Z.
        sampling: 'full': steps from anywhere on the way; 'end': from its start.
        crop: look at the middle of aligned faces only.
        minibatch_per_gpu: steps at a time.
        Gs_overrides: options for the generator.
        distance_net: of `feature_nets`, how different two images look.
    """

    def __init__(
        self,
        num_samples: int,
        epsilon: float,
        space: str,
        sampling: str,
        crop: bool,
        minibatch_per_gpu: int,
        Gs_overrides: Optional[dict],
        name: str,
        distance_net: str = feature_nets.LPIPS,
    ):
        assert space in ['z', 'w'] and sampling in ['full', 'end']
        super().__init__(name)
        if num_samples < 1:
            raise UserError('%s of %d samples: there must be at least 1' % (name, num_samples))
        self.feature_nets = [distance_net]
        self._num_samples = num_samples
        self._epsilon = epsilon
        self._space = space
        self._sampling = sampling
        self._crop = crop
        self._minibatch_per_gpu = minibatch_per_gpu
        self._Gs_overrides = Gs_overrides or {}
        self._measured_space: Optional[str] = None

    def phases(self) -> Dict[str, float]:
        return {self.name: 4.0 * self._num_samples}

    def _evaluate(self, Gs, Gs_kwargs, num_gpus):
        batch = self._minibatch_per_gpu
        space = LatentSpace(Gs, self._space, dict(Gs_kwargs, **self._Gs_overrides))
        self._measured_space = space.space
        generators = copies_on_devices(Gs, num_gpus)
        distances = self.evaluation.load_feature_net(self.feature_nets[0])

        def make_inputs(_unit, rng):
            latents = self.evaluation.draw_latents(rng, 2 * batch)
            labels = np.repeat(self.evaluation.draw_labels(rng, batch), 2, axis=0)
            t = rng.rand(batch).astype(np.float32)
            if self._sampling == 'end':
                t = np.zeros_like(t)
            return dict(latents=latents, labels=labels, t=t)

        def make_outputs(index, inputs):
            net, labels = generators[index], inputs['labels']
            points = space.points(net, inputs['latents'], labels)
            ends = self._step(points, inputs['t'], space.space)  # [2 * batch, ...]
            images = space.images(net, ends, labels)
            if self._crop:
                images = crop_face(images)
            images = to_rgb((limit_size(images) + 1) * (255 / 2))
            distance = apply_net(distances[index], images[0::2], images[1::2])
            return dict(distance=tf.reshape(distance, [batch]) * (1 / self._epsilon**2))

        nets = self.evaluation.feature_net_hashes(self.feature_nets)
        key = dict(self.get_protocol(), nets=nets)
        store = self.evaluation.collect(
            self.name, 'ppl', self._num_samples, batch, make_inputs, make_outputs, key=key
        )
        lengths = store.read('distance')[: self._num_samples]
        self._report_result(mean_without_outliers(lengths))

    def _step(self, points, t, space):
        """Start and end of each step, in consecutive rows."""
        t = tf.reshape(t, [-1] + [1] * (points.shape.ndims - 1))
        interpolate = slerp if space == 'z' else tflib.lerp
        ends = [interpolate(points[0::2], points[1::2], t + step) for step in (0, self._epsilon)]
        return tf.reshape(tf.stack(ends, axis=1), tf.shape(points))

    def get_protocol(self) -> dict:
        return dict(
            num_samples=self._num_samples,
            truncation_psi=None,
            truncation_cutoff=None,
            space=self._measured_space,
            sampling=self._sampling,
            epsilon=self._epsilon,
            crop=self._crop,
            Gs_overrides=self._Gs_overrides,
            resize='box filter by height // 256',
        )


def mean_without_outliers(distances: np.ndarray) -> float:
    """Mean from the 1st to the 99th percentile, both rounded outwards to existing values."""
    ordered = np.sort(distances, axis=None)
    last = len(ordered) - 1
    low, high = ordered[int(np.floor(0.01 * last))], ordered[int(np.ceil(0.99 * last))]
    kept = distances[(distances >= low) & (distances <= high)]
    return float(np.mean(kept, dtype=np.float64))
