"""Adam in plain TensorFlow."""

from collections import OrderedDict
from typing import Dict, List, Optional, Tuple, Union

import tensorflow.compat.v1 as tf

from dnnlib.tflib.placement import exactly_on, make_state_variable
from dnnlib.tflib.tfutil import TfExpression


class SimpleAdam:
    """Adam in plain TensorFlow, the formula of tf.train.AdamOptimizer.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    theta <- theta - learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon).
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", end of section 2. All calls of
    `apply_gradients` share the moments and the step count t.
    """

    def __init__(
        self,
        name: str = 'Adam',
        learning_rate: Union[float, TfExpression] = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        self.name = name
        self._rate = learning_rate
        self._betas = beta1, beta2
        self._epsilon = epsilon
        self._moments: Dict[tf.Variable, Tuple[tf.Variable, ...]] = OrderedDict()  # (m, v)
        self._powers: List[tf.Variable] = []  # beta1^t and beta2^t of the next step

    def variables(self) -> List[tf.Variable]:
        """The moments of all variables, and the powers of beta1 and beta2."""
        return [x for pair in self._moments.values() for x in pair] + self._powers

    def compute_gradients(
        self,
        loss: TfExpression,
        var_list: List[tf.Variable],
        gate_gradients: int = tf.train.Optimizer.GATE_NONE,
    ) -> List[Tuple[Optional[tf.Tensor], tf.Variable]]:
        """Pairs of gradient and variable; None where the loss does not depend on it."""
        gated = gate_gradients != tf.train.Optimizer.GATE_NONE
        return list(zip(tf.gradients(loss, var_list, gate_gradients=gated), var_list))

    def apply_gradients(self, grads_and_vars: List[Tuple[tf.Tensor, tf.Variable]]) -> tf.Operation:
        """Operation that makes one step with the given gradients."""
        grads_and_vars = list(grads_and_vars)
        if not self._powers:
            device = grads_and_vars[0][1].device
            self._powers = [
                make_state_variable(self.name, 'beta%d_power' % i, device, initial_value=beta)
                for i, beta in enumerate(self._betas, 1)
            ]
        powers = [x.read_value() for x in self._powers]
        rate = tf.cast(self._rate, tf.float32) * tf.sqrt(1 - powers[1]) / (1 - powers[0])
        updates = [self._apply(grad, var, rate) for grad, var in grads_and_vars]
        for x, power, beta in zip(self._powers, powers, self._betas):
            updates.append(x.assign(power * beta))
        return tf.group(*updates)

    def _apply(self, grad, var, rate):
        """Update a variable and its moments."""
        dtype = var.dtype.base_dtype
        beta1, beta2 = self._betas
        if var not in self._moments:
            scope, where = '%s/%s' % (self.name, var.op.name), (var.device, var.shape, dtype)
            self._moments[var] = tuple(make_state_variable(scope, n, *where) for n in 'mv')
        m_var, v_var = self._moments[var]
        with exactly_on(var.device):
            m = beta1 * m_var.read_value() + (1 - beta1) * grad
            v = beta2 * v_var.read_value() + (1 - beta2) * tf.square(grad)
            step = tf.cast(rate, dtype) * m / (tf.sqrt(v) + self._epsilon)
            return tf.group(m_var.assign(m), v_var.assign(v), var.assign_sub(step))
