"""TensorFlow helpers: sessions, networks, optimizers, summaries and custom ops, on both engines."""

from dnnlib.tflib import autosummary, custom_ops, engine, layout, network, optimizer, tfutil
from dnnlib.tflib.network import Network
from dnnlib.tflib.optimizer import Optimizer
from dnnlib.tflib.tfutil import (
    TfExpression,
    absolute_name_scope,
    absolute_variable_scope,
    assert_tf_initialized,
    box_downscale,
    convert_images_from_uint8,
    convert_images_to_uint8,
    create_session,
    create_var_with_large_initial_value,
    exp2,
    flatten,
    init_tf,
    init_uninitialized_vars,
    is_tf_expression,
    lerp,
    lerp_clip,
    log2,
    run,
    set_vars,
    shape_to_list,
)
