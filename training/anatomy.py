"""What there is to know of a network from outside: labels, W, noise inputs, layers with FR.

The one place that knows by which names networks keep their variables, components and maps.
"""

import re
from collections import OrderedDict
from typing import Dict, Iterable, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib.network import Network
from dnnlib.util import UserError

_NOISE_INPUT = re.compile(r'(?:.*/)?noise(\d+)$')
_FR = r'(\d+x\d+(?:/\w+)?)/FR/'
_FR_VARIABLE = re.compile(r'(?:.*/)?' + _FR + r'(A|b|alpha|alpha_logit|strength)$')
_ADDITIVE = re.compile(r'(?:.*/)?(\d+x\d+(?:/\w+)?)/(?:noise_strength|Noise/weight)$')
_STYLES = re.compile(r'(?:.*/)?\d+x\d+/(?:Const|Conv\w*)/(?:StyleMod/weight|mod_weight)$')
_SCOPE = re.compile(r'(\d+)x\1(?=/)')
_COMPONENT = re.compile(r'G_(?:synthesis/|(?=mapping/))')
_AT_LOD = re.compile(r'((?:To|From)RGB)_lod(\d+)')
# What a layer has in scopes of its own: noise, normalization, styles, and their variables.
_WITHIN_LAYER = re.compile(r'(?:/(?:FR|BatchNorm|Noise|StyleMod))?/\w+$')
DLATENT_AVG = 'dlatent_avg'


def label_size(net: Network) -> int:
    """Number of classes that a generator or discriminator knows, 0 for none."""
    return net.input_shapes[1][1] if net.num_inputs > 1 else 0


def has_w(Gs: Network) -> bool:
    """Whether a generator goes from z to images by way of W."""
    return 'mapping' in Gs.components and 'synthesis' in Gs.components


def has_batch_statistics(net: Network) -> bool:
    """Whether evaluating a network in training moves averages of its layers."""
    return any(name.endswith('/moving_mean') for name in net.vars)


def style_weights(Gs: Network) -> List[tf.Variable]:
    """What makes the styles of the convolutions of w, [dlatent_size, styles], by their layers.

    Without a constant factor that all of them have.
    """
    return [var for name, var in Gs.vars.items() if _STYLES.match(name)]


def num_layers(Gs: Network) -> Optional[int]:
    """Number of styles of an image; None without W."""
    return Gs.components.synthesis.input_shape[1] if has_w(Gs) else None


def latent_shape(Gs: Network, space: str) -> List[int]:
    """Shape of a point: [latent_size] in 'z', else [num_layers, dlatent_size]."""
    return (Gs if space == 'z' else Gs.components.synthesis).input_shape[1:]


def noise_inputs(Gs: Network) -> List[tf.Variable]:
    """The fixed noise inputs of a generator, [1, 1, H, W] each, in the order of its layers."""
    found = []
    for name, var in Gs.vars.items():
        match = _NOISE_INPUT.match(name)
        if match:
            found.append((int(match.group(1)), var))
    return [var for _, var in sorted(found, key=lambda item: item[0])]


def takes_noise(Gs: Network) -> bool:
    """Whether a generator can be given noise; the code of other people's files cannot."""
    return Gs.takes('noise_values')


def injects_noise(Gs: Network) -> bool:
    """Whether noise can make a difference to an image."""
    return bool(noise_inputs(Gs)) and Gs.static_kwargs.get('noise_injection') != 'none'


def fr_layers(Gs: Network) -> Dict[str, Dict[str, tf.Variable]]:
    """Layers with fuzzy reparameterization by name, such as 8x8/Conv1, in their order.

    Of each its variables 'A', 'b', 'alpha' or 'alpha_logit', and 'strength', as far as the form of
    the noise has them.
    """
    layers = OrderedDict()  # type: Dict[str, Dict[str, tf.Variable]]
    for name, var in Gs.vars.items():
        if fr_variable(name):
            layer, what = fr_variable(name)
            layers.setdefault(layer, OrderedDict())[what] = var
    return layers


def fr_variable(name: str) -> Tuple[str, ...]:
    """(layer, 'A', 'b', 'alpha', 'alpha_logit' or 'strength') of a variable of FR; () of others."""
    match = _FR_VARIABLE.match(name)
    return match.groups() if match else ()


def additive_layer(name: str) -> Optional[str]:
    """The layer whose additive noise a variable scales, [] or [C]; None of another variable."""
    match = _ADDITIVE.match(name)
    return match.group(1) if match else None


def fr_values(Gs: Network) -> Dict[str, Dict[str, tf.Tensor]]:
    """What these layers learned: 'A', 'b' [H, W] as Eq. 8 uses them, 'alpha' and 'strength'."""

    def value(what: str, var: tf.Variable) -> tf.Tensor:
        if what == 'alpha_logit':
            return tf.sigmoid(var)
        # The maps have the equalized learning rate of `trainable_map`.
        return var / np.sqrt(var.shape.as_list()[0]) if what in ('A', 'b') else tf.identity(var)

    return {
        layer: {what.replace('_logit', ''): value(what, var) for what, var in variables.items()}
        for layer, variables in fr_layers(Gs).items()
    }


def num_alphas(Gs: Network) -> int:
    """Number of layers whose noise injection has an alpha in (0, 1)."""
    return sum('alpha_logit' in variables for variables in fr_layers(Gs).values())


def fr_map_pattern(what: str) -> str:
    """Regular expression for tensors 's' or 'sigma' of FR; its group is the layer."""
    return '/' + _FR + what


def lod(net: Network) -> Optional[tf.Variable]:
    """Level of detail of a progressively growing network; None for others."""
    return net.own_vars.get('lod')


def layer_of(name: str) -> Optional[str]:
    """The layer that a variable belongs to, such as 8x8/Conv1 or mapping/Dense0.

    None of what is outside of layers: level of detail, mean w and noise inputs.
    """
    name = _COMPONENT.sub('', name)
    return _WITHIN_LAYER.sub('', name) if '/' in name else None


def places(names: Iterable[str]) -> Dict[str, str]:
    """Variables of a network by where they are, which networks of other resolutions have, too.

    That is their name, but progressive networks count ToRGB and FromRGB from their own resolution
    down; here its number takes the place of that count.
    """
    names = list(names)
    largest = max([int(size) for name in names for size in _SCOPE.findall(name)], default=0)

    def place(name: str) -> str:
        return _AT_LOD.sub(lambda match: '%s_%d' % (match[1], largest >> int(match[2])), name)

    return OrderedDict((place(name), name) for name in names)


def is_lod(name: str) -> bool:
    """Whether a variable is a level of detail, of a network or of a component."""
    return name.split('/')[-1] == 'lod'


def is_of_mapping(name: str) -> bool:
    """Whether a variable is one of the mapping network."""
    return name.startswith('G_mapping/')


def first_layers(D: Network, number: int) -> Dict[str, Dict[str, tf.Variable]]:
    """The trainable variables, by name, of the layers of a discriminator that are next to images.

    Layers are counted in the order in which they are made, from the image to the score:

        StyleGAN2       RxR/FromRGB, RxR/Conv0, RxR/Conv1_down, RxR/Skip if residual, then those of
                        half the size (with FromRGB if of the architecture 'skip'), ...
        StyleGAN 1 and  FromRGB_lod0, RxR/Conv0, RxR/Conv1_down, FromRGB_lod1, then those of half
        growing ones    the size, ...: next to images of full size
        DCGAN           a stage each: convolution and batch normalization

    Raises:
        UserError: no layer would be left to train.
    """
    layers = OrderedDict()  # type: Dict[str, Dict[str, tf.Variable]]
    for name, var in D.trainables.items():
        layers.setdefault(layer_of(name) or name, OrderedDict())[name] = var
    if number >= len(layers):
        text = '--freeze-d is %d, but the discriminator has %d layers (%s); leave it one to train'
        raise UserError(text % (number, len(layers), ', '.join(layers)))
    return OrderedDict(list(layers.items())[:number])
