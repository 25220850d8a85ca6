"""Layout of activations inside a network: NHWC on CPUs, NCHW on GPUs.

Images, latents and pickles are NCHW at every interface. `Network` chooses once, with
`use(for_network())`, for all that a build function makes. This brings images in with `from_nchw`
and out with `to_nchw`; the layers between ask `current()` where an axis matters.

CPUs: TensorFlow 1.14 has no NCHW convolution there, and today's oneDNN is faster in NHWC.
"""

import contextlib
from typing import Any, Iterator, List

import tensorflow.compat.v1 as tf

from dnnlib.tflib import engine

_TO_NHWC = [0, 2, 3, 1]
_TO_NCHW = [0, 3, 1, 2]
_stack: List[str] = []
_meant_for: List[str] = []


def for_device() -> str:
    """The layout that suits the device of the current `tf.device` scope."""
    if _meant_for:
        return _meant_for[-1]
    return 'NCHW' if engine.is_gpu_scope() else 'NHWC'


def for_network() -> str:
    """The layout to build a network in: that of the network around it, else the device's."""
    return _stack[-1] if _stack else for_device()


@contextlib.contextmanager
def meant_for(data_format: str) -> Iterator[None]:
    """Build as for devices of a layout, though this may be none: for graphs that leave."""
    _meant_for.append(data_format)
    try:
        yield
    finally:
        _meant_for.pop()


@contextlib.contextmanager
def use(data_format: str) -> Iterator[None]:
    """Build with activations in 'NHWC' or 'NCHW'."""
    assert data_format in ('NHWC', 'NCHW')
    _stack.append(data_format)
    try:
        yield
    finally:
        _stack.pop()


def current() -> str:
    """'NHWC' or 'NCHW' (outside of `use`: NCHW)."""
    return _stack[-1] if _stack else 'NCHW'


def channel_axis(rank: int = 4) -> int:
    """Axis of the channels of an activation; 1 for rank 2."""
    return 3 if rank == 4 and current() == 'NHWC' else 1


def spatial_axes() -> List[int]:
    """Axes of height and width."""
    return [1, 2] if current() == 'NHWC' else [2, 3]


def arrange(n: Any, c: Any, h: Any, w: Any) -> list:
    """Put four things that belong to the axes N, C, H, W into the current order."""
    return [n, h, w, c] if current() == 'NHWC' else [n, c, h, w]


def sizes(x: tf.Tensor) -> list:
    """Static sizes of an activation as [n, c, h, w], None where unknown."""
    shape = x.shape.as_list()
    return [shape[0], shape[3], shape[1], shape[2]] if current() == 'NHWC' else shape


def from_nchw(x: tf.Tensor) -> tf.Tensor:
    """Transpose [N, C, H, W] into the current layout."""
    return tf.transpose(x, _TO_NHWC) if current() == 'NHWC' else x


def to_nchw(x: tf.Tensor) -> tf.Tensor:
    """Transpose an activation of the current layout into [N, C, H, W]."""
    return tf.transpose(x, _TO_NCHW) if current() == 'NHWC' else x
