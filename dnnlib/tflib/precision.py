"""Number types of a network's convolutions, by device.

'mixed' stands for convolutions, and the activations between them, in half precision where the
device is fast at it: bfloat16 on CPUs, with TensorFlow 2, and float16 on GPUs. A network saved with
this setting runs everywhere: where half precision is slow it computes in float32.
"""

from typing import Optional

import tensorflow.compat.v1 as tf

from dnnlib.options import check_choice
from dnnlib.tflib import engine
from dnnlib.util import UserError

PRECISIONS = ('float32', 'mixed')


def half_type() -> Optional[tf.DType]:
    """Half precision of the device of the current `tf.device` scope; None if it has no fast one."""
    if engine.is_gpu_scope():
        return tf.float16
    return tf.bfloat16 if engine.cpu_has_bfloat16() else None


def conv_dtype(precision: str, dtype: str = 'float32') -> tf.DType:
    """Type to convolve in, in a network that is otherwise of type `dtype`."""
    check_choice('precision', precision, PRECISIONS)
    half = half_type() if precision == 'mixed' else None
    return half or tf.as_dtype(dtype)


def in_float32(x: tf.Tensor) -> tf.Tensor:
    """Cast tensors of half precision; others stay as they are."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


def check(precision: str) -> None:
    """Raise UserError if this machine cannot do a precision."""
    if precision != 'mixed':
        return
    with tf.Graph().as_default(), tf.device(engine.device(0)):
        if half_type() is None:
            raise UserError(
                '--precision is mixed, for which CPUs need TensorFlow 2 (here: %s) and bfloat16 '
                'instructions (AVX512_BF16 or AMX); use --precision=float32' % tf.__version__
            )
