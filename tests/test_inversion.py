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


@pytest.mark.parametrize('channels', [1, 3])
def test_a_column_of_the_grid_holds_the_images_of_its_network(channels):
    def images(*values):
        return [np.full([channels, 4, 4], value) for value in values]

    columns = [('Origin', images(-1, 1)), ('a network with a long name', images(1, -1))]
    picture = np.asarray(grid.make_grid(columns))
    side = picture.shape[1] // 2
    assert side >= 128 and side % 4 == 0  # images of 4x4 pixels are enlarged
    cells = picture[-2 * side :]
    head = picture[: -2 * side]
    for row, column, value in [(0, 0, 0), (1, 0, 255), (0, 1, 255), (1, 1, 0)]:
        cell = cells[row * side : (row + 1) * side, column * side : (column + 1) * side]
        assert cell.shape == (side, side, 3) and (cell == value).all()
    for column in range(2):  # titles, black on white
        title = head[:, column * side : (column + 1) * side]
        assert title.min() < 64 and title.max() == 255
