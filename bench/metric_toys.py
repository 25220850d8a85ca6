"""Generators and feature networks so small that their metrics are known, and files of them."""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.tflib import pickles, random

RESOLUTION = 16
LATENT_SIZE = 8
NUM_LAYERS = 2


def _images_of(x, power, strength, randomize_noise, num_channels):
    """|x|^(power - 1) * x through a matrix, plus noise: [N, D] -> [N, C, R, R]."""
    size = x.shape.as_list()[1]
    pixels = num_channels * RESOLUTION**2
    matrix = tf.get_variable(
        'matrix', shape=[size, pixels], initializer=tf.initializers.random_normal(stddev=0.3)
    )
    fixed = tf.get_variable(
        'noise0',
        shape=[1, 1, RESOLUTION, RESOLUTION],
        trainable=False,
        initializer=tf.initializers.random_normal(),
    )
    x *= tf.norm(x, axis=1, keepdims=True) ** (power - 1)
    images = tf.reshape(tf.matmul(x, matrix), [-1, num_channels, RESOLUTION, RESOLUTION])
    fresh = random.normal([tf.shape(x)[0], 1, RESOLUTION, RESOLUTION], 'noise')
    return images + strength * (fresh if randomize_noise else fixed)


def mapping(latents_in, labels_in, latent_size=LATENT_SIZE, label_size=0, **_kwargs):
    """w = 3 z, once for each layer."""
    latents_in.set_shape([None, latent_size])
    labels_in.set_shape([None, label_size])
    return tf.tile(3 * latents_in[:, np.newaxis], [1, NUM_LAYERS, 1])


def synthesis(
    dlatents_in,
    latent_size=LATENT_SIZE,
    power=1.0,
    strength=0.0,
    num_channels=3,
    randomize_noise=True,
    **_kwargs,
):
    """Images of w."""
    dlatents_in.set_shape([None, NUM_LAYERS, latent_size])
    x = tf.reshape(dlatents_in, [-1, NUM_LAYERS * latent_size])
    return _images_of(x, power, strength, randomize_noise, num_channels)


def G_with_w(latents_in, labels_in, is_template_graph=False, components=EasyDict(), **kwargs):
    """A generator with the two components of StyleGAN."""
    if 'synthesis' not in components:
        components.synthesis = tflib.Network('G_synthesis', synthesis, **kwargs)
        components.mapping = tflib.Network('G_mapping', mapping, **kwargs)
    w = components.mapping.get_output_for(latents_in, labels_in, **kwargs)
    return components.synthesis.get_output_for(w, **kwargs)


def G_without_w(
    latents_in,
    labels_in,
    latent_size=LATENT_SIZE,
    label_size=0,
    power=1.0,
    strength=0.0,
    num_channels=3,
    randomize_noise=True,
    **_kwargs,
):
    """A generator that goes from z to images at once; each class is brighter than the last."""
    latents_in.set_shape([None, latent_size])
    labels_in.set_shape([None, label_size])
    images = _images_of(latents_in, power, strength, randomize_noise, num_channels)
    brightness = tf.matmul(labels_in, 0.5 * np.arange(label_size, dtype=np.float32)[:, np.newaxis])
    return images + brightness[:, :, np.newaxis, np.newaxis]


def features(images_in, **_kwargs):
    """Mean and contrast of each channel of images in 0..255: [N, 3, H, W] -> [N, 6]."""
    images_in.set_shape([None, 3, None, None])
    x = images_in / 255
    mean = tf.reduce_mean(x, axis=[2, 3])
    square = tf.reduce_mean(tf.square(x), axis=[2, 3])
    return tf.concat([mean, square - tf.square(mean)], axis=1)


def left_features(images_in, **_kwargs):
    """Mean of the left half of each channel of images in 0..255: [N, 3, H, W] -> [N, 3]."""
    images_in.set_shape([None, 3, None, None])
    width = tf.shape(images_in)[3]
    return tf.reduce_mean(images_in[..., : width // 2] / 255, axis=[2, 3])


def softmax(images_in, **_kwargs):
    """Three classes: which channel is brightest."""
    images_in.set_shape([None, 3, None, None])
    return tf.nn.softmax(tf.reduce_mean(images_in, axis=[2, 3]) / 16)


def distance(a_in, b_in, **_kwargs):
    """Mean squared difference of two images: [N]."""
    for x in (a_in, b_in):
        x.set_shape([None, 3, None, None])
    return tf.reduce_mean(tf.square(a_in - b_in), axis=[1, 2, 3])


def classifier(images_in, labels_in, **_kwargs):
    """A logit [N, 1] that is positive for bright images in -1..1."""
    images_in.set_shape([None, 3, None, None])
    labels_in.set_shape([None, 0])
    return tf.reduce_mean(images_in, axis=[1, 2, 3])[:, np.newaxis]


FEATURE_NETS = {
    'inception_v3_features.pkl': features,
    'inception_v3_softmax.pkl': softmax,
    'vgg16.pkl': features,
    'vgg16_zhang_perceptual.pkl': distance,
    'celebahq-classifier-00-male.pkl': classifier,
}


def save_feature_nets(folder, **others):
    """Write a small network under the name of each published one; `others` in place of some."""
    os.makedirs(folder)
    with tf.Graph().as_default(), tf.Session():
        for name, function in dict(FEATURE_NETS, **others).items():
            pickles.save(tflib.Network('net', function), os.path.join(folder, name))


def save_generator(path, function=G_with_w, seed=0, isometric=False, **kwargs):
    """Write (G, D, Gs) with a random matrix, on request one that keeps lengths."""
    with tf.Graph().as_default(), tf.Session():
        net = tflib.Network('Gs', function, **kwargs)
        name = [n for n in net.vars if n.endswith('matrix')][0]
        shape = net.vars[name].shape.as_list()
        matrix = np.random.RandomState(seed).randn(*shape)
        matrix = np.linalg.qr(matrix.T)[0].T if isometric else 0.05 * matrix
        net.set_var(name, matrix)
        pickles.save((net, net, net), path)
