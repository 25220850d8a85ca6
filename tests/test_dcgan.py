"""DCGAN has the shapes that its description gives, and agrees with NumPy in every noise form."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dcgan import networks
from dnnlib import tflib
from dnnlib.tflib import layout
from dnnlib.util import UserError
from tests import golden
from tests.test_noise_injection import inject_in_numpy
from training import misc
from training.networks_stylegan2 import NOISE_INJECTION_FORMS

MODULE = 'dcgan.networks.'
TINY = dict(resolution=8, fmap_max=4, latent_size=8)
RNG = np.random.RandomState(0)


def randomize(net):
    """Give all variables of a network random values, positive where they are variances."""
    for name, var in net.vars.items():
        value = RNG.randn(*var.shape.as_list()) * 0.5
        net.set_var(name, np.abs(value) + 0.5 if name.endswith('variance') else value)


@pytest.mark.parametrize(
    'resolution, G_parameters, D_parameters, layers',
    [
        # G: 100 -> 512 of 4x4 -> 256 -> 128 -> 64 -> 3; D: 3 -> 64 -> 128 -> 256 -> 512 -> 1.
        (
            64,
            100 * 512 * 16
            + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
            + 2 * (512 + 256 + 128 + 64),
            16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512) + 512 * 16 + 1,
            ['4x4', '8x8', '16x16', '32x32'],
        ),
        # G: 100 -> 256 of 2x2 -> 128 -> 64 -> 32 -> 3; D: 3 -> 32 -> 64 -> 128 -> 256 of 2x2 -> 1.
        (
            32,
            100 * 256 * 4
            + 25 * (256 * 128 + 128 * 64 + 64 * 32 + 32 * 3)
            + 2 * (256 + 128 + 64 + 32),
            25 * (3 * 32 + 32 * 64 + 64 * 128 + 128 * 256) + 2 * (64 + 128 + 256) + 256 * 4 + 1,
            ['2x2', '4x4', '8x8', '16x16'],
        ),
    ],
)
def test_networks_have_the_described_shapes_and_number_of_parameters(
    session, resolution, G_parameters, D_parameters, layers
):
    G = tflib.Network('G', MODULE + 'G_dcgan', resolution=resolution, num_channels=3)
    D = tflib.Network('D', MODULE + 'D_dcgan', resolution=resolution, num_channels=3)
    assert golden.count_trainables(G) == G_parameters
    assert golden.count_trainables(D) == D_parameters
    assert G.input_shapes == [[None, 100], [None, 0]]
    assert [name for name, _, _ in G.list_layers() if 'x' in name and '/' not in name] == layers
    images = G.run(RNG.randn(2, 100), None, truncation_psi=0.5)
    assert images.shape == (2, 3, resolution, resolution) and np.abs(images).max() <= 1
    assert D.run(images, None).shape == (2, 1)


@pytest.mark.parametrize(
    'resolution, options, stages, fmaps',
    [
        (16, {}, [2, 3], [128, 64]),
        (128, {}, [2, 3, 4, 5, 6], [512, 512, 256, 128, 64]),
        (64, dict(fmap_base=512), [2, 3, 4, 5], [256, 128, 64, 32]),
        (32, dict(fmap_max=64), [1, 2, 3, 4], [64, 64, 64, 32]),
    ],
)
def test_other_resolutions_and_widths_follow_from_these(resolution, options, stages, fmaps):
    shape = networks.network_shape(resolution, **options)
    assert shape.stages == stages and [shape.fmaps(stage) for stage in stages] == fmaps


@pytest.mark.parametrize('data_format', ['NHWC', 'NCHW'])
def test_batch_norm_agrees_with_numpy_in_both_modes(session, data_format):
    x = (RNG.randn(4, 3, 2, 2) * 2 + 1).astype(np.float32)
    outputs = {}
    with layout.use(data_format):
        for is_training in [False, True]:
            with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
                y = networks.batch_norm(layout.from_nchw(tf.constant(x)), is_training)
            outputs[is_training] = layout.to_nchw(y)
    variables = {v.name.split('/')[-1][:-2]: v for v in tf.global_variables()}
    assert set(variables) == {'gamma', 'beta', 'moving_mean', 'moving_variance'}
    assert len(tf.trainable_variables()) == 2
    tflib.run(tf.global_variables_initializer())
    gamma, beta, mean, variance = ([1.5, -0.5, 2], [0.1, 0.2, 0.3], [1, 0, -1], [2, 3, 4])
    tflib.set_vars(
        {
            variables['gamma']: gamma,
            variables['beta']: beta,
            variables['moving_mean']: mean,
            variables['moving_variance']: variance,
        }
    )

    def normalized(mean, variance):
        mean, variance, scale, shift = (
            np.reshape(v, [1, 3, 1, 1]) for v in [mean, variance, gamma, beta]
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift

    golden.assert_close(tflib.run(outputs[False]), normalized(mean, variance), 1e-5)
    batch_mean, batch_variance = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    golden.assert_close(tflib.run(outputs[True]), normalized(batch_mean, batch_variance), 1e-5)
    # One evaluation in training has moved the averages by a tenth of the way.
    for name, old, batch in [
        ('moving_mean', mean, batch_mean),
        ('moving_variance', variance, batch_variance),
    ]:
        golden.assert_close(tflib.run(variables[name]), 0.9 * np.array(old) + 0.1 * batch, 1e-5)


def transposed_convolution(x, w):
    """Stride 2, padding 'SAME': [C, H, W], [4, 4, out, in] -> [out, 2H, 2W]."""
    _, height, width = x.shape
    y = np.zeros([w.shape[2], height * 2 + 2, width * 2 + 2])
    for i, j in np.ndindex(height, width):
        y[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum('c,hwfc->fhw', x[:, i, j], w)
    return y[:, 1:-1, 1:-1]


@pytest.mark.parametrize('form', NOISE_INJECTION_FORMS)
def test_the_generator_agrees_with_numpy_in_every_noise_form(session, form):
    net = tflib.Network('G', MODULE + 'G_dcgan', noise_injection=form, **TINY)
    randomize(net)
    v = {name: net.get_var(name).astype(np.float64) for name in net.vars}
    noise = {
        name.split('/')[-1]: value
        for name, value in v.items()
        if name.startswith('4x4/FR/') or name.endswith('noise_strength')
    }
    assert bool(noise) == (form != 'none')
    if form == 'fr-released':
        noise['fr_reduce'] = 'neg_max'
    z = RNG.randn(3, 8)

    def per_channel(name):
        return v['4x4/BatchNorm/' + name].reshape(1, 4, 1, 1)

    x = np.dot(z, v['4x4/weight']).reshape(3, 4, 4, 4)
    x = (x - per_channel('moving_mean')) / np.sqrt(per_channel('moving_variance') + 1e-5)
    x = np.maximum(x * per_channel('gamma') + per_channel('beta'), 0)
    x = [inject_in_numpy(form, mu, v['noise0'][0, 0], **noise) for mu in x]
    want = np.tanh([transposed_convolution(mu, v['ToRGB/weight']) for mu in x])
    options = dict(fr_reduce='neg_max') if form == 'fr-released' else {}
    golden.assert_close(net.run(z, None, randomize_noise=False, **options), want, 1e-5)


def test_an_image_does_not_depend_on_what_else_is_in_the_minibatch(session):
    net = tflib.Network('G', MODULE + 'G_dcgan', noise_injection='fr', **TINY)
    randomize(net)
    z = RNG.randn(4, 8)
    together = net.run(z, None, is_validation=True, randomize_noise=False)
    alone = net.run(z, None, is_validation=True, randomize_noise=False, minibatch_size=1)
    golden.assert_close(alone, together, 1e-5)
    # Evaluating changes no variable; in training an image does depend on the others.
    np.testing.assert_array_equal(
        net.run(z, None, is_validation=True, randomize_noise=False), together
    )
    in_training = [net.run(z[:n], None, is_training=True, randomize_noise=False)[0] for n in [2, 4]]
    assert np.ptp(in_training, axis=0).max() > 0.01 * np.abs(in_training).max()


def test_the_discriminators_scores_do_not_depend_on_the_minibatch(session):
    net = tflib.Network('D', MODULE + 'D_dcgan', resolution=16, fmap_max=4)
    randomize(net)
    images = RNG.randn(4, 3, 16, 16)
    np.testing.assert_allclose(
        net.run(images, None), net.run(images, None, minibatch_size=1), rtol=1e-4, atol=1e-6
    )


def test_the_running_average_takes_over_the_moving_averages(session):
    G = tflib.Network('G', MODULE + 'G_dcgan', **TINY)
    Gs = G.clone('Gs')
    update = Gs.setup_as_moving_average_of(G, beta=0.75)
    randomize(G)
    before = Gs.get_var('4x4/weight')
    tflib.run(update)
    name = '4x4/BatchNorm/moving_variance'
    np.testing.assert_array_equal(Gs.get_var(name), G.get_var(name))
    golden.assert_close(
        Gs.get_var('4x4/weight'), 0.75 * before + 0.25 * G.get_var('4x4/weight'), 1e-6
    )


def test_a_snapshot_makes_the_same_images(session, tmp_path):
    G = tflib.Network('G', MODULE + 'G_dcgan', noise_injection='fr', **TINY)
    randomize(G)
    misc.save_pkl(G, str(tmp_path / 'net.pkl'))
    again = misc.load_pkl(str(tmp_path / 'net.pkl'))
    z = RNG.randn(2, 8)
    np.testing.assert_array_equal(
        again.run(z, None, randomize_noise=False), G.run(z, None, randomize_noise=False)
    )


def test_path_length_regularization_is_refused_with_a_loss_to_choose(session):
    net = tflib.Network('G', MODULE + 'G_dcgan', **TINY)
    with pytest.raises(UserError, match='no intermediate latents.*G_logistic_ns'):
        net.get_output_for(tf.zeros([1, 8]), None, return_dlatents=True)
