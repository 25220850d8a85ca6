"""Real images: which of them metrics take, and one half of them against the other."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from bench import metric_toys
from dnnlib.util import UserError
from metrics import frechet_inception_distance
from metrics.evaluation import Evaluation
from metrics.metric_defaults import make_group
from metrics.metric_names import REALS
from tests.test_metrics import (  # noqa: F401 - place is a fixture
    IMAGES,
    NUM_REALS,
    evaluate,
    export,
    place,
)


def features_of_reals(monkeypatch, names, **options):
    """Features of both halves, as FID sees them, of the whole data set or a class."""
    seen = []
    take = frechet_inception_distance.FID._from_features

    def watched(self, reals, fakes):
        seen.extend([reals.read('features')[:, :3], fakes.read('features')[:, :3]])
        take(self, reals, fakes)

    monkeypatch.setattr(frechet_inception_distance.FID, '_from_features', watched)
    group = make_group(names, 24, options.get('class_index'))
    group.run(REALS, trust_network_code=True, **options)
    return group, seen


def test_one_half_of_the_data_is_compared_with_the_other(place, monkeypatch, capsys):  # noqa: F811
    names = ['fid50k', 'kid50k', 'is50k', 'pr50k3', 'swd16k']
    data = dict(dataset_args=dict(tfrecord_dir='reals'), mirror_augment=False)
    group, halves = features_of_reals(monkeypatch, names, **data)
    assert len(group.get_results()) == 9
    assert group.metrics[0].get_protocol()['num_samples'] == 20
    assert 'the data set has 20 images in each half' in capsys.readouterr().out
    want = IMAGES.mean(axis=(2, 3)) / 255
    assert [len(half) for half in halves] == [20, 20]
    np.testing.assert_allclose(sorted(np.concatenate(halves)[:, 0]), sorted(want[:, 0]), rtol=1e-5)
    _, others = features_of_reals(monkeypatch, ['fid50k'], seed=1, **data)
    assert not np.intersect1d(others[0][:, 0], halves[0][:, 0]).size == 20


def test_one_half_of_a_class_is_compared_with_the_other(place, monkeypatch):  # noqa: F811
    export(place / 'labelled', IMAGES, np.eye(2, dtype=np.float32)[np.arange(NUM_REALS) % 2])
    data = dict(dataset_args=dict(tfrecord_dir='labelled'), mirror_augment=False, class_index=1)
    _, halves = features_of_reals(monkeypatch, ['fid50k'], **data)
    want = IMAGES[1::2].mean(axis=(2, 3)) / 255
    np.testing.assert_allclose(sorted(np.concatenate(halves)[:, 0]), sorted(want[:, 0]), rtol=1e-5)


def test_metrics_of_a_generator_and_of_too_few_reals_are_named(place):  # noqa: F811
    group = make_group(['cond', 'fid50k', 'ppl_wend'], 24)
    assert list(group.drop_with_generator().values()) == [['cond_n24', 'ppl_wend_n24']]
    export(place / 'few', IMAGES[:12])
    with pytest.raises(UserError, match='fid50k_n24 of 6 images says nothing; it takes at least 7'):
        group.run(REALS, dataset_args=dict(tfrecord_dir='few'), trust_network_code=True)
    with pytest.raises(
        UserError, match='cond_n24: reals are no generator, which this metric needs'
    ):
        evaluate(['cond'], network=REALS)


def save_class_folders(path, num_classes=5, num_images=8):
    """Images that are the brighter, the later their class comes."""
    for c in range(num_classes):
        os.makedirs(str(path / ('class%d' % c)))
        for i in range(num_images):
            pixels = np.full([16, 16, 3], 50 * c + i, np.uint8)
            Image.fromarray(pixels).save(str(path / ('class%d' % c) / ('%d.png' % i)))


def real_indices(**options):
    with Evaluation('toy.pkl', trust_network_code=True, **options) as evaluation:
        return evaluation.real_indices()


def test_reals_of_a_folder_are_a_random_subset_and_of_records_the_first(place):  # noqa: F811
    save_class_folders(place / 'folder')
    metric_toys.save_generator('toy.pkl', metric_toys.G_with_w)
    for name, default in [('folder', 'random'), ('reals', 'first')]:
        args = dict(tfrecord_dir=name)
        found = {
            order: real_indices(dataset_args=args, reals=order)
            for order in (None, 'first', 'random')
        }
        assert np.array_equal(found[None], found[default])
        assert np.array_equal(found['first'], np.arange(40))
        assert sorted(found['random']) == list(range(40))
        assert len(set(found['random'][:10] // 8)) > 2  # of several classes
        assert not np.array_equal(
            found['random'], real_indices(dataset_args=args, seed=1, reals='random')
        )
    evaluate(['fid50k'], dataset_args=dict(tfrecord_dir='folder'), run_dir=str(place))
    evaluate(['fid50k'], run_dir=str(place), reals='random')
    evaluate(['fid50k'], run_dir=str(place))
    records = [json.loads(line) for line in open('metric-fid50k_n24.jsonl')]
    assert [record['dataset']['reals'] for record in records] == ['random', 'random', 'first']


def test_statistics_of_reals_are_new_when_any_image_is(place):  # noqa: F811
    """Also one in the middle, of the same size and name."""
    save_class_folders(place / 'folder')
    args = dict(dataset_args=dict(tfrecord_dir='folder'), num_samples=40)
    before = evaluate(['fid50k'], **args)
    assert evaluate(['fid50k'], **args) == before
    path = str(place / 'folder' / 'class2' / '3.png')
    pixels = np.asarray(Image.open(path)).copy()
    pixels[:8] = 255 - pixels[:8]
    Image.fromarray(pixels).save(path)
    assert evaluate(['fid50k'], **args) != before
