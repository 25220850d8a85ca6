"""Networks of stylegan2-ada-pytorch and of stylegan3's StyleGAN2 configurations become ours.

Their files are pickles of modules with the source of their classes. Nothing of it is run: what is
read are the tensors and the plain attributes of the modules. What is other than in StyleGAN2:

- z and the embedded label are normalized each by itself (`normalize_separately`), and the label is
  embedded with a bias.
- The discriminator's scores are weighed by a mapping of the label.

Labels are one-hot in this project; so both become a row for each class, with the same numbers.
Activations are clipped there (conv_clamp, at 256), which those of trained networks do not reach.
"""

from typing import Any, Dict, Optional, Tuple

import numpy as np

from dnnlib.pickle_machine import Call
from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError
from training.exchange.building import (
    TensorBag,
    Tensors,
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
_IGNORED = ('resample_filter', 'num_batches_tracked')
_WHOLE_MINIBATCH = 1 << 20  # more images than there are in any


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
    if 'G_ema' not in content:
        raise UserError('it holds no G_ema, but %s' % ', '.join(map(str, content)))
    Gs = _generator('Gs', content['G_ema'])
    if 'G' not in content or 'D' not in content:
        return Gs
    return _generator('G', content['G']), _discriminator(content['D']), Gs


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


def _generator(name: str, call: Any) -> NetworkRecord:
    module = _Module(call)
    resolution = _resolution(module)
    if 'synthesis' not in module.modules or 'b4' not in module.modules['synthesis'].modules:
        raise UserError('its generator is none of StyleGAN2; those of StyleGAN3 are other networks')
    log2 = int(np.log2(resolution))
    bag = TensorBag(module.tensors(), _IGNORED)
    for res in range(2, log2 + 1):
        for layer in ('conv0', 'conv1')[res == 2 :]:
            _check_lrelu(module, 'synthesis.b%d.%s.activation' % (2**res, layer))
    architecture = module.get('synthesis.b%d.architecture' % resolution)
    variables = bag.variables(synthesis_pairs(ADA_G, log2, architecture))
    channels = {2: len(variables['4x4/Conv/bias'])}
    for res in range(3, log2 + 1):
        channels[res] = len(variables['{0}x{0}/Conv1/bias'.format(2**res)])
    options = dict(
        fmap_options(channels),
        resolution=resolution,
        num_channels=int(module.get('img_channels')),
        dlatent_size=int(module.get('w_dim')),
        architecture=architecture,
        resample_kernel=filter_of(module.tensors()['synthesis.b4.resample_filter']),
    )
    mapping = _mapping(module.modules['mapping'], bag)
    beta = module.get('mapping.w_avg_beta')
    own = {} if beta is None else dict(dlatent_avg_beta=float(beta))
    dlatent_avg = bag.take('mapping.w_avg')
    bag.check_empty()
    return generator_record(name, own, mapping, (options, variables), dlatent_avg)


def _resolution(module: _Module) -> int:
    resolution = module.get('img_resolution')
    if type(resolution) is not int or resolution < 4 or resolution & (resolution - 1):
        raise UserError('its images have a side of %.40r' % (resolution,))
    return resolution


def _check_lrelu(module, path):
    if module.get(path) != 'lrelu':
        raise UserError('the activation function of %s is %.40r' % (path, module.get(path)))


def _mapping(module: _Module, bag: TensorBag) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """Options and variables of a generator's mapping network."""
    num_layers, label_size = int(module.get('num_layers')), int(module.get('c_dim'))
    latent_size = int(module.get('z_dim'))
    _check_lrelu(module, 'fc0.activation')
    variables = bag.variables(mapping_pairs(ADA_G, num_layers))
    options = dict(
        latent_size=latent_size,
        label_size=label_size,
        dlatent_size=int(module.get('w_dim')),
        mapping_layers=num_layers,
        mapping_fmaps=len(variables['Dense0/bias']),
        mapping_lrmul=float(module.get('fc0.bias_gain')),
    )
    if label_size:
        embedded = _embedded_labels(bag, 'mapping.embed', label_size)
        if embedded.shape[1] != latent_size:
            text = 'its labels are embedded in %d numbers, latents have %d'
            raise UserError(text % (embedded.shape[1], latent_size))
        variables['LabelConcat/weight'] = embedded
        options['normalize_separately'] = True
    return options, variables


def _embedded_labels(bag: TensorBag, prefix: str, label_size: int) -> np.ndarray:
    """What becomes of each class, [label_size, size], before the dense layers."""
    weight, bias = bag.take(prefix + '.weight'), bag.take(prefix + '.bias')
    embedded = weight.T.astype(np.float64) / np.sqrt(label_size) + bias
    return unit_mean_square(embedded).astype(np.float32)


def _discriminator(call: Any) -> NetworkRecord:
    module = _Module(call)
    resolution = _resolution(module)
    log2 = int(np.log2(resolution))
    label_size = int(module.get('c_dim'))
    bag = TensorBag(module.tensors(), _IGNORED)
    architecture = module.get('b4.architecture')
    _check_lrelu(module, 'b4.conv.activation')
    variables = bag.variables(discriminator_pairs(ADA_D, log2, architecture))
    if label_size:
        variables.update(_weighed_output(module.modules['mapping'], bag, variables, label_size))
    channels = {res: variables['{0}x{0}/Conv0/bias'.format(2**res)] for res in range(3, log2 + 1)}
    channels[2] = variables['4x4/Conv/bias']
    has_stddev = 'mbstd' in module.modules['b4'].modules
    group_size: Optional[int] = module.get('b4.mbstd.group_size') if has_stddev else 0
    options = dict(
        fmap_options({res: len(bias) for res, bias in channels.items()}),
        resolution=resolution,
        num_channels=int(module.get('img_channels')),
        label_size=label_size,
        architecture=architecture,
        mbstd_group_size=_WHOLE_MINIBATCH if group_size is None else int(group_size),
        mbstd_num_features=int(module.get('b4.mbstd.num_channels')) if has_stddev else 1,
        resample_kernel=filter_of(module.tensors()['b%d.resample_filter' % resolution]),
    )
    bag.check_empty()
    return network_record('D', 'D_stylegan2', options, variables)


def _weighed_output(module: _Module, bag: TensorBag, variables, label_size: int) -> Tensors:
    """The output layer with a score for each class: x . m(c) / sqrt(size) of one-hot labels c."""
    layers = {}
    for index in range(int(module.get('num_layers'))):
        name = 'mapping.fc%d' % index
        layers['Dense%d/weight' % index] = bag.take(name + '.weight').T
        layers['Dense%d/bias' % index] = bag.take(name + '.bias')
    embedded = _embedded_labels(bag, 'mapping.embed', label_size)
    m = dense_layers(embedded, layers, float(module.get('fc0.bias_gain')))  # [label_size, size]
    m = m.T / np.sqrt(m.shape[1])
    weight, bias = variables['Output/weight'] @ m, variables['Output/bias'] @ m
    return {'Output/weight': weight.astype(np.float32), 'Output/bias': bias.astype(np.float32)}
