"""A training run from data set to final pickle, and what becomes of it when something fails."""

import collections
import errno
import glob
import json
import os
import re

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import disk_errors, tflib
from dnnlib.util import UserError
from training import configs, misc, train_graph
from training.data.tfrecord_exporter import TFRecordExporter

TINY_DCGAN = {
    'G_args.fmap_base': 64,
    'G_args.fmap_max': 8,
    'D_args.fmap_base': 64,
    'D_args.fmap_max': 8,
    'G_args.latent_size': 8,
    'sched_args.minibatch_size_base': 8,
    'sched_args.minibatch_gpu_base': 4,
    'sched_args.tick_kimg_base': 0.032,
    'sched_args.tick_kimg_dict': {},
    'grid_args.size': 'one',
    'image_snapshot_ticks': 1,
    'network_snapshot_ticks': 1,
    'total_kimg': 0.1,
    'metric_arg_list': [],
    'tf_config': {'rnd.np_random_seed': 1000},
}
TINY = dict(
    TINY_DCGAN,
    **{'G_args.dlatent_size': 8, 'G_args.mapping_fmaps': 8, 'G_args.mapping_layers': 2},
)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    """Data sets of 32 images, each of one colour: 'tiny' of 8x8, 'tiny16' of 16x16."""
    folder = tmp_path_factory.mktemp('data')
    for name, size in [('tiny', 8), ('tiny16', 16)]:
        with TFRecordExporter(str(folder / name), 32) as exporter:
            for index in range(32):
                exporter.add_image(np.full([3, size, size], index * 8, np.uint8))
    return str(folder)


@pytest.fixture
def train(session, data_dir, tmp_path):
    """A function that trains with changed options in a graph of its own; returns the folder."""

    def run(config='config-e-bald', num_gpus=1, dataset='tiny', **changes):
        tiny = TINY_DCGAN if config.startswith('dcgan') else TINY
        options = configs.resolve(
            config, tiny, {key.replace('__', '.'): value for key, value in changes.items()}
        )
        options.update(data_dir=data_dir, dataset_args=dict(tfrecord_dir=dataset, seed=0))
        submit_config = dnnlib.SubmitConfig()
        submit_config.num_gpus = num_gpus
        submit_config.run_dir_root = str(tmp_path)
        submit_config.run_desc = 'test'
        with tf.Graph().as_default(), tflib.create_session(
            {'device_count.CPU': num_gpus}
        ).as_default():
            return dnnlib.submit_run(
                submit_config, 'training.training_loop.training_loop', **options
            ).run_dir

    return run


def read_stats(run_dir):
    with open(os.path.join(run_dir, 'stats.jsonl')) as file:
        return [json.loads(line) for line in file]


def test_a_run_leaves_pictures_pickles_and_figures(train, capsys):
    run_dir = train('config-e-fr')
    files = sorted(os.listdir(run_dir))
    for name in [
        'reals.png',
        'fakes_init.png',
        'fakes000000.png',
        'network-snapshot-000000.pkl',
        'network-final.pkl',
        'log.txt',
        'stats.jsonl',
        '_finished.txt',
    ]:
        assert name in files
    assert any(name.startswith('events.out.tfevents') for name in files)
    (events,) = glob.glob(os.path.join(run_dir, 'events*'))
    shown = [
        (event.step, value.tag)
        for event in tf.train.summary_iterator(events)
        for value in event.summary.value
        if value.HasField('image')
    ]
    fakes = [(nimg, 'Images/fakes') for nimg in (32, 64, 96, 128)]
    assert shown == [(0, 'Images/reals')] + fakes
    assert not [name for name in files if 'tmp' in name]
    assert PIL.Image.open(os.path.join(run_dir, 'reals.png')).size == (256, 256)

    stats = read_stats(run_dir)
    assert [s['Progress/tick'] for s in stats] == list(range(len(stats)))
    assert [s['Progress/kimg'] for s in stats] == [0.032, 0.064, 0.096, 0.128]
    for name in [
        'Loss/G',
        'Loss/D',
        'Loss/pl_lengths',
        'Loss/gradient_penalty',
        'Resources/process_mem_gb',
        'Timing/img_per_sec',
    ]:
        assert np.isfinite(stats[0][name])
    assert stats[-1]['Progress/skipped_steps'] == 0
    lines = [x for x in capsys.readouterr().out.split('\n') if x.startswith('tick ')]
    assert len(lines) == len(stats)
    assert re.match(r'tick 3 +kimg 0\.1 +100% +\d+s ', lines[-1])

    G, D, Gs = misc.load_pkl(os.path.join(run_dir, 'network-final.pkl'))
    assert D.output_shape == [None, 1]
    # All variables that start at zero have moved, and the average lags behind.
    for name in ['G_mapping/Dense0/bias', 'G_synthesis/8x8/Conv1/FR/alpha_logit', 'dlatent_avg']:
        assert np.all(np.abs(G.get_var(name)) > 0)
    name = 'G_synthesis/8x8/Conv1/bias'
    assert 0 < np.linalg.norm(Gs.get_var(name)) < np.linalg.norm(G.get_var(name))
    assert Gs.run(np.zeros([2, 8]), None).shape == (2, 3, 8, 8)


def test_the_figures_of_a_snapshot_are_in_its_own_tick_the_last_one_too(train):
    metric = dict(func_name='metrics.metric_base.DummyMetric', name='dummy')
    run_dir = train(metric_arg_list=[metric], network_snapshot_ticks=2, image_snapshot_ticks=None)
    stats = read_stats(run_dir)
    assert len(stats) == 4
    assert ['Metrics/dummy' in line for line in stats] == [True, False, True, True]
    assert not glob.glob(os.path.join(run_dir, '*best*'))  # nobody knows which way is better


def test_the_last_snapshots_and_the_best_network_are_kept(train, capsys):
    metrics = [
        dict(func_name='metrics.metric_base.DummyMetric', name=name) for name in ('swd16k', 'is50k')
    ]
    with pytest.raises(UserError, match='--best=fid50k is no result .* swd16k_avg, is50k_mean'):
        train(metric_arg_list=metrics, best='fid50k', total_kimg=0.03)
    metrics[0]['name'] = 'fid50k'
    run_dir = train(
        'dcgan',
        metric_arg_list=metrics,
        keep_snapshots=1,
        total_kimg=1.1,
        sched_args__minibatch_size_base=64,
        sched_args__minibatch_gpu_base=64,
        sched_args__tick_kimg_base=1,
    )
    assert sorted(os.path.basename(path) for path in glob.glob(run_dir + '/network*.pkl')) == [
        'network-best.pkl',
        'network-final.pkl',
        'network-snapshot-000001.pkl',
    ]
    # All figures are 0: the first snapshot, of the first short tick, is the best.
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('new best')]
    assert lines == ['new best: fid50k 0, network-best.pkl']
    with open(os.path.join(run_dir, 'best.json')) as file:
        assert json.load(file)['snapshot'] == 'network-snapshot-000000.pkl'
    assert len(misc.load_pkl(os.path.join(run_dir, 'network-best.pkl'))) == 3


def test_dcgan_is_trained_with_two_generator_steps_for_each_of_the_discriminator(
    train, monkeypatch, capsys
):
    counts = collections.Counter()
    original = train_graph.TrainGraph.steps

    def steps(self, sched, counter):
        for step in original(self, sched, counter):
            counts[step.name] += 1
            yield step

    monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)
    run_dir = train('dcgan-fr', total_kimg=0.06)
    assert counts == {'TrainG': 32, 'UpdateGs': 8, 'TrainD': 16}  # 8 iterations of 2 rounds

    stats = read_stats(run_dir)[-1]
    assert np.isfinite([stats['Loss/G'], stats['Loss/D'], stats['Progress/fakes_stddev']]).all()
    assert stats['Progress/skipped_steps'] == 0
    assert 0.4 < stats['FR/4x4/alpha'] < 0.6 and 0.9 < stats['FR/4x4/strength'] < 1.1
    alpha_and_r = r'  0\.\d\d\.\.0\.\d\d  +[01]\.\d\d\.\.[01]\.\d\d'
    assert re.search(alpha_and_r, capsys.readouterr().out)
    G, D, Gs = misc.load_pkl(os.path.join(run_dir, 'network-final.pkl'))
    for name in ['4x4/BatchNorm/moving_mean', '4x4/BatchNorm/moving_variance']:
        assert np.all(G.get_var(name) != (1 if name.endswith('variance') else 0))
    assert Gs.run(np.zeros([2, 8]), None).shape == (2, 3, 8, 8)


def test_other_architectures_train(train):
    run_dir = train('config-e-Gresnet-Dskip', total_kimg=0.03)
    assert os.path.exists(os.path.join(run_dir, 'network-final.pkl'))


def test_networks_grow_from_one_resolution_to_the_next(train):
    run_dir = train(
        'config-b',
        dataset='tiny16',
        total_kimg=0.128,
        minibatch_repeats=1,
        sched_args__minibatch_size_dict={8: 16},
        sched_args__minibatch_gpu_dict={8: 8},
        sched_args__lod_training_kimg=0.032,
        sched_args__lod_transition_kimg=0.064,
    )
    lods = [stats['Progress/lod'] for stats in read_stats(run_dir)]
    minibatches = [stats['Progress/minibatch'] for stats in read_stats(run_dir)]
    assert lods[0] == 1 and 0 < lods[2] < 1 and lods[-1] < 0.25
    assert minibatches[0] == 16 and minibatches[-1] == 8
    _, _, Gs = misc.load_pkl(os.path.join(run_dir, 'network-final.pkl'))
    assert Gs.get_var('lod') == Gs.get_var('G_synthesis/lod') == np.float32(lods[-1])


def test_several_devices_share_the_minibatch(train):
    run_dir = train(num_gpus=2, total_kimg=0.03)
    assert read_stats(run_dir)[-1]['Progress/kimg'] == 0.032


def test_training_goes_on_from_a_pickle(train):
    first = train(total_kimg=0.03)
    pickle_path = os.path.join(first, 'network-final.pkl')
    run_dir = train(total_kimg=0.06, resume_pkl=pickle_path, resume_kimg=0.032)
    assert read_stats(run_dir)[0]['Progress/kimg'] == 0.064


def fail_after(monkeypatch, iterations, error):
    original = train_graph.TrainGraph.steps

    def steps(self, sched, counter):
        if counter >= iterations:
            raise error
        return original(self, sched, counter)

    monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)


def test_ctrl_c_says_where_the_last_whole_snapshot_is(train, monkeypatch, capsys, tmp_path):
    fail_after(monkeypatch, 6, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train()
    out = capsys.readouterr().out
    path = os.path.join(str(tmp_path), '00000-test', 'network-snapshot-000000.pkl')
    assert 'Interrupted after 0.0 kimg; last snapshot: %s' % path in out
    assert len(misc.load_pkl(path)) == 3
    assert not os.path.exists(os.path.join(str(tmp_path), '00000-test', '_finished.txt'))


def test_a_full_disk_holds_the_run_up_until_there_is_space(train, monkeypatch, capsys, tmp_path):
    real_fsync, failures = os.fsync, []

    def fsync(fd):
        is_later = os.path.exists(str(tmp_path / '00000-test' / 'network-snapshot-000000.pkl'))
        if is_later and len(failures) < 2:
            failures.append(fd)
            raise OSError(errno.ENOSPC, 'No space left on device')
        real_fsync(fd)

    monkeypatch.setattr(os, 'fsync', fsync)
    monkeypatch.setattr(disk_errors, '_LOOK', 0.01)
    run_dir = train(total_kimg=0.06)
    out = capsys.readouterr().out
    assert 'cannot be written (No space left on device); trying again' in out
    assert 'was written after' in out
    assert len(misc.load_pkl(os.path.join(run_dir, 'network-final.pkl'))) == 3
    assert not [name for name in os.listdir(run_dir) if '.tmp' in name]


def test_a_broken_record_ends_training_with_its_place(train, data_dir, tmp_path):
    path = os.path.join(data_dir, 'tiny', 'tiny-r03.tfrecords')
    with open(path, 'r+b') as file:
        data = file.read()
        file.seek(len(data) // 2)
        file.write(bytes([data[len(data) // 2] ^ 1]))
    try:
        with pytest.raises(UserError, match=r'tiny-r03\.tfrecords.*record 16'):
            train()
    finally:
        with open(path, 'wb') as file:
            file.write(data)


def test_weights_that_are_not_finite_end_training_before_a_snapshot_has_them(
    train, monkeypatch, tmp_path
):
    original = train_graph.TrainGraph.steps

    def steps(self, sched, counter):
        yield from original(self, sched, counter)
        if counter == 5:
            (var,) = [
                x for x in tf.trainable_variables() if x.name == 'G_synthesis/4x4/Const/const:0'
            ]
            tflib.set_vars({var: np.full(var.shape.as_list(), np.nan)})

    monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)
    with pytest.raises(UserError) as error:
        train(total_kimg=10)
    line = str(error.value)
    assert line.startswith('training cannot go on: the weights of G are not finite after 0.1 kimg')
    assert 'last snapshot: ' in line and 'network-snapshot-000000.pkl; choose' in line
    snapshots = glob.glob(str(tmp_path / '00000-test' / 'network-*.pkl'))
    assert snapshots == [str(tmp_path / '00000-test' / 'network-snapshot-000000.pkl')]
    for net in misc.load_pkl(snapshots[0]):
        assert all(np.isfinite(value).all() for value in tflib.run(net.trainables).values())


def test_abort_txt_ends_training_early(train, monkeypatch, tmp_path):
    original = train_graph.TrainGraph.steps

    def steps(self, sched, counter):
        (tmp_path / '00000-test' / 'abort.txt').write_text('')
        return original(self, sched, counter)

    monkeypatch.setattr(train_graph.TrainGraph, 'steps', steps)
    run_dir = train(total_kimg=10)
    assert read_stats(run_dir)[-1]['Progress/kimg'] < 1
    assert os.path.exists(os.path.join(run_dir, 'network-final.pkl'))
