"""Nearest neighbours among many feature vectors, by comparing all with all in blocks.

In the hundreds of dimensions that image features have, search trees look at nearly all points too,
one by one. Matrix products look at them far faster, on GPUs and CPUs, in memory that does not grow.
"""

from typing import Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import Bar
from dnnlib.tflib import engine

_ROWS = 2048  # vectors whose neighbours are looked for at a time ...
_COLUMNS = 16384  # ... and among so many: 128 MiB for a block of products
_MEASURED = 1 << 22  # coordinates of candidates that are held at a time


def nearest_neighbors(features: np.ndarray, k: int) -> Tuple[np.ndarray, np.ndarray]:
    """Find the k nearest neighbours of every vector, itself left out, equal ones included.

    Candidates, twice as many as asked for, are found with float32 products (TF32 on GPUs that have
    it), then ordered by their distances in plain float32. Of equally distant ones the first come
    first.

    Args:
        features: float32 [n, F], also np.memmap; n > k.
        k: number of neighbours.

    Returns:
        (numbers of the neighbours, int32 [n, k], the nearest first;
        squares of their Euclidean distances, float32 [n, k]).
    """
    n, num_features = features.shape
    assert 1 <= k < n, (k, n)
    num_candidates = min(2 * k + 1, n)  # one may be the vector itself
    mean = np.mean(features, axis=0, dtype=np.float64).astype(np.float32)  # products round less
    indices = np.empty([n, k], np.int32)
    squares = np.empty([n, k], np.float32)
    with tf.Graph().as_default(), tflib.create_session():
        find = _build_search(num_features, num_candidates)
        with Bar('Neighbours', n, ' img') as bar:
            for begin in range(0, n, _ROWS):
                rows = slice(begin, min(begin + _ROWS, n))
                found = [
                    find(features[rows] - mean, features[start : start + _COLUMNS] - mean, start)
                    for start in range(0, n, _COLUMNS)
                ]
                closeness, candidates = (np.concatenate(part, axis=1) for part in zip(*found))
                best = np.argsort(-closeness, axis=1, kind='stable')[:, :num_candidates]
                candidates = np.take_along_axis(candidates, best, axis=1)
                indices[rows], squares[rows] = _order(features, rows, candidates, k)
                bar.update(rows.stop - rows.start)
    return indices, squares


def _build_search(num_features, num_candidates):
    """A function (rows, columns, number of the first column) -> (closeness, numbers) [rows, n]."""
    with tf.device(engine.device(0)):
        rows = tf.placeholder(tf.float32, [None, num_features])
        columns = tf.placeholder(tf.float32, [None, num_features])
        # |u - v|^2 = |u|^2 - 2 * (u.v - |v|^2 / 2), where |u|^2 is the same for a whole row.
        products = tf.matmul(rows, columns, transpose_b=True)
        closeness = products - tf.reduce_sum(tf.square(columns), axis=1) / 2
        best = tf.nn.top_k(closeness, tf.minimum(num_candidates, tf.shape(columns)[0]))

    def find(row_values, column_values, start):
        values, places = tflib.run(list(best), {rows: row_values, columns: column_values})
        return values, places + np.int32(start)

    return find


def _order(features, rows, candidates, k):
    """The k nearest of each row's candidates and the squares of their distances."""
    candidates = np.sort(candidates, axis=1)
    squares = np.empty(candidates.shape, np.float32)
    step = max(1, _MEASURED // (candidates.shape[1] * features.shape[1]))
    for begin in range(0, len(candidates), step):
        part = slice(begin, begin + step)
        centres = features[rows][part, np.newaxis]
        differences = features[candidates[part]] - centres
        squares[part] = np.einsum('rcf,rcf->rc', differences, differences)
    squares[candidates == np.arange(rows.start, rows.stop)[:, np.newaxis]] = np.inf  # itself
    nearest = np.argsort(squares, axis=1, kind='stable')[:, :k]
    return tuple(np.take_along_axis(table, nearest, axis=1) for table in (candidates, squares))
