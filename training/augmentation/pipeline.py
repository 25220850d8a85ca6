"""The pipes, one transformation after the other."""

import tensorflow.compat.v1 as tf

from training.augmentation import colour, corruption, filtering, geometry, parameters
from training.augmentation.parameters import Parameters

# Groups of transformations by the names of the paper's figure 4: blitting of pixels, geometry,
# colour, filters, noise, cutout.
PIPES = {
    'b': ('b',),
    'g': ('g',),
    'c': ('c',),
    'f': ('f',),
    'n': ('n',),
    'cutout': ('cutout',),
    'bg': ('b', 'g'),
    'bgc': ('b', 'g', 'c'),
    'bgcf': ('b', 'g', 'c', 'f'),
    'bgcfn': ('b', 'g', 'c', 'f', 'n'),
    'bgcfnc': ('b', 'g', 'c', 'f', 'n', 'cutout'),
}


def augment(images: tf.Tensor, p: tf.Tensor, pipe: str) -> tf.Tensor:
    """Augment images at random; where p is 0 they are handed on as they are.

    Differentiable at any order in the images. Random numbers are those of the open
    `random.stream`.

    Args:
        images: [N, C, H, H], values in [-1, 1]; only N may be unknown.
        p: probability of each transformation, float32 []. pipe: one of PIPES.
    """
    with tf.name_scope('Augment'):
        groups = PIPES[pipe]

        def transformed():
            drawn = parameters.draw(tf.shape(images)[0], p, groups)
            return transform(images, drawn, pipe)

        result = tf.cond(p > 0, transformed, lambda: tf.identity(images))
        result.set_shape(images.shape)
        return result


def transform(images: tf.Tensor, drawn: Parameters, pipe: str) -> tf.Tensor:
    """The transformations of a pipe with given parameters, [N] each, of images [N, C, H, H]."""
    groups = PIPES[pipe]
    shape = images.shape
    x = tf.transpose(images, [0, 2, 3, 1])
    if 'b' in groups or 'g' in groups:
        names = {each.name for each in parameters.PARAMETERS if each.group in 'bg'}
        x = geometry.transform(x, {name: drawn[name] for name in drawn if name in names})
    if 'c' in groups and colour.is_defined(shape.as_list()[1]):
        x = colour.transform(x, drawn)
    if 'f' in groups:
        x = filtering.transform(x, drawn)
    if 'n' in groups:
        x = corruption.add_noise(x, drawn)
    if 'cutout' in groups:
        x = corruption.cut_out(x, drawn)
    result = tf.transpose(x, [0, 3, 1, 2])
    result.set_shape(shape)
    return result
