"""Data-parallel training: gradient accumulation and loss scaling around a TensorFlow optimizer.

The interface and the arithmetic are those of StyleGAN2's `Optimizer`, without `report_mem_usage`.
Every device holds its own replica of the variables; all replicas are moved by the same gradient,
the mean over devices, so they stay equal. On GPUs it is one buffer for all variables on its way
there, so that few kernels are started. All state lies in TensorFlow variables, `state_variables`.
"""

from collections import OrderedDict
from functools import partial
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

import tensorflow.compat.v1 as tf

from dnnlib import util
from dnnlib.options import accepted, check_names, function_of, named, value_of
from dnnlib.tflib import cluster, reduction, tfutil
from dnnlib.tflib.adam import SimpleAdam  # noqa: F401  # official StyleGAN2 has it here
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.ops import decisions
from dnnlib.tflib.packing import Packing
from dnnlib.tflib.placement import canonical_device, exactly_on, make_state_variable

TfExpression = tfutil.TfExpression


class Optimizer:
    """Collects gradients of one network's replicas and applies their mean.

    Use: `register_gradients` once per device, or more often, then `apply_updates` once, whose
    result is the training operation.

    Args:
        name: Prefix of the summaries '<name>/learning_rate', '<name>/overflow_frequency' (share of
            the steps skipped) and '<name>/loss_scaling_log2'; '/' becomes '.'.
        tf_optimizer: Name of the underlying optimizer's class.
        learning_rate: Number or tensor.
        minibatch_multiplier: Number or tensor: rounds (runs of the training operation) that make
            one step, by the mean gradient of the rounds. None for 1.
        share: Another Optimizer whose underlying state (Adam's moments and step count) this one
            reads and advances too, for lazy regularization.
        use_loss_scaling: Multiply losses by 2^s and gradients by 2^-s, for float16 gradients.
        loss_scaling_init: First value of s.
        loss_scaling_inc: Added to s after a step.
        loss_scaling_dec: Subtracted from s after a step that was skipped as not finite.
        kwargs: For the class `tf_optimizer`, such as beta1, beta2, epsilon.

    Raises:
        UserError: the class does not take one of these.
    """

    def __init__(
        self,
        name: str = 'Train',
        tf_optimizer: str = 'tf.train.AdamOptimizer',
        learning_rate: Union[float, TfExpression] = 0.001,
        minibatch_multiplier: Union[int, TfExpression, None] = None,
        share: Optional['Optimizer'] = None,
        use_loss_scaling: bool = False,
        loss_scaling_init: float = 64.0,
        loss_scaling_inc: float = 0.0005,
        loss_scaling_dec: float = 1.0,
        **kwargs,
    ):
        check_options('optimizer %r' % name, dict(kwargs, tf_optimizer=tf_optimizer))
        self.name = name
        self.id = name.replace('/', '.')
        with tf.name_scope(None):
            self.scope = tf.get_default_graph().unique_name(self.id)
        self.learning_rate = learning_rate
        self.minibatch_multiplier = minibatch_multiplier
        self.use_loss_scaling = use_loss_scaling
        self._first_loss_scale = loss_scaling_init
        self._loss_scale_steps = loss_scaling_inc, -loss_scaling_dec
        self.optimizer_class = util.get_obj_by_name(tf_optimizer)
        self.optimizer_kwargs = dict(kwargs)
        # device -> {variable: its gradient in each registration, None where there is none}
        self._devices: Dict[str, Dict[tf.Variable, list]] = OrderedDict()
        self._losses: List[tf.Tensor] = []
        # device -> (variable, its value at the start of a run)
        self._loss_scales: Dict[str, Tuple[tf.Variable, tf.Tensor]] = OrderedDict()
        self._skipped_steps: Optional[tf.Variable] = None  # since the start, and in a row
        self._own_state: List[tf.Variable] = []  # not that of the underlying optimizers
        self._packing = Packing([], False)  # of the gradients of a device; set by the first
        self._updates_applied = False
        if share is None:
            self._optimizers: Dict[str, Any] = OrderedDict()  # device -> underlying optimizer
            self._optimizer_name = self.scope.replace('/', '_')
        else:
            assert self.optimizer_class is share.optimizer_class, 'share: another tf_optimizer'
            assert _same(learning_rate, share.learning_rate), 'share: another learning_rate'
            assert self.optimizer_kwargs == share.optimizer_kwargs, 'share: other optimizer options'
            self._optimizers, self._optimizer_name = share._optimizers, share._optimizer_name

    def register_gradients(
        self, loss: TfExpression, trainable_vars: Union[List[tf.Variable], Dict[str, tf.Variable]]
    ) -> None:
        """Add the gradient of a scalar loss; its device must be that of all the variables.

        Every device needs variables of the same shapes in the same order. Several registrations on
        one device are averaged; a variable that the loss does not reach counts as gradient zero.
        """
        assert not self._updates_applied, 'register_gradients after apply_updates'
        if isinstance(trainable_vars, dict):
            trainable_vars = list(trainable_vars.values())
        assert trainable_vars, 'no variables to train'
        assert all(map(tfutil.is_tf_expression, [loss] + list(trainable_vars)))
        device = canonical_device(loss.device)
        for var in trainable_vars:
            assert canonical_device(var.device) == device, (
                'variable %s is on device %r, the loss on %r' % (var.name, var.device, device)
            )
        first = next(iter(self._devices.values()), trainable_vars)
        shapes, first_shapes = [[v.shape.as_list() for v in vs] for vs in (trainable_vars, first)]
        assert shapes == first_shapes, 'variables of other shapes than in the first registration'
        if not self._devices:
            self._packing = Packing(shapes, decisions.packs_variables(device))

        gradients = self._devices.setdefault(device, OrderedDict((v, []) for v in trainable_vars))
        assert list(map(id, gradients)) == list(map(id, trainable_vars)), (
            'other variables than in the first registration on device %r' % device
        )
        with tf.name_scope(self.id + '_grad'), exactly_on(device):
            self._losses.append(loss)
            scaled_loss = self.apply_loss_scaling(tf.cast(loss, tf.float32))
            optimizer, gate = self._get_optimizer(device), tf.train.Optimizer.GATE_NONE
            pairs = optimizer.compute_gradients(scaled_loss, trainable_vars, gate_gradients=gate)
            for grad, var in pairs:
                if isinstance(grad, tf.Tensor):
                    grad.set_shape(var.shape)  # TensorFlow 1.14 loses it behind tf.cond
                gradients[var].append(grad)

    def apply_updates(self, allow_no_op: bool = False) -> tf.Operation:
        """Make the training operation; may be called once, and initialises the optimizer's state.

        A step with any gradient that is not finite, in any of its rounds and on any device, is
        skipped as a whole and counted: variables and moments keep their values.
        With `allow_no_op`, an optimizer without gradients yields an operation that does nothing.
        """
        assert not self._updates_applied, 'apply_updates was called before'
        self._updates_applied = True
        assert self._devices or allow_no_op, 'no gradients were registered'
        with tfutil.absolute_name_scope(self.scope), tf.control_dependencies(None):
            if not self._devices:
                return tf.no_op(name='TrainingOp')
            gradients = self._mean_over_devices()
            is_last_round, is_only_round, updates, variables = self._count_rounds()
            if self.minibatch_multiplier is not None:
                gradients, sums = self._accumulate(gradients, is_last_round, is_only_round)
                variables += sums
            is_finite = self._all_finite(gradients)
            # The losses are evaluated before any variable changes, and with them what nothing else
            # needs, such as their summaries.
            with tf.control_dependencies([tf.identity(loss) for loss in self._losses]):
                do_apply = tf.logical_and(is_last_round, is_finite)
            for index, device in enumerate(self._devices):
                updates.append(self._apply_on_device(index, device, gradients[device], do_apply))
            updates += self._update_loss_scales(is_last_round, is_finite)
            updates += self._report(is_last_round, is_finite)
            training_op = tf.group(*updates, name='TrainingOp')
        self.reset_optimizer_state()
        variables += [var for var, _ in self._loss_scales.values()] + [self._skipped_steps]
        self._own_state = variables
        tfutil.run([v.initializer for v in variables])
        return training_op

    def state_variables(self) -> Dict[str, tf.Variable]:
        """All that a resumed run needs besides the network, by names that are the same in any run.

        Moments and step counts, shared ones too, sums of unfinished steps, loss scales, counters.
        """
        state = [v for o in self._optimizers.values() for v in o.variables()] + self._own_state
        return OrderedDict((var.op.name, var) for var in state)

    def reset_optimizer_state(self) -> None:
        """Set the underlying state (Adam's moments, step count), shared or not, to its start."""
        tfutil.run([v.initializer for o in self._optimizers.values() for v in o.variables()])

    def get_skipped_steps(self, in_row: bool = False) -> int:
        """Number of steps skipped as not finite since the start, or since the last one taken."""
        counts = [0, 0] if self._skipped_steps is None else tfutil.run(self._skipped_steps)
        return int(counts[1 if in_row else 0])

    def apply_loss_scaling(self, value: tf.Tensor) -> tf.Tensor:
        """Multiply by the loss scale of the value's device; unchanged without loss scaling."""
        if not self.use_loss_scaling:
            return value
        return value * tf.cast(tfutil.exp2(self._get_loss_scale(value.device)[1]), value.dtype)

    def undo_loss_scaling(self, value: tf.Tensor) -> tf.Tensor:
        """Divide by the loss scale of the value's device; unchanged without loss scaling."""
        if not self.use_loss_scaling:
            return value
        return value * tf.cast(tfutil.exp2(-self._get_loss_scale(value.device)[1]), value.dtype)

    def get_loss_scaling_var(self, device: str) -> Optional[tf.Variable]:
        """The variable s of the loss scale 2^s on a device; None without loss scaling."""
        return self._get_loss_scale(device)[0] if self.use_loss_scaling else None

    def _get_optimizer(self, device):
        """The underlying optimizer of a device, made when first asked for."""
        if device not in self._optimizers:
            name = '%s_opt%d' % (self._optimizer_name, len(self._optimizers))
            self._optimizers[device] = self.optimizer_class(
                name=name, learning_rate=self.learning_rate, **self.optimizer_kwargs
            )
        return self._optimizers[device]

    def _get_loss_scale(self, device):
        """Variable and value of a device's log2 loss scale, made when first asked for.

        Whatever one run computes uses the same value, read before the variable is updated.
        """
        device = canonical_device(device)
        if device not in self._loss_scales:
            assert not self._updates_applied, 'loss scale of a device without gradients'
            first = self._first_loss_scale
            var = make_state_variable(self.scope, 'loss_scaling_var', device, initial_value=first)
            with tf.init_scope(), exactly_on(device):
                self._loss_scales[device] = var, var.read_value()
        return self._loss_scales[device]

    def _mean_over_devices(self):
        """{device: buffers of the mean gradient of this round}, float32."""
        means = []
        for index, (device, gradients) in enumerate(self._devices.items()):
            with tf.name_scope('Mean%d' % index), exactly_on(device):
                means.append(self._mean_on_device(gradients))
        with tf.name_scope('AllSum'), exactly_on(next(iter(self._devices))):
            sums = reduction.all_sum(means)
        return OrderedDict(zip(self._devices, sums))

    def _mean_on_device(self, gradients):
        """One device's part of the mean gradient."""
        registrations = [
            self._packing.pack([_dense(grad, var) for grad, var in zip(grads, gradients)])
            for grads in zip(*gradients.values())
        ]
        totals = [tf.add_n(parts) if len(parts) > 1 else parts[0] for parts in zip(*registrations)]
        share = 1 / (len(registrations) * len(self._devices) * cluster.current().size)
        if share == 1 and not self.use_loss_scaling:
            return totals
        factor = self.undo_loss_scaling(tf.constant(share))
        return [total * factor for total in totals]

    def _count_rounds(self):
        """Whether this round is a step's last, and whether its only one; updates, variables."""
        if self.minibatch_multiplier is None:
            return tf.constant(True), tf.constant(True), [], []
        rounds = make_state_variable(self.scope, 'grad_acc_count', '/cpu:0', dtype=tf.int64)
        with exactly_on('/cpu:0'):
            before = rounds.read_value()
            is_last = before + 1 >= tf.cast(self.minibatch_multiplier, tf.int64)
            is_only = tf.logical_and(is_last, tf.equal(before, 0))
            update = rounds.assign(tf.where(is_last, tf.zeros_like(before), before + 1))
        return is_last, is_only, [update], [rounds]

    def _accumulate(self, gradients, is_last_round, is_only_round):
        """Add up the gradients of a step's rounds: (means so far by device, variables)."""
        means, variables = OrderedDict(), []
        for index, (device, values) in enumerate(gradients.items()):
            place = self.scope, 'grad_acc_var', device
            sums = [make_state_variable(*place, value.shape) for value in values]
            add_up = partial(self._add_up, sums, values, is_last_round)
            with tf.name_scope('Accumulate%d' % index), exactly_on(device):
                # Where there is but one round, as a rule, nothing is added or kept.
                means[device] = tf.cond(is_only_round, partial(list, values), add_up, strict=True)
            variables += sums
        return means, variables

    def _add_up(self, sums, values, is_last_round):
        """Add to the sums, which a step's last round sets to zero: what they are with it."""
        share = 1 / tf.cast(self.minibatch_multiplier, tf.float32)
        totals = [var.read_value() + value * share for var, value in zip(sums, values)]
        kept = [tf.where(is_last_round, tf.zeros_like(total), total) for total in totals]
        with tf.control_dependencies([var.assign(value) for var, value in zip(sums, kept)]):
            return [tf.identity(total) for total in totals]

    def _all_finite(self, gradients):
        """Whether all gradients of all devices are finite: one answer keeps replicas equal."""
        checks = []
        for index, (device, values) in enumerate(gradients.items()):
            with tf.name_scope('Finite%d' % index), exactly_on(device):
                checks.append(tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in values]))
        return tf.reduce_all(checks)

    def _apply_on_device(self, index, device, buffers, do_apply):
        """Update one replica if `do_apply`."""

        def apply():
            # Checkpoints know Adam's step counts by this scope, so it must be the same in any run.
            with tfutil.absolute_name_scope('%s/Apply%d' % (self.scope, index)):
                targets, values = self._devices[device], self._packing.unpack(buffers)
                grads = [tf.cast(grad, var.dtype.base_dtype) for grad, var in zip(values, targets)]
                return self._get_optimizer(device).apply_gradients(list(zip(grads, targets)))

        with exactly_on(device):
            return tf.cond(do_apply, apply, tf.no_op)

    def _update_loss_scales(self, is_last_round, is_finite):
        """Raise the loss scale after a step, lower it after a skipped one."""
        updates = []
        for index, (device, (var, value)) in enumerate(self._loss_scales.items()):
            with tf.name_scope('LossScaling%d' % index), exactly_on(device):
                change = tf.where(is_finite, *self._loss_scale_steps)
                change = tf.where(is_last_round, change, tf.zeros_like(change))
                updates.append(var.assign(value + change))
        return updates

    def _report(self, is_last_round, is_finite):
        """Count skipped steps; report them, the learning rate and the loss scale."""
        is_skipped = tf.logical_and(is_last_round, tf.logical_not(is_finite))
        count = make_state_variable(self.scope, 'skipped_steps', '/cpu:0', [2], tf.int64)
        self._skipped_steps = count
        with exactly_on('/cpu:0'):
            total, in_row = tf.unstack(count.read_value() + tf.cast(is_skipped, tf.int64))
            in_row *= 1 - tf.cast(tf.logical_and(is_last_round, is_finite), tf.int64)
            updates = [count.assign([total, in_row])]
        last_device = next(reversed(self._devices))
        with exactly_on(last_device):
            rate = tf.convert_to_tensor(self.learning_rate)
            updates.append(autosummary(self.id + '/learning_rate', rate))
            skipped, name = tf.cast(is_skipped, tf.float32), self.id + '/overflow_frequency'
            updates.append(autosummary(name, skipped, condition=is_last_round))
            if self.use_loss_scaling:
                scale = self._get_loss_scale(last_device)[1]
                updates.append(autosummary(self.id + '/loss_scaling_log2', scale))
        return updates


def check_options(what: str, options: Dict[str, Any], reserved: Iterable[str] = ()) -> None:
    """Raise UserError, one line, for an option that neither Optimizer nor its `tf_optimizer` takes.

    Args:
        what: where the options stand. reserved: options that the caller itself passes.
    """
    name = value_of(Optimizer, options, 'tf_optimizer')
    optimizer_class = function_of('tf_optimizer of ' + what, name)
    allowed = accepted(optimizer_class, options, also=named(Optimizer, options)[0])
    check_names(what, options, allowed, optimizer_class.__name__, reserved)


def _dense(grad, var):
    """A gradient as a float32 tensor; None: zeros."""
    return tf.cast(tf.zeros(var.shape) if grad is None else tf.convert_to_tensor(grad), tf.float32)


def _same(a: Any, b: Any) -> bool:
    """Whether two learning rates are one tensor or equal numbers."""
    return a is b or not (tfutil.is_tf_expression(a) or tfutil.is_tf_expression(b)) and a == b
