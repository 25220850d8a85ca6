"""The ops of a generator's graph in ONNX, one function for each.

A function gets the `Writer` and an op of TensorFlow with NCHW activations, and returns the names of
its results. Shapes are int64 in ONNX; so all integers are.
"""

from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from dnnlib.util import UserError

Convert = Callable[[Any, Any], List[str]]
CONVERTERS: Dict[str, Convert] = {}


def _converts(*op_types: str) -> Callable[[Convert], Convert]:
    def register(function):
        CONVERTERS.update(dict.fromkeys(op_types, function))
        return function

    return register


def _same(onnx_type: str, **attributes: Any) -> Convert:
    """An op with the same inputs there."""
    return lambda writer, op: [writer.add(onnx_type, writer.inputs(op), **attributes)]


for _tf, _onnx in [
    ('Mul', 'Mul'),
    ('Add', 'Add'),
    ('AddV2', 'Add'),
    ('Sub', 'Sub'),
    ('RealDiv', 'Div'),
    ('Minimum', 'Min'),
    ('Maximum', 'Max'),
    ('Neg', 'Neg'),
    ('Abs', 'Abs'),
    ('Sqrt', 'Sqrt'),
    ('Relu', 'Relu'),
    ('Tanh', 'Tanh'),
    ('Sigmoid', 'Sigmoid'),
    ('Elu', 'Elu'),
    ('Softplus', 'Softplus'),
    ('Select', 'Where'),
    ('SelectV2', 'Where'),
    ('Tile', 'Tile'),
    ('Reshape', 'Reshape'),
    ('Shape', 'Shape'),
]:
    CONVERTERS[_tf] = _same(_onnx)
CONVERTERS['Selu'] = _same('Selu', alpha=1.6732632423543772, gamma=1.0507009873554805)


@_converts('Identity', 'IdentityN', 'StopGradient')
def _identity(writer, op):
    return writer.inputs(op)


@_converts('Square')
def _square(writer, op):
    return [writer.add('Mul', writer.inputs(op) * 2)]


@_converts('Rsqrt')
def _rsqrt(writer, op):
    return [writer.add('Reciprocal', [writer.add('Sqrt', writer.inputs(op))])]


@_converts('LeakyRelu')
def _leaky_relu(writer, op):
    return [writer.add('LeakyRelu', writer.inputs(op), alpha=op.get_attr('alpha'))]


@_converts('Mean', 'Max', 'Sum')
def _reduce(writer, op):
    axes = np.atleast_1d(writer.value(op.inputs[1])).tolist()
    keeps, x = int(op.get_attr('keep_dims')), writer.name(op.inputs[0])
    if op.type == 'Sum':  # the only one whose axes are an input
        return [writer.add('ReduceSum', [x, writer.constant(np.int64(axes))], keepdims=keeps)]
    return [writer.add('Reduce' + op.type, [x], axes=axes, keepdims=keeps)]


@_converts('MatMul')
def _matmul(writer, op):
    names = writer.inputs(op)
    for i, attribute in enumerate(['transpose_a', 'transpose_b']):
        if op.get_attr(attribute):
            names[i] = writer.add('Transpose', [names[i]], perm=[1, 0])
    return [writer.add('MatMul', names)]


@_converts('BiasAdd')
def _bias_add(writer, op):
    rank = op.inputs[0].shape.rank
    _check_nchw(op, rank)
    bias = writer.value(op.inputs[1]).reshape([-1] + [1] * (rank - 2))
    return [writer.add('Add', [writer.name(op.inputs[0]), writer.constant(bias)])]


@_converts('Transpose')
def _transpose(writer, op):
    perm = writer.value(op.inputs[1]).tolist()
    return [writer.add('Transpose', [writer.name(op.inputs[0])], perm=perm)]


@_converts('Pack')
def _pack(writer, op):
    axis = op.get_attr('axis')
    parts = [_unsqueezed(writer, name, [axis]) for name in writer.inputs(op)]
    return [writer.add('Concat', parts, axis=axis)]


@_converts('ConcatV2')
def _concat(writer, op):
    axis = int(writer.value(op.inputs[-1]))
    return [writer.add('Concat', writer.inputs(op)[:-1], axis=axis)]


@_converts('Split')
def _split(writer, op):
    axis, number = int(writer.value(op.inputs[0])), op.get_attr('num_split')
    sizes = writer.constant(np.int64([x.shape.as_list()[axis] for x in op.outputs]))
    x = writer.name(op.inputs[1])
    return writer.add_many('Split', [x, sizes], number, axis=axis)


@_converts('Pad')
def _pad(writer, op):
    pads = writer.constant(np.int64(writer.value(op.inputs[1])).T.reshape(-1))
    return [writer.add('Pad', [writer.name(op.inputs[0]), pads])]


@_converts('Fill')
def _fill(writer, op):
    dims, value = writer.inputs(op)
    return [writer.add('Expand', [value, dims])]


@_converts('Cast')
def _cast(writer, op):
    return [writer.add('Cast', writer.inputs(op), to=writer.type_of(op.outputs[0]))]


@_converts('StridedSlice')
def _strided_slice(writer, op):
    """x[spec, ...] with slices, numbers and new axes, one bit of each mask for every part."""
    begin, end, strides = (writer.value(x).tolist() for x in op.inputs[1:4])
    masks = {
        name: op.get_attr(name + '_mask')
        for name in ('begin', 'end', 'ellipsis', 'new_axis', 'shrink_axis')
    }
    if masks['ellipsis']:
        raise UserError('a slice with an ellipsis has no translation to ONNX')
    slices: List[Sequence[int]] = []
    new_axes, shrunk, axis, out_axis = [], [], 0, 0
    for i, (first, last, step) in enumerate(zip(begin, end, strides)):
        bits = {name: bool(mask >> i & 1) for name, mask in masks.items()}
        if bits['new_axis']:
            new_axes.append(out_axis)
            out_axis += 1
            continue
        if bits['shrink_axis']:
            slices.append((first, first + 1 if first != -1 else _END, axis, 1))
            shrunk.append(axis)
        else:
            first = (0 if step > 0 else _END) if bits['begin'] else first
            last = (_END if step > 0 else -_END) if bits['end'] else last
            if (first, last, step) != (0, _END, 1):
                slices.append((first, last, axis, step))
            out_axis += 1
        axis += 1
    x = writer.name(op.inputs[0])
    if slices:
        x = writer.add('Slice', [x, *[writer.constant(np.int64(part)) for part in zip(*slices)]])
    if shrunk:
        x = writer.add('Squeeze', [x, writer.constant(np.int64(shrunk))])
    return [_unsqueezed(writer, x, new_axes) if new_axes else x]


_END = 1 << 31  # beyond the end of all axes


def _unsqueezed(writer, name, axes):
    return writer.add('Unsqueeze', [name, writer.constant(np.int64(axes))])


def _check_nchw(op, rank=4):
    if rank == 4 and op.get_attr('data_format') not in (b'NCHW', 'NCHW'):
        raise UserError('%s is not in the layout NCHW' % op.name)


def _same_padding(size, out, taps, stride):
    """Zeros before and after an axis by TensorFlow's rule for padding='SAME'."""
    total = max((out - 1) * stride + taps - size, 0)
    return total // 2, total - total // 2


@_converts('Conv2D', 'DepthwiseConv2dNative')
def _conv(writer, op):
    _check_nchw(op)
    weight = writer.value(op.inputs[1])
    taps, stride = weight.shape[:2], op.get_attr('strides')[2:]
    (x,), (y,) = op.inputs[:1], op.outputs
    padding = op.get_attr('padding').decode('ascii')
    if padding == 'EXPLICIT':
        numbers = op.get_attr('explicit_paddings')
        pairs = [numbers[4:6], numbers[6:8]]
    elif padding == 'SAME':
        sizes = zip(x.shape.as_list()[2:], y.shape.as_list()[2:], taps, stride)
        pairs = [_same_padding(*each) for each in sizes]
    else:
        pairs = [(0, 0), (0, 0)]
    groups = 1
    if op.type == 'DepthwiseConv2dNative':  # [h, w, channels, 1] -> [channels, 1, h, w]
        weight, groups = weight.transpose(2, 3, 0, 1), weight.shape[2]
    else:
        weight = weight.transpose(3, 2, 0, 1)
    names = [writer.name(x), writer.constant(weight)]
    pads = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    return [writer.add('Conv', names, strides=list(stride), pads=pads, group=groups)]


@_converts('Conv2DBackpropInput', 'DepthwiseConv2dNativeBackpropInput')
def _transposed_conv(writer, op):
    """The gradient of a convolution with respect to its input, of (sizes, weight, gradient)."""
    _check_nchw(op)
    weight = writer.value(op.inputs[1])
    taps, stride = weight.shape[:2], op.get_attr('strides')[2:]
    size, out = (x.shape.as_list()[2:] for x in (op.inputs[2], op.outputs[0]))
    pairs, more = [], []
    for i in range(2):
        is_same = op.get_attr('padding') in (b'SAME', 'SAME')
        pair = _same_padding(out[i], size[i], taps[i], stride[i]) if is_same else (0, 0)
        pairs.append(pair)
        more.append(out[i] - ((size[i] - 1) * stride[i] + taps[i] - sum(pair)))
    groups = 1
    if op.type.startswith('Depthwise'):
        weight, groups = weight.transpose(2, 3, 0, 1), weight.shape[2]
    else:
        weight = weight.transpose(3, 2, 0, 1)
    attributes = dict(
        strides=list(stride),
        pads=[pair[0] for pair in pairs] + [pair[1] for pair in pairs],
        output_padding=more,
        group=groups,
    )
    names = [writer.name(op.inputs[2]), writer.constant(weight)]
    return [writer.add('ConvTranspose', names, **attributes)]
