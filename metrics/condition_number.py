"""Condition number of a generator (Feng, Zhao and Zha, "On Noise Injection in GANs", Eq. 12)."""

from typing import Dict, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.util import UserError
from metrics.base import MetricBase
from metrics.features import copies_on_devices
from metrics.latent_space import LatentSpace, crop_face

_TOP_NUMBER = 1000  # of 50,000 samples
_TOP_SHARE = 0.02


class ConditionNumber(MetricBase):
    """How much more images change, relatively, than their latents; lower is better.

    For v of a latent space and dv ~ N(0, std^2): (|G(v) - G(v + dv)| / |G(v)|) / (|dv| / |v|).
    Reports MC, the mean; TTMC, the mean of the largest 1000 values, or of the largest 2% where
    there are fewer than 50,000; and the largest value.

    Args:
        num_samples: number of pairs. std: of dv.
        space: 'z', 'w', or 'auto': W if the network has one.
        crop: look at the middle of aligned faces only.
        minibatch_per_gpu: pairs at a time; all of them get the same noise inputs.
        Gs_overrides: options for the generator.
    """

    def __init__(
        self,
        num_samples: int,
        std: float,
        space: str,
        crop: bool,
        minibatch_per_gpu: int,
        Gs_overrides: Optional[dict],
        name: str,
    ):
        assert space in ['z', 'w', 'auto']
        super().__init__(name)
        if num_samples < 1 or std <= 0:
            text = '%s of %d samples with std %g: both must be positive'
            raise UserError(text % (name, num_samples, std))
        self._num_samples = num_samples
        self._std = std
        self._space = space
        self._crop = crop
        self._minibatch_per_gpu = minibatch_per_gpu
        self._Gs_overrides = Gs_overrides or {}
        self._measured_space: Optional[str] = None

    def phases(self) -> Dict[str, float]:
        return {self.name: 2.0 * self._num_samples}

    def _evaluate(self, Gs, Gs_kwargs, num_gpus):
        batch = self._minibatch_per_gpu
        space = LatentSpace(Gs, self._space, dict(Gs_kwargs, **self._Gs_overrides), fallback=False)
        self._measured_space = space.space
        generators = copies_on_devices(Gs, num_gpus)

        def make_inputs(_unit, rng):
            inputs = self.evaluation.draw_inputs(rng, batch)
            step = rng.randn(batch, *space.shape) * self._std
            return dict(inputs, step=step.astype(np.float32))

        def make_outputs(index, inputs):
            net, labels, step = generators[index], inputs['labels'], inputs['step']
            points = space.points(net, inputs['latents'], labels)
            pairs = tf.concat([points, points + step], axis=0)
            images = space.images(net, pairs, tf.concat([labels, labels], axis=0))
            if self._crop:
                images = crop_face(images)
            before, after = tf.split(images, 2)
            change = _norm(before - after) / _norm(before)
            return dict(ratio=change / (_norm(step) / _norm(points)))

        key = self.get_protocol()
        store = self.evaluation.collect(
            self.name, 'cond', self._num_samples, batch, make_inputs, make_outputs, key=key
        )
        figures = summarize(store.read('ratio')[: self._num_samples])
        for value, suffix in zip(figures, ['_mc', '_ttmc', '_max']):
            self._report_result(value, suffix)

    def get_protocol(self) -> dict:
        return dict(
            num_samples=self._num_samples,
            truncation_psi=None,
            truncation_cutoff=None,
            space=self._measured_space,
            std=self._std,
            crop=self._crop,
            top=num_largest(self._num_samples),
            Gs_overrides=self._Gs_overrides,
        )


def _norm(x):
    """Norm over all but the first axis, float64 [N]."""
    squares = tf.square(tf.cast(x, tf.float64))
    return tf.sqrt(tf.reduce_sum(squares, axis=list(range(1, x.shape.ndims))))


def num_largest(num_samples: int) -> int:
    """How many of the largest values TTMC is the mean of."""
    return min(_TOP_NUMBER, max(int(_TOP_SHARE * num_samples), 1))


def summarize(ratios: np.ndarray) -> Tuple[float, float, float]:
    """MC, TTMC and the largest of the ratios [N]."""
    ordered = np.sort(np.asarray(ratios, np.float64))
    top = ordered[-num_largest(len(ordered)) :]
    return float(ordered.mean()), float(top.mean()), float(ordered[-1])
