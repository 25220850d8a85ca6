"""VGG16 (Simonyan and Zisserman 2014, arXiv:1409.1556) as a look at images, from Keras' weights.

The weights are those that Keras publishes for ImageNet without the dense layers, an HDF5 file. The
graph is built here of plain operations. Layers are called conv1_1 to conv5_3, after the paper.
"""

import hashlib
import os
import re
from typing import Dict, List, Optional, Sequence

import h5py
import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import util
from dnnlib.download import cache_dir, cached_file
from dnnlib.tflib import layout
from dnnlib.util import UserError
from training.perception import feature_nets

FILE_NAME = 'vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5'
URL = 'https://storage.googleapis.com/tensorflow/keras-applications/vgg16/' + FILE_NAME
MD5 = '6d6bbae143d832006294945121d1f1fc'  # as published by Keras

BLOCKS = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]  # layers and feature maps of each block
PERCEPTUAL_LAYERS = ('conv1_1', 'conv1_2', 'conv3_2', 'conv4_2')  # Abdal et al. 2019, Eq. 2

_MEAN_BGR = [103.939, 116.779, 123.68]  # of ImageNet, subtracted as in Caffe


def layer_names() -> List[str]:
    """Names of all convolutions, in their order."""
    counts = [(block, count) for block, (count, _) in enumerate(BLOCKS, 1)]
    return ['conv%d_%d' % (b, layer) for b, count in counts for layer in range(1, count + 1)]


def find_weights(
    path: Optional[str] = None, download: bool = True, folder: Optional[str] = None
) -> Optional[str]:
    """Find the file of weights, or download it into the cache.

    It is `path` if given, else where `feature_nets` looks for networks. What bears the published
    name there, or was downloaded, must have the published hash; a file given by `path` need not.

    Args:
        path: the file; None = look for it.
        download: get what is missing; False = return None.
        folder: of pretrained networks; None = as the environment says.

    Raises:
        UserError: the file is not where it has to be, is another one, or cannot be downloaded.
    """
    if path is not None:
        path = os.path.expanduser(path)
        if not os.path.isfile(path):
            raise UserError('There is no file %r; download %s and give its path.' % (path, URL))
        return path
    folder = feature_nets.active_folder(folder)
    path = os.path.join(folder, FILE_NAME) if folder else cached_file(URL, cache_dir())
    if path is None or not os.path.isfile(path):
        if not download:
            return None
        if folder:
            raise UserError(
                'There is no %s; download %s and put it there, or unset %s to download '
                'it automatically.' % (path, URL, feature_nets.FOLDER_VARIABLE)
            )
        util.open_url(URL, cache_dir=cache_dir()).close()
        path = cached_file(URL, cache_dir())
    _check_hash(path)
    return path


def load_weights(path: str) -> Dict[str, np.ndarray]:
    """Read weights from a Keras file, of the first naming of its arrays or of later ones.

    Returns:
        float32 arrays '<layer>/kernel' [3, 3, maps in, maps out] and '<layer>/bias' [maps out].

    Raises:
        UserError: the file cannot be read, or its arrays are not those of VGG16.
    """
    weights = {}
    try:
        with h5py.File(os.path.expanduser(path), 'r') as file:
            fmaps = 3
            for name in layer_names():
                shape = [3, 3, fmaps, BLOCKS[int(name[4]) - 1][1]]
                kernel, bias = _read_layer(file, _keras_name(name), path)
                shapes = list(kernel.shape), list(bias.shape)
                if shapes != (shape, shape[3:]):
                    text = 'The layer %s in %r' % (_keras_name(name), path)
                    text += ' has kernels %s and biases %s' % shapes
                    text += ', VGG16 has %s and %s; download %s.' % (shape, shape[3:], URL)
                    raise UserError(text)
                weights[name + '/kernel'], weights[name + '/bias'] = kernel, bias
                fmaps = shape[3]
    except OSError as error:
        reason = ' '.join(str(error).split())
        raise UserError('Cannot read %r as an HDF5 file: %s; download %s.' % (path, reason, URL))
    return weights


def features(
    images: tf.Tensor, weights: Dict[str, np.ndarray], layers: Sequence[str] = PERCEPTUAL_LAYERS
) -> List[tf.Tensor]:
    """Activations of some layers, after ReLU.

    Args:
        images: [N, C, H, W] in [-1, 1], sides powers of two; RGB, gray (repeated) or RGBA (without
            its alpha).
        weights: as returned by `load_weights`; they become constants of the graph.
        layers: names of layers, in the order of the result.

    Returns:
        float32 tensors [N, feature maps, height, width], one for each of `layers`.
    """
    names = layer_names()
    assert layers and set(layers) <= set(names), layers
    found = {}
    with tf.name_scope('VGG16'), layout.use(layout.for_network()):
        x = _preprocess(images)
        for name in names[: max(map(names.index, layers)) + 1]:
            if name.endswith('_1') and name != 'conv1_1':
                x = _halve(x)
            kernel = tf.constant(weights[name + '/kernel'], tf.float32)
            bias = tf.constant(weights[name + '/bias'], tf.float32)
            x = tf.nn.conv2d(x, kernel, [1, 1, 1, 1], 'SAME', data_format=layout.current())
            x = tf.nn.relu(tf.nn.bias_add(x, bias, data_format=layout.current()))
            found[name] = x
        return [layout.to_nchw(found[name]) for name in layers]


def _preprocess(images):
    """RGB [N, C, H, W] in [-1, 1] -> BGR in 0..255 less the mean, in the current layout."""
    channels = images.shape.as_list()[1]
    images = (tf.cast(images, tf.float32) + 1) * (255 / 2)
    bgr = tf.tile(images, [1, 3, 1, 1]) if channels == 1 else images[:, 2::-1]
    return layout.from_nchw(bgr - np.reshape(_MEAN_BGR, [1, 3, 1, 1]).astype(np.float32))


def _halve(x):
    """Maximum of 2x2 blocks; one pixel stays one, so that small images pass through."""
    size = layout.arrange(1, 1, 2, 2)
    return tf.nn.max_pool(x, size, size, padding='SAME', data_format=layout.current())


def _keras_name(layer):
    """Keras' name of a layer: conv3_2 -> block3_conv2."""
    return re.sub(r'conv(\d)_(\d)', r'block\1_conv\2', layer)


def _read_layer(file, name, path):
    """Kernel and bias of a layer, the only two arrays of its group whatever they are called."""
    arrays = []

    def collect(_, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == 'f':
            arrays.append(np.asarray(item[()], np.float32))

    if isinstance(file.get(name), h5py.Group):
        file[name].visititems(collect)
    arrays.sort(key=np.ndim)
    if [array.ndim for array in arrays] != [1, 4]:
        raise UserError(
            '%r has no layer %s with kernels and biases, so it holds no weights of '
            'VGG16 as Keras writes them; download %s.' % (path, name, URL)
        )
    return arrays[1], arrays[0]


def _check_hash(path):
    md5 = hashlib.md5()
    try:
        with open(path, 'rb') as file:
            for block in iter(lambda: file.read(1 << 20), b''):
                md5.update(block)
    except OSError as error:
        raise UserError('Cannot read %r: %s.' % (path, error.strerror))
    if md5.hexdigest() != MD5:
        raise UserError(
            '%s has MD5 %s, the published file %s; remove it and download %s again.'
            % (path, md5.hexdigest(), MD5, URL)
        )
