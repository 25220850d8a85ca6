"""What augmentations draw for each image, and from which distributions (the paper, appendix B).

Each transformation is used with probability p, independently of the others and of other images.
"""

import math
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import tensorflow.compat.v1 as tf

from dnnlib.tflib import random

Parameters = Dict[str, tf.Tensor]  # by name, [N] each


class Parameter(NamedTuple):
    """A number that is drawn for each image."""

    name: str
    group: str  # of transformations, see `pipeline`
    gate: str  # those with the same gate are used together, with probability p
    kind: str  # of the draw x: 'uniform' in [0, 1), 'normal' from N(0, 1), or 'none'
    value: Callable[[Any], Any]  # of x; x is None where nothing is drawn
    neutral: float  # value that changes nothing


def _whole(number: int) -> Callable:
    """One of 0, 1, ... number - 1."""
    return lambda x: tf.floor(x * number)


def _lognormal(octaves: float) -> Callable:
    """2^x for x ~ N(0, octaves^2), which is Lognormal(0, (octaves * ln 2)^2)."""
    rate = octaves * math.log(2)
    return lambda x: tf.exp(x * rate)


def _angle(x):
    return (2 * x - 1) * math.pi


NUM_BANDS = 4  # of frequencies, each an octave, the lowest one the rest

PARAMETERS = [
    # Pixels change places, and none is computed anew.
    Parameter('flip', 'b', 'flip', 'uniform', _whole(2), 0),
    Parameter('quarter_turns', 'b', 'quarter_turns', 'uniform', _whole(4), 0),
    Parameter('shift_x', 'b', 'shift', 'uniform', lambda x: (x - 0.5) / 4, 0),
    Parameter('shift_y', 'b', 'shift', 'uniform', lambda x: (x - 0.5) / 4, 0),
    # Geometry; lengths are shares of the side.
    Parameter('scale', 'g', 'scale', 'normal', _lognormal(0.2), 1),
    Parameter('pre_angle', 'g', 'pre_angle', 'uniform', _angle, 0),
    Parameter('stretch', 'g', 'stretch', 'normal', _lognormal(0.2), 1),
    Parameter('post_angle', 'g', 'post_angle', 'uniform', _angle, 0),
    Parameter('move_x', 'g', 'move', 'normal', lambda x: x * 0.125, 0),
    Parameter('move_y', 'g', 'move', 'normal', lambda x: x * 0.125, 0),
    # Colour, of values in [-1, 1].
    Parameter('brightness', 'c', 'brightness', 'normal', lambda x: x * 0.2, 0),
    Parameter('contrast', 'c', 'contrast', 'normal', _lognormal(0.5), 1),
    Parameter('luma_flip', 'c', 'luma_flip', 'uniform', _whole(2), 0),
    Parameter('hue', 'c', 'hue', 'uniform', _angle, 0),
    Parameter('saturation', 'c', 'saturation', 'normal', _lognormal(1), 1),
    # Frequencies, from the lowest band on.
    *(
        Parameter('gain%d' % band, 'f', 'gain%d' % band, 'normal', _lognormal(1), 1)
        for band in range(NUM_BANDS)
    ),
    # Corruption.
    Parameter('noise', 'n', 'noise', 'normal', lambda x: abs(x) * 0.1, 0),
    Parameter('cutout', 'cutout', 'cutout', 'none', lambda x: 0.5, 0),
    Parameter('cutout_x', 'cutout', 'cutout', 'uniform', lambda x: x, 0.5),
    Parameter('cutout_y', 'cutout', 'cutout', 'uniform', lambda x: x, 0.5),
]
# Two rotations of which at least one is used with probability p.
_PAIRED = ('pre_angle', 'post_angle')


def draw(number: tf.Tensor, p: tf.Tensor, groups: Sequence[str]) -> Parameters:
    """Draw the parameters of some groups for `number` images.

    Args:
        number: of images, int32 []. p: probability of each transformation, float32 [].
        groups: of transformations, see `pipeline`.

    Returns:
        {name: float32 [number]}, the neutral value where the transformation is not used.
    """
    chosen = [each for each in PARAMETERS if each.group in groups]
    gates: List[str] = list(dict.fromkeys(each.gate for each in chosen))
    count = {kind: sum(each.kind == kind for each in chosen) for kind in ('uniform', 'normal')}
    uniform = tf.unstack(random.uniform([len(gates) + count['uniform'], number], 'augmentation'))
    normal = tf.unstack(random.normal([count['normal'], number], 'augmentation'))
    chance = {gate: 1 - tf.sqrt(1 - p) if gate in _PAIRED else p for gate in gates}
    is_used = {gate: uniform.pop() < chance[gate] for gate in gates}
    draws = {'uniform': uniform, 'normal': normal, 'none': None}
    found = {}
    for each in chosen:
        left = draws[each.kind]
        neutral = tf.fill([number], tf.constant(each.neutral, tf.float32))
        value = each.value(None if left is None else left.pop()) + tf.zeros_like(neutral)
        found[each.name] = tf.where(is_used[each.gate], value, neutral)
    return found
