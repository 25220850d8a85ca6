"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991)."""

from typing import Any, Callable, List, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine
from metrics.base import FeatureMetric
from metrics.features import NetFeature
from training.perception import feature_nets


class PR(FeatureMetric):
    """Shares of images inside the other set's manifold; higher is better.

    Precision: of the generated images, in that of the real ones; recall: the reverse.

    Args:
        nhood_size: which nearest neighbour gives the radius around an image.
        row_batch_size, col_batch_size: images whose distances are computed at a time.
    """

    def __init__(
        self,
        num_images: int,
        nhood_size: int,
        minibatch_per_gpu: int,
        row_batch_size: int,
        col_batch_size: int,
        name: str,
    ):
        self._nhood_size = nhood_size
        self._row_batch_size = row_batch_size
        self._col_batch_size = col_batch_size
        super().__init__(name, NetFeature(feature_nets.VGG16), num_images, minibatch_per_gpu)

    def min_images(self, num_features: Optional[int]) -> int:
        return self._nhood_size + 1

    def _from_features(self, reals, fakes):
        with self.evaluation.graph():
            features = reals.read('features'), fakes.read('features')
            batches = self._row_batch_size, self._col_batch_size
            total = sum(map(len, features)) ** 2  # each set with itself and with the other one
            with self._bar(total, ' distances') as bar:
                result = knn_precision_recall_features(
                    *features, [self._nhood_size], *batches, self.evaluation.num_gpus, bar.update
                )
        for name in ['precision', 'recall']:
            self._report_result(result[name][0], suffix='_' + name)

    def _figures_cost(self) -> float:
        return self.num_images**2 / 20000

    def get_protocol(self) -> dict:
        return dict(super().get_protocol(), nhood_size=self._nhood_size)


class DistanceBlock:
    """Squared Euclidean distances of feature vectors, float32, columns spread over devices.

    Args:
        update: told the number of distances that were computed.
    """

    def __init__(
        self, num_features: int, num_gpus: int = 1, update: Callable = lambda number: None
    ):
        self._update = update
        self._rows = tf.placeholder(tf.float32, [None, num_features], 'rows')
        self._columns = tf.placeholder(tf.float32, [None, num_features], 'columns')
        size = tf.shape(self._columns)[0]
        limits = [size * i // num_gpus for i in range(num_gpus + 1)]
        blocks = []
        for index in range(num_gpus):
            columns = self._columns[limits[index] : limits[index + 1]]
            with tf.device(engine.device(index)):
                blocks.append(_squared_distances(self._rows, columns))
        self._distances = tf.concat(blocks, axis=1)

    def pairwise_distances(self, U: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Distances [rows of U, rows of V]."""
        distances = tflib.run(self._distances, {self._rows: U, self._columns: V})
        self._update(distances.size)
        return distances


def _squared_distances(u, v):
    u_squares = tf.reduce_sum(tf.square(u), axis=1, keepdims=True)
    v_squares = tf.reduce_sum(tf.square(v), axis=1)[np.newaxis]
    return tf.maximum(u_squares - 2 * tf.matmul(u, v, transpose_b=True) + v_squares, 0)


class ManifoldEstimator:
    """The union of balls around reference features, each reaching to a near neighbour.

    Args:
        distance_block: computes distances. features: references [N, F].
        row_batch_size, col_batch_size: limits of one block of distances.
        nhood_sizes: which neighbours give the radii; 0 would be the reference itself.
        clamp_to_percentile: radii above this percentile are left out (become 0).
    """

    def __init__(
        self,
        distance_block: DistanceBlock,
        features: np.ndarray,
        row_batch_size: int = 25000,
        col_batch_size: int = 50000,
        nhood_sizes: Sequence[int] = (3,),
        clamp_to_percentile: Optional[float] = None,
    ):
        self._block = distance_block
        self._features = features
        self._row_batch_size = row_batch_size
        self._col_batch_size = col_batch_size
        keep = max(nhood_sizes) + 1
        radii = []
        for rows in self._batches(features, row_batch_size):
            nearest = np.empty([len(rows), 0], np.float32)
            for columns in self._batches(features, col_batch_size):
                distances = self._block.pairwise_distances(rows, columns)
                nearest = np.concatenate([nearest, distances], axis=1)
                if nearest.shape[1] > keep:
                    nearest = np.partition(nearest, keep - 1, axis=1)[:, :keep]
            radii.append(np.sort(nearest, axis=1)[:, list(nhood_sizes)])
        self.radii = np.concatenate(radii)  # squared, [N, neighbourhoods]
        if clamp_to_percentile is not None:
            limits = np.percentile(self.radii, clamp_to_percentile, axis=0)
            self.radii[self.radii > limits] = 0

    def evaluate(
        self,
        eval_features: np.ndarray,
        return_realism: bool = False,
        return_neighbors: bool = False,
    ) -> Any:
        """Whether features [M, F] are inside, bool [M, neighbourhoods].

        On request also, in this order: the realism of each, float [M], which is the radius of the
        nearest reference (first neighbourhood) over the distance to it; and the number of that
        reference, int [M].
        """
        inside, realism, neighbors = [], [], []
        for rows in self._batches(eval_features, self._row_batch_size):
            found = np.zeros([len(rows), self.radii.shape[1]], bool)
            nearest = np.full(len(rows), np.inf, np.float32)
            neighbor = np.zeros(len(rows), int)
            begin = 0
            for columns in self._batches(self._features, self._col_batch_size):
                distances = self._block.pairwise_distances(rows, columns)
                radii = self.radii[begin : begin + len(columns)]
                for size in range(radii.shape[1]):
                    found[:, size] |= (distances <= radii[:, size]).any(axis=1)
                closest = distances.argmin(axis=1)
                value = distances[np.arange(len(rows)), closest]
                neighbor = np.where(value < nearest, begin + closest, neighbor)
                nearest = np.minimum(nearest, value)
                begin += len(columns)
            inside.append(found)
            neighbors.append(neighbor)
            realism.append(np.sqrt(self.radii[neighbor, 0] / np.maximum(nearest, 1e-18)))
        results = [np.concatenate(inside)]
        results += [np.concatenate(realism)] if return_realism else []
        results += [np.concatenate(neighbors)] if return_neighbors else []
        return results[0] if len(results) == 1 else tuple(results)

    @staticmethod
    def _batches(features: np.ndarray, size: int) -> List[np.ndarray]:
        return [features[begin : begin + size] for begin in range(0, len(features), size)]


def knn_precision_recall_features(
    ref_features: np.ndarray,
    eval_features: np.ndarray,
    nhood_sizes: Sequence[int] = (3,),
    row_batch_size: int = 10000,
    col_batch_size: int = 50000,
    num_gpus: int = 1,
    update: Callable[[int], None] = lambda number: None,
) -> dict:
    """Precision and recall of `eval_features` [M, F] for `ref_features` [N, F].

    Needs a default session. `update` is told the number of distances that were computed, of
    (N + M)^2 in all.

    Returns: dict(precision, recall), each a list with an entry per neighbourhood size.
    """
    block = DistanceBlock(ref_features.shape[1], num_gpus, update)

    def share_inside(references, others):
        manifold = ManifoldEstimator(block, references, row_batch_size, col_batch_size, nhood_sizes)
        return [float(share) for share in manifold.evaluate(others).mean(axis=0)]

    return dict(
        precision=share_inside(ref_features, eval_features),
        recall=share_inside(eval_features, ref_features),
    )
