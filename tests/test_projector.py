"""The projector searches as official StyleGAN2 and the paper do."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bench import metric_toys
from dcgan.networks import G_dcgan
from dnnlib import tflib
from dnnlib.util import UserError
from projector import METHODS, Projector
from tests import test_vgg16
from tests.golden import assert_close
from tests.toy_networks import SMALL
from training import anatomy
from training.inversion import arithmetic
from training.networks_stylegan2 import G_main
from training.perception import feature_nets, vgg16

T_LAYERS = 3  # styled layers at 8x8


@pytest.fixture(scope='module')
def Gs():
    """A generator with fuzzy reparameterization, in a session that all tests share."""
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        tf.set_random_seed(1)
        net = tflib.Network('Gs', G_main, noise_injection='fr', **SMALL)
        rnd = np.random.RandomState(0)
        for name, var in net.vars.items():
            if name.endswith('alpha_logit'):
                net.set_var(var, rnd.uniform(-2, 2))
            if name.endswith('FR/strength'):
                net.set_var(var, rnd.uniform(0.5, 1.5))
        yield net


@pytest.fixture
def toy_lpips(tmp_path, monkeypatch):
    """The mean squared error under the name of the LPIPS network."""
    metric_toys.save_feature_nets(str(tmp_path / 'nets'))
    monkeypatch.setenv(feature_nets.FOLDER_VARIABLE, str(tmp_path / 'nets'))


def make_projector(method, **attributes):
    projector = Projector(method)
    projector.clone_net = False
    for name, value in dict(dict(dlatent_avg_samples=200), **attributes).items():
        setattr(projector, name, value)
    return projector


def images_of(Gs, seeds):
    """Images of seeds with the stored noise, [N, C, 8, 8]."""
    z = np.stack([np.random.RandomState(seed).randn(8) for seed in seeds])
    return Gs.run(z, None, truncation_psi=1, randomize_noise=False)


def schedule(step, num_steps):
    """Learning rate and latent noise, in units of the latents' deviation, of official StyleGAN2."""
    t = step / num_steps
    sigma = 0.05 * max(0, 1 - t / 0.75) ** 2
    ramp = 0.5 - 0.5 * np.cos(np.pi * min(1, (1 - t) / 0.25))
    return 0.1 * ramp * min(1, t / 0.05), sigma


def numpy_regularization(v):
    """Value and gradient of the regularization of one noise map [S, S]."""
    value, gradient = 0.0, np.zeros_like(v)
    for axis in (1, 0):
        mean = np.mean(v * np.roll(v, 1, axis))
        value += mean**2
        gradient += 2 * mean * (np.roll(v, 1, axis) + np.roll(v, -1, axis)) / v.size
    if len(v) > 8:
        half = v.reshape(len(v) // 2, 2, len(v) // 2, 2).mean((1, 3))
        more, inner = numpy_regularization(half)
        value, gradient = value + more, gradient + np.kron(inner, np.full((2, 2), 0.25))
    return value, gradient


@pytest.mark.parametrize('step', [0, 1, 25, 50, 400, 749, 750, 751, 875, 999])
def test_schedules_are_official(step):
    rate, sigma = schedule(step, 1000)
    t = step / 1000
    assert arithmetic.learning_rate(t, 0.1, 0.25, 0.05) == pytest.approx(rate, abs=1e-12)
    assert arithmetic.noise_level(t, 3.0, 0.05, 0.75) == pytest.approx(3 * sigma, abs=1e-12)


def test_schedules_by_hand():
    assert arithmetic.learning_rate(0, 0.1, 0.25, 0.05) == 0
    assert arithmetic.learning_rate(0.025, 0.1, 0.25, 0.05) == pytest.approx(0.05)
    assert arithmetic.learning_rate(0.875, 0.1, 0.25, 0.05) == pytest.approx(0.05)
    assert arithmetic.learning_rate(0.0, 0.01, 0, 0) == arithmetic.learning_rate(1, 0.01, 0, 0)
    assert arithmetic.noise_level(0.375, 2.0, 0.05, 0.75) == pytest.approx(0.025)
    assert arithmetic.noise_level(0, 2.0, 0.05, 0) == 0


def test_noise_regularization_of_each_image(session):
    noise = np.random.RandomState(1).randn(2, 1, 32, 32) + 0.3
    want = [numpy_regularization(v[0])[0] for v in noise]
    got, normal = tflib.run(
        [
            arithmetic.noise_regularization(tf.constant(noise)),
            arithmetic.normalize_noise(tf.constant(noise)),
        ]
    )
    np.testing.assert_allclose(got, want, rtol=1e-9)
    np.testing.assert_allclose(normal.mean((1, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(normal).mean((1, 2, 3)), 1, rtol=1e-9)


def test_official_method_follows_numpy_step_by_step(session, toy_lpips):
    """With a noise strength of 0 only the regularization moves noise.

    Adam on it, then unit variance. Each image does what it would do alone.
    """
    net = tflib.Network(
        'Gs', G_main, noise_injection='additive', **dict(SMALL, resolution=16, fmap_max=4)
    )
    projector = make_projector('w-lpips', num_steps=8)
    projector.set_network(net, minibatch_size=2)
    targets = images_of(net, [1, 2])
    projector.start(targets, seeds=[5, 6])
    w_mean = net.components.mapping.run(np.random.RandomState(123).randn(200, 8), None)[:, 0].mean(
        axis=0
    )
    np.testing.assert_allclose(
        projector.get_dlatents(), np.broadcast_to(w_mean, [2, 6, 8]), atol=1e-5
    )
    noises = [noise.astype(np.float64) for noise in projector.get_noises()]
    assert [noise.shape[2] for noise in noises] == [4, 8, 8, 16, 16]
    moments = [[np.zeros_like(noise), np.zeros_like(noise)] for noise in noises]
    for step in range(8):
        rate, _ = schedule(step, 8)
        penalty = np.zeros(2)
        for noise, (m, v) in zip(noises, moments):
            for image in range(2):
                value, gradient = numpy_regularization(noise[image, 0])
                penalty[image] += value
                m[image, 0] += 0.1 * (1e5 * gradient - m[image, 0])
                v[image, 0] += 0.001 * ((1e5 * gradient) ** 2 - v[image, 0])
            corrected = rate * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            noise -= corrected * m / (np.sqrt(v) + 1e-8)
            noise -= noise.mean((1, 2, 3), keepdims=True)
            noise /= np.sqrt(np.square(noise).mean((1, 2, 3), keepdims=True))
        projector.step()
        assert projector.get_cur_step() == step + 1
        for got, want in zip(projector.get_noises(), noises):
            assert_close(got, want, 2e-3, 'noise after step %d' % step)
        curves = projector.get_curves()
        np.testing.assert_allclose(
            (curves['loss'] - curves['lpips'])[:, -1], 1e5 * penalty, rtol=2e-2, atol=1e-2
        )
        if step == 0:  # the first learning rate is 0
            np.testing.assert_allclose(projector.get_dlatents()[:, 0], [w_mean, w_mean], atol=1e-5)
    projector.step()
    assert projector.get_cur_step() == 8
    w = projector.get_dlatents()
    assert np.all(w == w[:, :1]) and np.max(np.abs(w[:, 0] - w_mean)) > 1e-2
    noise = projector.get_noises()[4]
    alone = projector.run(targets[1:], seeds=[6])
    np.testing.assert_allclose(alone.dlatents[0], w[1], atol=1e-4)
    np.testing.assert_allclose(alone.noises[4][0], noise[1], atol=1e-3)


def test_official_interface_for_one_image(Gs, toy_lpips, capsys):
    projector = make_projector('w-lpips', num_steps=11, verbose=True, clone_net=True)
    assert projector.regularize_noise_weight == 1e5 and METHODS['w-lpips']['space'] == 'w'
    projector.set_network(Gs)
    noise = Gs.components.synthesis.get_var('noise0')
    target = np.repeat(np.repeat(images_of(Gs, [3]), 2, axis=2), 2, axis=3)  # shrunk by start
    found = projector.run(target)
    assert found.dlatents.shape == (1, 4, 8) and found.images.shape == (1, 3, 8, 8)
    assert [each.shape for each in found.noises] == [(1, 1, 4, 4), (1, 1, 8, 8), (1, 1, 8, 8)]
    np.testing.assert_array_equal(Gs.components.synthesis.get_var('noise0'), noise)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.split()[1].isdigit()] == ['10', '11']
    assert all(line.startswith('Projector: ') for line in lines)


def alpha_images(Gs, w, t):
    """Images of w with powers of alpha, and their gradient with respect to these."""
    noises = [tf.tile(var, [len(w), 1, 1, 1]) for var in anatomy.noise_inputs(Gs)]
    powers = None if t is None else tf.constant(t, tf.float32)
    images = arithmetic.images_at(Gs, 'wplus', tf.constant(w), noises, powers)
    return images, powers


def test_alpha_power_is_the_formula(Gs):
    rnd = np.random.RandomState(2)
    w = rnd.randn(2, 4, 8).astype(np.float32)
    t = rnd.uniform(-1, 3, [2, T_LAYERS])
    got, plain, same = tflib.run(
        [
            alpha_images(Gs, w, t)[0],
            alpha_images(Gs, w, None)[0],
            alpha_images(Gs, w, np.ones([2, T_LAYERS]))[0],
        ]
    )
    np.testing.assert_array_equal(same, plain)
    logits = [var for name, var in Gs.vars.items() if name.endswith('alpha_logit')]
    assert len(logits) == T_LAYERS
    stored = tflib.run(logits)
    alpha = 1 / (1 + np.exp(-np.array(stored, np.float64)))
    unmodified = alpha_images(Gs, w, None)[0]
    for image in range(2):
        powered = alpha ** t[image] / (alpha ** t[image] + (1 - alpha) ** t[image])
        tflib.set_vars(dict(zip(logits, np.log(powered / (1 - powered)))))
        want = tflib.run(unmodified)[image]
        tflib.set_vars(dict(zip(logits, stored)))
        assert_close(got[image], want, 1e-5)
        assert np.max(np.abs(want - plain[image])) > 1e-2


def test_gradient_of_alpha_power_is_that_of_finite_differences(Gs):
    rnd = np.random.RandomState(3)
    w = rnd.randn(1, 4, 8).astype(np.float32)
    weights = rnd.randn(1, 3, 8, 8).astype(np.float32)
    t = np.array([[0.5, 1.0, 2.0]], np.float32)
    images, powers = alpha_images(Gs, w, t)
    gradient = tflib.run(tf.gradients(tf.reduce_sum(images * weights), powers)[0])
    for layer in range(T_LAYERS):
        step = 0.02 * np.eye(T_LAYERS)[layer]
        up, down = [
            np.sum(np.float64(tflib.run(images, {powers: t + sign * step})) * weights)
            for sign in (1, -1)
        ]
        assert gradient[0, layer] == pytest.approx((up - down) / 0.04, rel=1e-2, abs=1e-3)


def test_images_of_the_network_are_found_again_in_wplus(Gs):
    """Three images in a minibatch for four: with alpha not worse than without."""
    targets = images_of(Gs, [1, 2, 3])
    errors = {}
    for optimize_alpha in [False, None]:
        projector = make_projector(
            'wplus-alpha',
            num_steps=200,
            lambda_perceptual=0.0,
            initial_learning_rate=0.05,
            optimize_alpha=optimize_alpha,
        )
        projector.set_network(Gs, minibatch_size=4)
        assert projector.optimize_alpha == (optimize_alpha is None)
        projector.start(targets)
        first = projector.get_losses()['mse']
        np.testing.assert_allclose(
            first, np.square(projector.get_images() - targets).mean((1, 2, 3)), rtol=1e-5
        )
        while projector.get_cur_step() < 200:
            projector.step()
        last = projector.get_losses()['mse']
        assert len(last) == 3 and np.all(last < 0.05 * first)
        assert projector.get_curves()['mse'].shape == (3, 200)
        for noise, stored in zip(projector.get_noises(), anatomy.noise_inputs(Gs)):
            np.testing.assert_array_equal(noise, np.repeat(tflib.run(stored), 3, axis=0))
        errors[optimize_alpha] = last.mean()
    assert projector.get_alpha_powers().shape == (3, T_LAYERS)
    assert np.std(projector.get_alpha_powers()) > 1e-3
    assert errors[None] <= 1.5 * errors[False]


def test_perceptual_loss_is_that_of_features(Gs, tmp_path, monkeypatch):
    monkeypatch.setattr(
        vgg16, 'BLOCKS', [(count, maps) for (count, _), maps in zip(vgg16.BLOCKS, test_vgg16.MAPS)]
    )
    arrays = test_vgg16.random_arrays()
    projector = make_projector(
        'wplus-alpha', num_steps=2, vgg16_weights=test_vgg16.save(tmp_path / 'vgg16.h5', arrays)
    )
    projector.set_network(Gs)
    target = images_of(Gs, [4])
    projector.start(target)
    losses, image = projector.get_losses(), projector.get_images()
    monkeypatch.setattr(test_vgg16, 'LAYERS', test_vgg16.LAYERS[:9])  # to conv4_2, now 1x1
    a, b = [test_vgg16.reference(x[0].astype(np.float64), arrays) for x in (image, target)]
    want = sum(np.mean(np.square(a[key] - b[key])) for key in [(1, 1), (1, 2), (3, 2), (4, 2)])
    np.testing.assert_allclose(losses['perceptual'], [want], rtol=1e-3)
    projector.step()
    curves = projector.get_curves()
    np.testing.assert_allclose(
        curves['loss'][:, 0], 0.5 * losses['mse'] + 0.5 * losses['perceptual'], rtol=1e-4
    )


def test_networks_without_w_are_searched_in_z(session, toy_lpips, capsys):
    net = tflib.Network('Gs', G_dcgan, resolution=8, latent_size=8, fmap_base=32, fmap_max=8)
    target = net.run(np.random.RandomState(1).randn(1, 8), None)
    projector = make_projector('w-lpips', num_steps=60)
    projector.set_network(net)
    assert 'Noise inputs do not change the images' in capsys.readouterr().out
    projector.start(target)
    first = projector.get_losses()['mse']
    while projector.get_cur_step() < 60:
        projector.step()
    assert projector.get_dlatents().shape == (1, 8)
    assert projector.get_losses()['mse'] < 0.5 * first
    for attributes, message in [
        (dict(space='wplus'), 'has no W .*--space is wplus'),
        (dict(optimize_alpha=True), 'has no alpha in'),
        (dict(class_index=1), '--class is 1, but the network was trained without labels'),
    ]:
        with pytest.raises(UserError, match=message):
            make_projector('w-lpips', **attributes).set_network(net)


def test_what_cannot_be_is_said(Gs):
    with pytest.raises(UserError, match='unknown method .*; choose one of w-lpips, wplus-alpha'):
        Projector('magic')
    with pytest.raises(UserError, match='has a W .*--space is z'):
        make_projector('wplus-alpha', space='z').set_network(Gs)
    with pytest.raises(UserError, match='have weight 0'):
        make_projector('wplus-alpha', lambda_mse=0.0).set_network(Gs)
