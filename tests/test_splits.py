"""A run trains on some images and holds others back, and the seed says which."""

import json

import numpy as np
import pytest

import run_metrics
from dnnlib.util import UserError
from training import configs, validation
from training.data.opening import load_dataset
from training.data.splits import numbers_of
from training.data.tfrecord_exporter import TFRecordExporter


def chosen(split, **options):
    return numbers_of(
        split, 100, **dict(dict(seed=3, subset=30, validation=10), **options)
    ).tolist()


def test_splits_have_no_image_in_common_and_all_together():
    train, held, others = (chosen(split) for split in ('train', 'validation', 'others'))
    assert (len(train), len(held), len(others)) == (30, 10, 70)
    assert train == sorted(train) and set(held) < set(others)
    assert sorted(train + others) == list(range(100))
    assert numbers_of('all', 100, 3, 30, 10) is None
    assert numbers_of('train', 100, 3, None, 0) is None
    assert len(chosen('train', subset=None)) == 90
    assert chosen('train') == train != chosen('train', seed=4)
    # More images of training change nothing of what is held out.
    assert chosen('validation', subset=60) == held and set(train) < set(chosen('train', subset=60))


@pytest.mark.parametrize(
    'split, options, message',
    [
        ('train', dict(subset=95), '95 images and 10 for validation cannot be had of 100'),
        ('train', dict(subset=None, validation=100), 'cannot be had of 100'),
        ('validation', dict(validation=0), 'takes a run with --validation or --subset'),
        ('test', {}, "unknown split 'test'; choose one of train, validation"),
    ],
)
def test_splits_that_cannot_be_had_are_named(split, options, message):
    with pytest.raises(UserError, match=message):
        chosen(split, **options)


def test_images_and_labels_of_a_subset_are_those_of_the_whole(tmp_path):
    path = str(tmp_path / 'data')
    with TFRecordExporter(path, 12) as exporter:
        for index in range(12):
            exporter.add_image(np.full([1, 4, 4], index, np.uint8))
        exporter.add_labels(np.eye(12, dtype=np.float32))
    options = dict(tfrecord_dir=path, max_label_size='full', seed=5)
    part = load_dataset(subset=4, validation=3, **options)
    held = load_dataset(subset=4, validation=3, split='validation', **options)
    assert (part.num_images, part.num_validation, held.num_images) == (4, 3, 3)
    for dataset in (part, held):
        for index in range(dataset.num_images):
            image = dataset.get_image(index)
            assert np.argmax(dataset.get_label(index)) == image[0, 0, 0]
    prints = {data.fingerprint() for data in (part, held, load_dataset(**options))}
    assert len(prints) == 3


def test_without_a_difference_of_reals_and_fakes_there_is_no_ratio():
    names = ['Loss/scores/real', 'Loss/scores/validation', 'Loss/scores/fake']
    assert validation.r_v(dict(zip(names, [3.0, 2.0, -1.0]))) == 0.25
    assert validation.r_v(dict(zip(names, [3.0, 2.0, 3.0]))) is None
    assert validation.r_v(dict(zip(names[:2], [3.0, 2.0]))) is None


def test_metrics_take_the_split_that_is_asked_for(tmp_path):
    def find(*flags, **dataset_args):
        run_dir = tmp_path / 'results' / '00000-run'
        run_dir.mkdir(parents=True, exist_ok=True)
        options = configs.resolve('config-e')
        options.update(dataset_args=dict(tfrecord_dir='x', seed=7, **dataset_args), data_dir='d')
        config = dict(run_func_name='training.training_loop.training_loop', num_gpus=1)
        config.update(run_func_kwargs=options)
        (run_dir / 'submit_config.json').write_text(json.dumps(config))
        (run_dir / 'network-final.pkl').write_text('')
        args = run_metrics.parse_args(['--result-dir=%s' % (tmp_path / 'results'), *flags])
        return run_metrics.find_networks(args)['dataset_args']

    assert find('--split=others', subset=300)['split'] == 'others'
    assert 'split' not in find(subset=300)
    with pytest.raises(UserError, match='--split=all takes a run with --subset'):
        find('--split=all')
