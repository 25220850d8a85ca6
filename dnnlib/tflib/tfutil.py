"""Sessions, seeds, variables and small expressions shared by everything that builds graphs."""

import contextlib
import os
import re
from typing import Any, ContextManager, Dict, Iterable, Iterator, List, Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.options import check_names
from dnnlib.tflib import cluster, engine
from dnnlib.util import UserError

TfExpression = Union[tf.Tensor, tf.Variable, tf.Operation]

_default_config: Dict[str, Any] = {
    'rnd.np_random_seed': None,  # None = leave NumPy's generator alone
    'rnd.tf_random_seed': 'auto',  # 'auto' = drawn from NumPy's generator
    'math.allow_tf32': False,  # of the process: only its default session decides
    'math.deterministic': False,  # likewise
    'env.TF_CPP_MIN_LOG_LEVEL': '1',
    'graph_options.place_pruned_graph': True,  # place only what a run needs: faster start
    'gpu_options.allow_growth': True,
    'allow_soft_placement': True,  # int32 helpers and summaries have no GPU kernels
}

_NOT_PROTO = ('rnd.', 'math.', 'env.')  # what the other keys start with

# What TensorFlow says without memory for a tensor, and for a copy of one to a GPU.
_MEMORY_SIGN = re.compile(
    r'OOM when allocating tensor with shape ?\[[\d,]*\].*?(?= by allocator)'
    r'|Dst tensor is not initialized'
)
_LESS_MEMORY = (
    'lower --minibatch-gpu (training) or --minibatch-size (images, projections), or --fmap-max and '
    '--fmap-base of a new network; programs beside this one use memory, too'
)

_entered: List[Any] = []  # contexts of default sessions, open for the life of the process


def run(fetches: Any, feed_dict: Optional[dict] = None, **kwargs) -> Any:
    """Evaluate in the default session, as `tf.Session.run`; RuntimeError if there is none.

    Raises UserError, one line, where memory is too small, or another worker has ended.
    """
    session = _default_session()
    try:
        return session.run(fetches, feed_dict, **kwargs)
    except tf.errors.OpError as error:
        if cluster.current().was_refused(error):
            return run(fetches, feed_dict, **kwargs)
        is_memory = isinstance(error, (tf.errors.ResourceExhaustedError, tf.errors.InternalError))
        what = is_memory and _MEMORY_SIGN.search(error.message)
        if not what:
            cluster.current().raise_if_lost(error)
            raise
        text = 'out of memory (%s): %s'
        raise UserError(text % (' '.join(what.group().split()), _LESS_MEMORY)) from error


def assert_tf_initialized() -> None:
    """Raise RuntimeError unless there is a default session."""
    _default_session()


def _default_session():
    session = tf.get_default_session()
    if session is None:
        raise RuntimeError('No default TensorFlow session: call dnnlib.tflib.init_tf() first.')
    return session


def is_tf_expression(x: Any) -> bool:
    """Whether x is a tensor, a variable or an operation."""
    return isinstance(x, (tf.Tensor, tf.Variable, tf.Operation)) or tf.is_tensor(x)


def shape_to_list(shape: Iterable) -> List[Optional[int]]:
    """Sizes of a static shape as a list, None where unknown."""
    return tf.TensorShape(shape).as_list()


def exp2(x: TfExpression) -> tf.Tensor:
    """2 to the power of x."""
    with tf.name_scope('Exp2'):
        return tf.exp(x * np.float32(np.log(2)))


def lerp(a: TfExpression, b: TfExpression, t: TfExpression) -> tf.Tensor:
    """Linear interpolation a + (b - a) * t."""
    with tf.name_scope('Lerp'):
        return a + (b - a) * t


def lerp_clip(a: TfExpression, b: TfExpression, t: TfExpression) -> tf.Tensor:
    """Linear interpolation with t clipped to [0, 1]."""
    with tf.name_scope('LerpClip'):
        return a + (b - a) * tf.clip_by_value(t, 0.0, 1.0)


def absolute_name_scope(scope: str) -> ContextManager[str]:
    """Name scope counted from the root of the graph."""
    return tf.name_scope(scope + '/')


@contextlib.contextmanager
def absolute_variable_scope(scope: str, **kwargs) -> Iterator[tf.VariableScope]:
    """Variable scope counted from the root of the graph; opens no name scope of its own."""
    root = tf.VariableScope(reuse=kwargs.pop('reuse', False), name=scope)
    with tf.variable_scope(root, auxiliary_name_scope=False, **kwargs) as opened:
        yield opened


def init_tf(config_dict: Optional[Dict[str, Any]] = None) -> None:
    """Seed the generators and make the process's default session, once; later calls do nothing.

    Keys are 'rnd.np_random_seed', 'rnd.tf_random_seed', 'math.allow_tf32' (see
    `engine.allow_tf32`), 'math.deterministic' (see `engine.make_deterministic`), 'env.NAME' and
    dotted fields of tf.ConfigProto; they override the defaults of this module.

    Raises:
        UserError: a key is none of these, or ops cannot be deterministic here.
    """
    check_config('tf_config', config_dict or {})
    if tf.get_default_session() is not None:
        return
    config = dict(_default_config, **(config_dict or {}))
    if config['rnd.np_random_seed'] is not None:
        np.random.seed(config['rnd.np_random_seed'])
    tf_seed = config['rnd.tf_random_seed']
    if tf_seed == 'auto':
        tf_seed = np.random.randint(1 << 31)
    if tf_seed is not None:
        tf.set_random_seed(tf_seed)
    engine.allow_tf32(config['math.allow_tf32'])
    engine.make_deterministic(config['math.deterministic'])
    for key, value in config.items():
        if key.startswith('env.'):
            name = key[len('env.') :]
            if name not in os.environ or name in (config_dict or {}):
                os.environ[name] = str(value)
    create_session(config, force_as_default=True)


def create_session(
    config_dict: Optional[Dict[str, Any]] = None, force_as_default: bool = False
) -> tf.Session:
    """Make a session from dotted tf.ConfigProto fields; other entries of `init_tf` are ignored.

    Raises:
        UserError: a key is none of those of `init_tf`.
    """
    check_config('tf_config', config_dict or {})
    config = dict(_default_config, **(config_dict or {}))
    options = {k: v for k, v in config.items() if not k.startswith(_NOT_PROTO)}
    session_config = engine.session_config(options)
    if not force_as_default:  # of this process alone, as that of a metric
        return tf.Session(config=session_config)
    workers = cluster.current()
    session = tf.Session(config=workers.adapt(session_config), **workers.session_options())
    default = session.as_default()
    default.__enter__()
    _entered.append(default)  # once collected, it would take the session away again
    return session


def check_config(what: str, config_dict: Dict[str, Any]) -> None:
    """Raise UserError, one line, for a key or a value that `init_tf` cannot use.

    Args:
        what: where the keys stand.
    """
    ours = [key for key in _default_config if key.startswith(('rnd.', 'math.'))]
    for key, value in config_dict.items():
        if key.startswith('math.') and key in ours and not isinstance(value, bool):
            raise UserError('%s has %s = %r; it is true or false' % (what, key, value))
        if key.startswith('env.') or key in ours:
            continue
        message, parts = tf.ConfigProto.DESCRIPTOR, key.split('.')
        for index, part in enumerate(parts):
            fields = message.fields_by_name if message else {}
            paths = ['.'.join(parts[:index] + [name] + parts[index + 1 :]) for name in fields]
            check_names(what, [key], paths + (ours if index == 0 else []), 'tf.ConfigProto')
            message = fields[part].message_type
            if message and message.GetOptions().map_entry:
                break  # device_count.GPU: any name
        try:
            engine.session_config({key: value})
        except (AttributeError, TypeError, ValueError) as error:
            text = '%s has %s = %r, which TensorFlow refuses: %s'
            raise UserError(text % (what, key, value, error))


def init_uninitialized_vars(target_vars: Optional[List[tf.Variable]] = None) -> None:
    """Run the initializers of those variables (default: all global ones) that have no value yet."""
    assert_tf_initialized()
    target_vars = list(tf.global_variables() if target_vars is None else target_vars)
    if not target_vars:
        return
    graph = tf.get_default_graph()
    tests = []
    for var in target_vars:
        name = var.name.split(':')[0] + '/IsVariableInitialized'
        try:
            tests.append(graph.get_tensor_by_name(name + ':0'))
        except KeyError:
            with tf.control_dependencies(None), tf.name_scope(None):
                tests.append(tf.identity(tf.is_variable_initialized(var), name=name))
    ready = run(tests)
    run([var.initializer for var, is_ready in zip(target_vars, ready) if not is_ready])


def set_vars(var_to_value_dict: Dict[tf.Variable, Any]) -> None:
    """Assign NumPy values to variables in one run."""
    assert_tf_initialized()
    graph = tf.get_default_graph()
    setters, feed = [], {}
    for var, value in var_to_value_dict.items():
        name = var.name.split(':')[0]
        try:
            setter = graph.get_operation_by_name(name + '/setter')
            placeholder = graph.get_tensor_by_name(name + '/new_value:0')
        except KeyError:
            with tf.control_dependencies(None), absolute_name_scope(name), tf.device(var.device):
                placeholder = tf.placeholder(var.dtype.base_dtype, var.shape, 'new_value')
                setter = tf.group(tf.assign(var, placeholder), name='setter')
        setters.append(setter)
        feed[placeholder] = value
    run(setters, feed)


def convert_images_from_uint8(
    images: TfExpression, drange: Sequence[float] = (-1, 1), nhwc_to_nchw: bool = False
) -> tf.Tensor:
    """Map uint8 images to float32, 0..255 to `drange`; NHWC is transposed to NCHW on request."""
    if nhwc_to_nchw:  # before the cast: bytes are a quarter of the data
        images = tf.transpose(images, [0, 3, 1, 2])
    step = (drange[1] - drange[0]) / 255
    return drange[0] + step * tf.cast(images, tf.float32)


def convert_images_to_uint8(
    images: TfExpression, drange: Sequence = (-1, 1), nchw_to_nhwc: bool = False, shrink: int = 1
) -> tf.Tensor:
    """Map float images [N, C, H, W] in `drange` to uint8, after shrinking by a whole factor.

    -1, 0 and 1 of the default range become 0, 128 and 255; what lies outside is clamped.
    """
    images = tf.cast(images, tf.float32)
    if shrink > 1:
        images = box_downscale(images, shrink)
    if nchw_to_nhwc:
        images = tf.transpose(images, [0, 2, 3, 1])
    scale = 255 / (drange[1] - drange[0])
    return tf.saturate_cast(images * scale + (0.5 - drange[0] * scale), tf.uint8)


def box_downscale(images: TfExpression, factor: int) -> tf.Tensor:
    """Mean over factor x factor blocks of images [N, C, H, W]; partial blocks are cut off."""
    if factor == 1:
        return images
    channels, height, width = images.shape.as_list()[1:]
    rows, columns = height // factor, width // factor
    images = images[:, :, : rows * factor, : columns * factor]
    blocks = tf.reshape(images, [-1, channels, rows, factor, columns, factor])
    return tf.reduce_mean(blocks, axis=[3, 5])


# What follows is here for users' scripts of official StyleGAN2.


def flatten(x: TfExpression) -> tf.Tensor:
    """Reshape to one axis."""
    with tf.name_scope('Flatten'):
        return tf.reshape(x, [-1])


def log2(x: TfExpression) -> tf.Tensor:
    """Logarithm to base 2."""
    with tf.name_scope('Log2'):
        return tf.log(x) * np.float32(1 / np.log(2))


def create_var_with_large_initial_value(initial_value: np.ndarray, *args, **kwargs) -> tf.Variable:
    """Make a variable whose initial value is not stored in the graph, which is limited to 2 GiB."""
    assert_tf_initialized()
    zeros = tf.zeros(initial_value.shape, initial_value.dtype)
    var = tf.Variable(zeros, *args, **kwargs)
    set_vars({var: initial_value})
    return var
