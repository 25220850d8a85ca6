"""A snapshot written by either engine gives the same images and scores on this one."""

import os

import numpy as np
import pytest

from tests import golden
from training import misc


@pytest.mark.parametrize('engine', ['tf1', 'tf2'])
def test_snapshots_of_both_engines_load_and_agree(session, engine):
    path = os.path.join(golden.DATA_DIR, 'snapshot_%s.pkl' % engine)
    _, D, Gs = misc.load_pkl(path)
    want = np.load(path.replace('.pkl', '.npz'))
    images = Gs.run(want['z'], None, randomize_noise=False)
    np.testing.assert_allclose(images, want['images'], atol=1e-4)
    np.testing.assert_allclose(D.run(want['images'], None), want['scores'], atol=1e-4)
