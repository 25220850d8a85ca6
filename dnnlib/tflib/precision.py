"""Number types of convolutions: of a network, by device, and of a whole run.

'float32' is float32, also on GPUs that would round factors to TF32 by themselves. 'tf32' lets them,
in all of a process (see `engine.allow_tf32`); it is no property of networks. 'mixed' stands for
convolutions, and the activations between them, in half precision where the device is fast at it:
bfloat16 on CPUs, with TensorFlow 2, and float16 on GPUs. A network saved with this setting runs
everywhere: where half precision is slow it computes in float32.
"""

from typing import Any, Optional

import tensorflow.compat.v1 as tf

from dnnlib import flags
from dnnlib.options import check_choice
from dnnlib.tflib import engine
from dnnlib.util import UserError

PRECISIONS = flags.NETWORK_PRECISIONS
CHOICES = flags.PRECISIONS  # of runs

TF32_OPTION = 'math.allow_tf32'  # of `tfutil.init_tf`


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


def use(net: Any, precision: str) -> None:
    """Let a `Network` and its components compute in a precision, whatever their own options say.

    To be called before they are evaluated; their clones and files keep it. In 'float32' they have
    no `dtype` of half precision either.

    Raises UserError where a network that is to be 'mixed' has no option `precision`.
    """
    check_choice('precision', precision, PRECISIONS)
    if precision != 'float32' and not net.takes('precision'):
        text = 'network %r has no option precision; use --precision=float32'
        raise UserError(text % net.name)
    for each in [net] + list(net.components.values()):
        if each is not net and (precision == 'float32' or each.takes('precision')):
            use(each, precision)
    options = net.static_kwargs
    if precision != 'float32':
        options['precision'] = precision
    for name in ('precision', 'dtype', 'mapping_dtype'):
        if precision == 'float32' and options.get(name) in ('mixed', 'float16', 'bfloat16'):
            options[name] = 'float32'


def check(precision: str) -> None:
    """Raise UserError if this machine cannot do a precision, one of CHOICES."""
    check_choice('precision', precision, CHOICES)
    if precision == 'tf32' and not engine.has_tf32():
        raise UserError(
            '--precision is tf32, which takes TensorFlow 2 and GPUs of compute capability 8.0 or '
            'more (here: %s on %s); use --precision=float32' % (tf.__version__, _devices())
        )
    if precision == 'mixed' and _half_type_here() is None:
        raise UserError(
            '--precision is mixed, for which CPUs need TensorFlow 2 (here: %s) and bfloat16 '
            'instructions (AVX512_BF16 or AMX); use --precision=float32' % tf.__version__
        )


def in_words(precision: str) -> str:
    """The precision of a network in this process, for logs: 'mixed, with float16'."""
    half = _half_type_here() if precision == 'mixed' else None
    full = 'tf32' if engine.allows_tf32() else 'float32'
    return full if half is None else 'mixed, %s and %s' % (half.name, full)


def _half_type_here():
    with tf.Graph().as_default(), tf.device(engine.device(0)):
        return half_type()


def _devices():
    found = ', '.join('%s.%s' % (a[:-1], a[-1]) for a in engine.gpu_architectures())
    return 'GPUs of %s' % found if found else 'the CPU'
