"""The training loop: networks, schedule, snapshots and metrics of one run."""

import contextlib
import inspect
import os
from functools import partial
from typing import List, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import endings, tflib
from dnnlib.bars import timed
from dnnlib.tflib import autosummary, cluster, engine, precision, random
from dnnlib.util import UserError
from metrics.metric_base import MetricGroup, follow_metrics
from training import first_networks, misc, option_groups, run_options, step_check, tracking
from training.checkpoints import (
    CannotGoOn,
    Checkpoints,
    Growing,
    identity,
    newest_of_all,
    prepare,
    telling_how_to_go_on,
)
from training.data.opening import load_dataset, load_held_out
from training.data.reals import process_reals  # noqa: F401 - official name
from training.following import agree, end_if, follow, tell_run_dir
from training.health import Health, reason_without_gradients, stddev_of_fakes
from training.iterations import Iterations
from training.progress import Progress
from training.schedule import training_schedule
from training.snapshots import Snapshots
from training.symptoms import Symptoms
from training.train_graph import TrainGraph
from training.validation import Validation

_ITERATIONS_PER_LOOK = 20  # at the number of steps that were skipped


@telling_how_to_go_on()
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
    checkpoint_minutes: float = 10.0,
    keep_snapshots: Optional[int] = None,
    best: Optional[str] = None,
    init_from: Optional[str] = None,
    freeze_d: int = 0,
    track: Sequence[str] = (),
    augment_args: dict = {},  # noqa: B006
) -> None:
    """Train a generator and a discriminator in the current run folder.

    Where the folder holds a state, training goes on from it, on a CPU to the last bit as if it had
    not been interrupted.

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
        augment_args: of `adaptation.settings`.
        checkpoint_minutes: time between states; each snapshot and the end have one, too.
        keep_snapshots: how many of the last snapshots are kept; None: all.
        best: metric or result by which network-best.pkl is chosen; None: the first one.
        track: names of trackers that get figures, grids and options, see `tracking`.

    Files: reals.png, fakes_init.png, fakes<kimg>.png, network-snapshot-<kimg>.pkl,
    network-final.pkl, network-best.pkl, best.json, metric-*, state-<iterations>.bin (the last two),
    stats.jsonl and TensorBoard events. SIGUSR1 asks for a state; Ctrl-C and SIGTERM end training
    with one, a file abort.txt in the run folder at the end of a tick.

    Raises:
        UserError: an option that no part takes, see `option_groups`; a broken data set; others.
    """
    options = dict(locals())
    option_groups.check(options)
    assert dnnlib.submit_config is not None, 'training takes place in a run: dnnlib.submit_run'
    workers = cluster.current()
    num_gpus = dnnlib.submit_config.num_gpus // workers.size
    run_dir = tell_run_dir()
    last_state = newest_of_all(run_dir)
    is_new = last_state is None and workers.is_chief
    tflib.init_tf(dict(engine.logical_devices(num_gpus), **tf_config))
    step_check.ensure()
    metrics = MetricGroup(metric_arg_list)
    snapshots = Snapshots(run_dir, keep_snapshots, metrics.best(run_dir, best))
    training_set = load_dataset(data_dir=data_dir, verbose=True, **dataset_args)
    about = identity(_fixed(options), training_set.fingerprint())
    growing = Growing(run_dir, [metric.name for metric in metrics.metrics])
    if workers.is_chief:
        prepare(growing, last_state, about, num_gpus)
    trackers = tracking.Tracking(run_dir, track if workers.is_chief else [], options)
    grid_size, grid_reals, grid_labels = misc.setup_snapshot_image_grid(training_set, **grid_args)
    if is_new:
        misc.save_image_grid(
            grid_reals,
            os.path.join(run_dir, 'reals.png'),
            drange=training_set.dynamic_range,
            grid_size=grid_size,
            scale=None,
        )

    with tf.device(engine.device(0)):
        G, D, Gs = first_networks.make_networks(
            training_set,
            G_args,
            D_args,
            resume_pkl,
            resume_with_new_nets,
            init_from if last_state is None else None,
        )
    G.print_layers()
    D.print_layers()
    words = [precision.in_words(net.static_kwargs.get('precision', 'float32')) for net in (G, D)]
    print('Precision: %s' % ', '.join('%s %s' % pair for pair in zip('GD', words)))

    def schedule(nimg):
        return training_schedule(nimg, training_set, **sched_args)

    total_nimg = int(total_kimg * 1000)
    final_sched = schedule(total_nimg)
    num_ticks = (total_kimg - resume_kimg) / final_sched.tick_kimg
    if workers.is_chief:
        snapshots.check_disk(
            (G, D, Gs), 2 + int(num_ticks / network_snapshot_ticks) if network_snapshot_ticks else 1
        )
    grid_latents = random.generator('grid').randn(np.prod(grid_size), *G.input_shape[1:])

    def make_fakes():
        options = dict(is_validation=True, minibatch_size=final_sched.minibatch_gpu)
        return Gs.run(grid_latents, grid_labels, **options)

    if is_new:
        with timed('Generating fakes_init.png'):
            path = os.path.join(run_dir, 'fakes_init.png')
            misc.save_image_grid(make_fakes(), path, drange_net, grid_size, scale=None)

    reals_args = dict(
        mirror_augment=mirror_augment,
        drange_net=drange_net,
        drange_data=training_set.dynamic_range,
    )
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
            augment_args=augment_args,
            process_reals_args=reals_args,
        )
        held_out = load_held_out(training_set, data_dir, dataset_args)
        size = final_sched.minibatch_gpu
        validation = Validation(D, graph.augmentation, held_out, size, reals_args)
    graph.refuse_stateful_randomness()
    if save_weight_histograms:
        G.setup_weight_histograms()
        D.setup_weight_histograms()
    iterations = Iterations(
        graph, schedule, minibatch_repeats, reset_opt_for_new_lod, int(resume_kimg * 1000)
    )
    if not workers.is_chief:
        is_done = last_state is None and iterations.nimg >= total_nimg
        evaluate = partial(follow_metrics, data_dir, num_gpus, tf_config)
        follow(iterations, last_state, about, num_gpus, is_done, evaluate)
        return
    health = Health(G, D, Gs, final_sched.minibatch_gpu)
    reals = misc.adjust_dynamic_range(grid_reals, training_set.dynamic_range, drange_net)
    symptoms = Symptoms(graph.augmentation.settings, stddev_of_fakes(reals))
    where = iterations.nimg, total_nimg, resume_time
    progress = Progress(run_dir, *where, network_snapshot_ticks, symptoms)
    checkpoints = Checkpoints(
        run_dir,
        checkpoint_minutes,
        dict(iterations=iterations, progress=progress, health=health, snapshots=snapshots),
        about,
        num_gpus,
        growing,
        trackers.send,
    )
    checkpoints.check_disk()
    if last_state is None:
        nimg = iterations.nimg
        progress.add_images('Images/reals', grid_reals, training_set.dynamic_range, grid_size, nimg)
        if save_tf_graph:
            progress.writer.add_graph(tf.get_default_graph())
    else:
        checkpoints.restore(last_state)
        snapshots.remove_final()
        print('Going on after %s.' % iterations)

    context = dnnlib.RunContext.get()

    def is_due(ticks):
        return bool(ticks) and (is_done or iterations.tick % ticks == 0)

    def look_at_gradients():
        reason = reason_without_gradients(graph.steps_skipped_in_row())
        if reason:
            raise CannotGoOn(reason)

    def end_tick():
        """Report, and save pictures and networks where they are due."""
        nimg, skipped_steps = iterations.nimg, graph.skipped_steps()
        graph.augmentation.report()
        validation.measure()
        progress.end_tick(iterations.tick, nimg, iterations.sched, skipped_steps, health.examine)
        reason = health.reason_to_stop()
        if reason:
            raise CannotGoOn(reason)
        if is_due(image_snapshot_ticks):
            fakes = make_fakes()
            progress.save_grid('fakes%06d.png' % (nimg // 1000), fakes, drange_net, grid_size)
            progress.add_images('Images/fakes', fakes, drange_net, grid_size, nimg)
        if is_due(network_snapshot_ticks):
            metrics.run(
                snapshots.save((G, D, Gs), 'network-snapshot-%06d.pkl' % (nimg // 1000)),
                run_dir=run_dir,
                data_dir=data_dir,
                num_gpus=num_gpus,
                tf_config=tf_config,
                raise_errors=False,
            )
            snapshots.oldest_state_kimg = checkpoints.oldest_nimg / 1000
            snapshots.settle()
            metrics.update_autosummaries()
            progress.add_to_tick(nimg)
        context.update(cur_epoch=nimg / 1000, max_epoch=total_kimg)
        iterations.tick += 1

    print('Training for %g kimg...\n' % total_kimg)
    is_done = last_state is None and iterations.nimg >= total_nimg
    # Whether the iteration at hand is done: a state is taken before what a tick ends with.
    is_run = last_state is not None
    try:
        while not is_done:
            with endings.deferred(raises=workers.size == 1):
                if not is_run:
                    iterations.look_at_schedule()
                tick_end = progress.ensure_tick(iterations.nimg, iterations.sched.tick_kimg)
                if not is_run:
                    progress.update(iterations.run())
                    if iterations.count % _ITERATIONS_PER_LOOK == 0:
                        look_at_gradients()
                ends_tick = False
                if iterations.is_between_blocks():
                    is_done = iterations.nimg >= total_nimg or context.should_stop()
                    # The first tick is short, so that a user soon sees that all is well.
                    is_first = iterations.tick == 0
                    ends_tick = is_done or is_first or iterations.nimg >= tick_end
                saves = ends_tick and (
                    is_done or is_due(image_snapshot_ticks) or is_due(network_snapshot_ticks)
                )
                takes = not is_run and (saves or checkpoints.is_due())
                evaluates = ends_tick and is_due(network_snapshot_ticks) and bool(metrics.metrics)
                flags = dict(reports=ends_tick, evaluates=evaluates, is_done=is_done)
                agreed = agree(saves=takes, **flags)
                if agreed['saves']:
                    with _when_asked_to_end():
                        checkpoints.take(iterations)
                is_run = False
                end_if(agreed)
                if ends_tick:
                    autosummary.gather()
                if ends_tick and not saves:
                    end_tick()
            if saves:  # may be interrupted: a resumed run does it again
                end_tick()
        workers.leave()
        checkpoints.wait()
    except CannotGoOn as error:
        checkpoints.give_up()
        text = (
            'training cannot go on: %s after %s; %s, %s; choose a smaller '
            'learning rate or --gamma, or begin with a snapshot by --init-from'
        )
        values = error, iterations, checkpoints.describe(), snapshots.describe()
        raise UserError(text % values)
    except BaseException as error:
        progress.close()
        checkpoints.give_up()
        trackers.close()
        ending = endings.ending_in(error)
        if ending is not None:
            word = endings.line_of(ending).rstrip('.')
            print('%s after %s; %s' % (word, iterations, snapshots.describe()))
        raise
    finally:
        progress.close()
    snapshots.save((G, D, Gs), 'network-final.pkl')
    training_set.close()
    trackers.close(has_finished=True)
    print(snapshots.describe())
    for line in snapshots.next_commands():
        print(line)


@contextlib.contextmanager
def _when_asked_to_end():
    """Around taking a state: a disk in its way does not change how a run ends that is to end."""
    try:
        yield
    except UserError as error:
        if not endings.pending():
            raise
        print('Warning: %s' % error)


def _fixed(options):
    """Options that a resumed run must have again, but those that are as nobody chose them."""
    parameters = inspect.signature(training_loop).parameters
    fixed = run_options.fixed(options).items()
    return {name: value for name, value in fixed if value != parameters[name].default}
