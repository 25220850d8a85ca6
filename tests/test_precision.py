"""Half precision changes the speed of a network, not what it computes, nor where it runs."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import run_training
from dnnlib import tflib
from dnnlib.tflib import engine, precision
from dnnlib.util import UserError
from training import loss

NETWORKS = 'training.networks_stylegan2.'
SHAPE = dict(resolution=16, fmap_base=64, fmap_max=8, num_channels=3)
HAS_HALF = engine.ENGINE == 'tf2' and engine.cpu_has_bfloat16() or bool(engine.gpu_devices())


def make(name, func, **kwargs):
    return tflib.Network(name, NETWORKS + func, **dict(SHAPE, **kwargs))


def make_G(value, **kwargs):
    return make(
        'G',
        'G_main',
        precision=value,
        latent_size=8,
        dlatent_size=8,
        mapping_layers=2,
        mapping_fmaps=8,
        **kwargs,
    )


def types_of_convolutions():
    """Types of the results of all 3x3 convolutions from 8x8 up in the graph."""
    return {
        op.outputs[0].dtype
        for op in tf.get_default_graph().get_operations()
        if op.type == 'Conv2D'
        and op.inputs[1].shape[0] == 3
        and None not in op.outputs[0].shape.as_list()[1:]
        and min(op.outputs[0].shape.as_list()[1:3]) >= 8
    }


@pytest.mark.parametrize('form', ['additive', 'fr'])
@pytest.mark.parametrize('architecture', ['skip', 'resnet'])
def test_generators_draw_nearly_the_same_image(session, architecture, form):
    G = make_G('float32', architecture=architecture, noise_injection=form)
    mixed = G.clone('mixed', precision='mixed')
    latents = np.random.RandomState(0).randn(2, 8)
    options = dict(truncation_psi=1, randomize_noise=False)
    want, got = [net.run(latents, None, **options) for net in (G, mixed)]
    assert got.dtype == np.float32
    if HAS_HALF:
        assert np.any(got != want)
    np.testing.assert_allclose(got, want, rtol=0, atol=0.03 * np.abs(want).max())


@pytest.mark.parametrize('func', ['D_stylegan2', 'D_stylegan'])
def test_discriminators_score_nearly_the_same(session, func):
    D = make('D', func, precision='float32')
    images = np.random.RandomState(0).randn(64, 3, 16, 16)
    want, got = [net.run(images, None) for net in (D, D.clone('mixed', precision='mixed'))]
    # Scores can lie near zero or far from it; what they must keep apart are images.
    assert np.sqrt(np.mean((got - want) ** 2)) < 0.1 * np.std(want)


@pytest.fixture(scope='module')
def pair():
    """Losses and their gradients in both precisions, from the same weights."""
    results = {}
    with tf.Graph().as_default(), tflib.create_session().as_default() as session:
        tf.set_random_seed(1)
        G = make_G('float32', noise_injection='fr')
        D = make('D', 'D_stylegan2', precision='float32')
        reals = tf.constant(np.random.RandomState(1).uniform(-1, 1, [4, 3, 16, 16]), tf.float32)
        dlatents = tf.constant(np.random.RandomState(2).randn(4, 6, 8), tf.float32)
        for value in precision.PRECISIONS:
            nets = [
                net if value == 'float32' else net.clone(net.name + '_mixed', precision=value)
                for net in (G, D)
            ]
            results[value] = _losses(nets, reals, dlatents)
        types = {v.dtype.base_dtype for v in tf.global_variables()}
        yield session.run(results), types
        session.close()


def _losses(nets, reals, dlatents):
    """R1 and path lengths, with gradients of second order, for fixed inputs."""
    G, D = nets
    r1 = tf.reduce_sum(loss._squared_gradient(D.get_output_for(reals, None), reals))
    images = G.components.synthesis.get_output_for(dlatents, randomize_noise=False)
    direction = np.random.RandomState(3).randn(4, 3, 16, 16) / 16
    path = tf.reduce_sum(tf.square(tf.gradients(tf.reduce_sum(images * direction), dlatents)[0]))
    values = {}
    for name, value, net in [('r1', r1, D), ('path', path, G.components.synthesis)]:
        weights = [v for v in net.trainables.values() if len(v.shape) > 1]
        gradients = [tf.reshape(g, [-1]) for g in tf.gradients(value, weights) if g is not None]
        values[name] = value, tf.concat(gradients, axis=0)
    return values


@pytest.mark.parametrize('name', ['r1', 'path'])
def test_regularization_terms_and_their_gradients_are_nearly_the_same(pair, name):
    (want, want_grad), (got, got_grad) = [pair[0][value][name] for value in precision.PRECISIONS]
    np.testing.assert_allclose(got, want, rtol=0.05)
    cosine = np.vdot(got_grad, want_grad) / np.linalg.norm(got_grad) / np.linalg.norm(want_grad)
    assert np.all(np.isfinite(got_grad)) and cosine > 0.99
    np.testing.assert_allclose(np.linalg.norm(got_grad), np.linalg.norm(want_grad), rtol=0.05)


def test_variables_stay_float32(pair):
    assert pair[1] == {tf.float32}


def test_a_network_of_mixed_precision_computes_in_float32_where_there_is_nothing_faster(
    session, monkeypatch
):
    monkeypatch.setattr(precision, 'half_type', lambda: None)
    G = make_G('mixed')
    want = G.clone('float32', precision='float32')
    latents = np.random.RandomState(0).randn(1, 8)
    images = [net.run(latents, None, randomize_noise=False) for net in (G, want)]
    np.testing.assert_array_equal(*images)
    assert tf.bfloat16 not in types_of_convolutions()


def test_training_in_mixed_precision_says_what_it_needs(monkeypatch):
    monkeypatch.setattr(precision, 'half_type', lambda: None)
    with pytest.raises(UserError, match='--precision is mixed, for which CPUs need TensorFlow 2'):
        precision.check('mixed')
    precision.check('float32')
    with pytest.raises(UserError, match="unknown precision 'half'; choose one of float32, mixed"):
        precision.conv_dtype('half')


def test_tensorflow_1_has_no_half_precision_on_cpus():
    if engine.ENGINE == 'tf1' and not engine.gpu_devices():
        assert precision.half_type() is None


def test_the_precision_is_saved_with_the_networks():
    options = run_training.resolve_options(
        run_training.parse_args(['--config=config-e', '--precision=mixed'])
    )
    for name in 'GD':
        assert options[name + '_args']['precision'] == 'mixed'
        has_gpu = bool(engine.gpu_devices())
        assert options[name + '_opt_args']['use_loss_scaling'] == has_gpu
    options = run_training.resolve_options(run_training.parse_args(['--config=config-e']))
    assert 'precision' not in options['G_args']
