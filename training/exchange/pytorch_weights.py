"""Weights of ours under the names of PyTorch code, as .safetensors: numbers, no pickle.

Names and numbers are those of `pytorch_names`; under 'config' stands, as JSON, what constructors of
that code are to be called with. docs/exchange.md has loaders.
"""

import json
from typing import Any, Dict, Iterable, List, Optional, Tuple

import numpy as np

from dnnlib import safetensors
from dnnlib.tflib import weights
from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError, atomic_write
from training.exchange import pytorch_names as names
from training.exchange import rosinality, stylegan2_ada
from training.exchange.building import Tensors, channels_of, fmap_options
from training.exchange.pytorch_names import Pair

_FILTER = (1, 3, 3, 1)
# What all of that code has, by option.
_MAPPING = dict(mapping_nonlinearity='lrelu', normalize_latents=True, dtype='float32')
_SYNTHESIS = dict(nonlinearity='lrelu', noise_injection='additive')
_DISCRIMINATOR = dict(nonlinearity='lrelu')
_DEFAULTS = dict(
    latent_size=512, label_size=0, dlatent_size=512, mapping_layers=8, mapping_lrmul=0.01,
    resolution=1024, num_channels=3, mbstd_group_size=4, mbstd_num_features=1,
    dlatent_avg_beta=0.995,
)  # fmt: skip


def save_ada(records: Any, path: str) -> None:
    """Write (G, D, Gs) or Gs under stylegan2-ada-pytorch's names, such as G_ema.mapping.w_avg.

    Discriminators with classes are left out, since theirs are of another kind.

    Raises:
        UserError: networks that are other ones there.
    """
    networks: Dict[str, Tuple[Tensors, Dict[str, Any]]] = {}
    for role, record in _roles(records).items():
        if role == 'D':
            if _option(record, 'label_size'):
                print('D is left out: with classes it is another network there.')
                continue
            networks[role] = _ada_discriminator(record)
        else:
            networks[role] = _ada_generator(record)
    tensors = {
        '%s.%s' % (role, name): value
        for role, (found, _) in networks.items()
        for name, value in found.items()
    }
    facts = {role: found for role, (_, found) in networks.items()}
    _save(tensors, dict(code='stylegan2-ada-pytorch', networks=facts), path)


def save_rosinality(records: Any, path: str) -> None:
    """Write them under the names of rosinality's checkpoints, such as g_ema.conv1.conv.weight.

    Raises:
        UserError: networks that are other ones there.
    """
    tensors: Tensors = {}
    roles = dict(G='g', D='d', G_ema='g_ema')
    for role, record in _roles(records).items():
        found = _rosinality_discriminator(record) if role == 'D' else _rosinality_generator(record)
        tensors.update(('%s.%s' % (roles[role], name), value) for name, value in found.items())
        if role == 'G_ema':
            tensors['latent_avg'] = record.variables['dlatent_avg']
    Gs = _roles(records)['G_ema']
    options = ('resolution', 'latent_size', 'mapping_layers')
    size, style_dim, n_mlp = (_option(Gs, name) for name in options)
    config = dict(code='stylegan2-pytorch', size=size, style_dim=style_dim, n_mlp=n_mlp)
    channels = channels_of(Gs.components['synthesis'].variables, 'Conv1')
    config['channels'] = {str(2**res): number for res, number in channels.items()}
    config['channel_multiplier'] = _channel_multiplier(channels)
    _save(tensors, config, path)


def _channel_multiplier(channels: Dict[int, int]) -> Optional[int]:
    """That of a generator there, which has 512 feature maps up to 32x32; None if none fits."""
    for multiplier in (1, 2):
        if all(n == min(512, (16384 * multiplier) >> r) for r, n in channels.items()):
            return multiplier
    return None


def load(tensors: Tensors, metadata: Dict[str, str]) -> Any:
    """Records of what these functions wrote.

    Raises:
        UserError, KeyError, ValueError: something else.
    """
    config = json.loads(metadata['config'])
    if config['code'] == 'stylegan2-pytorch':
        return rosinality.records_of_tensors(tensors)
    networks = {}
    for role, facts in config['networks'].items():
        own = [name for name in tensors if name.startswith(role + '.')]
        networks[role] = {name[len(role) + 1 :]: tensors[name] for name in own}, facts
    return stylegan2_ada.records_of_tensors(networks)


def _save(tensors, config, path):
    arrays = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
    with atomic_write(path) as file:
        safetensors.write(file, arrays, dict(format='pt', config=json.dumps(config)))


def _roles(records: Any) -> Dict[str, NetworkRecord]:
    """G, D and G_ema; of one network G_ema alone."""
    found = list(weights.by_role(records).values())
    return dict(zip(stylegan2_ada.ROLES, found)) if len(found) > 1 else dict(G_ema=found[0])


def _option(record: NetworkRecord, name: str) -> Any:
    """An option of a network or of one of its components, or its default."""
    for each in [*record.components.values(), record]:
        if name in each.static_kwargs:
            return each.static_kwargs[name]
    return _DEFAULTS[name]


def _check(record: NetworkRecord, func_name: str, fixed: Dict[str, Any], **more: Any) -> None:
    """Raise UserError unless a network is of a kind and has these options, or none of the names."""
    if record.build_func_name != func_name:
        text = 'network %r is one of %s; only those of %s have names there'
        raise UserError(text % (record.name, record.build_func_name, func_name))
    for name, value in dict(fixed, **more).items():
        found = record.static_kwargs.get(name, value)
        if found != value:
            text = 'network %r has %s=%r, which that code has not (there it is %r)'
            raise UserError(text % (record.name, name, found, value))


def _theirs(record: NetworkRecord, pairs: Iterable[Pair]) -> Tensors:
    return {
        theirs: np.array(kind.to_theirs(record.variables[ours]), order='C')
        for ours, theirs, kind in pairs
    }


def _parts(record: NetworkRecord) -> Tuple[NetworkRecord, NetworkRecord]:
    """Mapping and synthesis of a generator that have names there."""
    _check(record, 'G_main', {})
    mapping, synthesis = record.components['mapping'], record.components['synthesis']
    _check(mapping, 'G_mapping', _MAPPING)
    _check(synthesis, 'G_synthesis_stylegan2', _SYNTHESIS)
    return mapping, synthesis


def _log2(record: NetworkRecord) -> int:
    return int(np.log2(_option(record, 'resolution')))


def _filter(record: NetworkRecord) -> np.ndarray:
    """[n, n], of sum 1."""
    taps = np.asarray(record.static_kwargs.get('resample_kernel', _FILTER), np.float64)
    kernel = np.outer(taps, taps) if taps.ndim == 1 else taps
    return (kernel / kernel.sum()).astype(np.float32)


def _ada_generator(record: NetworkRecord) -> Tuple[Tensors, Dict[str, Any]]:
    mapping, synthesis = _parts(record)
    log2, architecture = _log2(record), synthesis.static_kwargs.get('architecture', 'skip')
    tensors = _theirs(synthesis, names.synthesis_pairs(names.ADA_G, log2, architecture))
    num_layers, label_size = (_option(record, n) for n in ('mapping_layers', 'label_size'))
    tensors.update(_theirs(mapping, names.mapping_pairs(names.ADA_G, num_layers)))
    if label_size:
        if not mapping.static_kwargs.get('normalize_separately'):
            text = 'classes go into network %r in another way than there (normalize_separately)'
            raise UserError(text % record.name)
        embedding = mapping.variables['LabelConcat/weight']
        tensors['mapping.embed.weight'] = embedding.T * np.float32(np.sqrt(label_size))
        tensors['mapping.embed.bias'] = np.zeros([embedding.shape[1]], np.float32)
    tensors['mapping.w_avg'] = record.variables['dlatent_avg']
    layers = [names.ADA_G.layer(index) for index in range(2 * log2 - 3)]
    _add_filters(tensors, synthesis, layers + ['synthesis.b%d' % 2**r for r in range(2, log2 + 1)])
    if architecture == 'resnet':
        _add_filters(tensors, synthesis, ['synthesis.b%d.skip' % 2**r for r in range(3, log2 + 1)])
    return tensors, dict(
        z_dim=_option(record, 'latent_size'),
        c_dim=label_size,
        w_dim=_option(record, 'dlatent_size'),
        img_resolution=2**log2,
        img_channels=_option(record, 'num_channels'),
        architecture=architecture,
        num_layers=num_layers,
        lr_multiplier=_option(record, 'mapping_lrmul'),
        w_avg_beta=_option(record, 'dlatent_avg_beta'),
        synthesis_kwargs=dict(_widths(channels_of(synthesis.variables, 'Conv1')), num_fp16_res=0),
    )


def _widths(channels: Dict[int, int]) -> Dict[str, int]:
    options = fmap_options(channels)
    return dict(channel_base=2 * options['fmap_base'], channel_max=options['fmap_max'])


def _add_filters(tensors: Tensors, record: NetworkRecord, modules: List[str]) -> None:
    for module in modules:
        tensors[module + '.resample_filter'] = _filter(record)


def _ada_discriminator(record: NetworkRecord) -> Tuple[Tensors, Dict[str, Any]]:
    _check(record, 'D_stylegan2', _DISCRIMINATOR)
    log2, architecture = _log2(record), record.static_kwargs.get('architecture', 'resnet')
    pairs = list(names.discriminator_pairs(names.ADA_D, log2, architecture))
    tensors = _theirs(record, pairs)
    layers = {pair.theirs.rpartition('.')[0] for pair in pairs} - {'b4.fc', 'b4.out'}
    blocks = ['b%d' % 2**res for res in range(3, log2 + 1)]
    _add_filters(tensors, record, sorted(layers) + blocks)
    return tensors, dict(
        c_dim=0,
        img_resolution=2**log2,
        img_channels=_option(record, 'num_channels'),
        architecture=architecture,
        num_layers=0,
        lr_multiplier=1,
        mbstd_group_size=_option(record, 'mbstd_group_size'),
        mbstd_num_channels=_option(record, 'mbstd_num_features'),
    )


def _rosinality_generator(record: NetworkRecord) -> Tensors:
    mapping, synthesis = _parts(record)
    _check(synthesis, 'G_synthesis_stylegan2', {}, architecture='skip', num_channels=3)
    _check(mapping, 'G_mapping', {}, mapping_lrmul=rosinality.MAPPING_LRMUL, label_size=0)
    sizes = [_option(record, name) for name in ('latent_size', 'dlatent_size')]
    sizes.append(len(mapping.variables['Dense0/bias']))
    if len(set(sizes)) > 1:
        text = 'z, w and the layers of the mapping have %s numbers, which are equal there'
        raise UserError(text % ', '.join(map(str, sizes)))
    log2 = _log2(record)
    tensors = _theirs(synthesis, names.synthesis_pairs(names.ROSINALITY_G, log2, 'skip'))
    pairs = names.mapping_pairs(names.ROSINALITY_G, _option(record, 'mapping_layers'))
    tensors.update(_theirs(mapping, pairs))
    for res in range(3, log2 + 1):
        tensors['convs.%d.conv.blur.kernel' % (2 * res - 6)] = _filter(synthesis) * 4
        tensors['to_rgbs.%d.upsample.kernel' % (res - 3)] = _filter(synthesis) * 4
    return tensors


def _rosinality_discriminator(record: NetworkRecord) -> Tensors:
    fixed = dict(_DISCRIMINATOR, architecture='resnet', label_size=0)
    fixed.update(mbstd_group_size=4, mbstd_num_features=1, num_channels=3)
    _check(record, 'D_stylegan2', fixed)
    log2 = _log2(record)
    tensors = _theirs(record, names.discriminator_pairs(names.rosinality_d(log2), log2, 'resnet'))
    for index in range(1, log2 - 1):
        for layer in ('conv2', 'skip'):
            tensors['convs.%d.%s.0.kernel' % (index, layer)] = _filter(record)
    return tensors
