"""Noise injection agrees with the paper's equations, computed with NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine, layout
from dnnlib.util import UserError
from tests import golden, snippets
from training import networks_stylegan2 as networks

N, C, H, W = 3, 5, 8, 8
RNG = np.random.RandomState(0)
MU = RNG.randn(N, C, H, W).astype(np.float32) * 2 + 0.3
EPS = RNG.randn(1, 1, H, W).astype(np.float32)
MAPS = {'A': RNG.randn(H, W), 'b': RNG.randn(H, W), 'alpha_logit': 0.7, 'strength': 1.3}


def fr_in_numpy(mu, eps, A, b, alpha_logit, strength):
    """Eq. 6-10, one sample after the other, in float64."""
    mu, eps = mu.astype(np.float64), eps.astype(np.float64)
    alpha = 1 / (1 + np.exp(-alpha_logit))
    out = np.empty_like(mu)
    for n in range(len(mu)):
        m = mu[n].sum(axis=0)  # Eq. 6
        s = m - m.mean()  # Eq. 7
        s = s / (np.abs(s).max() + 1e-8)
        s_d = A / np.sqrt(H) * s + b / np.sqrt(H)  # Eq. 8
        s_mixed = alpha * s_d + (1 - alpha)  # Eq. 9
        sigma = s_mixed / np.sqrt((s_mixed**2).mean() + 1e-8)
        out[n] = strength * sigma * mu[n] + strength * sigma * eps[0, 0]  # Eq. 10
    return out


def skip_nchw_convolutions(data_format):
    if data_format == 'NCHW' and engine.ENGINE == 'tf1' and not engine.gpu_devices():
        pytest.skip('TensorFlow 1.14 has no NCHW convolution on CPUs')


def build(form, data_format, mu=MU, eps=EPS, fr_reduce=None, **values):
    """The layer's output as NCHW tensor, with its variables set, and these by local name."""
    with tf.variable_scope('layer'), layout.use(data_format):
        x = tf.constant(mu) if isinstance(mu, np.ndarray) else mu
        noise = networks.NoiseInjection(form, fr_reduce or 'neg_relu', tf.constant(eps))
        y = networks.noise_injection_layer(layout.from_nchw(x), noise)
        y = layout.to_nchw(y)
    variables = {v.name.split('/')[-1].split(':')[0]: v for v in tf.global_variables()}
    tflib.run(tf.global_variables_initializer())
    tflib.set_vars({variables[name]: value for name, value in values.items()})
    return y, variables


@pytest.mark.parametrize('data_format', ['NCHW', 'NHWC'])
def test_fr_follows_equations_6_to_10(session, data_format):
    y, variables = build('fr', data_format, **MAPS)
    np.testing.assert_allclose(tflib.run(y), fr_in_numpy(MU, EPS, **MAPS), rtol=1e-5, atol=1e-5)
    names = {v.name for v in variables.values()}
    assert names == {'layer/FR/%s:0' % n for n in ['A', 'b', 'alpha_logit', 'strength']}


def sigma_in_numpy(
    form, mu, fr_reduce=None, A=None, b=None, alpha_logit=None, alpha=None, weight=None
):
    """sigma [H, W] of one sample [C, H, W] in all forms, float64."""
    channels, height, width = mu.shape
    m = mu.sum(axis=0)
    s = m - m.mean()
    s = s / (np.abs(s).max() + 1e-8)
    if form == 'fr-nonorm':
        s = m
    if form == 'fr-cnn':
        padded = np.pad(mu, [(0, 0), (1, 1), (1, 1)], 'constant')
        s = sum(
            padded[c, i : i + height, j : j + width] * weight[i, j, c, 0]
            for i, j, c in np.ndindex(3, 3, channels)
        ) / np.sqrt(9 * channels)
    if form == 'fr-released':
        m = {
            'neg_relu': np.maximum(-mu, 0).sum(axis=0),
            'abs': np.abs(mu).sum(axis=0),
            'neg_max': (-mu).max(axis=0),
        }[fr_reduce]
        s = m - m.mean()
        s = (s / (s.max() + 1e-8) + 1) / 2
    if A is not None:
        s = A / np.sqrt(height) * s
    if b is not None:
        s = s + b / np.sqrt(height)
    if form == 'fr-nostab':
        return s
    if form == 'fr-released':
        s = alpha + (1 - alpha) * s
    else:
        alpha = 1 / (1 + np.exp(-alpha_logit))
        s = alpha * s + (1 - alpha)
    return s / np.sqrt((s**2).mean() + 1e-8)


def inject_in_numpy(form, mu, eps, fr_reduce=None, strength=None, noise_strength=None, **values):
    """Output of a form for one sample [C, H, W] and its noise [H, W], float64."""
    mu, eps = mu.astype(np.float64), eps.astype(np.float64)
    if form == 'none':
        return mu
    if form == 'additive':
        return mu + noise_strength * eps
    sigma = sigma_in_numpy(form, mu, fr_reduce, **values)
    strength_of_mu = 1 if form in ('fr-noise', 'fr-released') else strength
    return strength_of_mu * sigma * mu + strength * sigma * eps


RELEASED_MAPS = {'A': MAPS['A'], 'b': MAPS['b'], 'alpha': -0.3}
OTHER_FORMS = [
    ('fr-noise', MAPS, None),
    ('fr-released', RELEASED_MAPS, 'neg_relu'),
    ('fr-released', RELEASED_MAPS, 'abs'),
    ('fr-released', RELEASED_MAPS, 'neg_max'),
    ('fr-nonorm', MAPS, None),
    ('fr-nostab', {'A': MAPS['A'], 'b': MAPS['b']}, None),
    ('fr-nodecomp', {'alpha_logit': 0.7}, None),
    ('fr-cnn', {'weight': RNG.randn(3, 3, C, 1), 'b': MAPS['b'], 'alpha_logit': 0.7}, None),
]


@pytest.mark.parametrize('form, values, fr_reduce', OTHER_FORMS)
@pytest.mark.parametrize('data_format', ['NCHW', 'NHWC'])
def test_every_form_follows_its_equations(session, form, values, fr_reduce, data_format):
    if form == 'fr-cnn':
        skip_nchw_convolutions(data_format)
    values = dict(values, strength=1.3)
    y, variables = build(form, data_format, fr_reduce=fr_reduce, **values)
    assert {v.name for v in variables.values()} == {'layer/FR/%s:0' % n for n in values}
    want = [inject_in_numpy(form, mu, EPS[0, 0], fr_reduce, **values) for mu in MU]
    golden.assert_close(tflib.run(y), np.stack(want), 1e-5)


@pytest.mark.parametrize('form, values, fr_reduce', OTHER_FORMS)
def test_every_form_starts_as_its_definition_says(session, form, values, fr_reduce):
    _, variables = build(form, 'NHWC', fr_reduce=fr_reduce)
    start = {name: tflib.run(v) for name, v in variables.items()}
    assert start['strength'] == (0 if form in ('fr-noise', 'fr-released') else 1)
    assert start.get('alpha_logit', 0) == 0 and start.get('alpha', 0.5) == 0.5
    for name in ['A', 'b', 'weight']:
        assert name not in start or 0.6 < np.std(start[name]) < 1.4


def test_an_unknown_reduction_is_named_with_the_known_ones(session):
    with pytest.raises(UserError, match="fr_reduce 'max'; choose one of neg_relu, abs, neg_max"):
        build('fr-released', 'NHWC', fr_reduce='max')


@pytest.mark.parametrize('func', ['G_synthesis_stylegan2', 'G_synthesis_stylegan_revised'])
def test_the_reduction_is_an_option_of_the_synthesis_networks(session, func):
    with pytest.raises(UserError, match="fr_reduce 'max'"):
        tflib.Network(
            'G',
            'training.networks_stylegan2.' + func,
            resolution=8,
            fmap_max=4,
            noise_injection='fr-released',
            fr_reduce='max',
        )


@pytest.mark.parametrize('data_format', ['NCHW', 'NHWC'])
def test_fr_with_alpha_0_is_the_scaled_euclidean_case(session, data_format):
    y, _ = build('fr', data_format, **dict(MAPS, alpha_logit=-1e9))
    r = np.float32(MAPS['strength'])
    np.testing.assert_allclose(tflib.run(y), r * (MU + EPS), rtol=1e-6, atol=1e-6)


def test_fr_starts_with_alpha_one_half_and_r_1(session):
    _, variables = build('fr', 'NCHW')
    assert tflib.run([variables['alpha_logit'], variables['strength']]) == [0, 1]
    A, b = tflib.run([variables['A'], variables['b']])
    assert A.shape == b.shape == (H, W) and 0.7 < np.std(np.stack([A, b])) < 1.3


def test_additive_noise_is_mu_plus_r_eps_starting_at_0(session):
    y, variables = build('additive', 'NHWC')
    np.testing.assert_array_equal(tflib.run(y), MU)
    tflib.set_vars({variables['noise_strength']: 0.5})
    np.testing.assert_allclose(tflib.run(y), MU + 0.5 * EPS, rtol=1e-6)


def test_no_noise_leaves_activations_and_makes_no_variable(session):
    y, variables = build('none', 'NHWC')
    np.testing.assert_array_equal(tflib.run(y), MU)
    assert not variables


def test_random_noise_is_one_map_per_sample_for_all_channels(session):
    with layout.use('NHWC'):
        y = networks.noise_injection_layer(tf.zeros([2, 4, 4, 3]), networks.NoiseInjection())
    (variable,) = tf.trainable_variables()
    tflib.run(variable.initializer)
    tflib.set_vars({variable: 1})
    first, second = tflib.run(y)
    assert np.all(first == first[..., :1]) and np.abs(first - second).min() > 0


def test_an_unknown_form_is_named_with_the_known_ones(session):
    with pytest.raises(UserError, match="'gaussian'; choose one of none, additive, fr"):
        build('gaussian', 'NHWC')


def test_only_forms_with_an_alpha_can_be_given_its_power(session):
    powers = tf.ones([N])
    for form in networks.NOISE_INJECTION_FORMS:
        noise = networks.NoiseInjection(form, noise_values=tf.constant(EPS), alpha_powers=powers)
        with tf.variable_scope(form), layout.use('NHWC'):
            x = layout.from_nchw(tf.constant(MU))
            if form in ('fr', 'fr-noise', 'fr-nonorm', 'fr-nodecomp', 'fr-cnn'):
                networks.noise_injection_layer(x, noise)
            else:
                with pytest.raises(UserError, match='no alpha.*fr, fr-noise, fr-nonorm, fr-nodec'):
                    networks.noise_injection_layer(x, noise)


def test_the_new_form_that_contributing_shows_agrees_with_numpy(session, monkeypatch):
    forms = dict(networks.NOISE_INJECTION_FORMS)
    monkeypatch.setattr(networks, 'NOISE_INJECTION_FORMS', forms)
    (code,) = snippets.blocks('CONTRIBUTING.md')
    assert len(code.splitlines()) <= 12
    exec(code, {})
    (form,) = set(forms) - {form for form, _, _ in OTHER_FORMS} - {'none', 'additive', 'fr'}
    G = tflib.Network(
        'G', 'dcgan.networks.G_dcgan', resolution=16, fmap_max=4, noise_injection=form
    )
    z = RNG.randn(2, 100)
    assert np.ptp(G.run(z, None)) > 0  # in a generator; and the layer alone in numbers:
    y, variables = build(form, 'NHWC', strength=1.3, gain=0.6)
    assert {v.name.split('/', 1)[1] for v in variables.values()} >= {'FR/gain:0', 'FR/strength:0'}
    want = []
    for mu in MU.astype(np.float64):
        m = mu.sum(axis=0) - mu.sum(axis=0).mean()
        sigma = np.exp(0.6 * m / (np.abs(m).max() + 1e-8))
        sigma /= np.sqrt(np.mean(sigma**2) + 1e-8)
        want.append(sigma * mu + 1.3 * sigma * EPS[0, 0])
    golden.assert_close(tflib.run(y), np.stack(want), 1e-5)


@pytest.mark.parametrize('data_format', ['NCHW', 'NHWC'])
def test_gradients_of_fr_agree_with_finite_differences(session, data_format):
    direction = RNG.randn(N, C, H, W).astype(np.float32)
    y, variables = build('fr', data_format, **MAPS)
    loss = tf.reduce_sum(y * direction)
    names = sorted(MAPS)
    grads = tflib.run(tf.gradients(loss, [variables[n] for n in names]))

    def loss_in_numpy(mu=MU, **values):
        return np.sum(fr_in_numpy(mu, EPS, **values) * direction)

    for name, grad in zip(names, grads):
        step = 1e-5 * RNG.randn(*np.shape(MAPS[name]))
        high, low = (
            loss_in_numpy(**dict(MAPS, **{name: MAPS[name] + sign * step})) for sign in (1, -1)
        )
        np.testing.assert_allclose(np.sum(grad * 2 * step), high - low, rtol=2e-3, err_msg=name)


def test_second_order_term_of_path_lengths_agrees_with_finite_differences(session):
    """d/d theta of |d(sum(y * v)) / d mu|^2: what path length regularization asks of the layer."""
    v = RNG.randn(N, C, H, W).astype(np.float32)
    x = tf.constant(MU)
    y, variables = build('fr', 'NHWC', mu=x, **MAPS)
    grad = tf.gradients(tf.reduce_sum(y * v), [x])[0]
    penalty = tf.reduce_sum(tf.square(grad))
    names = sorted(MAPS)
    second = tflib.run(tf.gradients(penalty, [variables[n] for n in names]))

    def penalty_in_numpy(**values):
        """By central differences in mu, exact enough since float64."""
        total, step = 0.0, 1e-6
        for n in range(N):
            for c, h, w in np.ndindex(C, H, W):
                bumped = np.repeat(MU[n : n + 1].astype(np.float64), 2, axis=0)
                bumped[0, c, h, w] += step
                bumped[1, c, h, w] -= step
                high, low = np.sum(fr_in_numpy(bumped, EPS, **values) * v[n], axis=(1, 2, 3))
                total += ((high - low) / (2 * step)) ** 2
        return total

    for name, derivative in zip(names, second):
        step = 1e-4 * RNG.randn(*np.shape(MAPS[name]))
        high, low = (
            penalty_in_numpy(**dict(MAPS, **{name: MAPS[name] + sign * step})) for sign in (1, -1)
        )
        np.testing.assert_allclose(
            np.sum(derivative * 2 * step), high - low, rtol=1e-2, err_msg=name
        )
