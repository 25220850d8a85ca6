"""The training graph: losses, optimizers and moving average of two networks on all devices."""

from typing import Any, Dict, Iterator, NamedTuple

import tensorflow.compat.v1 as tf

from dnnlib import tflib, util
from dnnlib.tflib import cluster, engine, random
from dnnlib.tflib.autosummary import autosummary
from dnnlib.util import UserError
from training import anatomy
from training.augmentation import adaptation
from training.data.reals import process_reals


class Step(NamedTuple):
    """One call of the session: TrainG, RegG, UpdateGs, TrainD, RegD or UpdateP."""

    name: str
    op: tf.Operation
    feed: Dict[tf.Tensor, Any]


class TrainGraph:
    """Everything that one training iteration runs, as official StyleGAN2 does it.

    An iteration steps G, then moves Gs, then steps D on the next real images. With lazy
    regularization (StyleGAN2, appendix B) the regularization terms have steps of their own, every
    so many iterations.

    Args:
        G, D, Gs: networks on the first device; the others get copies.
        training_set: data set, see `training.dataset`.
        G_loss_args, D_loss_args: dict(func_name=..., **kwargs) of the losses.
        G_opt_args, D_opt_args: options of the optimizers.
        num_gpus: number of devices of this worker.
        G_reg_interval, D_reg_interval: iterations between regularization steps, if
            `lazy_regularization`; otherwise the terms are part of the loss.
        G_smoothing_kimg: half-life of the running average of G's weights, in thousands of images.
        G_repeats: steps of G for each step of D.
        freeze_d: layers of D that are held, see `anatomy.first_layers`.
        process_reals_args: mirror_augment, drange_data, drange_net of `process_reals`.
        augment_args: options of `adaptation.settings`.

    Attributes:
        augmentation: what the discriminator looks through.
    """

    def __init__(
        self,
        G,
        D,
        Gs,
        training_set,
        G_loss_args: dict,
        D_loss_args: dict,
        G_opt_args: dict,
        D_opt_args: dict,
        lazy_regularization: bool,
        G_reg_interval: int,
        D_reg_interval: int,
        G_smoothing_kimg: float,
        process_reals_args: dict,
        G_repeats: int = 1,
        freeze_d: int = 0,
        num_gpus: int = 1,
        augment_args: dict = {},  # noqa: B006
    ):
        self.training_set = training_set
        self.num_gpus = num_gpus
        self._num_devices = num_gpus * cluster.current().size
        self._first_device = num_gpus * cluster.current().index
        self.augmentation = adaptation.Augmentation(adaptation.settings(**augment_args))
        self._G_repeats = G_repeats
        self._held = {name for own in anatomy.first_layers(D, freeze_d).values() for name in own}
        self._intervals = dict(G=G_reg_interval, D=D_reg_interval) if lazy_regularization else {}
        with tf.name_scope('Inputs'), tf.device('/cpu:0'):
            self._lod = tf.placeholder(tf.float32, [], 'lod_in')
            self._lrates = {n: tf.placeholder(tf.float32, [], n + '_lrate_in') for n in 'GD'}
            self._minibatch_size = tf.placeholder(tf.int32, [], 'minibatch_size_in')
            self._minibatch_gpu = tf.placeholder(tf.int32, [], 'minibatch_gpu_in')
            self._reals = tf.placeholder(tf.float32, [None] + training_set.shape, 'reals_in')
            self._labels = tf.placeholder(tf.float32, [None, training_set.label_size], 'labels_in')
            self._rounds = self._minibatch_size // (self._minibatch_gpu * self._num_devices)
            half_life = max(G_smoothing_kimg, 1e-9) * 1000.0  # images
            Gs_beta = 0.5 ** (tf.cast(self._minibatch_size, tf.float32) / half_life)
            images, labels = training_set.get_minibatch_tf()
            self._step = random.counter('training')
            with random.stream('reals', self._step):
                self._fetch = process_reals(images, labels, self._lod, **process_reals_args)

        self._optimizers: Dict[str, tflib.Optimizer] = {}
        for name, opt_args in [('G', G_opt_args), ('D', D_opt_args)]:
            self._make_optimizers(name, dict(opt_args))
        self._register_losses(G, D, G_loss_args, D_loss_args)
        self._update_p = self.augmentation.update(self._minibatch_size)
        self._ops = {
            name: optimizer.apply_updates(allow_no_op=name.startswith('Reg'))
            for name, optimizer in self._optimizers.items()
        }
        with tf.device(engine.device(0)):
            self._update_Gs = Gs.setup_as_moving_average_of(G, beta=Gs_beta)
        tflib.init_uninitialized_vars()

    def _make_optimizers(self, name, opt_args):
        """The optimizer of a network, and that of its lazy regularization with the same state."""
        lrate = self._lrates[name]
        if name in self._intervals:
            # Appendix B: as many steps more, so the rates are lowered to have the same effect.
            ratio = self._intervals[name] / (self._intervals[name] + 1)
            lrate = lrate * ratio
            for beta in ['beta1', 'beta2']:
                if beta in opt_args:
                    opt_args[beta] **= ratio
        common = dict(opt_args, learning_rate=lrate, minibatch_multiplier=self._rounds)
        train = tflib.Optimizer(name='Train' + name, **common)
        self._optimizers['Train' + name] = train
        self._optimizers['Reg' + name] = tflib.Optimizer(name='Reg' + name, share=train, **common)

    def _register_losses(self, G, D, G_loss_args, D_loss_args):
        with tf.device('/cpu:0'):
            reals = tf.split(self._reals, self.num_gpus)
            labels = tf.split(self._labels, self.num_gpus)
        for index in range(self.num_gpus):
            number = self._first_device + index
            draws = random.stream('training', self._step, number)
            with tf.name_scope('GPU%d' % index), tf.device(engine.device(index)), draws:
                device_G = G if index == 0 else G.clone('G_shadow')
                device_D = D if index == 0 else D.clone('D_shadow')
                lods = [anatomy.lod(net) for net in (device_G, device_D)]
                set_lod = [tf.assign(lod, self._lod) for lod in lods if lod is not None]
                seen_D = self.augmentation.look(device_D, reals[index], number)
                common = dict(G=device_G, D=seen_D, training_set=self.training_set)
                common.update(minibatch_size=self._minibatch_gpu)
                with tf.control_dependencies(set_lod):
                    with tf.name_scope('G_loss'):
                        common.update(opt=self._optimizers['TrainG'])
                        terms = util.call_func_by_name(**common, **G_loss_args)
                        self._register('G', device_G, *terms)
                    with tf.name_scope('D_loss'):
                        common.update(opt=self._optimizers['TrainD'])
                        common.update(reals=reals[index], labels=labels[index])
                        terms = util.call_func_by_name(**common, **D_loss_args)
                        self._register('D', device_D, *terms)

    def _register(self, name, net, loss, reg):
        trainables = net.trainables
        if name == 'D':
            trainables = [var for key, var in trainables.items() if key not in self._held]
        loss = tf.reduce_mean(autosummary('Loss/' + name, loss))
        if reg is not None:
            reg = tf.reduce_mean(autosummary('Loss/%s_reg' % name, reg))
            if name in self._intervals:
                reg *= self._intervals[name]
                self._optimizers['Reg' + name].register_gradients(reg, trainables)
            else:
                loss += reg
        self._optimizers['Train' + name].register_gradients(loss, trainables)

    def reset_optimizer_state(self) -> None:
        """Forget the moments of both networks' optimizers."""
        for name in ['TrainG', 'TrainD']:
            self._optimizers[name].reset_optimizer_state()

    def refuse_stateful_randomness(self) -> None:
        """Raise UserError if a step draws random numbers that a resumed run could not repeat."""
        for op in random.stateful_ops([self._fetch, self._ops, self._update_Gs]):
            text = (
                'op %s (%s) draws random numbers that no seed repeats after an interruption; '
                'draw by dnnlib.tflib.random'
            )
            raise UserError(text % (op.name, op.type))

    def skipped_steps(self) -> int:
        """Steps left out so far because a gradient was not finite."""
        return sum(optimizer.get_skipped_steps() for optimizer in self._optimizers.values())

    def steps_skipped_in_row(self) -> Dict[str, int]:
        """By optimizer, steps left out since the last one that was taken; fast."""
        return {name: o.get_skipped_steps(in_row=True) for name, o in self._optimizers.items()}

    def steps(self, sched, counter: int) -> Iterator[Step]:
        """The steps of one iteration, in their order, to be run one by one.

        Real images are read between the steps, in the default session.

        Args:
            sched: state of the schedule: lod, G_lrate, D_lrate, minibatch_size, minibatch_gpu.
            counter: number of iterations before; says which regularization steps are due.

        Raises:
            UserError: a record of the data set is broken.
        """
        feed = {self._lod: sched.lod, self._minibatch_size: sched.minibatch_size}
        feed[self._minibatch_gpu] = sched.minibatch_gpu
        for name, lrate in self._lrates.items():
            feed[lrate] = getattr(sched, name + '_lrate')
        rounds = sched.minibatch_size // (sched.minibatch_gpu * self._num_devices)
        is_due = {name: counter % interval == 0 for name, interval in self._intervals.items()}

        for _ in range(rounds * self._G_repeats):
            yield Step('TrainG', self._ops['TrainG'], feed)
        if is_due.get('G'):
            for _ in range(rounds):
                yield Step('RegG', self._ops['RegG'], feed)
        yield Step('UpdateGs', self._update_Gs, feed)
        for _ in range(rounds):
            with self.training_set.reading_errors():
                reals, labels = tflib.run(self._fetch, feed)
            feed = {**feed, self._reals: reals, self._labels: labels}
            yield Step('TrainD', self._ops['TrainD'], feed)
        if is_due.get('D'):
            for _ in range(rounds):  # all on the last round's reals, as official StyleGAN2 does
                yield Step('RegD', self._ops['RegD'], feed)
        if self._update_p is not None and (counter + 1) % adaptation.INTERVAL == 0:
            yield Step('UpdateP', self._update_p, feed)
