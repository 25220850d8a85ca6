"""Snapshots of projections on the way, and the pictures of several runs side by side."""

import numpy as np
import pytest

from dnnlib.util import EasyDict, UserError
from training.inversion import grid
from training.inversion.loop import snapshot_steps


@pytest.mark.parametrize(
    'num_steps, num_snapshots, steps',
    [
        (1000, 5, [200, 400, 600, 800, 1000]),  # the official ones
        (1000, 1, [1000]),
        (10, 3, [4, 7, 10]),
        (2, 5, [1, 2]),
        (1, 1, [1]),
    ],
)
def test_pictures_are_taken_at_even_steps_and_the_last(num_steps, num_snapshots, steps):
    assert snapshot_steps(num_steps, num_snapshots) == steps


def results(*names, **targets):
    return [EasyDict(name=name, target=targets.get(name, np.zeros([3, 4, 4]))) for name in names]


def test_runs_are_compared_by_the_images_that_all_have():
    runs = [('a', results('x', 'y', 'z')), ('b', results('z', 'x')), ('c', results('q', 'x', 'z'))]
    assert grid.common_names(runs) == ['x', 'z']
    with pytest.raises(UserError, match='^a and b have no image in common$'):
        grid.common_names([('a', results('x')), ('b', results('y'))])


def test_runs_of_other_images_of_the_same_names_are_refused():
    runs = [('a', results('x')), ('b', results('x', x=np.ones([3, 4, 4])))]
    with pytest.raises(UserError, match="x in 'b' is another image than in 'a'"):
        grid.common_names(runs)
