"""Snapshots: those of either engine load and agree; room for them is looked for first."""

import collections
import os
import shutil

import numpy as np
import pytest

from dnnlib import tflib
from dnnlib.util import UserError
from tests import golden, toy_networks
from training import misc
from training.snapshots import Snapshots


@pytest.mark.parametrize('engine', ['tf1', 'tf2'])
def test_snapshots_of_both_engines_load_and_agree(session, engine):
    path = os.path.join(golden.DATA_DIR, 'snapshot_%s.pkl' % engine)
    _, D, Gs = misc.load_pkl(path)
    want = np.load(path.replace('.pkl', '.npz'))
    images = Gs.run(want['z'], None, randomize_noise=False)
    np.testing.assert_allclose(images, want['images'], atol=1e-4)
    np.testing.assert_allclose(D.run(want['images'], None), want['scores'], atol=1e-4)


def test_a_disk_that_is_too_small_is_found_before_training(session, monkeypatch, capsys):
    usage = collections.namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage(1000, 940, 60))
    net = tflib.Network('G', toy_networks.affine)
    numbers = sum(np.size(value) for value in tflib.run(net.vars).values())
    assert numbers == 7
    snapshots = Snapshots('.')
    snapshots.check_disk([net], 2)
    assert capsys.readouterr().out == ''
    snapshots.check_disk([net], 1000)
    assert capsys.readouterr().out.startswith('Warning: 1000 snapshots need about 2.61e-05 GiB')
    with pytest.raises(UserError, match='2 snapshots need about 1.04e-07 GiB'):
        snapshots.check_disk([net, net], 1000)
