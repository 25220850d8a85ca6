"""VGG16 from Keras' file: the activations, the namings of the file, where it is found."""

import hashlib
import io
import os

import h5py
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from scipy import signal

from dnnlib import tflib, util
from dnnlib.util import UserError
from tests.golden import assert_close
from training.perception import vgg16
from training.perception.feature_nets import FOLDER_VARIABLE

RND = np.random.RandomState(5)
MAPS = [2, 3, 3, 4, 4]  # of the blocks of the small network
LAYERS = [
    (block, layer)
    for block, count in enumerate([2, 2, 3, 3, 3], 1)
    for layer in range(1, count + 1)
]  # Simonyan and Zisserman's column D


def random_arrays():
    """Kernel and bias of each layer of a VGG16 with few feature maps."""
    arrays, fmaps = {}, 3
    for block, layer in LAYERS:
        shape = [3, 3, fmaps, MAPS[block - 1]]
        scale = np.sqrt(2 / np.prod(shape[:3]))
        arrays['block%d_conv%d' % (block, layer)] = (scale * RND.randn(*shape), RND.randn(shape[3]))
        fmaps = shape[3]
    return arrays


def save(path, arrays, naming='{0}_W_1:0 {0}_b_1:0'):
    """Write a file as Keras does; the naming gives the paths of kernel and bias in a group."""
    with h5py.File(str(path), 'w') as file:
        for name, values in arrays.items():
            for inner, value in zip(naming.format(name).split(), values):
                file.require_group(name).create_dataset(inner, data=np.asarray(value, np.float32))
        file.create_group('block1_pool')
    return str(path)


def reference(image, arrays):
    """Activations {(block, layer): [maps, H, W]} of an RGB image [3, H, W] in [-1, 1]."""
    red, green, blue = (image + 1) / 2 * 255
    x = np.stack([blue - 103.939, green - 116.779, red - 123.68])
    activations = {}
    for block, layer in LAYERS:
        if layer == 1 and block > 1:
            x = np.max([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)
        kernel, bias = arrays['block%d_conv%d' % (block, layer)]
        x = np.stack(
            [
                sum(signal.correlate2d(x[i], kernel[:, :, i, o], 'same') for i in range(len(x)))
                + bias[o]
                for o in range(len(bias))
            ]
        )
        x = np.maximum(x, 0)
        activations[block, layer] = x
    return activations


def evaluate(images, path, layers):
    x = tf.placeholder(tf.float32, [None] + list(images.shape[1:]))
    outputs = vgg16.features(x, vgg16.load_weights(path), layers)
    return tflib.run(outputs, {x: images})


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Work in an empty folder with small networks and without any weights."""
    monkeypatch.setattr(vgg16, 'BLOCKS', [(n, m) for n, m in zip([2, 2, 3, 3, 3], MAPS)])
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def published(place, monkeypatch):
    """Bytes of a file whose hash is the published one."""
    with open(save(place / 'vgg.h5', random_arrays()), 'rb') as file:
        body = file.read()
    monkeypatch.setattr(vgg16, 'MD5', hashlib.md5(body).hexdigest())
    return body


def put(path, body):
    os.makedirs(os.path.dirname(str(path)), exist_ok=True)
    with open(str(path), 'wb') as file:
        file.write(body)
    return str(path)


def test_activations_are_those_of_an_independent_convolution(session, data_format, place):
    arrays = random_arrays()
    images = RND.uniform(-1, 1, [2, 3, 32, 32]).astype(np.float32)
    names = ['conv4_2', 'conv1_1', 'conv1_2', 'conv3_2', 'conv5_3']
    got = evaluate(images, save(place / 'w.h5', arrays), names)
    for n, image in enumerate(images):
        want = reference(image.astype(np.float64), arrays)
        for name, activation in zip(names, got):
            assert_close(activation[n], want[int(name[4]), int(name[6])], 2e-5, name)


def test_gray_counts_as_equal_colours_and_alpha_not_at_all(session, place):
    path = save(place / 'w.h5', random_arrays())
    gray = RND.uniform(-1, 1, [1, 1, 8, 8]).astype(np.float32)
    rgb = np.repeat(gray, 3, axis=1)
    rgba = np.concatenate([rgb, RND.uniform(-1, 1, gray.shape)], axis=1)
    (want,) = evaluate(rgb, path, ['conv3_2'])
    assert want.shape == (1, 3, 2, 2)
    for images in (gray, rgba):
        np.testing.assert_allclose(evaluate(images, path, ['conv3_2'])[0], want, rtol=1e-6)


def test_activations_have_gradients_down_to_images_of_4x4(session, place):
    x = tf.constant(RND.uniform(-1, 1, [1, 3, 4, 4]).astype(np.float32))
    outputs = vgg16.features(x, vgg16.load_weights(save(place / 'w.h5', random_arrays())))
    assert [output.shape.as_list()[1:] for output in outputs] == [
        [2, 4, 4],
        [2, 4, 4],
        [3, 1, 1],
        [4, 1, 1],
    ]
    (gradient,) = tf.gradients(tf.add_n([tf.reduce_sum(output) for output in outputs]), [x])
    assert np.abs(tflib.run(gradient)).max() > 0


@pytest.mark.parametrize(
    'naming', ['{0}_W_1:0 {0}_b_1:0', '{0}/kernel:0 {0}/bias:0', 'kernel:0 bias:0']
)
def test_old_and_new_namings_of_the_arrays_are_read(naming, place):
    arrays = random_arrays()
    weights = vgg16.load_weights(save(place / 'w.h5', arrays, naming))
    assert len(weights) == 26 and weights['conv3_2/kernel'].dtype == np.float32
    kernel, bias = arrays['block3_conv2']
    np.testing.assert_array_equal(weights['conv3_2/kernel'], kernel.astype(np.float32))
    np.testing.assert_array_equal(weights['conv3_2/bias'], bias.astype(np.float32))


def test_the_published_network_has_13_layers_of_64_to_512_maps(monkeypatch):
    monkeypatch.undo()
    assert vgg16.BLOCKS == [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]
    assert len(vgg16.layer_names()) == 13


def test_files_of_other_kinds_are_refused_in_one_line(place):
    arrays = random_arrays()
    wide = dict(arrays, block4_conv2=(np.zeros([3, 3, 4, 5]), np.zeros([5])))
    other = {name: value for name, value in arrays.items() if name != 'block5_conv3'}
    put(place / 'text.h5', b'no HDF5 file')
    with open(save(place / 'whole.h5', arrays), 'rb') as file:
        put(place / 'cut.h5', file.read()[:3000])
    for path, reason in [
        (save(place / 'wide.h5', wide), r'block4_conv2 in .*wide.h5.*5\].*has \[3, 3, 4, 4\]'),
        (save(place / 'other.h5', other), 'other.h5.* no layer block5_conv3'),
        (str(place / 'text.h5'), 'text.h5.* as an HDF5 file'),
        (str(place / 'cut.h5'), 'cut.h5.* as an HDF5 file'),
        (str(place / 'none.h5'), 'none.h5.* as an HDF5 file'),
    ]:
        with pytest.raises(UserError, match=reason) as caught:
            vgg16.load_weights(path)
        assert vgg16.URL in str(caught.value) and '\n' not in str(caught.value)


def test_a_given_path_is_taken_whatever_its_hash(place):
    path = save(place / vgg16.FILE_NAME, random_arrays())
    assert vgg16.find_weights(path) == path
    with pytest.raises(UserError, match="no file 'missing.h5'; download https://"):
        vgg16.find_weights('missing.h5')


def test_the_folder_of_feature_networks_is_searched(place, published, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(place / 'nets'))
    assert vgg16.find_weights(download=False) is None
    with pytest.raises(UserError, match='%s.*https://.*%s' % (vgg16.FILE_NAME, FOLDER_VARIABLE)):
        vgg16.find_weights()
    path = put(place / 'nets' / vgg16.FILE_NAME, published)
    assert vgg16.find_weights() == vgg16.find_weights(download=False) == path
    put(path, published + b'!')
    with pytest.raises(UserError, match='has MD5 .*, the published file %s' % vgg16.MD5):
        vgg16.find_weights(download=False)


def test_a_download_is_kept_and_its_hash_checked(place, published, monkeypatch):
    urls = []

    def serve(url, cache_dir):
        urls.append(url)
        name = hashlib.md5(url.encode()).hexdigest() + '_weights.h5'
        return io.open(put(os.path.join(cache_dir, name), body), 'rb')

    monkeypatch.setattr(util, 'open_url', serve)
    body = published
    assert vgg16.find_weights(download=False) is None and not urls
    path = vgg16.find_weights()
    assert len(vgg16.load_weights(path)) == 26 and vgg16.find_weights(download=False) == path
    assert urls == [vgg16.URL]
    os.remove(path)
    body = published[:-9]
    with pytest.raises(UserError, match='has MD5 '):
        vgg16.find_weights()
