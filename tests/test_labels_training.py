"""Conditional training, from the labels of a data set to images of one class."""

import glob
import json
import os

import numpy as np
import PIL.Image
import pytest

import pretrained_networks
import run_generator
import run_training
from dnnlib.cli import run_cli
from tests.test_training_loop import TINY
from training import configs, misc
from training.data.tfrecord_exporter import TFRecordExporter

CLASSES = 3


def export(folder, labels):
    """A data set of 24 images of 8x8, the brightness of which tells their class: 40, 120, 200."""
    with TFRecordExporter(folder, 24) as exporter:
        for index in range(24):
            exporter.add_image(np.full([3, 8, 8], 40 + 80 * (index % CLASSES), np.uint8))
        if labels is not None:
            exporter.add_labels(labels)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with data sets with and without labels, where configurations are tiny."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        configs,
        'BASE',
        dict(
            configs.BASE,
            **dict(
                TINY, **{'grid_args.size': 'tiny', 'image_snapshot_ticks': None, 'total_kimg': 0.03}
            ),
        ),
    )
    monkeypatch.setitem(misc._GRID_BASE, 'tiny', (32, 48, 4, 6))  # of 8x8: 4 columns, 6 rows
    export('datasets/labelled', np.eye(CLASSES)[np.arange(24) % CLASSES])
    export('datasets/plain', None)
    export('datasets/attributes', np.tile([[1, 1, 0]], [24, 1]))
    return tmp_path


def options_for(*argv):
    """What would be trained, after all checks."""
    args = run_training.parse_args(list(argv))
    options = run_training.resolve_options(args)
    args.choice.check(options, args.num_gpus or 1)
    return options


def test_conditional_training_ends_in_images_of_one_class(place, session):
    run_training.main(
        [
            '--dataset=labelled',
            '--cond=yes',
            '--config=config-e-bald',
            '--metrics=none',
            '--fmap-base=64',
            '--gamma=10',
        ]
    )
    (run_dir,) = glob.glob('results/00000-*')
    with open(os.path.join(run_dir, 'stats.jsonl')) as file:
        assert np.isfinite(json.loads(file.readlines()[-1])['Loss/D'])
    # Rows of the grid show the classes one after the other.
    reals = np.asarray(PIL.Image.open(os.path.join(run_dir, 'reals.png')))[::128, ::128, 0]
    assert np.array_equal(reals, np.tile([[40], [120], [200]], [2, 4]))

    _, D, Gs = pretrained_networks.load_networks(os.path.join(run_dir, 'network-final.pkl'))
    assert Gs.static_kwargs.label_size == D.static_kwargs.label_size == CLASSES
    assert not np.array_equal(Gs.get_var('G_mapping/LabelConcat/weight'), np.zeros([CLASSES, 8]))
    run_generator.main(['generate-images', '--seeds=1', '--class=2'])
    (path,) = glob.glob('results/*-generate-images/seed0001.png')
    assert np.asarray(PIL.Image.open(path)).shape == (8, 8, 3)
    assert run_cli(run_generator.main, ['generate-images', '--seeds=1']) == 2


def test_labels_that_are_not_there_cannot_be_asked_for(place, capsys):
    argv = ['--dataset=plain', '--cond=yes', '--config=config-e', '--metrics=none']
    assert run_cli(run_training.main, argv) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "'datasets/plain' has no labels" in line and '--cond' in line
    assert not os.path.exists('results')


def test_labels_that_are_not_used_are_mentioned(place, capsys):
    options = options_for('--dataset=labelled')
    assert 'has labels, which are not used; --cond=yes' in capsys.readouterr().out
    assert 'max_label_size' not in options['dataset_args']
    assert options['grid_args']['layout'] == 'random'
    options_for('--dataset=plain')
    options_for('--dataset=labelled', '--cond=yes')
    assert 'not used' not in capsys.readouterr().out


def test_folders_of_classes_are_labels_too(place, capsys):
    for name in ['cat', 'dog']:
        os.makedirs('datasets/photos/' + name)
        PIL.Image.new('RGB', (8, 8)).save('datasets/photos/%s/0.png' % name)
    options_for('--dataset=photos')
    assert 'has labels, which are not used' in capsys.readouterr().out
    assert options_for('--dataset=photos', '--cond=yes')['grid_args']['layout'] == 'row_per_class'


def test_grids_by_class_are_only_made_where_every_class_has_a_row(place, monkeypatch):
    cond = ['--cond=yes', '--dataset=labelled']
    assert options_for(*cond)['grid_args']['layout'] == 'row_per_class'
    export('datasets/gap', np.eye(4)[np.arange(24) % CLASSES])
    for dataset in ['attributes', 'gap']:
        options = options_for('--cond=yes', '--dataset=' + dataset)
        assert options['grid_args']['layout'] == 'random'
        assert options['dataset_args']['max_label_size'] == 'full'
    monkeypatch.setitem(configs.BASE, 'grid_args.size', 'one')
    assert options_for(*cond)['grid_args']['layout'] == 'random'
