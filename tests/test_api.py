"""The Python of docs/api.md, and of docs/transfer.md, runs as it stands, and does what they say."""

import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import autosummary
from dnnlib.util import EasyDict
from tests import snippets
from training import misc
from training import networks_stylegan2 as networks
from training.data.labels import OneHotLabels
from training.data.tfrecord_exporter import TFRecordExporter
from training.progress import Progress

SIZES = dict(resolution=16, fmap_base=64, fmap_max=8)
STYLES = dict(SIZES, latent_size=16, dlatent_size=16, mapping_fmaps=16, mapping_layers=2)
COUNT = 64
CLASSES = np.arange(COUNT) % 3


def make_network():
    with tf.Graph().as_default(), tflib.create_session().as_default():
        G = tflib.Network('G', 'training.networks_stylegan2.G_main', noise_injection='fr', **STYLES)
        D = tflib.Network('D', 'training.networks_stylegan2.D_stylegan2', **SIZES)
        G.set_var('dlatent_avg', np.random.randn(16))
        misc.save_pkl((G, D, G.clone('Gs')), 'network-final.pkl')


def make_dataset():
    images = np.random.randint(256, size=[COUNT, 3, 16, 16]).astype(np.uint8)
    with TFRecordExporter('datasets/mydata', COUNT) as exporter:
        for image in images:
            exporter.add_image(image)
        exporter.add_labels(OneHotLabels(CLASSES, 3))
    return images


def make_run():
    """Two ticks of a run, written by what writes them in training."""
    os.makedirs('results/00000-run')
    with tf.Graph().as_default(), tflib.create_session().as_default():
        progress = Progress('results/00000-run', start_nimg=0, total_nimg=2000)
        for tick in range(2):
            progress.ensure_tick(1000 * tick, tick_kimg=1)
            progress.update(1000)
            autosummary.autosummary('Loss/G', 0.5 + tick)
            autosummary.autosummary('Loss/D', 1.5)
            sched = EasyDict(lod=0.0, minibatch_size=8, tick_kimg=1)
            progress.end_tick(tick, 1000 * (tick + 1), sched, 0, lambda skipped: None)
        progress.close()


@pytest.fixture
def page(tmp_path, monkeypatch, capsys):
    """What the names of the page stand for after its last block."""
    monkeypatch.chdir(tmp_path)
    forms = dict(networks.NOISE_INJECTION_FORMS)  # the page adds one
    monkeypatch.setattr(networks, 'NOISE_INJECTION_FORMS', forms)
    make_network()
    make_run()
    names = dict(images_of_data=make_dataset())
    with tf.Graph().as_default():
        snippets.run('docs/api.md', names)
        snippets.run('docs/transfer.md', names)
        yield names


def test_the_code_of_the_page_runs_and_does_what_the_page_says(page, capsys):
    assert page['images'].shape == (8, 3, 16, 16) and os.path.exists('fakes.png')

    changed = misc.load_pkl('changed.pkl')[2].get_var('G_synthesis/16x16/ToRGB/weight')
    np.testing.assert_array_equal(changed, 0.5 * page['weight'])
    back = page['other'].get_var('G_synthesis/16x16/ToRGB/weight')
    np.testing.assert_array_equal(back, page['weight'])

    by_option = page['generator'].run(page['z'], None, truncation_psi=0.7, **page['options'])
    assert by_option.dtype == page['pixels'].dtype == np.uint8
    assert np.abs(by_option.astype(int) - page['pixels']).max() <= 1  # rounded
    for var, value in page['noises'].items():
        np.testing.assert_allclose(tflib.run(var), value, rtol=1e-6)

    np.testing.assert_array_equal(page['first'], page['images_of_data'][0])
    for image, label in zip(page['batch'], page['labels']):
        (number,) = np.flatnonzero((page['images_of_data'] == image).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(label, np.eye(3)[CLASSES[number]])

    results = page['metrics'].get_results()
    assert set(results) == {'swd16k_n64_16', 'swd16k_n64_avg'} and min(results.values()) > 0

    assert np.abs(page['s_value']).max() <= 1
    np.testing.assert_allclose(np.square(page['sigma_value']).mean(axis=(1, 2, 3)), 1, rtol=1e-4)
    assert page['y_value'].shape == (2, 8, 16, 16)
    powers = [name for name in page['mine'].trainables if name.endswith('FR/power')]
    assert len(powers) == 5 and np.ptp(page['images_of_mine']) > 0

    assert page['mean'] < page['mean_of_top'] <= page['largest']
    numbers = page['condition_numbers'](lambda x: 3 * x, np.ones([5, 2]))
    np.testing.assert_allclose(numbers, 1, rtol=1e-6)
    numbers = page['condition_numbers'](np.square, np.ones([5, 2]))  # d(x^2) = 2 x dx
    np.testing.assert_allclose(numbers, 2, rtol=1e-3)
    found = page['found']
    assert found.dlatents.shape == page['w'][:1].shape and found.images.shape == (1, 3, 16, 16)
    assert page['curve'] == [(1.0, 0.5, 1.5), (2.0, 1.5, 1.5)]

    assert re.search(r'G +taken +all \d+ layers\n +D +taken +all', capsys.readouterr().out)
