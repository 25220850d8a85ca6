"""Kernel Inception Distance (Binkowski et al. 2018, "Demystifying MMD GANs")."""

from typing import Callable, Optional, Tuple

import numpy as np

from metrics.base import FeatureMetric
from metrics.features import NetFeature
from training.perception import feature_nets

_SMALLEST_SUBSET = 2  # the estimate looks at pairs


class KID(FeatureMetric):
    """Squared maximum mean discrepancy of generated and real images; lower is better, 0 for equal.

    Its expected value does not depend on the number of images. Below `subset_size` images, subsets
    are half of them, so that they differ.
    """

    def __init__(
        self,
        num_images: int,
        num_subsets: int,
        subset_size: int,
        minibatch_per_gpu: int,
        name: str,
        feature_net: str = feature_nets.INCEPTION_FEATURES,
    ):
        super().__init__(name, NetFeature(feature_net), num_images, minibatch_per_gpu)
        self._num_subsets = num_subsets
        self._subset_size = subset_size
        self._used_size = subset_size

    def min_images(self, num_features: Optional[int]) -> int:
        return 2 * _SMALLEST_SUBSET

    def _from_features(self, reals, fakes):
        real, fake, rng = reals.read('features'), fakes.read('features'), self.make_rng('subsets')
        self._used_size = size_of_subsets(self._subset_size, len(real), len(fake))
        if self._used_size < self._subset_size:
            text = '%s: subsets of %d images, in place of %d.'
            print(text % (self.name, self._used_size, self._subset_size))
        with self._bar(self._num_subsets, ' subsets') as bar:
            sizes = self._num_subsets, self._used_size
            mean, std = kernel_distance(real, fake, rng, *sizes, update=bar.update)
        self._report_result(mean, fmt='%-10.6f')
        if self._num_subsets > 1:
            self._report_result(std, suffix='_std', fmt='%-10.6f')

    def _figures_cost(self) -> float:
        return 0.2 * self._num_subsets * self._subset_size

    def get_protocol(self) -> dict:
        subsets = dict(num_subsets=self._num_subsets, subset_size=self._used_size)
        return dict(super().get_protocol(), **subsets)


def size_of_subsets(wanted: int, num_reals: int, num_fakes: int) -> int:
    """Images in a subset: as wanted, or half of the images where there are no more than that."""
    smaller = min(num_reals, num_fakes)
    return wanted if wanted < smaller else smaller // 2


def kernel_distance(
    reals: np.ndarray,
    fakes: np.ndarray,
    rng: np.random.RandomState,
    num_subsets: int,
    subset_size: int,
    update: Callable[[int], None] = lambda number: None,
) -> Tuple[float, float]:
    """Mean and standard deviation of `squared_mmd` over random subsets of two sets of features.

    Args:
        reals, fakes: [N, F] and [M, F].
        subset_size: images in a subset, drawn without replacement.
        update: told the number of subsets that were done.
    """
    values = []
    for _ in range(num_subsets):
        x = reals[rng.choice(len(reals), subset_size, replace=False)]
        y = fakes[rng.choice(len(fakes), subset_size, replace=False)]
        values.append(squared_mmd(x, y))
        update(1)
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of the squared MMD with the kernel (x.y / F + 1)^3, for features [N, F]."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    within = _mean_off_diagonal(_kernel(x, x)) + _mean_off_diagonal(_kernel(y, y))
    return within - 2 * _kernel(x, y).mean()


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_off_diagonal(matrix):
    return (matrix.sum() - np.trace(matrix)) / (len(matrix) * (len(matrix) - 1))
