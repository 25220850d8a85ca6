"""Half precision changes the speed of a network, not what it computes, nor where it runs."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import run_training
from dnnlib import tflib
from dnnlib.tflib import engine, pickles, precision, tfutil
from dnnlib.util import UserError
from metrics.evaluation import Evaluation
from metrics.features import copies_on_devices
from projector import Projector
from training import loss

NETWORKS = 'training.networks_stylegan2.'
SHAPE = dict(resolution=16, fmap_base=64, fmap_max=8, num_channels=3)
# At the corner of a leaky ReLU, rounding can turn the slope of one of so few units: a gradient then
# differs by percents on one processor and not on another.
SMOOTH = dict(nonlinearity='swish')
HAS_HALF = engine.ENGINE == 'tf2' and engine.cpu_has_bfloat16() or bool(engine.gpu_devices())
HALF = tf.float16 if engine.gpu_devices() else tf.bfloat16


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


def types_of_convolutions(*scopes):
    """Types of the results of all 3x3 convolutions from 8x8 up in the graph, or in some scopes."""
    return {
        op.outputs[0].dtype
        for op in tf.get_default_graph().get_operations()
        if op.type in ('Conv2D', 'Conv2DBackpropInput')
        and (not scopes or op.name.startswith(scopes))
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
    assert (np.abs(got - want).max() > 1e-4 * np.abs(want).max()) == HAS_HALF
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
        G = make_G('float32', noise_injection='fr', **SMOOTH)
        D = make('D', 'D_stylegan2', precision='float32', **SMOOTH)
        reals = tf.constant(np.random.RandomState(1).uniform(-1, 1, [4, 3, 16, 16]), tf.float32)
        dlatents = tf.constant(np.random.RandomState(2).randn(4, 6, 8), tf.float32)
        for value in precision.PRECISIONS:
            nets = [
                net if value == 'float32' else net.clone(net.name + '_mixed', precision=value)
                for net in (G, D)
            ]
            results[value] = _losses(nets, reals, dlatents)
        types = {v.dtype.base_dtype for v in tf.trainable_variables()}
        yield session.run(results), types
        session.close()


def _losses(nets, reals, dlatents):
    """R1 and path lengths, with gradients of second order, for fixed inputs."""
    G, D = nets
    r1 = tf.reduce_sum(loss._squared_gradient(D.get_output_for(reals, None), reals))
    images = G.components.synthesis.get_output_for(dlatents, randomize_noise=False)
    direction = np.random.RandomState(3).randn(*images.shape[1:].as_list()) / 16
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


def test_tf32_is_refused_where_there_is_none(monkeypatch):
    if not engine.has_tf32():
        with pytest.raises(UserError, match='--precision is tf32, which takes .*--precision=float'):
            precision.check('tf32')
    for capability, is_there in [('7.5', False), ('8.0', True), ('10.0', True)]:
        card = 'device: 0, name: A card, compute capability: ' + capability
        monkeypatch.setattr(engine, '_gpus', [card])
        assert engine.has_tf32() == (is_there and engine.ENGINE == 'tf2')
    monkeypatch.setattr(engine, '_gpus', [card, card.replace('10.0', '7.0')])
    with pytest.raises(UserError, match=r'on GPUs of 10.0, 7.0\); use --precision=float32'):
        precision.check('tf32')


def test_float32_is_float32_unless_the_session_of_the_process_says_otherwise(monkeypatch):
    is_tf2 = engine.ENGINE == 'tf2'
    assert not engine.allows_tf32()
    try:
        with tf.Graph().as_default():
            monkeypatch.setattr(tf, 'get_default_session', lambda: None)  # other tests have one
            monkeypatch.setattr(tfutil, 'create_session', lambda *args, **kwargs: None)
            tflib.init_tf({precision.TF32_OPTION: True})
            assert engine.allows_tf32() == is_tf2
            assert precision.in_words('float32') == ('tf32' if is_tf2 else 'float32')
            with engine.full_float32():
                assert not engine.allows_tf32()
            assert engine.allows_tf32() == is_tf2
            tflib.init_tf()
            assert not engine.allows_tf32()
    finally:
        engine.allow_tf32(False)
    with pytest.raises(UserError, match="math.allow_tf32 = 'yes'; it is true or false"):
        tflib.init_tf({precision.TF32_OPTION: 'yes'})


def test_metrics_of_a_network_of_mixed_precision_use_float32_unless_told(session, tmp_path):
    path = str(tmp_path / 'mixed.pkl')
    pickles.save(make_G('mixed'), path)
    try:
        engine.allow_tf32(True)
        for options, is_half in [({}, False), (dict(precision='mixed'), HAS_HALF)]:
            evaluation = Evaluation(path, **options)
            with evaluation.graph():
                assert not engine.allows_tf32()
                (Gs,) = copies_on_devices(evaluation.load_generator(), 1)
                Gs.run(np.zeros([1, 8]), None)
                Gs.components.synthesis.run(np.zeros([1, 6, 8]))
                found = types_of_convolutions(Gs.scope + '/_Run', 'G_synthesis_1/_Run')
                assert found == ({HALF} if is_half else {tf.float32})
        assert engine.allows_tf32() == (engine.ENGINE == 'tf2')
    finally:
        engine.allow_tf32(False)


def test_projections_are_in_float32_whatever_the_network_says(session):
    projector = Projector('wplus-alpha')
    projector.dlatent_avg_samples = 2
    projector.set_network(make_G('mixed'))
    assert types_of_convolutions('Projector') == {tf.float32}


def test_the_precision_of_a_network_can_be_set_with_that_of_its_parts(session):
    G = make_G('mixed', dtype='float16')
    precision.use(G, 'float32')
    for net in (G, G.components.synthesis):
        assert net.static_kwargs.precision == net.static_kwargs.dtype == 'float32'
    assert 'precision' not in G.components.mapping.static_kwargs
    precision.use(G, 'mixed')
    assert G.components.synthesis.static_kwargs.precision == 'mixed'
    with pytest.raises(UserError, match="'mapping' has no option precision; use --precision=floa"):
        precision.use(G.components.mapping.clone('mapping'), 'mixed')


def test_tensorflow_1_has_no_half_precision_on_cpus():
    if engine.ENGINE == 'tf1' and not engine.gpu_devices():
        assert precision.half_type() is None


def options_of(*argv):
    return run_training.resolve_options(run_training.parse_args(['--config=config-e', *argv]))


def test_the_precision_is_saved_with_the_networks():
    options = options_of('--precision=mixed')
    for name in 'GD':
        assert options[name + '_args']['precision'] == 'mixed'
        has_gpu = bool(engine.gpu_devices())
        assert options[name + '_opt_args']['use_loss_scaling'] == has_gpu
    assert 'precision' not in options_of()['G_args']


def test_tf32_is_an_option_of_the_run_and_not_of_its_networks():
    assert precision.TF32_OPTION not in options_of()['tf_config']
    for value in precision.CHOICES:
        options = options_of('--precision=' + value)
        assert options['tf_config'][precision.TF32_OPTION] == (value == 'tf32')
        assert ('precision' in options['G_args']) == (value == 'mixed')


def test_losses_in_float16_are_scaled_and_not_so_much_that_first_steps_are_left_out(monkeypatch):
    monkeypatch.setattr(engine, '_gpus', ['compute capability: 9.0'])
    both = '--set=G_args.precision=mixed', '--set=D_args.precision=mixed'
    for flags in [['--precision=mixed'], both]:
        options = options_of(*flags)['D_opt_args']
        assert options['use_loss_scaling'] is True and options['loss_scaling_init'] < 11
    options = options_of('--precision=mixed', '--set=G_opt_args.loss_scaling_init=5')
    assert options['G_opt_args']['loss_scaling_init'] == 5
    options = options_of('--set=D_opt_args.use_loss_scaling=false', *both)
    assert options['D_opt_args']['use_loss_scaling'] is False
    assert 'loss_scaling_init' not in options_of()['G_opt_args']


@pytest.mark.parametrize('name', ['r1', 'path'])
def test_networks_compute_in_float16_as_on_gpus(session, monkeypatch, name):
    """Where a CPU stands in for it, there are plain TensorFlow's ops."""
    monkeypatch.setattr(precision, 'half_type', lambda: tf.float16)
    G = make_G('float32', noise_injection='fr', **SMOOTH)
    nets = G, make('D', 'D_stylegan2', precision='float32', **SMOOTH)
    mixed = [net.clone(net.name + '_mixed', precision='mixed') for net in nets]
    reals = tf.constant(np.random.RandomState(1).uniform(-1, 1, [2, 3, 16, 16]), tf.float32)
    dlatents = tf.constant(np.random.RandomState(2).randn(2, 6, 8), tf.float32)
    pairs = [_losses(each, reals, dlatents)[name] for each in (nets, mixed)]
    (want, want_grad), (got, got_grad) = tflib.run(pairs)
    np.testing.assert_allclose(got, want, rtol=0.01)
    error = np.linalg.norm(got_grad - want_grad) / np.linalg.norm(want_grad)
    assert 1e-5 < error < 0.02, error
