"""The maps of fuzzy reparameterization (FR) in a trained generator, as pictures.

s (Eq. 7), A and b (Eq. 8) and sigma (Eq. 9) of every layer, with its alpha and r.
"""

from collections import OrderedDict
from typing import Dict, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.bars import track
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import anatomy
from training.pictures import plotting
from training.pictures.generate import Generator
from training.pictures.plotting import Panel, save_panels

_SIGNED, _POSITIVE = 'RdBu_r', 'viridis'


def check_fr(Gs: Network, network: str, seeds: Sequence[int], dpi: int = 100) -> None:
    """Raise UserError if a network has no layer with FR, or a figure would be too large."""
    layers = anatomy.fr_layers(Gs)
    if not layers:
        raise UserError(
            '%s has no fuzzy reparameterization, whose maps could be shown; choose a '
            'network that has, such as one of --config=config-e-fr' % network
        )
    plotting.check_size(2 + 2 * len(seeds), 1 + len(layers), plotting.panel_pixels(dpi))


def image_maps(generator: Generator, seeds: Sequence[int]) -> Dict[Tuple[str, str], np.ndarray]:
    """{(layer, 's' or 'sigma'): [seeds, H, W]} of the images of seeds.

    Raises:
        UserError: the network is one of the growing ones, which hide tensors in branches.
    """
    tensors = OrderedDict()
    for what in ('s', 'sigma'):
        for layer, tensor in generator.tensors(anatomy.fr_map_pattern(what)).items():
            tensors[layer, what] = tensor
    if not all(map(tf.get_default_graph().is_fetchable, tensors.values())):
        text = 'the maps of progressively growing networks cannot be read; choose another network'
        raise UserError(text)
    latents, noises = generator.latents(seeds), generator.noises(seeds)
    rows = generator.evaluate(list(tensors.values()), latents, noises=noises)
    maps = zip(*track(rows, 'Generating', len(seeds)))
    # One channel: the same numbers whether it comes first or last.
    found = dict(zip(tensors, map(np.stack, maps)))
    return {key: each.reshape(len(seeds), *_square(each[0])) for key, each in found.items()}


def save_fr_maps(
    path: str, Gs: Network, generator: Generator, seeds: Sequence[int], dpi: int = 100
) -> None:
    """Write a figure with a row for each layer: A and b, then s and sigma for each seed."""
    maps = image_maps(generator, seeds)
    rows = [[None, None]]  # type: list
    for seed, image in zip(seeds, generator.images_of_seeds(seeds)):
        rows[0] += [Panel(image, 'seed %d' % seed), None]
    labels = ['']
    for layer, values in tflib.run(anatomy.fr_values(Gs)).items():
        row = [_panel(what, values.get(what), True) for what in 'Ab']
        for index in range(len(seeds)):
            row.append(_panel('s', maps[layer, 's'][index], True))
            row.append(_panel(r'$\sigma$', maps[layer, 'sigma'][index], False))
        if len(rows) > 1:  # titles stand above the first layer
            row = [panel and panel._replace(title='') for panel in row]
        rows.append(row)
        texts = dict(alpha='alpha %.3g', strength='r %.3g')
        scalars = [texts[name] % values[name] for name in texts if name in values]
        labels.append('\n'.join([layer] + scalars))
    caption = 'Maps of fuzzy reparameterization by layer, with their ranges'
    save_panels(path, rows, labels, caption, dpi=dpi)


def _panel(title, values, is_signed):
    """A map with its range below; blue below zero and red above if it is signed."""
    if values is None:
        return None
    note = '%.2g to %.2g' % (values.min(), values.max())
    if is_signed:
        limit = float(np.abs(values).max()) or 1.0
        return Panel(values, title, note, (-limit, limit), _SIGNED)
    return Panel(values, title, note, (float(values.min()), float(values.max())), _POSITIVE)


def _square(values):
    return [int(np.sqrt(values.size))] * 2
