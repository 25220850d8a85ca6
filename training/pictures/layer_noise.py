"""Noise of single layers that is another than the network and an image's seed say.

TensorFlow is not imported: flags are of this type.
"""

import argparse
from typing import Dict, List, NamedTuple, Optional, Tuple

from dnnlib import cli

SCALE = cli.number(float, -1000, 1000)
EXPONENT = cli.number(float, -1000, 1000)
_SEED = cli.number(int, 0, cli.MAX_SEED)


class LayerNoise(NamedTuple):
    """What is changed in a layer with noise.

    scale: factor of its noise, 0 for none. seed: what its noise is drawn from; None: as that of the
    other layers. t: exponent of its alpha, see `networks_stylegan2.stabilize`.
    """

    scale: float = 1.0
    seed: Optional[int] = None
    t: float = 1.0


def parse(text: str) -> Tuple[str, LayerNoise]:
    """Flag type: a layer and what is changed in it, such as '8x8a:noise=0' or '4x4:seed=3,t=2'."""
    layer, _, changes = text.partition(':')
    found = {}
    for change in changes.split(','):
        name, _, value = change.partition('=')
        kind = dict(noise=SCALE, seed=_SEED, t=EXPONENT).get(name)
        if not layer or kind is None:
            problem = '%r is not like 8x8a:noise=0 or 8x8a:noise=2,seed=3,t=0.5' % text
            raise argparse.ArgumentTypeError(problem)
        found['scale' if name == 'noise' else name] = kind(value)
    return layer, LayerNoise(**found)


def texts(layers: Dict[str, LayerNoise]) -> List[str]:
    """What `parse` reads as these layers, but for those in which nothing is changed."""
    found = []
    for name, layer in layers.items():
        changes = ['noise=%.9g' % layer.scale] if layer.scale != 1 else []
        changes += [] if layer.seed is None else ['seed=%d' % layer.seed]
        changes += ['t=%.9g' % layer.t] if layer.t != 1 else []
        found += ['%s:%s' % (name, ','.join(changes))] if changes else []
    return found
