"""What metrics see of an image: the output of a pretrained network, or another `Feature`."""

from typing import Dict, List, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import engine
from dnnlib.tflib.network import Network

FAKES_TITLE = 'generated images'  # of the bar


def reals_title(feature: 'Feature') -> str:
    """Title of the bar of real images."""
    return 'real images (%s)' % feature.key


class Feature:
    """Features of images, computed in the graph, on the host, or both.

    Attributes:
        key: name that stands for the features, also in file names.
        nets: file names of the pretrained networks.
        cost: time that those of an image take, as part of generating it; a guess.
        is_cached: whether those of real images are kept on disk; False for what is large and
            quickly computed again.
    """

    key = ''
    nets: List[str] = []
    cost = 1.0
    is_cached = False

    def load(self, evaluation) -> List[Network]:
        """Load what an `Evaluation` needs into the default graph: a copy for each device.

        The caller keeps it: metrics outlive graphs.
        """
        return []

    def build(self, copies: List[Network], index: int, images: tf.Tensor) -> tf.Tensor:
        """Features of uint8 images [N, C, H, W] on device `index`: a tensor [N, ...]."""
        raise NotImplementedError

    def convert(self, value: np.ndarray, rng: np.random.RandomState) -> Dict[str, np.ndarray]:
        """Arrays [N, ...] to keep, made of a value of the tensor that `build` returned."""
        return {'features': value}

    def size(self, copies: List[Network]) -> Optional[int]:
        """Number of features of an image; None: it is not fixed."""
        return None


class NetFeature(Feature):
    """Output [N, F] of a pretrained network for RGB images in 0..255."""

    is_cached = True

    def __init__(self, net_name: str):
        self.key = net_name.rsplit('.', 1)[0]
        self.nets = [net_name]

    def load(self, evaluation) -> List[Network]:
        return evaluation.load_feature_net(self.nets[0])

    def build(self, copies: List[Network], index: int, images: tf.Tensor) -> tf.Tensor:
        return apply_net(copies[index], to_rgb(tf.cast(images, tf.float32)))

    def size(self, copies: List[Network]) -> Optional[int]:
        return copies[0].output_shape[1]


def copies_on_devices(net: Network, num_gpus: int) -> List[Network]:
    """A network that is on the first device, and its copies on the others."""
    copies = [net]
    for index in range(1, num_gpus):
        with tf.device(engine.device(index)):
            copies.append(net.clone())
    return copies


def apply_net(net: Network, *inputs: tf.Tensor) -> tf.Tensor:
    """Output of a pretrained network, with zeros for the inputs not given (labels)."""
    others = [None] * (net.num_inputs - len(inputs))
    return net.get_output_for(*inputs, *others, return_as_list=True)[0]


def to_rgb(images: tf.Tensor) -> tf.Tensor:
    """Images [N, C, H, W] with 3 channels: gray is repeated, alpha left out."""
    channels = images.shape.as_list()[1]
    return tf.tile(images, [1, 3, 1, 1]) if channels == 1 else images[:, :3]


def colour_handling(channels: int) -> str:
    """What `to_rgb` does to images of so many channels, in words."""
    return {1: 'gray repeated to RGB', 4: 'alpha left out'}.get(channels, 'RGB as it is')
