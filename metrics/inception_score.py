"""Inception Score (Salimans et al. 2016, "Improved Techniques for Training GANs")."""

from typing import Optional, Tuple

import numpy as np

from dnnlib.util import UserError
from metrics.base import FeatureMetric
from metrics.features import NetFeature
from training.perception import feature_nets


class IS(FeatureMetric):
    """How surely images belong to one class each, and how evenly to all; higher is better."""

    needs_reals = False

    def __init__(self, num_images: int, num_splits: int, minibatch_per_gpu: int, name: str):
        if num_splits < 1:
            raise UserError('num_splits is %d; it must be at least 1' % num_splits)
        self._num_splits = num_splits
        feature = NetFeature(feature_nets.INCEPTION_SOFTMAX)
        super().__init__(name, feature, num_images, minibatch_per_gpu)

    def min_images(self, num_features: Optional[int]) -> int:
        return 2 * self._num_splits

    def _from_features(self, reals, fakes):
        mean, std = inception_score(fakes.read('features'), self._num_splits)
        self._report_result(mean, suffix='_mean')
        if self._num_splits > 1:
            self._report_result(std, suffix='_std')

    def get_protocol(self) -> dict:
        return dict(super().get_protocol(), num_splits=self._num_splits)


def inception_score(probabilities: np.ndarray, num_splits: int) -> Tuple[float, float]:
    """Mean and standard deviation over splits of exp(E_x KL(p(y|x) || p(y))).

    Args:
        probabilities: p(y|x) of generated images [N, classes].
    """
    probabilities = np.asarray(probabilities, np.float64)
    scores = []
    for index in range(num_splits):
        begin, end = (i * len(probabilities) // num_splits for i in (index, index + 1))
        p = probabilities[begin:end]
        marginal = p.mean(axis=0)
        # A probability of 0 adds 0, the limit of p log p.
        ratio = np.where(p > 0, p, 1) / np.where(p > 0, marginal, 1)
        scores.append(np.exp((p * np.log(ratio)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
