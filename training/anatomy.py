"""What there is to know of a network from outside: labels, W, noise inputs, layers with FR.

The one place that knows by which names networks keep their variables, components and maps; whoever
asks, such as metrics, pictures and inversion, asks here. A network of somebody else's code has what
it has by the same names.
"""

import re
from collections import OrderedDict
from typing import Dict, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib.network import Network

_NOISE_INPUT = re.compile(r'(?:.*/)?noise(\d+)$')
_FR = r'(\d+x\d+(?:/\w+)?)/FR/'
_FR_VARIABLE = re.compile(r'(?:.*/)?' + _FR + r'(\w+)$')

# What the variables of a layer with FR are, and how the network uses them: the maps with the
# equalized learning rate of `trainable_map`.
_USES = {
    'A': ('A', lambda A: A / np.sqrt(A.shape.as_list()[0])),
    'b': ('b', lambda b: b / np.sqrt(b.shape.as_list()[0])),
    'alpha_logit': ('alpha', tf.sigmoid),
    'alpha': ('alpha', tf.identity),
    'strength': ('strength', tf.identity),
}


def label_size(net: Network) -> int:
    """Number of classes that a generator or discriminator knows, 0 for none."""
    return net.input_shapes[1][1] if net.num_inputs > 1 else 0


def has_w(Gs: Network) -> bool:
    """Whether a generator goes from z to images by way of W."""
    return 'mapping' in Gs.components and 'synthesis' in Gs.components


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


def fr_layers(Gs: Network) -> List[str]:
    """Names of the layers with fuzzy reparameterization, such as 8x8/Conv1, in their order."""
    return list(_fr_variables(Gs))


def fr_values(Gs: Network) -> Dict[str, Dict[str, tf.Tensor]]:
    """What these layers have learned, as the network uses it: {layer: {what: tensor}}.

    'A' and 'b', the maps [H, W] of Eq. 8, 'alpha' of Eq. 9 and 'strength', r of Eq. 10, as far as
    the form of the noise has them.
    """
    return OrderedDict(
        (layer, OrderedDict(_in_use(name, var) for name, var in variables.items() if name in _USES))
        for layer, variables in _fr_variables(Gs).items()
    )


def _in_use(name: str, variable: tf.Variable) -> Tuple[str, tf.Tensor]:
    what, function = _USES[name]
    return what, function(variable)


def _fr_variables(Gs: Network) -> Dict[str, Dict[str, tf.Variable]]:
    layers = OrderedDict()  # type: Dict[str, Dict[str, tf.Variable]]
    for name, var in Gs.vars.items():
        match = _FR_VARIABLE.match(name)
        if match:
            layer, what = match.groups()
            layers.setdefault(layer, OrderedDict())[what] = var
    return layers


def num_alphas(Gs: Network) -> int:
    """Number of layers whose noise injection has an alpha in (0, 1)."""
    return sum('alpha_logit' in variables for variables in _fr_variables(Gs).values())


def fr_map_pattern(what: str) -> str:
    """Regular expression for tensors 's' or 'sigma' of FR; its group is the layer."""
    return '/' + _FR + what


def lod(net: Network) -> Optional[tf.Variable]:
    """Level of detail of a progressively growing network; None for others."""
    return net.own_vars.get('lod')
