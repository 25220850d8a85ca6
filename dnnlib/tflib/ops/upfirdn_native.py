"""The compiled op of `upfirdn_2d`, for CPUs and GPUs and in both data formats; see upfirdn_2d.h."""

import tensorflow.compat.v1 as tf

from dnnlib.tflib import custom_ops
from dnnlib.tflib.ops.upfirdn_ref import Resampling
from dnnlib.util import UserError

_MAX_TAPS = 32  # per axis


def is_chosen(x: tf.Tensor, how: Resampling, impl: str) -> bool:
    """Whether the compiled op is to be used for x; see `custom_ops.resolve_impl`.

    Raises UserError where `impl` insists on it and it cannot.
    """
    if custom_ops.resolve_impl(impl, 'UpFirDn2D') == 'ref':
        return False
    if x.dtype in custom_ops.kernel_dtypes() and max(how.kernel.shape) <= _MAX_TAPS:
        return True
    if impl != 'auto':
        known = ', '.join(dtype.name for dtype in custom_ops.kernel_dtypes())
        what = '%s with a kernel of %d x %d' % (x.dtype.name, *how.kernel.shape)
        raise UserError(
            "impl='%s' of UpFirDn2D cannot do %s; it knows %s, and kernels up to %d x %d; use "
            "impl='auto' or 'ref'" % (impl, what, known, _MAX_TAPS, _MAX_TAPS)
        )
    return False


def evaluate(x: tf.Tensor, how: Resampling, data_format: str) -> tf.Tensor:
    """Insert zeros, pad or crop, convolve, keep every n-th pixel; only H and W have to be known."""
    up, down = [int(v) for v in how.up], [int(v) for v in how.down]
    pad = [int(v) for pair in how.pad for v in pair]
    k = tf.constant(how.kernel, tf.float32)
    op = custom_ops.library().up_fir_dn2d
    y = op(x, k, up=up, down=down, pad=pad, data_format=data_format)
    size = [x.shape.as_list()[data_format.index(axis)] for axis in 'HW']
    sizes = dict(zip('HW', how.output_size(size)))
    y.set_shape([sizes.get(axis, n) for axis, n in zip(data_format, x.shape.as_list())])
    return y
