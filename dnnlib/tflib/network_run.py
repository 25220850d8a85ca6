"""Evaluating a Network for NumPy arrays: minibatches, several devices, cached graphs."""

from typing import Any, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from dnnlib import util
from dnnlib.options import named
from dnnlib.tflib import engine, random, tfutil

_LEGACY_KWARGS = ('out_mul', 'out_add', 'out_shrink', 'out_dtype')


def run(
    net,
    in_arrays: Sequence[Optional[np.ndarray]],
    cache: dict,
    input_transform: Optional[dict] = None,
    output_transform: Optional[dict] = None,
    return_as_list: bool = False,
    print_progress: bool = False,
    minibatch_size: Optional[int] = None,
    num_gpus: int = 1,
    assume_frozen: bool = False,
    **dynamic_kwargs,
) -> Any:
    """Evaluate a network for arrays; the first axis counts items, None stands for zeros.

    Args:
        input_transform, output_transform: dict(func=top-level function, **kwargs), applied to the
            tensors.
        minibatch_size: items at a time; None: all at once. Every minibatch must divide by num_gpus.
        num_gpus: devices to spread each minibatch over (logical CPUs where there is no GPU).
        assume_frozen: copy the weights at the first such call; later changes of them are not seen.
        dynamic_kwargs: passed to the build function.

    Returns:
        An array, or a tuple of arrays for several outputs; a list if `return_as_list`.
    """
    assert len(in_arrays) == net.num_inputs and any(x is not None for x in in_arrays)
    if any(name in dynamic_kwargs for name in _LEGACY_KWARGS):
        assert output_transform is None
        output_transform = _legacy_transform(dynamic_kwargs)
    in_exprs, out_exprs = _graph(
        net, cache, input_transform, output_transform, num_gpus, assume_frozen, dynamic_kwargs
    )

    num_items = next(len(x) for x in in_arrays if x is not None)
    minibatch_size = minibatch_size or max(num_items, 1)
    out_arrays = [
        np.empty([num_items] + e.shape.as_list()[1:], e.dtype.as_numpy_dtype) for e in out_exprs
    ]
    with tqdm(total=num_items, disable=None if print_progress else True, leave=False) as progress:
        for begin in range(0, num_items, minibatch_size):
            end = min(begin + minibatch_size, num_items)
            size = end - begin
            assert size % num_gpus == 0, 'minibatch of %d items on %d devices' % (size, num_gpus)
            feed = {
                expr: np.zeros([size] + shape[1:]) if x is None else x[begin:end]
                for x, expr, shape in zip(in_arrays, in_exprs, net.input_shapes)
            }
            for array, value in zip(out_arrays, tfutil.run(out_exprs, feed)):
                array[begin:end] = value
            progress.update(size)
    if return_as_list:
        return out_arrays
    return out_arrays[0] if len(out_arrays) == 1 else tuple(out_arrays)


# Names of the options that are not passed to the build function.
OPTIONS = {n for n, p in named(run, {})[0].items() if p.default is not p.empty}
OPTIONS.update(_LEGACY_KWARGS)


def _graph(net, cache, input_transform, output_transform, num_gpus, assume_frozen, dynamic_kwargs):
    """Placeholders and outputs for these options, built once."""
    options = [_canonical(x) for x in (dynamic_kwargs, input_transform, output_transform)]
    key = repr((assume_frozen, num_gpus, options))
    if key in cache:
        return cache[key]
    name_scope = tfutil.absolute_name_scope(net.scope + '/_Run')
    with name_scope, tf.control_dependencies(None), tf.device(None):
        with tf.device('/cpu:0'):
            in_exprs = [tf.placeholder(tf.float32, name=n) for n in net.input_names]
            in_split = list(zip(*[tf.split(x, num_gpus) for x in in_exprs]))
        out_split = []
        for index in range(num_gpus):
            draws = random.stream('run ' + key, device=index)
            with tf.device(engine.device(index)), draws:
                device_net = net.clone() if assume_frozen else net
                inputs = _transform(in_split[index], input_transform)
                outputs = device_net.get_output_for(*inputs, return_as_list=True, **dynamic_kwargs)
                out_split.append(_transform(outputs, output_transform))
                assert len(out_split[-1]) == net.num_outputs
        with tf.device('/cpu:0'):
            out_exprs = [tf.concat(parts, axis=0) for parts in zip(*out_split)]
    cache[key] = in_exprs, out_exprs
    return cache[key]


def _transform(tensors, transform):
    if transform is None:
        return list(tensors)
    kwargs = dict(transform)
    func = kwargs.pop('func')
    assert util.is_top_level_function(func)
    result = func(*tensors, **kwargs)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _canonical(value):
    """Nested dicts as sorted pairs and functions by name: equal options give equal keys."""
    if isinstance(value, dict):
        return sorted((k, _canonical(v)) for k, v in value.items())
    if util.is_top_level_function(value):
        return util.get_top_level_function_name(value)
    return repr(value)


def _legacy_transform(dynamic_kwargs):
    print('Network.run(): out_mul, out_add, out_shrink and out_dtype are from StyleGAN 1.')
    print('Please pass output_transform=dict(func=...) instead, for instance with')
    print('dnnlib.tflib.convert_images_to_uint8.')
    legacy = {name: dynamic_kwargs.pop(name) for name in _LEGACY_KWARGS if name in dynamic_kwargs}
    if legacy.get('out_dtype') is not None:
        legacy['out_dtype'] = np.dtype(legacy['out_dtype']).name
    return dict(func=_scale_and_cast, **legacy)


def _scale_and_cast(*tensors, out_mul=1.0, out_add=0.0, out_shrink=1, out_dtype=None):
    results = []
    for x in tensors:
        x = x * out_mul + out_add
        if out_shrink > 1:
            x = tfutil.box_downscale(x, out_shrink)
        if out_dtype is not None:
            dtype = tf.as_dtype(out_dtype)
            x = tf.saturate_cast(tf.round(x) if dtype.is_integer else x, dtype)
        results.append(x)
    return results
