"""What the discriminator thinks of real images that training never sees."""

from typing import Any, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import engine
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.network import Network
from training import anatomy
from training.augmentation.adaptation import Augmentation
from training.data.base import Dataset
from training.data.reals import process_reals

SCORES = 'Loss/scores/validation'
_REAL, _FAKE = 'Loss/scores/real', 'Loss/scores/fake'


class Validation:
    """Scores of held-out images, seen as those of training are, but not mirrored.

    Args:
        D: the discriminator in training. augmentation: what it looks through.
        images: the held-out ones; None: there are none, and nothing is measured.
        minibatch_size: images at a time.
        process_reals_args: of `process_reals`.
    """

    def __init__(
        self,
        D: Network,
        augmentation: Augmentation,
        images: Optional[Dataset],
        minibatch_size: int,
        process_reals_args: dict,
    ):
        self._images = images
        self._size = minibatch_size
        if images is None:
            return
        options = dict(process_reals_args, mirror_augment=False)
        with tf.name_scope('Validation'), tf.device(engine.device(0)):
            self._fed = tf.placeholder(tf.uint8, [None] + images.shape, 'images_in')
            self._labels = tf.placeholder(tf.float32, [None, images.label_size], 'labels_in')
            x, labels = process_reals(self._fed, self._labels, 0.0, **options)
            x.set_shape([None] + images.shape)
            seen = augmentation.seen(x, 'validation', 0, counter='validation')
            # Averages of layers are not to learn of these images.
            is_training = not anatomy.has_batch_statistics(D)
            self._scores = D.get_output_for(seen, labels, is_training=is_training)

    def measure(self) -> None:
        """Add the mean score to the figures of the tick, as SCORES.

        The last minibatch is filled up with the first images.
        """
        if self._images is None:
            return
        number = -(-self._images.num_images // self._size) * self._size
        indices = np.arange(number) % self._images.num_images
        scores = []
        for part in np.split(indices, number // self._size):
            images = np.stack([self._images.get_image(int(i)) for i in part])
            labels = np.stack([self._images.get_label(int(i)) for i in part])
            scores.append(tflib.run(self._scores, {self._fed: images, self._labels: labels}))
        autosummary(SCORES, float(np.mean(scores)))


def r_v(figures: Mapping[str, Any]) -> Optional[float]:
    """How much less the held-out images are thought of than those of training.

    The paper's (arXiv:2006.06676) equation 1: 0 if they are thought of alike, 1 if they are taken
    for fakes. None where the figures of a tick do not have it.
    """
    if not all(name in figures for name in (SCORES, _REAL, _FAKE)):
        return None
    difference = figures[_REAL] - figures[_FAKE]
    return (figures[_REAL] - figures[SCORES]) / difference if difference else None
