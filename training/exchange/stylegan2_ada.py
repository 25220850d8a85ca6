"""Networks of stylegan2-ada-pytorch and of stylegan3's StyleGAN2 configurations become ours.

Their files are pickles of modules with the source of their classes. Nothing of it is run: what is
read are the tensors and the plain attributes of the modules. What is other than in StyleGAN2:

- z and the embedded label are normalized each by itself (`normalize_separately`), and the label is
  embedded with a bias.
- The discriminator's scores are weighed by a mapping of the label.

Labels are one-hot in this project; so both become a row for each class, with the same numbers.
Activations are clipped there (conv_clamp, at 256), which those of trained networks do not reach.
"""

from typing import Any, Callable, Dict, Tuple

import numpy as np

from dnnlib.pickle_machine import Call
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
    ADA_D,
    ADA_G,
    discriminator_pairs,
    mapping_pairs,
    synthesis_pairs,
)

PERSISTENT = 'torch_utils.persistence._reconstruct_persistent_obj'
ROLES = ('G', 'D', 'G_ema')
_IGNORED = ('resample_filter', 'num_batches_tracked')
_WHOLE_MINIBATCH = 1 << 20  # more images than there are in any

Facts = Dict[str, Any]


def holds_networks(content: Any) -> bool:
    """Whether the content of a file, see `torch_file.read`, is that of such a file."""
    return isinstance(content, dict) and any(
        type(value) is Call and value.func == PERSISTENT for value in content.values()
    )


def records_of(content: Dict[str, Any]) -> Any:
    """(G, D, Gs) of the content of a file, or Gs alone where there is nothing else.

    Raises:
        UserError: networks of other kinds, StyleGAN3's for instance.
    """
    return records_of_tensors(
        {
            role: _opened(call, _discriminator_facts if role == 'D' else _generator_facts)
            for role, call in content.items()
            if role in ROLES and call
        }
    )


def records_of_tensors(networks: Dict[str, Tuple[Tensors, Facts]]) -> Any:
    """The same of tensors by their full names, and facts, under 'G', 'D' and 'G_ema'.

    Facts of a generator: z_dim, c_dim, w_dim, img_resolution, img_channels, architecture,
    num_layers and lr_multiplier of the mapping, w_avg_beta. Of a discriminator: c_dim,
    img_resolution, img_channels, architecture, num_layers, lr_multiplier, mbstd_group_size (None:
    the minibatch), mbstd_num_channels.
    """
    if 'G_ema' not in networks:
        raise UserError('it holds no G_ema, but %s' % (', '.join(networks) or 'nothing else'))
    Gs = _generator('Gs', *networks['G_ema'])
    if 'G' not in networks or 'D' not in networks:
        return Gs
    return _generator('G', *networks['G']), _discriminator(*networks['D']), Gs


class _Module:
    """A module of PyTorch as the file describes it."""

    def __init__(self, call: Any):
        is_module = type(call) is Call and call.func == PERSISTENT and len(call.args) == 1
        meta = call.args[0] if is_module and isinstance(call.args[0], dict) else {}
        state = meta.get('state')
        if not isinstance(state, dict):
            raise UserError('it holds something else than modules with tensors')
        self.class_name = meta.get('class_name')
        self._state = state
        self.modules = {name: _Module(each) for name, each in self._dict('_modules') if each}

    def _dict(self, name):
        value = self._state.get(name)
        return value.items() if isinstance(value, dict) else ()

    def tensors(self, prefix: str = '') -> Tensors:
        """Parameters and buffers of the module and those in it, by their full names."""
        found = {}
        for kind in ('_parameters', '_buffers'):
            for name, value in self._dict(kind):
                if isinstance(value, np.ndarray):
                    found[prefix + name] = value
        for name, module in self.modules.items():
            found.update(module.tensors('%s%s.' % (prefix, name)))
        return found

    def get(self, path: str) -> Any:
        """An attribute of this module, 'name', or of one in it, 'module.name'.

        Raises:
            UserError: it is not there.
        """
        first, _, rest = path.partition('.')
        if rest and first in self.modules:
            return self.modules[first].get(rest)
        if rest or first not in self._state:
            raise UserError('a %s has no %s there' % (self.class_name, path))
        return self._state[first]


def _opened(call: Any, facts: Callable[[_Module], Facts]) -> Tuple[Tensors, Facts]:
    module = _Module(call)
    return module.tensors(), facts(module)


def _resolution(module: _Module) -> int:
    resolution = module.get('img_resolution')
    if type(resolution) is not int or resolution < 4 or resolution & (resolution - 1):
        raise UserError('its images have a side of %.40r' % (resolution,))
    return resolution


def _check_lrelu(module, path):
    if module.get(path) != 'lrelu':
        raise UserError('the activation function of %s is %.40r' % (path, module.get(path)))


def _generator_facts(module: _Module) -> Facts:
    resolution = _resolution(module)
    if 'synthesis' not in module.modules or 'b4' not in module.modules['synthesis'].modules:
        raise UserError('its generator is none of StyleGAN2; those of StyleGAN3 are other networks')
    for index in range(2 * int(np.log2(resolution)) - 3):
        _check_lrelu(module, ADA_G.layer(index) + '.activation')
    _check_lrelu(module, 'mapping.fc0.activation')
    facts = {name: module.get(name) for name in ('z_dim', 'c_dim', 'w_dim', 'img_channels')}
    return dict(
        facts,
        img_resolution=resolution,
        architecture=module.get('synthesis.b%d.architecture' % resolution),
        num_layers=module.get('mapping.num_layers'),
        lr_multiplier=module.get('mapping.fc0.bias_gain'),
        w_avg_beta=module.get('mapping.w_avg_beta'),
    )


def _discriminator_facts(module: _Module) -> Facts:
    _check_lrelu(module, 'b4.conv.activation')
    has_stddev = 'mbstd' in module.modules['b4'].modules
    c_dim = module.get('c_dim')
    return dict(
        c_dim=c_dim,
        img_resolution=_resolution(module),
        img_channels=module.get('img_channels'),
        architecture=module.get('b4.architecture'),
        num_layers=module.get('mapping.num_layers') if c_dim else 0,
        lr_multiplier=module.get('mapping.fc0.bias_gain') if c_dim else 1,
        mbstd_group_size=module.get('b4.mbstd.group_size') if has_stddev else 0,
        mbstd_num_channels=module.get('b4.mbstd.num_channels') if has_stddev else 1,
    )


def _generator(name: str, tensors: Tensors, facts: Facts) -> NetworkRecord:
    log2 = int(np.log2(facts['img_resolution']))
    bag = TensorBag(tensors, _IGNORED)
    variables = bag.variables(synthesis_pairs(ADA_G, log2, facts['architecture']))
    options = dict(
        fmap_options(channels_of(variables, 'Conv1')),
        resolution=facts['img_resolution'],
        num_channels=int(facts['img_channels']),
        dlatent_size=int(facts['w_dim']),
        architecture=facts['architecture'],
        resample_kernel=filter_of(tensors['synthesis.b4.conv1.resample_filter']),
    )
    mapping = _mapping(bag, facts)
    beta = facts['w_avg_beta']
    own = {} if beta is None else dict(dlatent_avg_beta=float(beta))
    dlatent_avg = bag.take('mapping.w_avg')
    bag.check_empty()
    return generator_record(name, own, mapping, (options, variables), dlatent_avg)


def _mapping(bag: TensorBag, facts: Facts) -> Tuple[Dict[str, Any], Tensors]:
    """Options and variables of a generator's mapping network."""
    label_size, latent_size = int(facts['c_dim']), int(facts['z_dim'])
    variables = bag.variables(mapping_pairs(ADA_G, int(facts['num_layers'])))
    options = dict(
        latent_size=latent_size,
        label_size=label_size,
        dlatent_size=int(facts['w_dim']),
        mapping_layers=int(facts['num_layers']),
        mapping_fmaps=len(variables['Dense0/bias']),
        mapping_lrmul=float(facts['lr_multiplier']),
    )
    if label_size:
        embedded = _embedded_labels(bag, label_size)
        if embedded.shape[1] != latent_size:
            text = 'its labels are embedded in %d numbers, latents have %d'
            raise UserError(text % (embedded.shape[1], latent_size))
        variables['LabelConcat/weight'] = embedded
        options['normalize_separately'] = True
    return options, variables


def _embedded_labels(bag: TensorBag, label_size: int) -> np.ndarray:
    """What becomes of each class, [label_size, size], before the dense layers."""
    weight, bias = bag.take('mapping.embed.weight'), bag.take('mapping.embed.bias')
    embedded = weight.T.astype(np.float64) / np.sqrt(label_size) + bias
    return unit_mean_square(embedded).astype(np.float32)


def _discriminator(tensors: Tensors, facts: Facts) -> NetworkRecord:
    log2 = int(np.log2(facts['img_resolution']))
    bag = TensorBag(tensors, _IGNORED)
    variables = bag.variables(discriminator_pairs(ADA_D, log2, facts['architecture']))
    if facts['c_dim']:
        variables.update(_weighed_output(bag, variables, facts))
    group_size = facts['mbstd_group_size']
    options = dict(
        fmap_options(channels_of(variables, 'Conv0')),
        resolution=facts['img_resolution'],
        num_channels=int(facts['img_channels']),
        label_size=int(facts['c_dim']),
        architecture=facts['architecture'],
        mbstd_group_size=_WHOLE_MINIBATCH if group_size is None else int(group_size),
        mbstd_num_features=int(facts['mbstd_num_channels']),
        resample_kernel=filter_of(tensors['b4.conv.resample_filter']),
    )
    bag.check_empty()
    return network_record('D', 'D_stylegan2', options, variables)


def _weighed_output(bag: TensorBag, variables: Tensors, facts: Facts) -> Tensors:
    """The output layer with a score for each class: x . m(c) / sqrt(size) of one-hot labels c."""
    layers = bag.variables(mapping_pairs(ADA_G, int(facts['num_layers'])))
    embedded = _embedded_labels(bag, int(facts['c_dim']))
    m = dense_layers(embedded, layers, float(facts['lr_multiplier']))  # [label_size, size]
    m = m.T / np.sqrt(m.shape[1])
    weight, bias = variables['Output/weight'] @ m, variables['Output/bias'] @ m
    return {'Output/weight': weight.astype(np.float32), 'Output/bias': bias.astype(np.float32)}
