"""Frechet Inception Distance (Heusel et al. 2017, arXiv:1706.08500)."""

from typing import Optional, Tuple

import numpy as np
import scipy.linalg

from metrics.base import FeatureMetric
from metrics.features import NetFeature
from training.perception import feature_nets


class FID(FeatureMetric):
    """Distance of generated and real images; lower is better.

    It falls as the number of images grows: compare only values of the same number.
    """

    def __init__(
        self,
        num_images: int,
        minibatch_per_gpu: int,
        name: str,
        feature_net: str = feature_nets.INCEPTION_FEATURES,
    ):
        super().__init__(name, NetFeature(feature_net), num_images, minibatch_per_gpu)

    def min_images(self, num_features: Optional[int]) -> int:
        # With fewer images their covariance cannot have full rank.
        return 2 if num_features is None else num_features + 1

    def _from_features(self, reals, fakes):
        real_features = reals.read('features')
        if len(real_features) <= real_features.shape[1]:
            text = (
                '%s: %d real images for %d features; compare only with values of the same images.'
            )
            print(text % (self.name, *real_features.shape))
        with self._bar(3, ' steps') as bar:
            gaussians = []
            for features in (real_features, fakes.read('features')):
                gaussians.append(gaussian_of(features))
                bar.update()
            self._report_result(frechet_distance(*gaussians[0], *gaussians[1]))

    def _figures_cost(self) -> float:
        return 0.1 * self.num_images


def gaussian_of(features: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Mean [F] and covariance [F, F] (divided by N - 1) of features [N, F], in float64."""
    features = features.astype(np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_distance(
    mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray
) -> float:
    """Squared Frechet distance of two Gaussians, exact also for covariances without full rank.

        |mu1 - mu2|^2 + tr(sigma1) + tr(sigma2) - 2 tr((sigma1 sigma2)^(1/2))

    The last trace is that of (A^T sigma2 A)^(1/2), where A A^T = sigma1: a symmetric matrix with
    eigenvalues from 0 up, the same as those of sigma1 sigma2, so no general matrix root is needed.
    """
    values, vectors = scipy.linalg.eigh(np.asarray(sigma1, np.float64))
    root = vectors * np.sqrt(np.maximum(values, 0))
    product = root.T @ np.asarray(sigma2, np.float64) @ root
    eigenvalues = scipy.linalg.eigvalsh((product + product.T) / 2)
    shift = np.asarray(mu1, np.float64) - mu2
    cross = 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(shift @ shift + np.trace(sigma1) + np.trace(sigma2) - cross)
