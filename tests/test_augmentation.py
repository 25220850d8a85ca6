"""What the discriminator sees is the paper's augmentation, with exact derivatives."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import random
from training.augmentation import (
    colour,
    corruption,
    filtering,
    geometry,
    parameters,
    pipeline,
    wavelets,
)

LOG2 = np.log(2)
SYM6 = wavelets.SYM6


def drawn(number, groups, seed=0):
    """Parameters at random, all of them used, as NumPy arrays."""
    values = tflib.run(parameters.draw(tf.constant(number), tf.constant(1.0), groups))
    return {name: values[name] for name in sorted(values)}


def images(number, side, channels, dtype=np.float64):
    return np.random.RandomState(1).randn(number, side, side, channels).astype(dtype)


def affine(*rows):
    return np.array([*rows, [0, 0, 1]])


def rotation(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return affine([cos, -sin, 0], [sin, cos, 0])


def forward_matrix(p, side):
    """From places in the image, counted from its middle, to places in the result; no blitting."""
    matrix = affine([p['scale'], 0, 0], [0, p['scale'], 0])
    matrix = rotation(p['pre_angle']) @ matrix
    matrix = affine([p['stretch'], 0, 0], [0, 1 / p['stretch'], 0]) @ matrix
    matrix = rotation(p['post_angle']) @ matrix
    return affine([1, 0, side * p['move_x']], [0, 1, side * p['move_y']]) @ matrix


def transformed_by_scipy(x, p):
    """One image [H, H, C]: mirrored, blitted, doubled, interpolated and halved, all in float64."""
    side, margin, shift = len(x), 6 * len(x), 5
    middle = (side - 1) / 2
    place = (np.sum(np.arange(12) * SYM6) / np.sum(SYM6) - shift) / 2
    canvas = np.pad(x, [[margin] * 2] * 2 + [[0, 0]], 'reflect')
    canvas = np.rot90(canvas[:, ::-1] if p['flip'] else canvas, int(p['quarter_turns']))
    moves = [
        int(np.round(np.float32(p[name]) * np.float32(side))) for name in ('shift_y', 'shift_x')
    ]
    canvas = np.roll(canvas, moves, axis=(0, 1))
    for axis in (0, 1):
        canvas = scipy.signal.upfirdn(SYM6[::-1] * 2**0.5, canvas, up=2, axis=axis)
    numbers = np.arange(shift - 11, 2 * side + shift - 1)
    v, u = np.meshgrid(numbers, numbers, indexing='ij')
    there = np.stack([u / 2 + place - middle, v / 2 + place - middle, np.ones_like(u, float)])
    here = np.tensordot(np.linalg.inv(forward_matrix(p, side)), there, 1)
    x_at, y_at = (2 * (here[i] + middle - place) + 2 * margin + 11 - shift for i in (0, 1))
    result = np.stack(
        [
            scipy.ndimage.map_coordinates(canvas[:, :, c], [y_at, x_at], order=1)
            for c in range(x.shape[2])
        ],
        axis=2,
    )
    for axis in (0, 1):
        halved = np.apply_along_axis(np.convolve, axis, result, SYM6 / 2**0.5, 'valid')
        result = halved[::2] if axis == 0 else halved[:, ::2]
    return result


@pytest.mark.parametrize('side, channels', [(4, 1), (8, 3), (16, 4)])
def test_geometry_is_that_of_scipy(session, side, channels):
    p = drawn(12, ('b', 'g'))
    x = images(12, side, channels)
    got = tflib.run(geometry.transform(tf.constant(x), {k: tf.constant(v) for k, v in p.items()}))
    for i in range(12):
        want = transformed_by_scipy(x[i], {name: value[i] for name, value in p.items()})
        np.testing.assert_allclose(got[i], want, atol=2e-4)


def test_mirrors_turns_and_whole_pixels_are_the_pixels_themselves(session):
    x = images(32, 8, 3, np.float32)
    p = dict(
        drawn(32, 'b'), shift_y=np.zeros(32, np.float32), shift_x=np.full(32, 0.125, np.float32)
    )
    got = tflib.run(geometry.transform(tf.constant(x), {k: tf.constant(v) for k, v in p.items()}))
    assert {(flip, turns) for flip, turns in zip(p['flip'], p['quarter_turns'])} == {
        (flip, turns) for flip in (0, 1) for turns in range(4)
    }
    for i in range(32):
        want = np.rot90(x[i, :, ::-1] if p['flip'][i] else x[i], int(p['quarter_turns'][i]))
        np.testing.assert_allclose(got[i, :, 1:], want[:, :-1], atol=1e-5)
        np.testing.assert_allclose(got[i, :, 0], want[:, 1], atol=1e-5)  # mirrored


def test_a_wave_moves_as_its_formula_says(session):
    """Whatever the filters are: scaled, turned and moved about the middle of the image."""
    side = 64
    p = dict(scale=0.9, pre_angle=0.4, stretch=1.1, post_angle=-0.7, move_x=0.05, move_y=-0.03)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2

    def wave(x, y):
        return np.cos(0.35 * x + 0.2 * y + 1)

    tensors = {name: tf.constant([value], tf.float32) for name, value in p.items()}
    got = tflib.run(geometry.transform(tf.constant(wave(x, y)[None, :, :, None]), tensors))
    inverse = np.linalg.inv(forward_matrix(p, side))
    x0, y0, _ = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), 1)
    is_within = np.maximum(np.abs(x0), np.abs(y0)) < side / 2 - 8
    assert is_within.mean() > 0.4
    np.testing.assert_allclose(got[0, :, :, 0][is_within], wave(x0, y0)[is_within], atol=0.02)


def test_colours_are_those_of_one_step_after_the_other(session):
    p = drawn(20, 'c')
    assert set(p['luma_flip']) == {0, 1}
    x = images(20, 4, 3)
    tensors = {name: tf.constant(value) for name, value in p.items()}
    got = tflib.run(colour.transform(tf.constant(x), tensors))
    got_grey = tflib.run(colour.transform(tf.constant(x[..., :1]), tensors))
    axis = np.ones(3) / 3**0.5
    cross = np.cross(axis, np.eye(3)).T  # of the axis with what follows
    for i in range(20):
        brightness, contrast, hue, flip, saturation = (
            p[name][i] for name in 'brightness contrast hue luma_flip saturation'.split()
        )
        luma = np.outer(axis, axis)
        matrix = (np.eye(3) - 2 * luma * flip) * contrast
        matrix = scipy.linalg.expm(hue * cross) @ matrix
        matrix = (luma + (np.eye(3) - luma) * saturation) @ matrix
        want = (x[i] + brightness) @ matrix.T
        np.testing.assert_allclose(got[i], want, atol=1e-5)
        want = (x[i, :, :, :1] + brightness) * contrast * (1 - 2 * flip)
        np.testing.assert_allclose(got_grey[i], want, atol=1e-5)


@pytest.mark.parametrize('side', [4, 32])
def test_filters_are_those_of_scipy(session, side):
    x, p = images(6, side, 3), drawn(6, 'f')
    bank = wavelets.octave_bank(wavelets.SYM2, 4)
    for index, taps in enumerate(bank):  # the middle of each octave passes best in its own filter
        frequency = np.pi / 2 ** (3.5 - index) if index else 0
        response = [
            abs(np.sum(other * np.exp(1j * frequency * np.arange(len(other))))) for other in bank
        ]
        assert np.argmax(response) == index and len(taps) % 2
    gains = np.ones([6, 4])
    for band in range(4):
        step = np.ones([6, 4])
        step[:, band] = p['gain%d' % band]
        gains *= step / np.sqrt(step**2 @ [[10 / 13], [1 / 13], [1 / 13], [1 / 13]])
    got = tflib.run(filtering.transform(tf.constant(x), {k: tf.constant(v) for k, v in p.items()}))
    for i in range(6):
        taps = np.zeros(43)
        for gain, band in zip(gains[i], bank):
            edge = (43 - len(band)) // 2
            taps[edge : 43 - edge] += gain * band
        want = scipy.ndimage.convolve1d(x[i], taps, axis=0, mode='mirror')
        want = scipy.ndimage.convolve1d(want, taps, axis=1, mode='mirror')
        np.testing.assert_allclose(got[i], want, atol=1e-5)


def test_noise_and_holes_have_their_sizes(session):
    x = np.ones([3, 16, 16, 2])
    noise = dict(noise=tf.constant([0, 0.1, 0.5]))
    got = tflib.run(corruption.add_noise(tf.constant(np.repeat(x, 20, axis=2)), noise))
    np.testing.assert_allclose(got.std(axis=(1, 2, 3)), [0, 0.1, 0.5], rtol=0.05)
    hole = dict(cutout=[0.5, 0.5, 0], cutout_x=[0.5, 0.0, 0.5], cutout_y=[0.5, 0.7, 0.5])
    got = tflib.run(
        corruption.cut_out(tf.constant(x), {k: tf.constant(v) for k, v in hole.items()})
    )
    want = np.ones([3, 16, 16, 2])
    want[0, 4:12, 4:12] = 0
    want[1, 7:15, :4] = 0
    np.testing.assert_array_equal(got, want)


def through(x, pipe='bgcfnc', p=1.0):
    """Augmented by the same numbers each time."""
    with random.stream('augment', step=tf.constant(7, tf.int64)):
        return pipeline.augment(x, tf.constant(p), pipe)


@pytest.mark.parametrize(
    'channels, dtype, tolerance',
    [(1, 'float64', 1e-12), (3, 'float64', 1e-12), (4, 'float32', 1e-4)],
)
def test_the_gradient_is_the_adjoint(session, channels, dtype, tolerance):
    x, y = np.random.randn(2, 3, channels, 8, 8).astype(dtype)
    fed = tf.placeholder_with_default(x, x.shape)
    seen = through(fed)
    ax, adjoint = tflib.run([seen, tf.gradients(seen, [fed], [tf.constant(y)])[0]])
    ax -= tflib.run(seen, {fed: np.zeros_like(x)})  # without what is added
    assert abs(np.sum(ax * y)) > 1
    np.testing.assert_allclose(np.sum(ax * y), np.sum(x * adjoint), rtol=tolerance)


def test_penalties_on_slopes_have_the_gradients_of_finite_differences(session):
    """R1 by what the discriminator learns, path lengths by w, in float64 through all of a pipe."""
    draw = np.random.RandomState(2).randn
    weights = tf.placeholder_with_default(draw(8 * 8 * 3, 4) * 0.1, [192, 4])
    w = tf.placeholder_with_default(draw(2, 6), [2, 6])
    fakes = tf.reshape(tf.tanh(tf.matmul(w, tf.constant(draw(6, 192)))), [2, 3, 8, 8])
    reals = tf.constant(draw(2, 3, 8, 8))
    scores = tf.tanh(tf.matmul(tf.reshape(through(reals), [2, -1]), weights))
    (slopes,) = tf.gradients(tf.reduce_sum(scores), [reals])
    (steps,) = tf.gradients(tf.reduce_sum(through(fakes) * tf.constant(draw(2, 3, 8, 8))), [w])
    for value, variable in [
        (tf.reduce_sum(tf.square(slopes)), weights),
        (tf.reduce_sum(tf.sqrt(tf.reduce_sum(tf.square(steps), axis=1))), w),
    ]:
        (gradient,) = tflib.run(tf.gradients(value, [variable]))
        here = tflib.run(variable)
        for index in [(0, 0), (1, 3)]:
            sides = []
            for step in (1e-5, -1e-5):
                moved = here.copy()
                moved[index] += step
                sides.append(tflib.run(value, {variable: moved}))
            want = (sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(gradient[index], want, rtol=1e-6, atol=1e-8)


def test_without_probability_images_stay_as_they_are(session, data_format):
    x = np.random.randn(2, 4, 8, 8).astype(np.float32)
    p = tf.placeholder_with_default(0.0, [])
    seen = pipeline.augment(tf.constant(x), p, 'bgcfnc')
    np.testing.assert_array_equal(tflib.run(seen), x)
    assert np.all(np.abs(tflib.run(seen, {p: 1.0}) - x).max(axis=(1, 2, 3)) > 0.1)


UNIFORM, NORMAL = 'uniform', 'normal'
# The paper, appendix B: (kind, mean, variance) where the transformation is used; lognormal ones by
# their logarithm.
DISTRIBUTIONS = {
    'flip': (None, 0.5, 0.25),
    'quarter_turns': (None, 1.5, 1.25),
    'shift_x': (None, 0, 0.25**2 / 12),
    'shift_y': (None, 0, 0.25**2 / 12),
    'scale': ('log', 0, (0.2 * LOG2) ** 2),
    'pre_angle': (None, 0, np.pi**2 / 3),
    'stretch': ('log', 0, (0.2 * LOG2) ** 2),
    'post_angle': (None, 0, np.pi**2 / 3),
    'move_x': (None, 0, 0.125**2),
    'move_y': (None, 0, 0.125**2),
    'brightness': (None, 0, 0.2**2),
    'contrast': ('log', 0, (0.5 * LOG2) ** 2),
    'luma_flip': (None, 0.5, 0.25),
    'hue': (None, 0, np.pi**2 / 3),
    'saturation': ('log', 0, LOG2**2),
    'gain0': ('log', 0, LOG2**2),
    'gain1': ('log', 0, LOG2**2),
    'gain2': ('log', 0, LOG2**2),
    'gain3': ('log', 0, LOG2**2),
    'noise': (None, 0.1 * np.sqrt(2 / np.pi), 0.1**2 * (1 - 2 / np.pi)),
    'cutout': (None, 0.5, 0),
    'cutout_x': (None, 0.5, 1 / 12),
    'cutout_y': (None, 0.5, 1 / 12),
}


@pytest.mark.parametrize('p', [0.3, 1.0])
def test_a_hundred_thousand_draws_are_those_of_the_paper(session, p):
    number = 100000
    found = tflib.run(
        parameters.draw(tf.constant(number), tf.constant(p), pipeline.PIPES['bgcfnc'])
    )
    assert set(found) == set(DISTRIBUTIONS)
    rotates = (found['pre_angle'] != 0) | (found['post_angle'] != 0)
    assert abs(rotates.mean() - p) < 0.01
    neutral = {each.name: each.neutral for each in parameters.PARAMETERS}
    gate = {each.name: each.gate for each in parameters.PARAMETERS}
    leader = {}  # of each gate a parameter that is neutral only where the gate is closed
    for name in DISTRIBUTIONS:
        if name not in ('flip', 'quarter_turns', 'luma_flip', 'cutout_x', 'cutout_y'):
            leader.setdefault(gate[name], name)
    for name, (scale, mean, variance) in DISTRIBUTIONS.items():
        values = found[name].astype(np.float64)
        chance = 1 - np.sqrt(1 - p) if name in ('pre_angle', 'post_angle') else p
        if gate[name] in leader:
            key = leader[gate[name]]
            is_used = found[key] != neutral[key]
            assert abs(is_used.mean() - chance) < 0.01, name
            values = np.log(values[is_used]) if scale else values[is_used]
            spread = np.sqrt(variance / len(values))
            assert abs(values.mean() - mean) <= 5 * spread + 1e-6, name
            np.testing.assert_allclose(values.var(), variance, rtol=0.04, atol=1e-9, err_msg=name)
        else:  # neutral with some probability where it is used, too
            assert abs(values.mean() - chance * mean) < 0.03, name
            second = chance * (variance + mean**2)
            np.testing.assert_allclose((values**2).mean(), second, rtol=0.05, err_msg=name)
    # No two transformations know of each other.
    used = [found[leader[g]] != neutral[leader[g]] for g in leader if g not in ('pre_angle',)]
    if p < 1:
        assert np.abs(np.corrcoef(used) - np.eye(len(used))).max() < 0.02
