"""What is done to real images on their way from the data set to the networks."""

from typing import Sequence, Tuple

import tensorflow.compat.v1 as tf

from dnnlib.tflib import cluster, random, tfutil
from training.misc import adjust_dynamic_range


def process_reals(
    x: tf.Tensor,
    labels: tf.Tensor,
    lod,
    mirror_augment: bool,
    drange_data: Sequence[float],
    drange_net: Sequence[float],
) -> Tuple[tf.Tensor, tf.Tensor]:
    """Bring a minibatch into the form that networks take.

    Args:
        x: images [N, C, H, W] of any type, H = W = R / 2^floor(lod): this worker's part.
        labels: [N, label_size], passed through.
        lod: level of detail, float [] or number; between whole levels, images fade into those of
            the next level (Karras et al., "Progressive Growing of GANs", 2018).
        mirror_augment: flip each image along W with probability 1/2.
        drange_data: range of the values of x, such as [0, 255].
        drange_net: range of the result, such as [-1, 1].

    Returns:
        (float32 images [N, C, R, R], labels).
    """
    with tf.name_scope('ProcessReals'):
        x = adjust_dynamic_range(tf.cast(x, tf.float32), drange_data, drange_net)
        if mirror_augment:
            workers, number = cluster.current(), tf.shape(x)[0]  # drawn for all, as by one alone
            draws = random.uniform([number * workers.size], 'mirror')
            keep = draws[workers.index * number :][:number] < 0.5
            x = tf.where(keep, x, tf.reverse(x, [3]))
        lod = tf.cast(lod, tf.float32)
        whole = tf.floor(lod)
        x = tfutil.lerp(x, _repeat_pixels(_halve(x), 2), lod - whole)
        x = _repeat_pixels(x, tf.cast(tf.round(2.0**whole), tf.int32))
        return x, labels


def _halve(x):
    """Mean of 2x2 blocks [N, C, H, W]; written with reshapes since CPUs pool no NCHW images."""
    n, c, h, w = tf.unstack(tf.shape(x))
    return tf.reduce_mean(tf.reshape(x, [n, c, h // 2, 2, w // 2, 2]), axis=[3, 5])


def _repeat_pixels(x, factor):
    """Nearest-neighbour enlargement of [N, C, H, W] by a whole factor."""
    n, c, h, w = tf.unstack(tf.shape(x))
    tiled = tf.tile(tf.reshape(x, [n, c, h, 1, w, 1]), [1, 1, 1, factor, 1, factor])
    enlarged = tf.reshape(tiled, [n, c, h * factor, w * factor])
    enlarged.set_shape([x.shape[0], x.shape[1], None, None])
    return enlarged
