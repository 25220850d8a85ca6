"""StyleGAN2 networks give the numbers of the official code, in both activation layouts."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import layout
from tests import golden
from training.layers_stylegan2 import modulated_conv2d

MODULE = 'training.networks_stylegan2.'
G_ARRAYS, G_META = golden.load('networks_g_stylegan2')
D_ARRAYS, D_META = golden.load('networks_d_stylegan2')


@pytest.mark.parametrize('case', G_META['nets'], ids=lambda case: case['net'])
def test_generators_give_the_official_images_and_dlatents(session, data_format, case):
    golden.check_generator(G_ARRAYS, MODULE + case['func'], case)


@pytest.mark.parametrize('case', D_META['nets'], ids=lambda case: case['net'])
def test_discriminators_give_the_official_scores(session, data_format, case):
    golden.check_discriminator(D_ARRAYS, MODULE + case['func'], case)


@pytest.mark.parametrize(
    'func, fmap_base, expected',
    [
        ('G_main', 8 << 10, 24767458),
        ('G_main', 16 << 10, 30034338),
        ('D_stylegan2', 8 << 10, 24001089),
        ('D_stylegan2', 16 << 10, 28864129),
    ],
)
def test_networks_have_the_published_number_of_parameters(session, func, fmap_base, expected):
    net = tflib.Network('net', MODULE + func, num_channels=3, resolution=256, fmap_base=fmap_base)
    assert golden.count_trainables(net) == expected


def test_demodulation_and_its_gradients_agree_with_numpy(session):
    rng = np.random.RandomState(0)
    w, mod_w, y = rng.randn(3, 3, 6, 4), rng.randn(5, 6), rng.randn(2, 5)
    w[..., 0] = 0  # a feature that is off
    g, v = rng.randn(2, 4), rng.randn(*w.shape)
    with layout.use(layout.for_device()), tf.variable_scope('layer'):
        x = tf.zeros(layout.arrange(2, 6, 4, 4))
        _, d = modulated_conv2d(
            x, tf.constant(y, tf.float32), fmaps=4, kernel=3, fused_modconv=False
        )
    variables = {var.name.split('/')[-1][:-2]: var for var in tf.trainable_variables()}
    weight = variables['weight']
    (dw,) = tf.gradients(d, weight, tf.constant(g, tf.float32))
    (second,) = tf.gradients(dw, weight, tf.constant(v, tf.float32))
    tflib.run([var.initializer for var in variables.values()])
    tflib.set_vars({weight: w, variables['mod_weight']: mod_w})

    squares = ((y @ mod_w / np.sqrt(5) + 1) / np.sqrt(9 * 6)) ** 2  # of the styles
    want_d = 1 / np.sqrt(squares @ np.sum(w**2, axis=(0, 1)) + 1e-8)
    want_dw = -np.einsum('no,ni,klio->klio', g * want_d**3, squares, w)
    along = np.einsum('ni,klio->no', squares, w * v)
    want_second = 3 * np.einsum('no,ni,klio->klio', g * want_d**5 * along, squares, w) - np.einsum(
        'no,ni,klio->klio', g * want_d**3, squares, v
    )
    for got, want in zip(tflib.run([d, dw, second]), [want_d, want_dw, want_second]):
        for feature in range(4):  # that of zeros has factors of 10,000
            a, b = got[..., feature], want[..., feature]
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())
