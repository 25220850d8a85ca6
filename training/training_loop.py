"""The training loop: networks, schedule, snapshots and metrics of one run."""

import os
from typing import List, Optional

import numpy as np
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import cli, tflib
from dnnlib.bars import timed
from dnnlib.hints import next_command
from dnnlib.tflib import engine, precision, random
from dnnlib.util import UserError
from metrics.metric_base import MetricGroup
from training import first_networks, misc, option_groups, step_check
from training.data.opening import load_dataset
from training.data.reals import process_reals  # noqa: F401 - official name
from training.health import Health
from training.progress import Progress
from training.schedule import training_schedule
from training.train_graph import TrainGraph


def training_loop(
    G_args: dict = {},  # noqa: B006
    D_args: dict = {},  # noqa: B006
    G_opt_args: dict = {},  # noqa: B006
    D_opt_args: dict = {},  # noqa: B006
    G_loss_args: dict = {},  # noqa: B006
    D_loss_args: dict = {},  # noqa: B006
    dataset_args: dict = {},  # noqa: B006
    sched_args: dict = {},  # noqa: B006
    grid_args: dict = {},  # noqa: B006
    metric_arg_list: List[dict] = [],  # noqa: B006
    tf_config: dict = {},  # noqa: B006
    data_dir: Optional[str] = None,
    G_smoothing_kimg: float = 10.0,
    minibatch_repeats: int = 4,
    G_repeats: int = 1,
    lazy_regularization: bool = True,
    G_reg_interval: int = 4,
    D_reg_interval: int = 16,
    reset_opt_for_new_lod: bool = True,
    total_kimg: float = 25000,
    mirror_augment: bool = False,
    drange_net=(-1, 1),
    image_snapshot_ticks: Optional[int] = 50,
    network_snapshot_ticks: Optional[int] = 50,
    save_tf_graph: bool = False,
    save_weight_histograms: bool = False,
    resume_pkl: Optional[str] = None,
    resume_kimg: float = 0.0,
    resume_time: float = 0.0,
    resume_with_new_nets: bool = False,
    init_from: Optional[str] = None,
    freeze_d: int = 0,
) -> None:
    """Train a generator and a discriminator in the current run folder.

    Args:
        G_args, D_args, G_loss_args, D_loss_args: dict(func_name=..., **kwargs).
        G_opt_args, D_opt_args: options of `tflib.Optimizer`. dataset_args: of `load_dataset`.
            sched_args: of `training_schedule`. grid_args: of `setup_snapshot_image_grid`.
                tf_config: of `tflib.init_tf`.
        metric_arg_list: metrics to evaluate at each network snapshot.
        G_smoothing_kimg: half-life of the running average of the generator's weights, in thousands
            of images.
        minibatch_repeats: iterations between looks at the schedule.
        G_repeats: steps of the generator for each step of the discriminator.
        total_kimg: length of the training, in thousands of real images shown to the discriminator.
        image_snapshot_ticks, network_snapshot_ticks: ticks between snapshots; None: none but the
            last.
        resume_pkl: networks to go on from; resume_kimg, resume_time: where they were, for schedule
            and log.
        resume_with_new_nets: build new networks and copy all of equal name, instead of using those
            of the file.
        init_from: network file or URL whose weights new networks begin with, as far as they fit,
            see `transfer`. freeze_d: layers of the discriminator that are held, from the image on,
                see `anatomy.first_layers`.

    Files: reals.png, fakes_init.png, fakes<kimg>.png, network-snapshot-<kimg>.pkl,
    network-final.pkl, stats.jsonl and TensorBoard events. Ctrl-C and a file abort.txt in the run
    folder end the training.

    Raises:
        UserError: an option that no part takes, see `option_groups`; a broken data set; others.
    """
    option_groups.check(dict(locals()))
    assert dnnlib.submit_config is not None, 'training takes place in a run: dnnlib.submit_run'
    num_gpus = dnnlib.submit_config.num_gpus
    tflib.init_tf(dict(logical_devices(num_gpus), **tf_config))
    step_check.ensure()
    training_set = load_dataset(data_dir=data_dir, verbose=True, **dataset_args)
    grid_size, grid_reals, grid_labels = misc.setup_snapshot_image_grid(training_set, **grid_args)
    misc.save_image_grid(
        grid_reals,
        dnnlib.make_run_dir_path('reals.png'),
        drange=training_set.dynamic_range,
        grid_size=grid_size,
        scale=None,
    )

    with tf.device(engine.device(0)):
        G, D, Gs = first_networks.make_networks(
            training_set, G_args, D_args, resume_pkl, resume_with_new_nets, init_from
        )
    G.print_layers()
    D.print_layers()
    words = [precision.in_words(net.static_kwargs.get('precision', 'float32')) for net in (G, D)]
    print('Precision: %s' % ', '.join('%s %s' % pair for pair in zip('GD', words)))
    final_sched = training_schedule(int(total_kimg * 1000), training_set, **sched_args)
    snapshots = _Snapshots(dnnlib.make_run_dir_path())
    num_ticks = (total_kimg - resume_kimg) / final_sched.tick_kimg
    snapshots.check_disk(
        (G, D, Gs), 2 + int(num_ticks / network_snapshot_ticks) if network_snapshot_ticks else 1
    )
    grid_latents = random.generator('grid').randn(np.prod(grid_size), *G.input_shape[1:])

    def save_fakes(filename):
        fakes = Gs.run(
            grid_latents, grid_labels, is_validation=True, minibatch_size=final_sched.minibatch_gpu
        )
        path = dnnlib.make_run_dir_path(filename)
        misc.save_image_grid(fakes, path, drange_net, grid_size, scale=None)
        return fakes

    with timed('Generating fakes_init.png'):
        save_fakes('fakes_init.png')

    with timed('Building TensorFlow graph'):
        graph = TrainGraph(
            G,
            D,
            Gs,
            training_set,
            G_loss_args=G_loss_args,
            D_loss_args=D_loss_args,
            G_opt_args=G_opt_args,
            D_opt_args=D_opt_args,
            num_gpus=num_gpus,
            lazy_regularization=lazy_regularization,
            G_reg_interval=G_reg_interval,
            D_reg_interval=D_reg_interval,
            G_smoothing_kimg=G_smoothing_kimg,
            G_repeats=G_repeats,
            freeze_d=freeze_d,
            process_reals_args=dict(
                mirror_augment=mirror_augment,
                drange_net=drange_net,
                drange_data=training_set.dynamic_range,
            ),
        )
    graph.refuse_stateful_randomness()

    print('Initializing logs...')
    cur_nimg, total_nimg = int(resume_kimg * 1000), int(total_kimg * 1000)
    run_dir = dnnlib.make_run_dir_path()
    progress = Progress(run_dir, cur_nimg, total_nimg, resume_time, network_snapshot_ticks)
    progress.add_images('Images/reals', grid_reals, training_set.dynamic_range, grid_size, cur_nimg)
    if save_tf_graph:
        progress.writer.add_graph(tf.get_default_graph())
    if save_weight_histograms:
        G.setup_weight_histograms()
        D.setup_weight_histograms()
    metrics = MetricGroup(metric_arg_list)
    health = Health(G, D, Gs, final_sched.minibatch_gpu)

    print('Training for %g kimg...\n' % total_kimg)
    context = dnnlib.RunContext.get()
    cur_tick, counter, is_done = 0, 0, cur_nimg >= total_nimg
    prev_lod, prev_stream = -1.0, None
    try:
        while not is_done:
            sched = training_schedule(cur_nimg, training_set, **sched_args)
            stream = sched.minibatch_gpu * num_gpus, int(sched.lod)
            if stream != prev_stream:  # the order of images goes on from where it was
                training_set.configure(*stream, position=cur_nimg)
                prev_stream = stream
            if reset_opt_for_new_lod and (
                np.floor(sched.lod) != np.floor(prev_lod) or np.ceil(sched.lod) != np.ceil(prev_lod)
            ):
                graph.reset_optimizer_state()
            prev_lod = sched.lod
            tick_end = progress.ensure_tick(cur_nimg, sched.tick_kimg)
            for _ in range(minibatch_repeats):
                for step in graph.steps(sched, counter):
                    tflib.run(step.op, step.feed)
                counter += 1
                cur_nimg += sched.minibatch_size
                progress.update(sched.minibatch_size)

            is_done = cur_nimg >= total_nimg or context.should_stop()
            # The first tick is short, so that a user soon sees that all is well.
            if not (is_done or cur_tick == 0 or cur_nimg >= tick_end):
                continue
            progress.end_tick(
                cur_tick,
                cur_nimg,
                sched,
                graph.skipped_steps(),
                health.examine,
            )
            reason = health.reason_to_stop()
            if reason:
                raise UserError(
                    'training cannot go on: %s after %.1f kimg; %s; choose a smaller learning rate '
                    'or --gamma, or go on from a snapshot by --set resume_pkl=FILE'
                    % (reason, cur_nimg / 1000, snapshots.describe())
                )
            if image_snapshot_ticks and (is_done or cur_tick % image_snapshot_ticks == 0):
                fakes = save_fakes('fakes%06d.png' % (cur_nimg // 1000))
                progress.add_images('Images/fakes', fakes, drange_net, grid_size, cur_nimg)
            if network_snapshot_ticks and (is_done or cur_tick % network_snapshot_ticks == 0):
                metrics.run(
                    snapshots.save((G, D, Gs), 'network-snapshot-%06d.pkl' % (cur_nimg // 1000)),
                    run_dir=run_dir,
                    data_dir=data_dir,
                    num_gpus=num_gpus,
                    tf_config=tf_config,
                    raise_errors=False,
                )
                metrics.update_autosummaries()
                progress.add_to_tick(cur_nimg)
            context.update(cur_epoch=cur_nimg / 1000, max_epoch=total_kimg)
            cur_tick += 1
    except KeyboardInterrupt:
        progress.close()
        print('Interrupted after %.1f kimg; %s' % (cur_nimg / 1000, snapshots.describe()))
        raise
    finally:
        progress.close()
    snapshots.save((G, D, Gs), 'network-final.pkl')
    training_set.close()
    print(snapshots.describe())
    for line in snapshots.next_commands():
        print(line)


class _Snapshots:
    """The network pickles of a run."""

    def __init__(self, run_dir):
        self._run_dir = run_dir
        self.last = None

    def check_disk(self, networks, number):
        """Raise UserError if the disk does not hold two of `number` snapshots, warn if not all."""
        numbers = sum(var.shape.num_elements() for net in networks for var in net.vars.values())
        cli.check_space(self._run_dir, min(number, 2), min(number, 2) * 4 * numbers, 'snapshots')
        try:
            cli.check_space(self._run_dir, number, number * 4 * numbers, 'snapshots')
        except UserError as error:
            print('Warning: %s' % error)

    def save(self, networks, filename):
        path = os.path.join(self._run_dir, filename)
        misc.save_pkl(networks, path)
        self.last = path
        return path

    def next_commands(self):
        """Lines with commands for the networks of this run."""
        network = '--network=%s' % self.last
        few = [] if engine.gpu_devices() else ['--num-samples=1000']
        return [
            next_command('run_generator.py', 'generate-images', '--seeds=0-9', network),
            next_command('run_metrics.py', '--metrics=all-local', *few, network),
        ]

    def describe(self):
        return 'last snapshot: %s' % self.last if self.last else 'there is no snapshot yet'


def logical_devices(num_gpus: int) -> dict:
    """Session options that let CPUs stand in for several GPUs where there is none."""
    return {} if engine.gpu_devices() or num_gpus == 1 else {'device_count.CPU': num_gpus}
