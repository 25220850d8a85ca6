"""Metrics of whole networks: known values, repeatability, protocol, failures."""

import contextlib
import glob
import json
import os
import re
import weakref

import numpy as np
import pytest
import sklearn.svm
import tensorflow.compat.v1 as tf

from bench import metric_toys
from dnnlib import download, tflib
from dnnlib.tflib import autosummary, network_code, pickles, random
from dnnlib.util import UserError
from metrics import (
    linear_separability,
    sample_store,
    sliced_wasserstein,
)
from metrics.evaluation import Evaluation
from metrics.metric_base import DummyMetric, MetricBase, MetricGroup
from metrics.metric_defaults import default_metrics, make_group, metric_defaults
from training.data.tfrecord_exporter import TFRecordExporter
from training.perception import feature_nets

NUM_REALS = 40
IMAGES = np.random.RandomState(3).randint(256, size=[NUM_REALS, 3, 16, 16]).astype(np.uint8)


def export(folder, images, labels=None):
    with TFRecordExporter(str(folder), len(images), print_progress=False) as exporter:
        for image in images:
            exporter.add_image(image)
        if labels is not None:
            exporter.add_labels(labels)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with feature networks and a data set."""
    monkeypatch.chdir(tmp_path)
    metric_toys.save_feature_nets('nets')
    monkeypatch.setenv(feature_nets.FOLDER_VARIABLE, 'nets')
    monkeypatch.setattr(sliced_wasserstein, 'PATCHES_PER_IMAGE', 8)
    export(tmp_path / 'reals', IMAGES)
    return tmp_path


def evaluate(names, num_samples=24, function=metric_toys.G_with_w, seed=0, **options):
    """Results of metrics of a toy generator."""
    network = options.pop('network', None)
    if network is None:
        network = 'toy.pkl'
        metric_toys.save_generator(network, function)
    group = make_group(names, num_samples, options.get('class_index'))
    options.setdefault('dataset_args', dict(tfrecord_dir='reals'))
    group.run(network, mirror_augment=False, seed=seed, trust_network_code=True, **options)
    return group.get_results()


def test_all_official_metrics_are_there_with_their_parameters():
    official = [
        'fid50k',
        'is50k',
        'ppl_zfull',
        'ppl_wfull',
        'ppl_zend',
        'ppl_wend',
        'ppl2_wend',
        'ls',
        'pr50k3',
    ]
    assert all(metric_defaults[name].name == name for name in official)
    assert metric_defaults.ppl2_wend.crop is False and metric_defaults.ppl_zfull.space == 'z'
    assert metric_defaults.fid50k.num_images == 50000 and metric_defaults.ls.num_keep == 100000


def test_unknown_metrics_and_too_few_samples_are_named(place):
    with pytest.raises(UserError, match="'fid5k'.*fid50k.*all-local"):
        make_group(['fid5k'])
    with pytest.raises(UserError, match='is50k_n5 of 5 images.*at least 20'):
        make_group(['is50k'], 5)
    with pytest.raises(UserError, match='fid50k_n6 of 6 images.*at least 7'):
        evaluate(['fid50k'], 6)


def test_missing_feature_networks_are_named_with_address_and_path(place, capsys):
    os.remove('nets/inception_v3_features.pkl')
    with pytest.raises(UserError, match='nets/inception_v3_features.pkl.*https://'):
        make_group(['fid50k']).ensure_feature_nets()
    assert default_metrics() == []
    (line,) = capsys.readouterr().out.splitlines()
    assert 'inception_v3_features.pkl' in line and feature_nets.FOLDER_VARIABLE in line
    local = make_group(['all-local'])
    local.ensure_feature_nets()
    assert [metric.name for metric in local.metrics] == ['swd16k', 'cond']


def test_training_uses_fid_if_its_network_is_at_hand(place):
    assert default_metrics() == ['fid50k']


@pytest.mark.parametrize(
    'function, names',
    [(metric_toys.G_with_w, ['cond', 'cond_w', 'cond_z']), (metric_toys.G_without_w, ['cond'])],
)
def test_condition_number_of_an_isometry_is_1(place, function, names):
    metric_toys.save_generator('iso.pkl', function, isometric=True, strength=0.0)
    results = evaluate(names, 20, network='iso.pkl')
    assert len(results) == 3 * len(names)
    np.testing.assert_allclose(list(results.values()), 1, rtol=2e-3)


@pytest.mark.parametrize(
    'function, name, dimensions',
    [
        (metric_toys.G_without_w, 'cond', 2),
        (metric_toys.G_with_w, 'cond_z', 2),
        (metric_toys.G_with_w, 'cond_w', 4),
    ],
)
def test_condition_number_of_a_power_is_analytic(place, function, name, dimensions):
    """G(v) = |v|^2 v has sqrt(1 + 8 cos^2), with the angle of v and dv: at most 3."""
    metric_toys.save_generator('power.pkl', function, isometric=True, latent_size=2, power=3.0)
    results = evaluate([name], 2000, network='power.pkl')
    rng = np.random.RandomState(5)
    directions = rng.randn(200000, dimensions)
    cos2 = directions[:, 0] ** 2 / (directions**2).sum(axis=1)
    want = np.sort(np.sqrt(1 + 8 * cos2))
    label = name + '_n2000'
    assert results[label + '_mc'] == pytest.approx(want.mean(), rel=0.03)
    assert results[label + '_ttmc'] == pytest.approx(want[-len(want) // 50 :].mean(), rel=0.03)
    assert 2.8 < results[label + '_max'] < 3.2  # steps that happen to be tiny feel the rounding


def test_w_metrics_of_networks_without_w(place):
    with pytest.raises(UserError, match='no W space'):
        evaluate(['cond_w'], 4, metric_toys.G_without_w)
    a = evaluate(['ppl2_wend'], 8, metric_toys.G_without_w)
    assert a['ppl2_wend_n8'] > 0


def test_noise_does_not_count_as_change(place):
    """With and without noise, the linear generator moves by the same for the same step."""
    steps = []
    for strength in (0.0, 0.5):
        metric_toys.save_generator('noisy.pkl', strength=strength)
        steps.append(evaluate(['ppl2_wend'], 8, network='noisy.pkl')['ppl2_wend_n8'])
    np.testing.assert_allclose(steps[0], steps[1], rtol=0.02)


@pytest.mark.parametrize(
    'function, latent_size, variance',
    [(metric_toys.G_without_w, 8, 8 / 768), (metric_toys.G_with_w, 2, 2 * 2 * 9 / 768)],
)
@pytest.mark.parametrize('strength', [0.0, 0.05, 0.2])
def test_noise_share_is_the_part_of_the_variance_of_pixels(
    place, function, latent_size, variance, strength
):
    """An isometry spreads the variance of its latents, w = 3 z for two layers, over 768 pixels."""
    metric_toys.save_generator(
        'iso.pkl', function, isometric=True, latent_size=latent_size, strength=strength
    )
    got = evaluate(['noise_share'], 2000, network='iso.pkl')['noise_share_n2000']
    assert got == pytest.approx(strength**2 / (strength**2 + variance), rel=0.06)


def test_noise_share_is_that_of_the_images_as_pictures_show_them(place):
    """Computed again from 60 draws of noise for each of 60 latents."""
    metric_toys.save_generator('toy.pkl', strength=1.0)
    got = evaluate(['noise_share'], 500, network='toy.pkl')['noise_share_n500']
    with tf.Graph().as_default(), tf.Session():
        network = pickles.load(open('toy.pkl', 'rb'), trust_network_code=True)[-1]
        latents = np.repeat(np.random.RandomState(9).randn(60, 8), 60, axis=0)
        images = network.run(latents, None).clip(-1, 1).reshape([60, 60, -1])
    by_noise = images.var(axis=1, ddof=1).mean()
    assert got == pytest.approx(by_noise / images.var(axis=(0, 1)).mean(), rel=0.03)
    again, with_two, other = (
        evaluate(['noise_share'], 20, network='toy.pkl', **options)['noise_share_n20']
        for options in [{}, {'num_gpus': 2}, {'seed': 1}]
    )
    assert evaluate(['noise_share'], 20, network='toy.pkl')['noise_share_n20'] == again != other
    assert with_two == pytest.approx(again, rel=1e-4)


def test_path_length_of_a_linear_generator_is_that_of_its_matrix(place):
    """|(w1 - w0) M|^2 / pixels * 127.5^2; w1 - w0 = 3 (z1 - z0), twice, E|z1 - z0|^2 = 16."""
    metric_toys.save_generator('iso.pkl', isometric=True)
    got = evaluate(['ppl2_wend'], 2000, network='iso.pkl')['ppl2_wend_n2000']
    assert got == pytest.approx(2 * 9 * 16 / 768 * 127.5**2, rel=0.05)


ALL = ['fid50k', 'kid50k', 'is50k', 'pr50k3', 'swd16k', 'ppl_wend', 'ppl_zfull', 'cond']


def test_the_same_seed_gives_the_same_numbers(place):
    first = evaluate(ALL)
    assert evaluate(ALL) == first
    other = evaluate(ALL, seed=1)
    assert all(other[name] != first[name] for name in first if not name.startswith('pr'))
    assert evaluate(['swd16k'])['swd16k_n24_avg'] == first['swd16k_n24_avg']
    with_two = evaluate(['ppl_wend', 'fid50k'], num_gpus=2)
    for name, value in with_two.items():
        assert value == pytest.approx(first[name], rel=1e-4)


def test_the_fid_is_that_of_the_images(place):
    """Computed again from images of the network itself, drawn independently, and many."""
    metric_toys.save_generator('toy.pkl')
    got = evaluate(['fid50k'], 2000, network='toy.pkl')['fid50k_n2000']
    with tf.Graph().as_default(), tf.Session():
        network = pickles.load(open('toy.pkl', 'rb'), trust_network_code=True)[-1]
        fakes = network.run(np.random.RandomState(9).randn(4000, 8), None)
    fakes = np.clip(np.floor(fakes * 127.5 + 128), 0, 255)

    def gaussian(images):
        x = images.astype(float) / 255
        features = np.concatenate([x.mean((2, 3)), x.var((2, 3))], axis=1)
        return features.mean(axis=0), np.cov(features.T)

    (m1, s1), (m2, s2) = gaussian(IMAGES), gaussian(fakes)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(s1 @ s2).real, 0))
    want = ((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * roots.sum()
    assert got == pytest.approx(want, rel=0.1)


def test_results_are_written_with_all_they_depend_on(place):
    os.makedirs('run')
    results = evaluate(['fid50k', 'ppl_wend'], run_dir='run')
    line = open('run/metric-fid50k_n24.txt').read()
    assert line.startswith('toy %s time ' % (' ' * 26)) and line.endswith('\n')
    assert 'fid50k_n24 %.4f' % results['fid50k_n24'] in line
    record = json.loads(open('run/metric-fid50k_n24.jsonl').read())
    assert record['results'] == {'fid50k_n24': results['fid50k_n24']}
    assert record['num_samples'] == 24 and record['num_reals'] == 24 and record['seed'] == 0
    assert list(record['feature_networks']) == ['inception_v3_features.pkl']
    assert len(record['network_sha256']) == 64 and record['dataset']['num_images'] == NUM_REALS
    assert record['colour'] == 'RGB as it is' and record['Gs_kwargs'] == {'is_validation': True}
    record = json.loads(open('run/metric-ppl_wend_n24.jsonl').read())
    assert record['space'] == 'w' and record['truncation_psi'] is None


def test_results_that_a_disk_did_not_take_are_written_with_the_next(place, capsys):
    group = MetricGroup([dict(func_name='metrics.metric_base.DummyMetric', name='x')])
    options = dict(network_pkl='toy.pkl', run_dir='run', dataset_args={}, mirror_augment=False)
    metric_toys.save_generator('toy.pkl')
    group.run(raise_errors=False, **options)  # in training
    with pytest.raises(UserError, match='results are missing in .*metric-x.txt.*free some space'):
        group.run(**options)
    os.makedirs('run')
    group.run(**options)
    assert [len(open('run/metric-x.' + kind).readlines()) for kind in ('txt', 'jsonl')] == [3, 3]
    out = capsys.readouterr().out
    assert out.count('metric-x.txt cannot be written (No such file or directory)') == 1
    assert out.count('metric-x.txt can be written again') == 1


def test_the_truncation_that_took_place_is_told(place):
    metric_toys.save_generator('toy.pkl', truncation_psi_val=0.7, truncation_psi=0.5)
    os.makedirs('run')
    evaluate(['fid50k', 'cond'], network='toy.pkl', run_dir='run')
    told = [
        json.loads(open('run/metric-%s_n24.jsonl' % name).read())['truncation_psi']
        for name in ('fid50k', 'cond')
    ]
    assert told == [0.7, None]
    evaluate(['fid50k'], network='toy.pkl', run_dir='run', Gs_kwargs={})
    assert json.loads(open('run/metric-fid50k_n24.jsonl').readlines()[1])['truncation_psi'] == 0.5


def test_real_images_are_looked_at_once(place, monkeypatch, capsys):
    first = evaluate(['fid50k', 'kid50k'], 60)
    assert 'the data set has 40 images' in capsys.readouterr().out
    (cached,) = [name for name in os.listdir('.stylegan2-cache') if name.startswith('reals-')]
    monkeypatch.setattr('metrics.image_features.ImageFeatures._look_at_reals', None)
    assert evaluate(['fid50k', 'kid50k'], 60) == first
    assert np.load(os.path.join('.stylegan2-cache', cached))['features'].shape == (40, 6)


def test_images_are_generated_once_for_all_metrics_of_images(place, monkeypatch):
    titles, collect = [], Evaluation.collect

    def noted(evaluation, title, *args, **kwargs):
        titles.append(title)
        return collect(evaluation, title, *args, **kwargs)

    monkeypatch.setattr(Evaluation, 'collect', noted)
    evaluate(['fid50k', 'kid50k', 'is50k', 'pr50k3', 'swd16k'])
    # Those for FID and KID are the same.
    reals = ['real images (%s)' % key for key in ('inception_v3_features', 'patches', 'vgg16')]
    assert sorted(titles) == ['generated images'] + reals


@pytest.mark.parametrize('channels', [1, 4])
def test_gray_images_and_alpha_are_taken_by_rgb_networks(place, channels):
    images = IMAGES[:, :1] if channels == 1 else np.concatenate([IMAGES, IMAGES[:, :1]], axis=1)
    export(place / 'other', images)
    metric_toys.save_generator('other.pkl', num_channels=channels)
    os.makedirs('run')
    results = evaluate(
        ['fid50k', 'ppl_wend', 'swd16k'],
        network='other.pkl',
        run_dir='run',
        dataset_args=dict(tfrecord_dir='other'),
    )
    assert all(np.isfinite(list(results.values())))
    record = json.loads(open('run/metric-fid50k_n24.jsonl').read())
    assert record['colour'] == {1: 'gray repeated to RGB', 4: 'alpha left out'}[channels]


def test_the_wrong_data_set_is_named(place):
    export(place / 'large', np.zeros([4, 3, 32, 32], np.uint8))
    with pytest.raises(UserError, match=r'\[3, 16, 16\].*\[3, 32, 32\]'):
        evaluate(['fid50k'], dataset_args=dict(tfrecord_dir='large'))


def test_conditional_networks_get_labels_of_the_data_set(place):
    metric_toys.save_generator('class.pkl', metric_toys.G_without_w, label_size=2)
    labels = np.repeat([[0, 0], [60, 60]], NUM_REALS // 2, axis=0)
    export(place / 'labelled', IMAGES, labels)
    with Evaluation(
        'class.pkl', dataset_args=dict(tfrecord_dir='labelled'), trust_network_code=True
    ) as evaluation, evaluation.graph():
        evaluation.load_generator()
        drawn = evaluation.draw_labels(evaluation.rng('x', 0), 100)
    assert 25 < (drawn == [60, 60]).all(axis=1).sum() < 75 and set(drawn[:, 0]) == {0, 60}
    found = evaluate(['is50k'], network='class.pkl', dataset_args=dict(tfrecord_dir='labelled'))
    assert np.isfinite(found['is50k_n24_mean'])
    with pytest.raises(UserError, match='has no labels'):
        evaluate(['is50k'], network='class.pkl')
    export(place / 'three', IMAGES, np.zeros([NUM_REALS, 1]))
    with pytest.raises(UserError, match='labels of size 2.* have 1'):
        evaluate(['is50k'], network='class.pkl', dataset_args=dict(tfrecord_dir='three'))


def test_one_class_is_compared_with_its_own_images(place):
    """A class of the toy is as bright as that of the data set, or as another one."""
    metric_toys.save_generator('class.pkl', metric_toys.G_without_w, label_size=3)
    classes = np.arange(NUM_REALS) % 3
    images = np.tile((64 * classes + 128).clip(0, 255)[:, None, None, None], [1, 3, 16, 16])
    for name, labels in [('fit', classes), ('other', (classes + 1) % 3)]:
        export(place / name, images.astype(np.uint8), np.eye(3)[labels])
    for index in range(3):
        options = dict(network='class.pkl', class_index=index, run_dir=str(place))
        label = 'fid50k_class%d_n24' % index
        fid = [
            evaluate(['fid50k'], dataset_args=dict(tfrecord_dir=name), **options)[label]
            for name in ('fit', 'other')
        ]
        assert fid[0] < 0.01 and fid[1] > 0.1
        record = json.loads(open('metric-%s.jsonl' % label).readline())
        assert record['class_index'] == index and record['num_reals'] == [14, 13, 13][index]
    whole = evaluate(['fid50k'], network='class.pkl', dataset_args=dict(tfrecord_dir='fit'))
    assert list(whole) == ['fid50k_n24']


class Failing(MetricBase):
    """A metric that cannot be evaluated."""

    def _evaluate(self, Gs, Gs_kwargs, num_gpus):
        raise ValueError('no\nluck')


@pytest.fixture
def group():
    return MetricGroup(
        [
            dict(func_name='tests.test_metrics.Failing', name='bad'),
            dict(func_name='metrics.metric_base.DummyMetric', name='dummy'),
        ]
    )


def test_a_failing_metric_is_one_line_in_training(place, group, capsys):
    metric_toys.save_generator('toy.pkl')
    group.run('toy.pkl', trust_network_code=True, raise_errors=False)
    out = capsys.readouterr().out
    assert 'Warning: metric bad failed, training goes on: ValueError: no luck\n' in out
    assert group.get_results() == {'dummy': 0.0}
    with pytest.raises(ValueError):
        group.run('toy.pkl', trust_network_code=True)
    group.run('missing.pkl', raise_errors=False)
    assert 'missing.pkl' in capsys.readouterr().out and group.get_result_str() == ''


def test_feature_metrics_fail_one_by_one(place, capsys):
    group = make_group(['fid50k', 'is50k', 'cond'], 24)
    os.remove('nets/inception_v3_softmax.pkl')
    metric_toys.save_generator('toy.pkl')
    group.run(
        'toy.pkl',
        dataset_args=dict(tfrecord_dir='reals'),
        mirror_augment=False,
        trust_network_code=True,
        raise_errors=False,
    )
    assert {name.split('_')[0] for name in group.get_results()} == {'fid50k', 'cond'}
    assert 'metric is50k_n24 failed' in capsys.readouterr().out


def test_results_reach_the_training_run_and_leave_its_graph_alone(place, session, tmp_path):
    metric_toys.save_generator('toy.pkl')
    before = len(tf.get_default_graph().get_operations())
    group = MetricGroup([dict(func_name='metrics.metric_base.DummyMetric', name='dummy')])
    group.run('toy.pkl', trust_network_code=True)
    assert len(tf.get_default_graph().get_operations()) == before
    assert tf.get_default_session() is session
    group.update_autosummaries()
    assert autosummary.collect() == {'Metrics/dummy': 0.0}


def test_the_result_line_is_the_official_one(place):
    metric_toys.save_generator('network-snapshot-000000.pkl')
    metric = DummyMetric('dummy')
    metric.run('network-snapshot-000000.pkl', trust_network_code=True)
    line = metric.get_result_str()
    assert line.startswith('network-snapshot-000000        time ')
    assert line.split()[2][-1] == 's' and line.endswith('dummy 0.0000')
    metric_toys.save_generator('a-name-that-has-more-letters-than-fit.pkl')
    metric.run('a-name-that-has-more-letters-than-fit.pkl', trust_network_code=True)
    assert metric.get_result_str().startswith('...-has-more-letters-than-fit  time ')


def test_separability_needs_its_library(place, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'sklearn', None)
    monkeypatch.setitem(__import__('sys').modules, 'sklearn.svm', None)
    with pytest.raises(UserError, match='pip install scikit-learn'):
        make_group(['ls'], 8)


@pytest.mark.parametrize('power, low, high', [(1.0, 1.0, 1.02), (0.0, 1.0, 1.2)])
def test_an_attribute_that_is_linear_in_the_latents_is_separable(place, power, low, high):
    """The toy attribute is brightness, and brightness is a sum of latents times a matrix."""
    metric_toys.save_generator('toy.pkl', power=power)
    group = MetricGroup(
        [dict(metric_defaults.ls, num_samples=400, num_keep=200, attrib_indices=[0])]
    )
    group.run('toy.pkl', trust_network_code=True)
    assert sorted(group.get_results()) == ['ls_w', 'ls_z']
    assert all(low <= value <= high for value in group.get_results().values())


def test_bits_that_no_plane_can_tell_are_counted():
    def entropy_of(logits, num_keep=400):
        return linear_separability.attribute_entropy(points, logits, num_keep, sklearn.svm, 0)

    points = np.random.RandomState(0).randn(400, 3)
    assert entropy_of(points[:, 0] + 2 * points[:, 1], 200) == 0
    assert entropy_of(np.ones(400)) == 0
    assert entropy_of(points[:, 0] * points[:, 1]) == pytest.approx(1, abs=0.05)


def test_sources_written_for_tensorflow_1_run_when_trusted(session):
    net = tflib.Network('net', metric_toys.features)
    state = net.__getstate__()
    source = state['build_module_src'].replace(
        'import tensorflow.compat.v1 as tf',
        'import tensorflow as tf # classic\nimport tensorflow.contrib   # unused\n'
        'try:\n    from tensorflow.contrib import slim\nexcept ImportError:\n    slim = None',
    )
    assert 'as tf # classic' in source
    with network_code.trust():
        code = network_code.of_state(dict(state, build_module_src=source))
    images = np.random.RandomState(0).rand(2, 3, 4, 4).astype(np.float32)
    got = session.run(code.func(tf.constant(images)))
    np.testing.assert_allclose(got, net.run(images), rtol=1e-6)
    assert code.source == source


def test_local_metrics_look_through_the_network_of_a_package(place, monkeypatch):
    """They are FID, KID and PPL by other networks, here toys under their names."""
    toys = {feature_nets.LITE_FEATURES: 'inception_v3_features.pkl'}
    toys[feature_nets.LITE_DISTANCE] = 'vgg16_zhang_perceptual.pkl'
    published = ['fid50k', 'kid50k', 'ppl2_wend']
    want = evaluate(published)
    opened, loaded = feature_nets._open, []

    def open_toy(name, folder):
        loaded.append(name)
        return opened(toys.get(name, name), folder)

    monkeypatch.setattr(feature_nets, '_open', open_toy)
    monkeypatch.setattr(feature_nets, '_LITE', {})
    got = evaluate(['local-features'])
    assert set(loaded) == set(toys)
    assert got == {re.sub('50k|2_wend', '_local', name): value for name, value in want.items()}


def test_a_network_whose_noise_no_seed_repeats_is_named(place, monkeypatch, capsys):
    evaluate(['is50k'])
    assert 'no seed repeats' not in capsys.readouterr().out
    monkeypatch.setattr(random, 'normal', lambda shape, _purpose: tf.random_normal(shape))
    evaluate(['is50k'])
    told = r'Warning: op GPU0/\S+ \(RandomStandardNormal\) of the network draws'
    assert re.search(told, capsys.readouterr().out)


def test_work_that_was_interrupted_is_not_done_again(place, monkeypatch):
    """The rest of the units gives the same as all of them at once."""
    metric_toys.save_generator('toy.pkl', strength=0.3)
    names = ['fid50k', 'swd16k', 'ppl_wend']
    want = evaluate(names, 40, network='toy.pkl')
    monkeypatch.setattr(sample_store, 'SECONDS_BETWEEN_SAVES', 0)
    add, left = sample_store.SampleStore.add, [5]

    def add_some(store, arrays):
        add(store, arrays)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(sample_store.SampleStore, 'add', add_some)
    interruptions = 0
    while True:
        left[0] = 5
        try:
            assert evaluate(names, 40, network='toy.pkl') == want
            break
        except KeyboardInterrupt:
            interruptions += 1
            assert interruptions < 30
    assert interruptions >= 4
    assert not os.listdir('.stylegan2-cache/metrics-work')


def read_record(path):
    def refuse(literal):
        raise AssertionError('%s is no JSON' % literal)

    (line,) = open(path)
    return json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize('name, least', [('fid50k', 2), ('kid50k', 4), ('pr50k3', 4)])
def test_too_few_real_images_are_one_line_as_too_few_generated_ones_are(place, name, least):
    export(place / 'one', IMAGES[:1])
    message = '%s_n24 of 1 real images says nothing; it takes at least %d$' % (name, least)
    with pytest.raises(UserError, match=message):
        evaluate([name], dataset_args=dict(tfrecord_dir='one'))


def test_records_tell_how_many_images_were_used_and_kid_has_a_spread(place):
    os.mkdir('run')
    evaluate(['kid50k'], 24, run_dir='run')
    evaluate(['swd16k', 'is50k'], 60, run_dir='run')
    assert read_record('run/metric-swd16k_n60.jsonl')['num_compared'] == NUM_REALS
    assert read_record('run/metric-is50k_n60.jsonl')['num_splits'] == 10
    record = read_record('run/metric-kid50k_n24.jsonl')
    assert record['subset_size'] == 12 and record['results']['kid50k_n24_std'] > 0


def test_what_one_metric_lacks_does_not_stop_the_others(place, monkeypatch):
    metric_toys.save_generator('toy.pkl')
    export(place / 'three', IMAGES[:3])
    monkeypatch.setattr(sliced_wasserstein, 'MIN_RESOLUTION', 32)
    titles, collect = [], Evaluation.collect

    def noted(evaluation, title, *args, **kwargs):
        titles.append(title)
        return collect(evaluation, title, *args, **kwargs)

    monkeypatch.setattr(Evaluation, 'collect', noted)
    group = make_group(['swd16k', 'fid50k', 'pr50k3', 'is50k', 'cond'], 24)
    with pytest.raises(UserError) as caught:
        group.run(
            'toy.pkl',
            dataset_args=dict(tfrecord_dir='three'),
            mirror_augment=False,
            trust_network_code=True,
        )
    assert str(caught.value) == (
        'swd16k_n24 takes images of at least 32x32 pixels, not 16x16; '
        'pr50k3_n24 of 3 real images says nothing; it takes at least 4'
    )
    assert {name.split('_')[0] for name in group.get_results()} == {'fid50k', 'is50k', 'cond'}
    assert titles.count('generated images') == 1
    assert not os.listdir('.stylegan2-cache/metrics-work')


def test_an_evaluation_within_another_of_the_same_network_leaves_both_well(place, monkeypatch):
    """The one that ends first deletes its own work, not that of the other."""
    metric_toys.save_generator('toy.pkl', strength=0.3)
    names = ['fid50k', 'swd16k', 'cond']
    want = evaluate(names, 40, network='toy.pkl')
    monkeypatch.setattr(sample_store, 'SECONDS_BETWEEN_SAVES', 0)
    add, adds, inner = sample_store.SampleStore.add, [], []

    def add_some(store, arrays):
        add(store, arrays)
        adds.append(store)
        if len(adds) == 3:
            inner.append(evaluate(names, 40, network='toy.pkl'))

    monkeypatch.setattr(sample_store.SampleStore, 'add', add_some)
    assert evaluate(names, 40, network='toy.pkl') == want
    assert inner == [want]
    assert not os.listdir('.stylegan2-cache/metrics-work')


def test_work_goes_on_where_it_was_killed_and_nothing_of_it_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_store, 'SECONDS_BETWEEN_SAVES', 0)
    folder = str(tmp_path / 'work')
    stores = [sample_store.SampleStore(folder) for _ in range(2)]
    for index, store in enumerate(stores):
        for _ in range(2 + index):
            store.add({'x': np.full([1], index)})
        store.close(is_done=False)  # as the end of the process does
    (last,) = glob.glob(folder + '/units-00000001-*')
    with open(last, 'r+b') as file:
        file.truncate(30)
    again = sample_store.SampleStore(folder)
    assert again.num_units == 1 and again.read('x').tolist() == [0]
    other = sample_store.SampleStore(folder)
    assert other.num_units == 3 and other.read('x').tolist() == [1, 1, 1]
    other.close(is_done=False)
    again.close(is_done=True)
    assert os.listdir(str(tmp_path)) == []


def test_a_cache_that_cannot_be_written_or_read_costs_a_warning(place, monkeypatch, capsys):
    want = evaluate(['fid50k', 'cond'])
    (cached,) = glob.glob('.stylegan2-cache/reals-*.npz')
    with open(cached, 'r+b') as file:
        file.truncate(100)
    assert evaluate(['fid50k', 'cond']) == want
    assert 'Warning: %r is broken' % cached in capsys.readouterr().out
    monkeypatch.setattr(sample_store, 'SECONDS_BETWEEN_SAVES', 0)
    monkeypatch.setenv(download.CACHE_VARIABLE, 'toy.pkl/cache')
    assert evaluate(['fid50k', 'cond']) == want
    warnings = [line for line in capsys.readouterr().out.split('\n') if 'Warning: ' in line]
    assert len(warnings) == 2 and all('toy.pkl/cache' in line for line in warnings)


def test_evaluations_free_their_graphs(place, monkeypatch):
    """Without waiting for Python, while the group of metrics lives on."""
    with tf.Graph().as_default(), tflib.create_session():
        G = tflib.Network(
            'G',
            func_name='training.networks_stylegan2.G_main',
            num_channels=3,
            resolution=16,
            fmap_max=8,
            latent_size=8,
            dlatent_size=8,
            mapping_fmaps=8,
            mapping_layers=2,
            noise_injection='fr',
        )
        pickles.save(G, 'stylegan2.pkl')
    graphs, make_graph = [], Evaluation.graph

    @contextlib.contextmanager
    def noted(evaluation):
        with make_graph(evaluation):
            graphs.append(weakref.ref(tf.get_default_graph()))
            yield

    monkeypatch.setattr(Evaluation, 'graph', noted)
    names = ['fid50k', 'pr50k3', 'swd16k', 'ppl_wend', 'cond']
    group = make_group(names, 24)
    group.metrics.append(Failing('bad'))
    group.run(
        'stylegan2.pkl',
        dataset_args=dict(tfrecord_dir='reals'),
        mirror_augment=False,
        trust_network_code=True,
        raise_errors=False,
    )
    assert {name.split('_n')[0] for name in group.get_results()} == set(names)
    assert len(graphs) > len(names) and [graph() for graph in graphs] == [None] * len(graphs)


class Infinite(MetricBase):
    """A metric whose figures are not finite."""

    def _compute(self, evaluation):
        self._report_result(float('nan'))
        self._report_result(float('inf'), suffix='_max')
        self._report_result(1.5, suffix='_sum')


def test_what_is_not_finite_is_null_in_json_and_said(place, capsys):
    metric_toys.save_generator('toy.pkl')
    os.mkdir('run')
    MetricGroup([dict(func_name='tests.test_metrics.Infinite', name='x')]).run(
        'toy.pkl', run_dir='run', dataset_args={}, mirror_augment=False, trust_network_code=True
    )
    assert read_record('run/metric-x.jsonl')['results'] == {'x': None, 'x_max': None, 'x_sum': 1.5}
    out = capsys.readouterr().out
    assert 'Warning: not finite, so null in run/metric-x.jsonl: x = nan, x_max = inf\n' in out
