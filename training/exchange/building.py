"""Records of our StyleGAN2 networks, put together from tensors of other code bases."""

import inspect
from collections import OrderedDict
from typing import Any, Dict, Iterable, List, Optional, Tuple

import numpy as np

from dnnlib.tflib.network_state import NetworkRecord
from dnnlib.util import UserError
from training import networks_stylegan2
from training.exchange.pytorch_names import Pair

Tensors = Dict[str, np.ndarray]


class TensorBag:
    """The tensors of a network; each is taken once.

    Args:
        tensors: by their names there. ignored: ends of the names of those that say nothing more.
    """

    def __init__(self, tensors: Tensors, ignored: Iterable[str] = ()):
        self._left = dict(tensors)
        self._ignored = tuple(ignored)

    def take(self, name: str) -> np.ndarray:
        """A tensor as float32.

        Raises:
            UserError: it is not there.
        """
        if name not in self._left:
            raise UserError('it has no tensor %s, which networks of StyleGAN2 have' % name)
        return np.asarray(self._left.pop(name), np.float32)

    def variables(self, pairs: Iterable[Pair]) -> 'OrderedDict[str, np.ndarray]':
        """Variables of a network of ours, by their local names."""
        found: 'OrderedDict[str, np.ndarray]' = OrderedDict()
        for ours, theirs, kind in pairs:
            tensor = self.take(theirs)
            try:
                found[ours] = np.array(kind.to_ours(tensor), order='C')
            except ValueError:
                raise UserError('the tensor %s has the shape %s' % (theirs, list(tensor.shape)))
        return found

    def check_empty(self) -> None:
        """Raise UserError if tensors are left that our networks have no place for."""
        left = sorted(name for name in self._left if not name.endswith(self._ignored))
        if left:
            text = 'it has tensors that networks of StyleGAN2 have not (%s%s)'
            raise UserError(text % (', '.join(left[:3]), ', ...' if len(left) > 3 else ''))


def network_record(
    name: str,
    func_name: str,
    static_kwargs: Dict[str, Any],
    variables: Dict[str, np.ndarray],
    components: Optional[Dict[str, NetworkRecord]] = None,
) -> NetworkRecord:
    """The record of a network of `training.networks_stylegan2`."""
    state = dict(
        version=4,
        name=name,
        static_kwargs=static_kwargs,
        build_module_src=inspect.getsource(networks_stylegan2),
        build_func_name=func_name,
        variables=list(variables.items()),
    )
    return NetworkRecord(state, OrderedDict(components or {}))


def generator_record(
    name: str,
    options: Dict[str, Any],
    mapping: Tuple[Dict[str, Any], Dict[str, np.ndarray]],
    synthesis: Tuple[Dict[str, Any], Dict[str, np.ndarray]],
    dlatent_avg: np.ndarray,
) -> NetworkRecord:
    """The record of a `G_main`; mapping and synthesis: (options, variables) each."""
    variables = OrderedDict(lod=np.zeros([], np.float32), dlatent_avg=dlatent_avg)
    num_layers = 2 * int(np.log2(synthesis[0]['resolution'])) - 2
    own = dict(mapping[0], dlatent_broadcast=num_layers)
    components = OrderedDict()
    components['synthesis'] = network_record('G_synthesis', 'G_synthesis_stylegan2', *synthesis)
    components['mapping'] = network_record('G_mapping', 'G_mapping', own, mapping[1])
    kwargs = dict(mapping[0], **synthesis[0])
    return network_record(name, 'G_main', dict(kwargs, **options), variables, components)


def channels_of(variables: Tensors, layer: str) -> Dict[int, int]:
    """Feature maps by the logarithm of the size; those at 4x4 of Conv, the others of a layer."""
    channels = {2: len(variables['4x4/Conv/bias'])}
    while '{0}x{0}/{1}/bias'.format(2 << max(channels), layer) in variables:
        res = max(channels) + 1
        channels[res] = len(variables['{0}x{0}/{1}/bias'.format(2**res, layer)])
    return channels


def fmap_options(channels: Dict[int, int]) -> Dict[str, int]:
    """fmap_base and fmap_max that give these feature maps, by the logarithm of the size.

    Raises:
        UserError: none do.
    """
    largest = max(channels.values())
    narrow = [res for res in sorted(channels) if channels[res] < largest] or [max(channels)]
    base = channels[narrow[0]] << (narrow[0] - 1)
    for res, number in channels.items():
        if number != min(base >> (res - 1), largest):
            text = 'it has %s feature maps, from 4x4 on; ours are halved with each resolution'
            raise UserError(text % [channels[res] for res in sorted(channels)])
    return dict(fmap_base=base, fmap_max=largest)


def dense_layers(x: np.ndarray, variables: Dict[str, np.ndarray], lrmul: float) -> np.ndarray:
    """The dense layers of `G_mapping` in NumPy, [N, ...] -> [N, dlatent_size]; float64 inside."""
    x = x.astype(np.float64)
    index = 0
    while 'Dense%d/weight' % index in variables:
        weight = variables['Dense%d/weight' % index].astype(np.float64)
        x = x @ weight * (lrmul / np.sqrt(len(weight)))
        x += variables['Dense%d/bias' % index].astype(np.float64) * lrmul
        x = np.where(x < 0, 0.2 * x, x) * np.sqrt(2)
        index += 1
    return x


def unit_mean_square(x: np.ndarray) -> np.ndarray:
    """Rows scaled to a mean square of 1, as `layers_stylegan2.pixel_norm`."""
    return x / np.sqrt(np.mean(np.square(x), axis=1, keepdims=True) + 1e-8)


def filter_of(kernel: np.ndarray) -> List[float]:
    """The taps [n] of a filter [n, n], the outer product of them, of sum 1.

    Raises:
        UserError: it is another one.
    """
    taps = kernel.astype(np.float64).sum(axis=0) / kernel.sum()
    if kernel.ndim != 2 or not np.allclose(np.outer(taps, taps) * kernel.sum(), kernel, atol=1e-6):
        raise UserError('its filters are not the product of rows and columns')
    return [float(tap) for tap in taps]
