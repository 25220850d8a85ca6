"""Checkpoints of rosinality's stylegan2-pytorch become our networks.

They are dictionaries of weights, under 'g_ema', 'g' and 'd', and the mean w, 'latent_avg', which is
in converted ones alone; where it is missing it is computed, as that code does. All that is not in
the numbers is as there by default: learning rate of the mapping 0.01, groups of 4 images.
"""

import re
from typing import Any, Dict, Optional

import numpy as np

from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError
from training.exchange.building import (
    TensorBag,
    Tensors,
    channels_of,
    dense_layers,
    filter_of,
    fmap_options,
    generator_record,
    network_record,
    unit_mean_square,
)
from training.exchange.pytorch_names import (
    ROSINALITY_G,
    discriminator_pairs,
    mapping_pairs,
    rosinality_d,
    synthesis_pairs,
)

MAPPING_LRMUL = 0.01
_IGNORED = ('kernel',)  # of filters
_LATENTS_OF_MEAN = 10000


def holds_networks(content: Any) -> bool:
    """Whether the content of a file, see `torch_file.read`, is that of such a checkpoint."""
    return isinstance(content, dict) and any(
        'conv1.conv.modulation.weight' in (content.get(key) or {}) for key in ('g_ema', 'g')
    )


def records_of(content: Dict[str, Any]) -> Any:
    """(G, D, Gs) of the content of a file, or Gs alone where there is nothing else.

    Raises:
        UserError: tensors that our networks have not.
    """
    mean: Optional[np.ndarray] = content.get('latent_avg')
    Gs = _generator('Gs', content.get('g_ema') or content['g'], mean)
    if not content.get('g') or not content.get('d'):
        return Gs
    return _generator('G', content['g'], mean), _discriminator(content['d']), Gs


def records_of_tensors(tensors: Tensors) -> Any:
    """The same of tensors by names such as 'g_ema.conv1.conv.weight'."""
    content: Dict[str, Any] = {}
    for name, value in tensors.items():
        role, _, rest = name.partition('.')
        if rest:
            content.setdefault(role, {})[rest] = value
        else:
            content[role] = value
    return records_of(content)


def _checked(tensors: Any) -> Tensors:
    for name, value in tensors.items():
        if not isinstance(value, np.ndarray):
            raise UserError('%.100s is no tensor' % name)
    return tensors


def _count(tensors: Tensors, pattern: str) -> int:
    return sum(bool(re.match(pattern, name)) for name in tensors)


def _generator(name: str, weights: Any, mean: Optional[np.ndarray]) -> NetworkRecord:
    tensors = _checked(weights)
    log2 = 2 + _count(tensors, r'to_rgbs\.\d+\.bias$')
    num_layers = _count(tensors, r'style\.\d+\.weight$')
    bag = TensorBag(tensors, _IGNORED)
    mapping = bag.variables(mapping_pairs(ROSINALITY_G, num_layers))
    variables = bag.variables(synthesis_pairs(ROSINALITY_G, log2, 'skip'))
    bag.check_empty()
    if not num_layers or log2 < 3:
        raise UserError('it has %d layers of mapping, and images of %d' % (num_layers, 2**log2))
    latent_size = len(mapping['Dense0/weight'])
    if mean is None:
        z = np.random.RandomState(0).randn(_LATENTS_OF_MEAN, latent_size)
        mean = dense_layers(unit_mean_square(z), mapping, MAPPING_LRMUL).mean(axis=0)
    mapping_options = dict(
        latent_size=latent_size,
        dlatent_size=len(mapping['Dense%d/bias' % (num_layers - 1)]),
        mapping_layers=num_layers,
        mapping_fmaps=len(mapping['Dense0/bias']),
        mapping_lrmul=MAPPING_LRMUL,
    )
    options = dict(
        fmap_options(channels_of(variables, 'Conv1')),
        resolution=2**log2,
        num_channels=len(variables['4x4/ToRGB/bias'].reshape(-1)),
        dlatent_size=mapping_options['dlatent_size'],
        architecture='skip',
        resample_kernel=filter_of(tensors['to_rgbs.0.upsample.kernel']),
    )
    dlatent_avg = np.array(mean, np.float32).reshape(-1)
    return generator_record(name, {}, (mapping_options, mapping), (options, variables), dlatent_avg)


def _discriminator(weights: Any) -> NetworkRecord:
    tensors = _checked(weights)
    log2 = 2 + _count(tensors, r'convs\.\d+\.conv1\.0\.weight$')
    bag = TensorBag(tensors, _IGNORED)
    variables = bag.variables(discriminator_pairs(rosinality_d(log2), log2, 'resnet'))
    bag.check_empty()
    options = dict(
        fmap_options(channels_of(variables, 'Conv0')),
        resolution=2**log2,
        num_channels=tensors['convs.0.0.weight'].shape[1],
        architecture='resnet',
        mbstd_group_size=4,
        resample_kernel=filter_of(tensors['convs.1.conv2.0.kernel']),
    )
    return network_record('D', 'D_stylegan2', options, variables)
