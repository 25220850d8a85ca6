"""Progressive growing: resolutions fade in one by one (Karras et al. 2018, arXiv:1710.10196).

The level of detail `lod` says how far the networks have grown: 0 is full resolution, every whole
number more halves it, and between two whole numbers two resolutions are blended. Images have full
size at every lod. A network's `structure` says how its graph follows lod, with the same result up
to rounding:

    'fixed'      not at all, lod is always 0
    'linear'     every resolution is computed and blended in
    'recursive'  branches: a resolution that lod does not need is not computed
    'auto'       recursive; linear in a clean graph, such as that which creates the variables
"""

from typing import Any, Callable

import tensorflow.compat.v1 as tf
from tensorflow.compat.v1 import Tensor

from dnnlib import tflib
from dnnlib.options import check_choice
from dnnlib.tflib import layout

STRUCTURES = ('auto', 'fixed', 'linear', 'recursive')

Block = Callable[[Tensor, int], Tensor]


def lod_variable() -> Tensor:
    """Value of the network's level of detail, a variable that is not trained."""
    lod = tf.get_variable('lod', shape=[], initializer=tf.initializers.zeros(), trainable=False)
    return tf.identity(lod, name='lod_value')


def resolve_structure(structure: str, is_clean: bool = False) -> str:
    """Put another in place of 'auto', and none with branches into a clean graph.

    Branches cannot create variables.
    """
    check_choice('structure', structure, STRUCTURES)
    if structure == 'fixed':
        return 'fixed'
    return 'linear' if is_clean or structure == 'linear' else 'recursive'


def naive_upsample_2d(x: Tensor, factor: int = 2) -> Tensor:
    """Repeat every pixel of activations factor x factor times."""
    if factor == 1:
        return x
    with tf.variable_scope('NaiveUpsample'):
        _, c, h, w = layout.sizes(x)
        if layout.current() == 'NHWC':
            x = tf.reshape(x, [-1, h, 1, w, 1, c])
            x = tf.tile(x, [1, 1, factor, 1, factor, 1])  # [N, H, factor, W, factor, C]
        else:
            x = tf.reshape(x, [-1, c, h, 1, w, 1])
            x = tf.tile(x, [1, 1, 1, factor, 1, factor])  # [N, C, H, factor, W, factor]
        return tf.reshape(x, layout.arrange(-1, c, h * factor, w * factor))


def naive_downsample_2d(x: Tensor, factor: int = 2) -> Tensor:
    """Mean of activations over blocks of factor x factor pixels."""
    if factor == 1:
        return x
    with tf.variable_scope('NaiveDownsample'):
        _, c, h, w = layout.sizes(x)
        blocks = [h // factor, factor, w // factor, factor]
        if layout.current() == 'NHWC':
            return tf.reduce_mean(tf.reshape(x, [-1, *blocks, c]), axis=[2, 4])
        return tf.reduce_mean(tf.reshape(x, [-1, c, *blocks]), axis=[3, 5])


def grow_images(
    structure: str, lod: Tensor, resolution_log2: int, features: Tensor, block: Block, to_rgb: Block
) -> Tensor:
    """The growing half of a generator.

    Args:
        structure: 'fixed', 'linear' or 'recursive'. features: activations at 4x4.
        block: (activations at 2^(res-1), res) -> activations at 2^res.
        to_rgb: (activations at 2^res, res) -> images at 2^res.

    Returns: images at 2^resolution_log2, in the layout of the activations.
    """
    if structure == 'fixed' or resolution_log2 == 2:
        for res in range(3, resolution_log2 + 1):
            features = block(features, res)
        return to_rgb(features, resolution_log2)

    if structure == 'linear':
        images = to_rgb(features, 2)
        for res in range(3, resolution_log2 + 1):
            features = block(features, res)
            rgb = to_rgb(features, res)
            with _grow_scope(resolution_log2 - res):
                t = _fade(lod, resolution_log2 - res, images)
                images = tflib.lerp_clip(rgb, naive_upsample_2d(images), t)
        return images

    def grow(coarse: Tensor, res: int) -> Tensor:
        """Images for any lod at which more than the coarse activations, of res - 1, are seen."""
        level = resolution_log2 - res
        fine = block(coarse, res)

        def blended() -> Tensor:
            images = naive_upsample_2d(to_rgb(coarse, res - 1))
            return tflib.lerp(to_rgb(fine, res), images, _fade(lod, level, images))

        def seen() -> Tensor:
            images = tf.cond(lod > level, blended, lambda: to_rgb(fine, res))
            return naive_upsample_2d(images, 2**level)

        return tf.cond(lod < level, lambda: grow(fine, res + 1), seen) if level else seen()

    return grow(features, 3)


def shrink_images(
    structure: str, lod: Tensor, resolution_log2: int, images: Tensor, block: Block, from_rgb: Block
) -> Tensor:
    """The shrinking half of a discriminator.

    Args:
        structure: 'fixed', 'linear' or 'recursive'.
        images: at 2^resolution_log2, in the layout of the activations.
        block: (activations at 2^res, res) -> activations at 2^(res-1).
        from_rgb: (images at 2^res, res) -> activations at 2^res.

    Returns: activations at 4x4.
    """
    if structure in ('fixed', 'linear'):
        features = from_rgb(images, resolution_log2)
        for res in range(resolution_log2, 2, -1):
            features = block(features, res)
            if structure == 'linear':
                images = naive_downsample_2d(images)
                coarse = from_rgb(images, res - 1)
                with _grow_scope(resolution_log2 - res):
                    t = _fade(lod, resolution_log2 - res, images)
                    features = tflib.lerp_clip(features, coarse, t)
        return features

    def seen(res: int) -> Tensor:
        """Activations made from the images at 2^res alone."""
        return from_rgb(naive_downsample_2d(images, 2 ** (resolution_log2 - res)), res)

    def shrink(res: int) -> Tensor:
        """Activations at 2^res, of finer resolutions as far as lod needs them, else seen ones."""
        level = resolution_log2 - res
        if level == 0:
            return seen(res)

        def from_finer() -> Tensor:
            fine = block(shrink(res + 1), res + 1)
            t = _fade(lod, level - 1, fine)
            return tf.cond(lod > level - 1, lambda: tflib.lerp(fine, seen(res), t), lambda: fine)

        return tf.cond(lod < level, from_finer, lambda: seen(res))

    return shrink(2)


def _grow_scope(level: int) -> Any:
    return tf.name_scope('Grow_lod%d' % level)


def _fade(lod: Tensor, level: int, like: Tensor) -> Tensor:
    """How far lod is above a level, in the type of some activations."""
    return tf.cast(lod - level, like.dtype)
