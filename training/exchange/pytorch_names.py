"""What the variables of StyleGAN2 are called in PyTorch, and how their numbers lie there.

Two sets of names: those of stylegan2-ada-pytorch, which stylegan3's StyleGAN2 configurations share,
and those of rosinality's stylegan2-pytorch. Both keep weights as we do, of unit variance and
multiplied at run time by 1 / sqrt(fan-in) and the learning rate's factor. What differs: weights are
[out, in, height, width] or [out, in]; those of a convolution that enlarges are flipped in both
axes; the bias of a style contains the 1 that we add; axes of size 1 come and go.
"""

from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np


class Kind(NamedTuple):
    """How the numbers of a variable lie here and there."""

    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]


class Pair(NamedTuple):
    """A variable of a network of ours, by its local name, and a tensor there."""

    ours: str
    theirs: str
    kind: Kind


def _leading(kind: Kind, axes: int) -> Kind:
    """With axes of size 1 before the others, there."""
    return Kind(
        lambda a: kind.to_ours(a.reshape(a.shape[axes:])),
        lambda a: kind.to_theirs(a).reshape((1,) * axes + kind.to_theirs(a).shape),
    )


def _without_leading(axes: int) -> Kind:
    """With axes of size 1 before the others, here."""
    return Kind(lambda a: a.reshape((1,) * axes + a.shape), lambda a: a.reshape(a.shape[axes:]))


SAME = Kind(lambda a: a, lambda a: a)
DENSE = Kind(lambda a: a.T, lambda a: a.T)  # [out, in] there
STYLE_BIAS = Kind(lambda a: a - np.float32(1), lambda a: a + np.float32(1))
CONV = Kind(lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1))
CONV_UP = Kind(
    lambda a: a[:, :, ::-1, ::-1].transpose(2, 3, 1, 0),
    lambda a: a[::-1, ::-1].transpose(3, 2, 0, 1),
)
_VECTOR = Kind(lambda a: a.reshape([]), lambda a: a.reshape([1]))  # of one number, there
_MAP = Kind(lambda a: a.reshape(-1), lambda a: a.reshape([1, -1, 1, 1]))  # [1, C, 1, 1] there


class GeneratorNames(NamedTuple):
    """Names of a generator's tensors.

    layer, to_rgb, skip, noise: of the layer with an index, and at 2^res. parts: variable of a layer
    -> (name below the layer, kind); up: of the weights of one that enlarges.
    """

    const: Tuple[str, Kind]
    layer: Callable[[int], str]
    parts: Dict[str, Tuple[str, Kind]]
    up: Kind
    noise: Tuple[Callable[[int], str], Kind]
    to_rgb: Callable[[int], str]
    rgb_parts: Dict[str, Tuple[str, Kind]]
    dense: Callable[[int], str]


class DiscriminatorNames(NamedTuple):
    """Names of a discriminator's tensors: at 2^res, (weight, bias); of skips the weight alone."""

    from_rgb: Callable[[int], Tuple[str, str]]
    conv0: Callable[[int], Tuple[str, str]]
    conv1: Callable[[int], Tuple[str, str]]
    skip: Callable[[int], str]
    final: List[Tuple[str, str]]  # convolution, dense layer, output


def _weight_and_bias(layer: str) -> Tuple[str, str]:
    return layer + '.weight', layer + '.bias'


def res_of(index: int) -> int:
    """Logarithm of the size of a generator's layer: one layer at 4x4, two at each larger size."""
    return (index + 5) // 2


def _ada_layer(index: int) -> str:
    return 'synthesis.b%d.conv%d' % (2 ** res_of(index), 1 - index % 2)


ADA_G = GeneratorNames(
    const=('synthesis.b4.const', _without_leading(1)),
    layer=_ada_layer,
    parts={
        'weight': ('weight', CONV),
        'mod_weight': ('affine.weight', DENSE),
        'mod_bias': ('affine.bias', STYLE_BIAS),
        'noise_strength': ('noise_strength', SAME),
        'bias': ('bias', SAME),
    },
    up=CONV_UP,
    noise=(lambda index: _ada_layer(index) + '.noise_const', _without_leading(2)),
    to_rgb=lambda res: 'synthesis.b%d.torgb' % 2**res,
    rgb_parts={
        'weight': ('weight', CONV),
        'mod_weight': ('affine.weight', DENSE),
        'mod_bias': ('affine.bias', STYLE_BIAS),
        'bias': ('bias', SAME),
    },
    dense=lambda index: 'mapping.fc%d' % index,
)
ROSINALITY_G = GeneratorNames(
    const=('input.input', SAME),
    layer=lambda index: 'convs.%d' % (index - 1) if index else 'conv1',
    parts={
        'weight': ('conv.weight', _leading(CONV, 1)),
        'mod_weight': ('conv.modulation.weight', DENSE),
        'mod_bias': ('conv.modulation.bias', STYLE_BIAS),
        'noise_strength': ('noise.weight', _VECTOR),
        'bias': ('activate.bias', SAME),
    },
    up=_leading(CONV_UP, 1),
    noise=(lambda index: 'noises.noise_%d' % index, SAME),
    to_rgb=lambda res: 'to_rgbs.%d' % (res - 3) if res > 2 else 'to_rgb1',
    rgb_parts={
        'weight': ('conv.weight', _leading(CONV, 1)),
        'mod_weight': ('conv.modulation.weight', DENSE),
        'mod_bias': ('conv.modulation.bias', STYLE_BIAS),
        'bias': ('bias', _MAP),
    },
    dense=lambda index: 'style.%d' % (index + 1),
)
ADA_D = DiscriminatorNames(
    from_rgb=lambda res: _weight_and_bias('b%d.fromrgb' % 2**res),
    conv0=lambda res: _weight_and_bias('b%d.conv0' % 2**res),
    conv1=lambda res: _weight_and_bias('b%d.conv1' % 2**res),
    skip=lambda res: 'b%d.skip.weight' % 2**res,
    final=[_weight_and_bias('b4.' + name) for name in ('conv', 'fc', 'out')],
)


def rosinality_d(resolution_log2: int) -> DiscriminatorNames:
    """Names of rosinality's discriminators, which count blocks from the image on."""

    def block(res, layer, weight, bias):
        prefix = 'convs.%d.%s.' % (resolution_log2 - res + 1, layer)
        return '%s%d.weight' % (prefix, weight), '%s%d.bias' % (prefix, bias)

    return DiscriminatorNames(
        from_rgb=lambda res: ('convs.0.0.weight', 'convs.0.1.bias'),
        conv0=lambda res: block(res, 'conv1', 0, 1),
        conv1=lambda res: block(res, 'conv2', 1, 2),
        skip=lambda res: block(res, 'skip', 1, 0)[0],
        final=[
            ('final_conv.0.weight', 'final_conv.1.bias'),
            _weight_and_bias('final_linear.0'),
            _weight_and_bias('final_linear.1'),
        ],
    )


def has_rgb(architecture: str, res: int, resolution_log2: int) -> bool:
    """Whether there are colours at 2^res."""
    return architecture == 'skip' or res == resolution_log2


def synthesis_pairs(
    names: GeneratorNames, resolution_log2: int, architecture: str
) -> Iterator[Pair]:
    """The variables of `G_synthesis_stylegan2`."""
    yield Pair('4x4/Const/const', *names.const)
    for index in range(2 * resolution_log2 - 3):
        layer = '%dx%d/' % ((2 ** res_of(index),) * 2)
        layer += ('Conv0_up' if index % 2 else 'Conv1') if index else 'Conv'
        for ours, (theirs, kind) in names.parts.items():
            if ours == 'weight' and index % 2:
                kind = names.up
            yield Pair('%s/%s' % (layer, ours), '%s.%s' % (names.layer(index), theirs), kind)
        name_of, kind = names.noise
        yield Pair('noise%d' % index, name_of(index), kind)
    for res in range(2, resolution_log2 + 1):
        scope = '%dx%d/' % (2**res, 2**res)
        if has_rgb(architecture, res, resolution_log2):
            for ours, (theirs, kind) in names.rgb_parts.items():
                yield Pair(scope + 'ToRGB/' + ours, '%s.%s' % (names.to_rgb(res), theirs), kind)
        if architecture == 'resnet' and res > 2:
            yield Pair(scope + 'Skip/weight', 'synthesis.b%d.skip.weight' % 2**res, CONV_UP)


def mapping_pairs(names: GeneratorNames, num_layers: int) -> Iterator[Pair]:
    """The variables of `G_mapping` but those of labels."""
    for index in range(num_layers):
        weight, bias = _weight_and_bias(names.dense(index))
        yield Pair('Dense%d/weight' % index, weight, DENSE)
        yield Pair('Dense%d/bias' % index, bias, SAME)


def discriminator_pairs(
    names: DiscriminatorNames, resolution_log2: int, architecture: str
) -> Iterator[Pair]:
    """The variables of `D_stylegan2`."""

    def both(layer, theirs, kind):
        yield Pair(layer + '/weight', theirs[0], kind)
        yield Pair(layer + '/bias', theirs[1], SAME)

    for res in range(resolution_log2, 1, -1):
        scope = '%dx%d/' % (2**res, 2**res)
        if has_rgb(architecture, res, resolution_log2):
            yield from both(scope + 'FromRGB', names.from_rgb(res), CONV)
        if res > 2:
            yield from both(scope + 'Conv0', names.conv0(res), CONV)
            yield from both(scope + 'Conv1_down', names.conv1(res), CONV)
            if architecture == 'resnet':
                yield Pair(scope + 'Skip/weight', names.skip(res), CONV)
    layers = [('4x4/Conv', CONV), ('4x4/Dense0', DENSE), ('Output', DENSE)]
    for (layer, kind), theirs in zip(layers, names.final):
        yield from both(layer, theirs, kind)
