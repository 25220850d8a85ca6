"""Gradients of our own that live as long as their graph.

`tf.custom_gradient` puts its functions, with all tensors that they mention, into a registry of the
process: a graph that used it is never freed, and every evaluation of a metric makes a graph.
"""

import functools
from typing import Callable, Dict

import tensorflow.compat.v1 as tf

_GRADIENT_NAME = 'KeptByItsGraph'


def with_own_gradient(func: Callable) -> Callable:
    """Decorator: a function of tensors gives, beside its result, the function of its gradient.

    As with `tf.custom_gradient`, `func(*tensors)` returns (tensor, grad), and `grad(dy)` gives the
    gradient for each argument, or the one tensor for the only argument.
    """

    @functools.wraps(func)
    def result_of(*args):
        tensors = [tf.convert_to_tensor(arg) for arg in args]
        y, grad = func(*tensors)
        with y.graph.gradient_override_map({'IdentityN': _GRADIENT_NAME}):
            y = tf.identity_n([y] + tensors)[0]
        _gradients_in(y.graph)[y.op.name] = grad
        return y

    return result_of


def _gradients_in(graph: tf.Graph) -> Dict[str, Callable]:
    if not hasattr(graph, 'own_gradients'):
        graph.own_gradients = {}
    return graph.own_gradients


@tf.RegisterGradient(_GRADIENT_NAME)
def _gradient(op, dy, *_):
    """The operation's inputs are the result and the arguments; only these have a gradient."""
    grads = _gradients_in(op.graph)[op.name](dy)
    return [None] + (list(grads) if isinstance(grads, (list, tuple)) else [grads])
