"""The last step of the metrics, from arrays to figures: recorded and hand-worked numbers."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow.compat.v1 as tf

from metrics import condition_number, linear_separability, precision_recall, sliced_wasserstein
from metrics.frechet_inception_distance import frechet_distance, gaussian_of
from metrics.inception_score import inception_score
from metrics.kernel_inception_distance import (
    kernel_distance,
    size_of_subsets,
    squared_mmd,
)
from metrics.latent_space import crop_face, slerp
from metrics.perceptual_path_length import mean_without_outliers
from tests import golden

ARRAYS, META = golden.load('metrics')
RNG = np.random.RandomState(0)


def keys(group):
    return [item['key'] if isinstance(item, dict) else item for item in META[group]]


@pytest.mark.parametrize('key, tolerance', zip(keys('fid'), [1e-6, 1e-6, 1e-4, 1e-3]))
def test_frechet_distance_is_the_recorded_one(key, tolerance):
    gaussians = [gaussian_of(ARRAYS['%s.%s_features' % (key, kind)]) for kind in ('real', 'fake')]
    got = frechet_distance(*gaussians[0], *gaussians[1])
    np.testing.assert_allclose(got, ARRAYS[key + '.result'], rtol=tolerance)
    np.testing.assert_allclose(frechet_distance(*gaussians[1], *gaussians[0]), got, rtol=1e-6)


def test_frechet_distance_of_gaussians_on_common_axes_is_analytic():
    """|m|^2 + sum (s1 - s2)^2, also where some deviations are 0, in any rotation."""
    rotation = scipy.linalg.qr(RNG.randn(5, 5))[0]
    s1, s2 = np.array([2, 1, 0, 0, 3.0]), np.array([1, 4, 2, 0, 0.0])
    m1, m2 = RNG.randn(5), RNG.randn(5)
    sigma1, sigma2 = (rotation * s**2 @ rotation.T for s in (s1, s2))
    want = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    np.testing.assert_allclose(frechet_distance(m1, sigma1, m2, sigma2), want, rtol=1e-6)
    assert abs(frechet_distance(m1, sigma1, m1, sigma1)) < 1e-6


@pytest.mark.parametrize('key', keys('inception_score'))
def test_inception_score_is_the_recorded_one(key):
    mean, std = inception_score(ARRAYS[key + '.probabilities'], 10)
    want = [ARRAYS[key + '.mean'], ARRAYS[key + '.std']]
    np.testing.assert_allclose([mean, std], want, rtol=1e-5)


def test_inception_score_of_certain_and_even_classes_is_their_number():
    assert inception_score(np.tile(np.eye(4), [5, 1]), 5) == pytest.approx((4, 0))


@pytest.mark.parametrize('key', keys('ppl'))
def test_path_length_without_outliers_is_the_recorded_one(key):
    np.testing.assert_allclose(
        mean_without_outliers(ARRAYS[key + '.distances']), ARRAYS[key + '.result'], rtol=1e-6
    )


@pytest.mark.parametrize('item', META['precision_recall'], ids=keys('precision_recall'))
@pytest.mark.parametrize('num_gpus', [1, 2])
def test_precision_and_recall_are_the_recorded_ones(session, item, num_gpus):
    key = item['key']
    reals, fakes = (
        ARRAYS['%s.%s_features' % (key, kind)].astype(np.float32) for kind in ('real', 'fake')
    )
    sizes = [item['nhood_size']]
    result = precision_recall.knn_precision_recall_features(
        reals, fakes, sizes, item['row_batch_size'], 77, num_gpus
    )
    assert result['precision'] == [float(ARRAYS[key + '.precision'])]
    assert result['recall'] == [float(ARRAYS[key + '.recall'])]
    block = precision_recall.DistanceBlock(reals.shape[1], num_gpus)
    manifold = precision_recall.ManifoldEstimator(block, reals, 50, 60, sizes)
    np.testing.assert_array_equal(
        manifold.evaluate(fakes)[:, 0], ARRAYS[key + '.fake_inside_real_manifold']
    )


def test_realism_and_neighbours_of_points_on_a_line(session):
    references = np.array([[0.0], [1], [3], [10]], np.float32)
    block = precision_recall.DistanceBlock(1)
    manifold = precision_recall.ManifoldEstimator(block, references, 3, 2, [1])
    np.testing.assert_allclose(manifold.radii[:, 0], [1, 1, 4, 49])
    inside, realism, neighbors = manifold.evaluate(
        np.array([[2.5], [-3]], np.float32), return_realism=True, return_neighbors=True
    )
    assert inside[:, 0].tolist() == [True, False] and neighbors.tolist() == [2, 0]
    np.testing.assert_allclose(realism, [2 / 0.5, 1 / 3], rtol=1e-6)
    clamped = precision_recall.ManifoldEstimator(
        block, references, nhood_sizes=[1], clamp_to_percentile=50
    )
    np.testing.assert_allclose(clamped.radii[:, 0], [1, 1, 0, 0])


@pytest.mark.parametrize('key', META['slerp'])
def test_spherical_interpolation_is_the_recorded_one(session, key):
    a, b, t = (tf.constant(ARRAYS['%s.%s' % (key, name)]) for name in 'abt')
    np.testing.assert_allclose(session.run(slerp(a, b, t)), ARRAYS[key + '.y'], atol=2e-5)


@pytest.mark.parametrize('key', META['conditional_entropy'])
def test_entropies_are_the_recorded_ones(key):
    joint = ARRAYS[key + '.p']
    got = [
        linear_separability.conditional_entropy(joint),
        linear_separability.mutual_information(joint),
    ]
    want = [ARRAYS[key + '.result'], ARRAYS[key + '.mutual_information']]
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_squared_mmd_is_the_sum_over_pairs():
    x, y = RNG.randn(4, 3).astype(np.float32), RNG.randn(5, 3).astype(np.float32)

    def kernel(a, b):
        return (float(np.dot(a.astype(float), b)) / 3 + 1) ** 3

    xx = np.mean([kernel(x[i], x[j]) for i in range(4) for j in range(4) if i != j])
    yy = np.mean([kernel(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    xy = np.mean([kernel(a, b) for a in x for b in y])
    np.testing.assert_allclose(squared_mmd(x, y), xx + yy - 2 * xy, rtol=1e-6)


def test_kernel_distance_is_unbiased_and_grows_with_distance():
    a, b = RNG.randn(2, 600, 8)
    mean, std = kernel_distance(a, b, np.random.RandomState(1), 50, 100)
    assert abs(mean) < 4 * std / np.sqrt(50) + 0.02 and std > 0
    assert kernel_distance(a, b + 1, np.random.RandomState(1), 50, 100)[0] > 0.5


@pytest.mark.parametrize(
    'reals, fakes, size', [(50000, 50000, 1000), (1001, 5000, 1000), (1000, 1000, 500), (5, 900, 2)]
)
def test_subsets_of_few_images_are_half_of_them_so_that_they_differ(reals, fakes, size):
    assert size_of_subsets(1000, reals, fakes) == size


def test_kernel_distance_of_few_images_has_a_spread():
    a, b = RNG.randn(2, 20, 8)
    mean, std = kernel_distance(a, b, np.random.RandomState(1), 50, size_of_subsets(1000, 20, 20))
    assert np.isfinite(mean) and std > 1e-3


def test_condition_number_summary():
    ratios = np.arange(1, 201)
    assert condition_number.summarize(ratios) == (100.5, np.mean([197, 198, 199, 200]), 200)
    numbers = [condition_number.num_largest(n) for n in (10, 1000, 50000, 80000)]
    assert numbers == [1, 20, 1000, 1000]


def test_face_crop_takes_the_middle(session):
    images = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
    got = session.run(crop_face(tf.constant(images)))[0, 0]
    np.testing.assert_array_equal(got, images[0, 0, 3:7, 2:6])


def test_laplacian_pyramid_gives_the_image_back():
    images = RNG.randint(256, size=[2, 3, 64, 64]).astype(np.uint8)
    levels = sliced_wasserstein.laplacian_pyramid(images)
    assert [level.shape for level in levels] == [(2, 3, s, s) for s in (64, 32, 16)]
    whole = levels[-1]
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    for level in levels[-2::-1]:
        size = level.shape[2]
        spread = np.zeros([2, 3, size, size])
        spread[:, :, ::2, ::2] = 4 * whole
        padded = np.pad(spread, [(0, 0), (0, 0), (2, 2), (2, 2)], mode='reflect')
        whole = level + sum(
            kernel[i, j] * padded[:, :, i : i + size, j : j + size]
            for i in range(5)
            for j in range(5)
        )
    np.testing.assert_allclose(whole, images, atol=1e-3)


def test_flat_images_have_no_detail():
    levels = sliced_wasserstein.laplacian_pyramid(np.full([1, 1, 32, 32], 77, np.uint8))
    np.testing.assert_allclose(levels[0], 0, atol=1e-4)
    np.testing.assert_allclose(levels[1], 77, atol=1e-4)


def test_patches_are_cut_out_of_their_image():
    images = np.arange(2 * 3 * 16 * 16, dtype=np.float32).reshape(2, 3, 16, 16)
    patches = sliced_wasserstein.draw_patches(images, 50, np.random.RandomState(0))
    assert patches.shape == (2, 50, 3 * 49)
    corners = patches[:, :, 0].astype(int)
    for n in range(2):
        for corner, patch in zip(corners[n], patches[n]):
            y, x = divmod(corner - n * 768, 16)
            np.testing.assert_array_equal(
                patch.reshape(3, 7, 7), images[n, :, y : y + 7, x : x + 7]
            )
    assert len(set(corners[0])) > 20


def test_patches_are_normalized_by_channel():
    patches = (RNG.randn(500, 2, 49) * [[[3.0], [0.5]]] + [[[7.0], [-2]]]).astype(np.float32)
    got = sliced_wasserstein.normalize_patches(patches.reshape(500, 98)).reshape(500, 2, 49)
    np.testing.assert_allclose(got.mean(axis=(0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(got.std(axis=(0, 2)), 1, rtol=1e-4)


def test_sliced_distance_of_a_shift_is_its_mean_projection():
    """A shift by d moves a projection by |d| * |cos|; in 2D the mean of |cos| is 2 / pi."""
    points = RNG.randn(200, 2).astype(np.float32)
    shifted = points + np.array([3, 4], np.float32)
    got = sliced_wasserstein.sliced_distance(points, shifted, np.random.RandomState(0), 2000)
    assert got == pytest.approx(5 * 2 / np.pi, rel=0.05)
    mixed = points[np.random.RandomState(1).permutation(200)]
    assert sliced_wasserstein.sliced_distance(points, mixed, np.random.RandomState(0), 32) < 1e-6
