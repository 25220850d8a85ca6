"""Bad input of the programs: one line that names it, status 2, and nothing made."""

import json
import os
import shutil
import zipfile
from collections import namedtuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import dataset_tool
import dnnlib
import pretrained_networks
import run_generator
import run_metrics
import run_projector
import run_training
from dnnlib import cli, tflib
from dnnlib.tflib import engine
from tests.toy_networks import SMALL
from training import misc
from training.data.tfrecord_exporter import TFRecordExporter
from training.networks_stylegan2 import G_main

PROGRAMS = {
    'dataset_tool': dataset_tool.main,
    'generator': run_generator.main,
    'metrics': run_metrics.main,
    'networks': pretrained_networks.main,
    'projector': run_projector.main,
    'training': run_training.main,
}
MIXING = ['style-mixing-example', '--network=rgb.pkl', '--col-seeds=0-999']


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with networks, broken files and a data set, and a session that all tests share."""
    path = tmp_path_factory.mktemp('place')
    with tf.Graph().as_default(), tflib.create_session().as_default():
        net = tflib.Network('Gs', G_main, noise_injection='fr', **SMALL)
        misc.save_pkl((net, net, net), str(path / 'rgb.pkl'))
        (path / 'run').mkdir()
        misc.save_pkl((net, net, net), str(path / 'run' / 'network-snapshot-000002.pkl'))
        misc.save_pkl({'a': 1}, str(path / 'run' / 'network-snapshot-000001.pkl'))
        with TFRecordExporter(str(path / 'datasets' / 'tiny'), 8) as exporter:
            for _ in range(8):
                exporter.add_image(np.zeros([3, 16, 16], np.uint8))
        (path / 'deep.json').write_text('[' * 100000)
        (path / 'binary').write_bytes(b'\xff\xfe\0')
        (path / 'list.json').write_text('[]')
        save_results(path)
        yield path


def save_results(path):
    """Projections that are broken in several ways, <what>.npz."""
    settings = dict(
        network=str(path / 'rgb.pkl'),
        network_sha256='x',
        optimize_alpha=False,
        optimize_noise=False,
    )
    sha256 = misc.file_sha256(settings['network'])
    arrays = dict(latents=np.zeros([4, 8]), target=np.zeros([3, 8, 8]))
    for name, change in {
        'list': {'settings': '[]'},
        'null': {'settings': 'null'},
        'number': {'settings': '{"network": 1, "network_sha256": 2}'},
        'deep': {'settings': '[' * 100000},
        'figures': {'figures': '[1]'},
        'text': {'latents': np.array(['a'])},
        'other': {},
        'misfit': {'settings': json.dumps(dict(settings, network_sha256=sha256))},
    }.items():
        texts = dict(settings=json.dumps(settings), figures='{}')
        np.savez(str(path / (name + '.npz')), **dict(arrays, **dict(texts, **change)))
    whole = (path / 'other.npz').read_bytes()
    (path / 'cut.npz').write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(str(path / 'bomb.npz'), 'w', zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr('latents.npy', bytes(1 << 20))
    packed = (path / 'bomb.npz').read_bytes()
    # The size in the directory at the end alone: unpacking it would show that it is no 4 GB.
    at = packed.rindex(b'PK\x01\x02') + 24
    (path / 'bomb.npz').write_bytes(packed[:at] + b'\xf0\xff\xff\xff' + packed[at + 4 :])


@pytest.fixture
def refuse(place, monkeypatch, capsys):
    """Runs a program with bad input; returns the one line."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(dnnlib, 'submit_run', None)

    def run(program, argv):
        assert cli.run_cli(PROGRAMS[program], argv) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith('Error: ') and len(lines[0]) < 2000
        assert not os.path.exists('results')
        return lines[0]

    return run


@pytest.mark.parametrize(
    'argv, words',
    [
        (['generate-images', '--seeds=0-99999999999'], ['--seeds', '99999999999']),
        (['generate-images', '--seeds=0-99999999'], ['--seeds', '100000000 numbers', '1000000']),
        (['generate-images', '--seeds=0-' + '9' * 10000], ['--seeds', '4294967295']),
        (['generate-images', '--seeds=1', '--noise=seed:4294967296'], ['--noise']),
        (['generate-images', '--seeds=1', '--network='], ['--network', 'empty']),
        (['generate-images', '--seeds=1', '--network=a\0b'], ['--network', 'NUL']),
        (['generate-images', '--seeds=1', '--result-dir='], ['--result-dir', 'empty']),
        (['generate-images', '--seeds=1', '--class=' + '9' * 100000], ['--class']),
        (['generate-video', '--seeds=1', '--fps=1e-30'], ['--fps is 1e-30', '0.01']),
        (['generate-video', '--seeds=1', '--fps=inf'], ['--fps is inf']),
        (['generate-video', '--seeds=1', '--frames=1000000000000'], ['--frames', '1000000']),
        (['generate-video', '--seeds=0-9', '--frames=200000'], ['2000000 frames', '1000000']),
        (['sample-grid', '--networks='], ['--networks']),
        (['sample-grid', '--networks=a\0b'], ['--networks', 'NUL']),
        (['sample-grid', '--networks=rgb.pkl', '--columns=1000000'], ['--columns', '16 images']),
        (
            ['sample-grid', '--networks=rgb.pkl', '--seeds=0-999999', '--scale=8'],
            ['1000 x 1000 images'],
        ),
        (MIXING + ['--row-seeds=0-99999'], ['1001 x 100001 images', 'fewer seeds']),
        (['fr-maps', '--seeds=0-999'], ['2002 x', 'fewer seeds']),
        (['noise-layers', '--seeds=0-9999'], ['x 10000 images', 'fewer seeds']),
        (['noise-stddev', '--seeds=0-9999'], ['x 10000 images', 'fewer seeds']),
        (['noise-stddev', '--num-draws=1000000000000'], ['--num-draws']),
        (['render-projection', 'list.npz'], ['list.npz']),
        (['render-projection', 'null.npz'], ['null.npz']),
        (['render-projection', 'number.npz'], ['number.npz', 'network']),
        (['render-projection', 'deep.npz'], ['deep.npz', 'nested']),
        (['render-projection', 'figures.npz'], ['figures.npz']),
        (['render-projection', 'text.npz'], ['text.npz', 'another type']),
        (['render-projection', 'cut.npz'], ['cut.npz']),
        (['render-projection', 'bomb.npz'], ['bomb.npz', 'unpack to 42949']),
        (['render-projection', 'misfit.npz'], ['does not fit', '[[4, 8]]']),
        (['render-projection', 'other.npz'], ['rgb.pkl is not the network']),
        (['render-projection', 'binary'], ['binary']),
        (['render-projection', '/dev/zero'], ['/dev/zero', 'no regular file']),
        (['render-projection', 'run'], ["'run'", 'directory']),
    ],
)
def test_run_generator(refuse, argv, words):
    if not any(arg.startswith('--network') or '.npz' in arg for arg in argv[1:]):
        if argv[0] != 'render-projection':
            argv = argv + ['--network=rgb.pkl']
    if argv[0] == 'generate-video':
        argv = argv + ['--format=gif']
    line = refuse('generator', argv)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    'argv, words',
    [
        (['--seed=4294967296'], ['--seed', '4294967295']),
        (['--seed=-1'], ['--seed']),
        (['--set=dataset_args.seed=4294967296'], ['dataset_args.seed', '4294967295']),
        (['--set=tf_config.rnd.np_random_seed=-1'], ['tf_config.rnd.np_random_seed is -1']),
        (['--gamma=nan'], ['--gamma is nan']),
        (['--gamma=inf'], ['--gamma is inf']),
        (['--gamma=1e30'], ['--gamma is 1e30']),
        (['--set=D_loss_args.gamma=1e30'], ['D_loss_args.gamma is 1e+30']),
        (['--total-kimg=1e20'], ['--total-kimg', '1e20']),
        (['--set=total_kimg=1e20'], ['total_kimg is 1e+20']),
        (['--fmap-base=1000000000000'], ['--fmap-base is 1000000000000']),
        (['--fmap-max=1000000000'], ['--fmap-max is 1000000000']),
        (['--set=G_args.fmap_max=1000000000'], ['G_args.fmap_max is 1000000000']),
        (['--set=G_args.mapping_layers=1000000000'], ['G_args.mapping_layers']),
        (['--minibatch-size=1000000000'], ['--minibatch-size is 1000000000']),
        (['--set=sched_args.minibatch_size_dict={"16": 0}'], ['minibatch_size_dict is 0']),
        (['--set=sched_args.minibatch_gpu_base=0'], ['minibatch_gpu_base is 0']),
        (['--set=minibatch_repeats=0'], ['minibatch_repeats is 0']),
        (['--set=keep_snapshots=2.5'], ['keep_snapshots is 2.5; it must be a whole number']),
        (['--set=D_reg_interval=0'], ['D_reg_interval is 0']),
        (['--minibatch-size=5', '--minibatch-gpu=5'], ['--minibatch-size, such as 6']),
        (['--minibatch-size=1', '--minibatch-gpu=1'], ['--minibatch-size, such as 2']),
        (['--dataset='], ['--dataset', 'empty']),
        (['--set=dataset_args.tfrecord_dir='], ['dataset_args.tfrecord_dir is empty']),
        (['--set=data_dir="a\\u0000b"'], ['data_dir', 'NUL']),
        (['--config-file='], ['--config-file', 'empty']),
        (['--config-file=deep.json'], ['--config-file=deep.json', 'nested']),
        (['--config-file=binary'], ['--config-file=binary']),
        (['--config-file=list.json'], ['--config-file=list.json']),
        (['--config-file=/dev/zero'], ['/dev/zero', 'no regular file']),
        (['--num-gpus=1000'], ['--num-gpus is 1000']),
    ],
)
def test_run_training(refuse, argv, words):
    names = [] if 'dataset' in argv[0] and '=' in argv[0][-1:] else ['--dataset=tiny']
    line = refuse('training', ['--metrics=none'] + names + argv)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    'program, argv, words',
    [
        ('metrics', ['--num-gpus=1000'], ['--num-gpus is 1000']),
        ('metrics', ['--num-samples=4000000000'], ['--num-samples is 4000000000']),
        ('metrics', ['--seed=4294967296'], ['--seed']),
        ('metrics', ['--network='], ['--network', 'empty']),
        (
            'metrics',
            ['--network=run', '--metrics=ppl_wend', '--dataset=tiny'],
            ['network-snapshot-000001.pkl', 'neither'],
        ),
        ('networks', ['info', ''], ['file', 'empty']),
        ('networks', ['info', 'a\0b'], ['file', 'NUL']),
        ('networks', ['export', 'rgb.pkl', 'rgb.pkl'], ['rgb.pkl', 'both input and output']),
        ('networks', ['export', 'rgb.pkl', 'run'], ["'run'"]),
        ('networks', ['import', './rgb.pkl', 'rgb.pkl'], ['rgb.pkl', 'both input and output']),
        (
            'projector',
            ['project-generated-images', '--network=rgb.pkl', '--seeds=0-9999999'],
            ['--seeds', '10000000 numbers'],
        ),
        (
            'projector',
            ['project-generated-images', '--num-steps=99999999999'],
            ['--num-steps is 99999999999', '1000000'],
        ),
        ('projector', ['project-real-images', '--images='], ['--images', 'empty']),
        ('projector', ['compare', ''], ['RUN', 'empty']),
        (
            'projector',
            ['project-real-images', '--network=rgb.pkl', '--images=run'],
            ['network-snapshot-000001.pkl'],
        ),
        ('dataset_tool', ['create_from_images', 'new', 'run', '--resize=1000000'], ['--resize']),
        ('dataset_tool', ['create_from_images', 'a\0b', 'run'], ['tfrecord_dir', 'NUL']),
        ('dataset_tool', ['create_from_crops', 'new', 'run', '--resolution=65537'], ['resolution']),
        (
            'dataset_tool',
            ['create_from_crops', 'new', 'run', '--num-images=1000000000000'],
            ['1000000000000 images'],
        ),
        ('dataset_tool', ['create_from_crops', 'new', 'run', '--seed=4294967296'], ['--seed']),
        ('dataset_tool', ['create_from_crops', 'new', 'run', '--min-scale=nan'], ['--min-scale']),
        ('dataset_tool', ['create_mnistrgb', 'new', 'run', '--random-seed=4294967296'], ['seed']),
        ('dataset_tool', ['select_by_pagerank', 'new', 'datasets/tiny', '--num=-1'], ['--num']),
        (
            'dataset_tool',
            ['select_by_pagerank', 'new', 'datasets/tiny', '--damping=nan'],
            ['--damping'],
        ),
    ],
)
def test_other_programs(refuse, program, argv, words):
    line = refuse(program, argv)
    assert all(word in line for word in words), line
    assert not os.path.exists('new')


@pytest.mark.parametrize(
    'program, argv', [('training', ['--dataset=tiny']), ('metrics', ['--network=rgb.pkl'])]
)
def test_more_devices_than_there_are(refuse, monkeypatch, program, argv):
    monkeypatch.setattr(engine, '_local_gpus', lambda: ['one'])
    line = refuse(program, argv + ['--metrics=cond', '--num-gpus=2'])
    assert line == 'Error: --num-gpus is 2; there are 1 GPUs'


def test_a_full_disk_is_found_before_the_first_image(refuse, monkeypatch):
    flags = ['--network=rgb.pkl', '--seeds=0-999999']
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage(1 << 30, 1 << 30, 1 << 20))
    line = refuse('projector', ['project-generated-images', '--vgg16=none'] + flags)
    assert '1000000 projections need about 1.43 GiB' in line
    line = refuse('generator', ['generate-images'] + flags)
    assert '1000000 images need about 0.0894 GiB' in line and '0.000977 GiB free' in line
