"""Losses of generator and discriminator.

Each function returns (loss [N, 1], regularization term [N'] or None). `opt` is there for losses
that need the optimizer (loss scaling); `training_set` gives random labels. Latents are z ~ N(0, 1).
"""

from typing import Any, Optional, Tuple, Union

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import random
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.network import Network
from dnnlib.tflib.optimizer import Optimizer
from training import anatomy
from training.data.base import Dataset

Terms = Tuple[tf.Tensor, Optional[tf.Tensor]]
Size = Union[int, tf.Tensor]


def _generate(
    G: Network, training_set: Dataset, minibatch_size: Size, **kwargs: Any
) -> Tuple[Any, tf.Tensor]:
    """Training-mode output of G for random latents and labels, and the labels."""
    latents = random.normal([minibatch_size] + G.input_shapes[0][1:], 'latents')
    labels = training_set.get_random_labels_tf(minibatch_size)
    return G.get_output_for(latents, labels, is_training=True, **kwargs), labels


def _scores(D: Network, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Training-mode output of D."""
    return D.get_output_for(images, labels, is_training=True)


def _scores_of_fakes(
    G: Network, D: Network, training_set: Dataset, minibatch_size: Size
) -> tf.Tensor:
    """Scores of fakes with random labels."""
    fakes, labels = _generate(G, training_set, minibatch_size)
    return _scores(D, fakes, labels)


def _real_and_fake_scores(
    G: Network, D: Network, minibatch_size: Size, reals: tf.Tensor, labels: tf.Tensor
) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Scores of reals and of fakes with the reals' labels, and the fakes."""
    latents = random.normal([minibatch_size] + G.input_shapes[0][1:], 'latents')
    fakes = G.get_output_for(latents, labels, is_training=True)
    real_scores = _scores(D, reals, labels)
    # Averages follow the reals, then the fakes; in no fixed order no run could be repeated.
    with tf.control_dependencies([real_scores] if anatomy.has_batch_statistics(D) else []):
        fake_scores = _scores(D, fakes, labels)
    real_scores = autosummary('Loss/scores/real', real_scores)
    return real_scores, autosummary('Loss/scores/fake', fake_scores), fakes


def _squared_gradient(scores: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Squared norm of each score's gradient with respect to its image [N, C, H, W]: [N]."""
    grads = tf.gradients(tf.reduce_sum(scores), [images])[0]
    return tf.reduce_sum(tf.square(grads), axis=[1, 2, 3])


def G_logistic(
    G: Network, D: Network, opt: Optimizer, training_set: Dataset, minibatch_size: Size
) -> Terms:
    """Saturating logistic loss (Goodfellow et al. 2014): log(1 - sigmoid(D(G(z))))."""
    return -tf.nn.softplus(_scores_of_fakes(G, D, training_set, minibatch_size)), None


def G_logistic_ns(
    G: Network, D: Network, opt: Optimizer, training_set: Dataset, minibatch_size: Size
) -> Terms:
    """Non-saturating logistic loss (Goodfellow et al. 2014): -log sigmoid(D(G(z)))."""
    return tf.nn.softplus(-_scores_of_fakes(G, D, training_set, minibatch_size)), None


def G_logistic_ns_pathreg(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    pl_minibatch_shrink: int = 2,
    pl_decay: float = 0.01,
    pl_weight: float = 2.0,
) -> Terms:
    """Non-saturating logistic loss with path length regularization (StyleGAN2, section 3.2).

    The path length of a sample is the norm of J_w^T y for random images y ~ N(0, 1 / (H * W)), and
    the penalty its squared distance to the running mean over samples. The term is evaluated for
    minibatch_size // pl_minibatch_shrink fresh samples, since it costs memory.

    Args:
        pl_decay: speed of the running mean, which is 0 at the start.
        pl_weight: factor of the penalty.
    """
    (fakes, dlatents), labels = _generate(G, training_set, minibatch_size, return_dlatents=True)
    loss = tf.nn.softplus(-_scores(D, fakes, labels))
    with tf.name_scope('PathReg'):
        if pl_minibatch_shrink > 1:
            size = minibatch_size // pl_minibatch_shrink
            (fakes, dlatents), _ = _generate(G, training_set, size, return_dlatents=True)
        noise = random.normal(tf.shape(fakes), 'path_noise') / np.sqrt(np.prod(G.output_shape[2:]))
        grads = tf.gradients(tf.reduce_sum(fakes * noise), [dlatents])[0]  # [N', num_layers, D]
        squares = tf.reduce_sum(tf.square(grads), axis=2)  # [N', num_layers]
        lengths = tf.sqrt(tf.reduce_mean(squares, axis=1))  # [N']
        lengths = autosummary('Loss/pl_lengths', lengths)

        with tf.control_dependencies(None):
            pl_mean = tf.Variable(0.0, trainable=False, name='pl_mean')
        # The mean is not detached: the gradient flows through it as through the lengths.
        new_mean = pl_mean + pl_decay * (tf.reduce_mean(lengths) - pl_mean)
        with tf.control_dependencies([tf.assign(pl_mean, new_mean)]):
            penalty = tf.square(lengths - new_mean)
        penalty = autosummary('Loss/pl_penalty', penalty)
    return loss, penalty * pl_weight


def G_wgan(
    G: Network, D: Network, opt: Optimizer, training_set: Dataset, minibatch_size: Size
) -> Terms:
    """Wasserstein loss (Arjovsky et al. 2017): -D(G(z))."""
    return -_scores_of_fakes(G, D, training_set, minibatch_size), None


def _logistic(real_scores: tf.Tensor, fake_scores: tf.Tensor) -> tf.Tensor:
    return tf.nn.softplus(fake_scores) + tf.nn.softplus(-real_scores)


def D_logistic(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    reals: tf.Tensor,
    labels: tf.Tensor,
) -> Terms:
    """Logistic loss (Goodfellow et al. 2014): -log(1 - sigmoid(D(fake))) - log sigmoid(D(real))."""
    real_scores, fake_scores, _ = _real_and_fake_scores(G, D, minibatch_size, reals, labels)
    return _logistic(real_scores, fake_scores), None


def D_logistic_r1(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    reals: tf.Tensor,
    labels: tf.Tensor,
    gamma: float = 10.0,
) -> Terms:
    """`D_logistic` with R1 regularization (Mescheder et al. 2018): gamma / 2 * |grad D(real)|^2."""
    real_scores, fake_scores, _ = _real_and_fake_scores(G, D, minibatch_size, reals, labels)
    penalty = _gradient_penalty(real_scores, reals)
    return _logistic(real_scores, fake_scores), penalty * (gamma * 0.5)


def D_logistic_r2(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    reals: tf.Tensor,
    labels: tf.Tensor,
    gamma: float = 10.0,
) -> Terms:
    """`D_logistic` with R2 regularization (Mescheder et al. 2018): gamma / 2 * |grad D(fake)|^2."""
    real_scores, fake_scores, fakes = _real_and_fake_scores(G, D, minibatch_size, reals, labels)
    penalty = _gradient_penalty(fake_scores, fakes)
    return _logistic(real_scores, fake_scores), penalty * (gamma * 0.5)


def _gradient_penalty(scores: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    with tf.name_scope('GradientPenalty'):
        return autosummary('Loss/gradient_penalty', _squared_gradient(scores, images))


def _wasserstein(real_scores: tf.Tensor, fake_scores: tf.Tensor, wgan_epsilon: float) -> tf.Tensor:
    """Wasserstein loss, and what keeps scores near 0 (Karras et al. 2018, appendix A.1)."""
    with tf.name_scope('EpsilonPenalty'):
        epsilon_penalty = autosummary('Loss/epsilon_penalty', tf.square(real_scores))
    return fake_scores - real_scores + epsilon_penalty * wgan_epsilon


def D_wgan(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    reals: tf.Tensor,
    labels: tf.Tensor,
    wgan_epsilon: float = 0.001,
) -> Terms:
    """Wasserstein loss (Arjovsky et al. 2017): D(fake) - D(real) + wgan_epsilon * D(real)^2."""
    real_scores, fake_scores, _ = _real_and_fake_scores(G, D, minibatch_size, reals, labels)
    return _wasserstein(real_scores, fake_scores, wgan_epsilon), None


def D_wgan_gp(
    G: Network,
    D: Network,
    opt: Optimizer,
    training_set: Dataset,
    minibatch_size: Size,
    reals: tf.Tensor,
    labels: tf.Tensor,
    wgan_lambda: float = 10.0,
    wgan_epsilon: float = 0.001,
    wgan_target: float = 1.0,
) -> Terms:
    """`D_wgan` with a gradient penalty (Gulrajani et al. 2017) between reals and fakes.

    wgan_lambda: weight of the penalty. wgan_target: norm of the gradient that is not penalized.
    """
    real_scores, fake_scores, fakes = _real_and_fake_scores(G, D, minibatch_size, reals, labels)
    with tf.name_scope('GradientPenalty'):
        factors = random.uniform([minibatch_size, 1, 1, 1], 'factors')
        mixed = tflib.lerp(tf.cast(reals, fakes.dtype), fakes, factors)
        mixed_scores = _scores(D, mixed, labels)
        mixed_scores = autosummary('Loss/scores/mixed', mixed_scores)
        norms = tf.sqrt(_squared_gradient(mixed_scores, mixed))
        norms = autosummary('Loss/mixed_norms', norms)
        penalty = tf.square(norms - wgan_target) * (wgan_lambda / wgan_target**2)
    return _wasserstein(real_scores, fake_scores, wgan_epsilon), penalty
