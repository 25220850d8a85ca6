"""Choosing the most typical images of a data set by PageRank, as the paper's Cat-Selected.

Images are linked to their nearest neighbours, with the weights of Zhao and Tang 2009 ("Cyclizing
clusters via zeta function of a graph"); what many others link to ranks high (Page et al. 1999; Zhou
et al. 2004, "Ranking on data manifolds"), and outliers, to which nothing links, rank last.
"""

import contextlib
import os
import tempfile
from typing import Iterable, Optional

import numpy as np
import tensorflow.compat.v1 as tf
from scipy import sparse

from dnnlib import tflib
from dnnlib.bars import track
from dnnlib.cli import check_writable_dir
from dnnlib.tflib import engine
from dnnlib.util import UserError, atomic_write, check_not_same
from training.data.base import Dataset
from training.data.image_files import threaded_map
from training.data.neighbors import nearest_neighbors
from training.data.opening import load_with_labels
from training.data.tfrecord_exporter import TFRecordExporter, check_target, image_levels
from training.perception import vgg16 as vgg16_net

FEATURES = ('pixels', 'vgg16')
SCORES_SUFFIX = '-pagerank.npz'

_PIXELS_SIDE = 16
_VGG16_LAYER = 'conv5_3'
_VGG16_MAX_SIDE = 256  # larger images are reduced; the network was trained at 224
_VGG16_MINIBATCH = 16
_TOLERANCE = 1e-10  # of the sum of all scores, which is 1


def select_by_pagerank(
    tfrecord_dir: str,
    source: str,
    num: int = 100000,
    features: str = 'pixels',
    k: int = 20,
    a: float = 0.95,
    damping: float = 0.85,
    vgg16: Optional[str] = None,
    force: bool = False,
) -> None:
    """Make a data set of the best-ranked images of another one, with their labels.

    Images keep the order of the source: metrics and image grids look at the first images of a data
    set, which are then no better than the others. `<tfrecord_dir>-pagerank.npz` has the `scores` of
    all images, in the order of the source, and the numbers of the `selected` ones.

    Args:
        tfrecord_dir: folder to make.
        source: data set: folder of .tfrecords, or folder or .zip of images.
        num: number of images to choose.
        features: what images are compared by. 'pixels': their values after reduction to 16x16;
            'vgg16': the means over all places of VGG16's conv5_3, at 256x256 at most.
        k: number of neighbours that an image links to.
        a: weight of a link of root mean square length, see `link_weights`.
        damping: part of the score that comes by links; the rest is the same for all.
        vgg16: file of VGG16's weights; None = see `vgg16.find_weights`.
        force: replace an existing data set.

    Raises:
        UserError: arguments out of range, a missing file of weights, a data set that cannot be
            read, a target in use, a full disk.
    """
    _check_arguments(source, tfrecord_dir, features, a, damping, force)
    with contextlib.closing(_open(source, num, k)) as dataset:
        if features == 'vgg16':
            weights_path = vgg16_net.find_weights(vgg16)
            assert weights_path is not None  # what is missing was downloaded
            blocks = _vgg16_features(dataset, vgg16_net.load_weights(weights_path))
        else:
            blocks = _pixel_features(dataset)
        indices, squares = nearest_neighbors(_store(blocks, dataset.num_images), k)
        scores = pagerank(link_matrix(indices, link_weights(squares, a)), damping)
        _export(dataset, best(scores, squares, num), scores, tfrecord_dir, force)


def link_weights(squares: np.ndarray, a: float) -> np.ndarray:
    """Weights of links, exp(-d^2 / sigma^2) with sigma^2 = -mean(d^2) / ln(a).

    So a link whose squared length is the mean has the weight a. Zhao and Tang 2009, section 2.

    Args:
        squares: squared lengths d^2 of all links, [n, k].
        a: above 0 and below 1.

    Returns:
        float64 [n, k]; ones where all lengths are 0.
    """
    squares = np.asarray(squares, np.float64)
    sigma2 = -np.mean(squares) / np.log(a)
    return np.exp(-squares / sigma2) if sigma2 > 0 else np.ones_like(squares)


def link_matrix(indices: np.ndarray, weights: np.ndarray) -> sparse.csr_matrix:
    """Sparse matrix [n, n] with weights[i, j] in row i, column indices[i, j]; both are [n, k]."""
    n, k = indices.shape
    return sparse.csr_matrix((weights.ravel(), indices.ravel(), np.arange(n + 1) * k), shape=(n, n))


def pagerank(links: sparse.spmatrix, damping: float = 0.85) -> np.ndarray:
    """Scores of the nodes of a graph, by power iteration.

    The score of a node is (1 - damping) / n plus `damping` times what others hand to it: each hands
    its score on along its links, in proportion to their weights. One without links hands it to all
    alike.

    Args:
        links: weights from 0 [n, n], from the node of the row to that of the column.
        damping: from 0, below 1.

    Returns:
        float64 [n] with sum 1.
    """
    n = links.shape[0]
    totals = np.asarray(links.sum(axis=1)).ravel()
    stuck = totals == 0
    handed = (sparse.diags(1 / np.where(stuck, 1, totals)) @ links).T  # [to, from]
    scores, change = np.full(n, 1 / n), np.inf
    while change > _TOLERANCE:
        received = handed @ scores + scores[stuck].sum() / n
        new_scores = damping * received + (1 - damping) / n
        change = np.abs(new_scores - scores).sum()
        scores = new_scores
    return scores / scores.sum()


def best(scores: np.ndarray, squares: np.ndarray, num: int) -> np.ndarray:
    """Choose the `num` best images; int64 [num], rising.

    Args:
        scores: of all images, [n]; the highest are best.
        squares: squared distances of their neighbours, [n, k]. In many dimensions no link leads to
            many an image, so their scores are equal; those with the nearer neighbours are better.
        num: 1 to n.
    """
    order = np.lexsort([np.mean(squares, axis=1, dtype=np.float64), -scores])
    return np.sort(order[:num])


def _check_arguments(source, tfrecord_dir, features, a, damping, force):
    """Find mistakes that show before the data set is opened."""
    if features not in FEATURES:
        known = ', '.join(FEATURES)
        raise UserError('--features=%s is unknown; it must be one of %s.' % (features, known))
    if not 0 < a < 1:
        raise UserError('--a=%g must be above 0 and below 1, such as 0.95.' % a)
    if not 0 <= damping < 1:
        raise UserError('--damping=%g must be at least 0 and below 1, such as 0.85.' % damping)
    check_not_same(source, tfrecord_dir)
    is_source, is_target = (os.path.exists(os.path.expanduser(p)) for p in (source, tfrecord_dir))
    if is_target and not is_source:
        raise UserError(
            'There is no data set %r. select_by_pagerank takes first the folder to make, then the '
            'data set to choose from, as create_from_images does; once it was the other way round.'
            % source
        )
    check_target(tfrecord_dir, force)
    check_writable_dir(os.path.dirname(os.path.abspath(os.path.expanduser(tfrecord_dir))))


def _open(source, num, k):
    """Open the data set with all its labels, if it has any, and check what is asked of it."""
    dataset = load_with_labels(source)
    n = dataset.num_images
    if not 1 <= num <= n:
        text = '--num=%d must be from 1 to the number of images in %r, %d.'
        raise UserError(text % (num, source, n))
    if not 1 <= k < n:
        text = '--k=%d must be at least 1 and below the number of images in %r, %d.'
        raise UserError(text % (k, source, n))
    return dataset


def _images(dataset: Dataset, lod: int = 0) -> Iterable[np.ndarray]:
    """All images, in order, with a progress bar."""
    images = threaded_map(lambda index: dataset.get_image(index, lod), range(dataset.num_images))
    return track(images, 'Features', dataset.num_images)


def _pixel_features(dataset):
    """Yield [1, F] for every image, from the smallest level of detail that is large enough."""
    lod = max(lod for lod in dataset.lods if lod == 0 or dataset.resolution >> lod >= _PIXELS_SIDE)
    dataset.check_lod(lod)
    for image in _images(dataset, lod):
        *_, reduced = image_levels(image, _PIXELS_SIDE)
        yield reduced.reshape(1, -1)


def _vgg16_features(dataset, weights):
    """Yield [N, F] for minibatches of images."""
    with tf.Graph().as_default(), tf.device(engine.device(0)):
        images = tf.placeholder(tf.uint8, [None] + dataset.shape)
        x = tflib.convert_images_from_uint8(images)
        x = tflib.box_downscale(x, max(1, dataset.resolution // _VGG16_MAX_SIDE))
        (activations,) = vgg16_net.features(x, weights, [_VGG16_LAYER])
        means = tf.reduce_mean(activations, axis=[2, 3])
        session = tflib.create_session()
    with contextlib.closing(session):
        minibatch = []
        for number, image in enumerate(_images(dataset), 1):
            minibatch.append(image)
            if len(minibatch) == _VGG16_MINIBATCH or number == dataset.num_images:
                yield session.run(means, {images: np.stack(minibatch)})
                minibatch = []


def _store(blocks, num_rows):
    """Put blocks of rows into a nameless temporary file; float32 [num_rows, F] mapped from it."""
    with tempfile.TemporaryFile() as file:
        for block in blocks:
            try:
                file.write(np.asarray(block, np.float32).tobytes())
                file.flush()
            except OSError as error:
                text = 'Cannot write features to %r: %s; set TMPDIR to a folder with more space.'
                raise UserError(text % (tempfile.gettempdir(), error.strerror))
        return np.memmap(file, np.float32, 'r', shape=(num_rows, file.tell() // 4 // num_rows))


def _export(dataset, selected, scores, tfrecord_dir, force):
    """Write the selected images with their labels, and the scores beside them."""
    with TFRecordExporter(tfrecord_dir, len(selected), force=force) as exporter:
        for image in threaded_map(dataset.get_image, map(int, selected)):
            exporter.add_image(image)
        if dataset.label_size:
            exporter.add_labels(np.stack([dataset.get_label(int(i)) for i in selected]))
        scores_path = exporter.tfrecord_dir + SCORES_SUFFIX
        with atomic_write(scores_path) as file:
            np.savez(file, scores=scores, selected=selected)
    text = 'Selected %d of %d images; scores of all are in %s'
    print(text % (len(selected), len(scores), scores_path))
