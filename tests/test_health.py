"""A run shows what its noise injection learned, and says when its generator no longer works."""

import numpy as np
import pytest

from dnnlib import tflib
from dnnlib.tflib import autosummary
from tests import toy_networks
from training import health as health_module
from training.health import Health, noise_scalars, stddev_of_fakes


@pytest.fixture
def net(session):
    """A network that returns its input."""
    return tflib.Network('G', toy_networks.affine)


def test_a_healthy_run_has_figures_and_no_warning(net):
    net.set_var('Layer/weight', np.full([3], 0.5))
    health = Health(net, net, net, 4)
    assert health.examine(0) is None and health.examine(0) is None
    assert 0.2 < autosummary.collect()['Progress/fakes_stddev'] < 1


def test_equal_fakes_are_a_warning_in_one_line(net):
    net.set_var('Layer/weight', np.full([3], 1e-4))
    line = Health(net, net, net, 4).examine(0)
    assert line.startswith('Warning: fakes are all the same') and '\n' not in line


def test_fakes_that_stay_outside_the_range_of_images_are_a_warning(net):
    net.set_var('Layer/weight', np.full([3], 20))
    health = Health(net, net, net, 4)
    assert health.examine(0) is None  # a network may begin like that
    assert health.examine(0).startswith('Warning: fakes are far outside the range of images')
    net.set_var('Layer/weight', np.full([3], 0.5))
    assert health.examine(0) is None


def test_fakes_that_are_not_finite_are_a_warning(net):
    net.set_var('Layer/bias', [0, np.inf, 0])
    health = Health(net, net, net, 4)
    assert health.examine(0) == 'Warning: fakes have values that are not finite'


def test_steps_are_reported_in_the_tick_that_skips_them(net):
    health = Health(net, net, net, 4)
    assert health.examine(3) == 'Warning: 3 more steps skipped, as gradients were not finite'
    assert health.examine(3) is None
    assert '2 more steps' in health.examine(5)


def test_weights_that_are_not_finite_end_a_run(net, session):
    broken = tflib.Network('D', toy_networks.affine)
    health = Health(net, broken, net, 4)
    health.examine(0)
    assert health.reason_to_stop() is None
    broken.set_var('Layer/bias', [0, np.nan, 0])
    health.examine(0)
    assert health.reason_to_stop() == 'the weights of D are not finite'


def test_a_run_without_a_finite_gradient_for_many_steps_is_given_up():
    assert health_module.reason_without_gradients(dict(TrainG=99, TrainD=0)) is None
    reason = health_module.reason_without_gradients(dict(TrainG=0, RegD=100))
    assert reason == 'no gradient of RegD was finite for 100 steps in a row'


def test_the_deviation_is_over_images_not_within_them():
    images = np.zeros([2, 1, 2, 2])
    images[:, 0, 0, 0] = 5  # the same in both
    assert stddev_of_fakes(images) == 0
    images[1] += 1
    assert stddev_of_fakes(images) == 0.5


@pytest.mark.parametrize(
    'form, variable, value, alpha',
    [('fr', 'alpha_logit', np.log(3), 0.75), ('fr-released', 'alpha', -0.25, -0.25)],
)
def test_alpha_and_r_are_shown_by_layer(session, form, variable, value, alpha):
    G = tflib.Network(
        'G', 'dcgan.networks.G_dcgan', resolution=16, fmap_max=4, noise_injection=form
    )
    G.set_var('8x8/FR/' + variable, value)
    G.set_var('4x4/FR/strength', 1.5)
    figures = tflib.run(noise_scalars(G))
    assert set(figures) == {
        'FR/%s/%s' % (layer, name) for layer in ['4x4', '8x8'] for name in ['alpha', 'strength']
    }
    np.testing.assert_allclose(figures['FR/8x8/alpha'], alpha, rtol=1e-6)
    assert figures['FR/4x4/strength'] == 1.5
