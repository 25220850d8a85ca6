"""Which way to do a convolution is the fastest: decisions, and what they rest on.

Those for CPUs were taken on a virtual machine with two cores of a Sapphire Rapids Xeon (AVX-512,
AMX), NHWC, minibatch 4; docs/performance.md, "Winograd's convolutions" and "What else was chosen",
has the times. `bench/convolutions.py` measures them again: each way against TensorFlow's own, in
turns. "Busy": from one run of it with TensorFlow 2.21 while others used that machine, so that
ratios count and times do not. On GPUs convolutions are TensorFlow's; `groups_samples` is the one
decision there.
"""

from typing import Dict, NamedTuple, Optional, Tuple

from dnnlib.tflib import engine

ANY = 1 << 40  # pixels


class Geometry(NamedTuple):
    """A convolution without its numbers; sizes are (height, width)."""

    taps: int
    stride: int
    padding: str  # 'SAME' with a stride of 1, or 'VALID'
    channels: Tuple[int, int]  # in, out
    x_size: Tuple[int, int]
    y_size: Tuple[int, int]

    @property
    def pixels(self) -> int:
        """Of the result, per image."""
        return self.y_size[0] * self.y_size[1]


class Decisions(NamedTuple):
    """When something is done in another way than TensorFlow's, by default never.

    Pixels are those of `Geometry`.
    """

    # Convolution as one matrix product: up to so many pixels. To rearrange the weights, as
    # TensorFlow does, costs more there than to use them. 4x4, float32: 1.6 instead of 3.7 ms; 8x8,
    # bfloat16: 1.9 instead of 3.2 ms (busy). Other types: chosen.
    product_pixels_float32: int = 0
    product_pixels: int = 0

    # Gradient with respect to x, stride 1: a convolution with flipped weights. TensorFlow 1.14:
    # 75 instead of 134 ms at 32x32, 7 instead of 11 ms at 4x4.
    flips_weights: bool = False

    # The same for larger strides: a convolution for each remainder. TensorFlow 1.14: 36 instead of
    # 64 ms at 32x32, 6 instead of 22 ms at 4x4.
    splits_phases: bool = False

    # Gradient with respect to w in bfloat16, by stride: a product for each tap, up to so many
    # pixels. Stride 1: 8 instead of 15 ms at 16x16, but 177 instead of 144 at 32x32 (busy). Stride
    # 2: 13 instead of 15 ms at 64x64.
    tap_products_pixels: Dict[int, int] = {}

    # Winograd's F(2x2,3x3) in float32, by stride: from so many pixels on. TensorFlow 2: 5.1 instead
    # of 8.5 ms at 8x8. TensorFlow 1.14: 19 instead of 24 ms at 16x16, but 15 instead of 11 at 8x8.
    winograd_pixels: Dict[int, int] = {}

    # The same by map and stride: from so many channels on; for fewer the planes are too much
    # traffic. 64x64, 128 channels: 17 instead of 20 ms; with stride 2, 32 instead of 24 ms, its
    # gradients 29 instead of 24 and 33 instead of 38 ms.
    winograd_channels: Dict[str, Dict[int, int]] = {}

    # The same: up to so many pixels times channels. Planes take four times the memory of an image:
    # 860 to 890 instead of 490 MB in a step of G. Chosen.
    winograd_numbers: int = ANY

    # Filtering as the transpose of a convolution, which it is too. TensorFlow 1.14's kernels are
    # two times faster in that direction; no figures were kept.
    filters_transposed: bool = False

    def takes_winograd(self, name: str, how: Geometry) -> bool:
        """Whether a map of `ops.conv2d` is faster in Winograd's way, if it can be done in it."""
        return (
            how.stride in self.winograd_pixels
            and how.pixels >= self.winograd_pixels[how.stride]
            and how.pixels * max(how.channels) <= self.winograd_numbers
            and min(how.channels) >= self.winograd_channels[name][how.stride]
        )


_TF2 = Decisions(
    product_pixels_float32=16,
    product_pixels=64,
    tap_products_pixels={1: 256, 2: ANY},
    winograd_pixels={1: 64, 2: 64},
    winograd_channels={
        'conv2d': {1: 128, 2: 512},
        'input_gradient': {1: 128, 2: 256},
        'weight_gradient': {1: 128, 2: 128},
    },
    winograd_numbers=1 << 21,
)
_TF1 = _TF2._replace(
    product_pixels_float32=0,
    product_pixels=0,
    flips_weights=True,
    splits_phases=True,
    winograd_pixels={1: 256, 2: 1024},
    filters_transposed=True,
)

BEST = {'tf1': _TF1, 'tf2': _TF2}[engine.ENGINE]

# Modulated convolutions on GPUs, as one grouped convolution with a weight per sample: up to so many
# samples. Training of config-e at 64x64, minibatch 32, on one H100 with TensorFlow 2.21: 136
# images/s in groups, 374 with scaled activations. A single sample has one group, a plain
# convolution, and saves a pass over its activations. Chosen; generation was not measured.
_GROUPED_SAMPLES = 1


def groups_samples(data_format: str, samples: Optional[int]) -> bool:
    """Whether modulated convolutions are faster with a weight per sample than on scaled images.

    samples: None where their number is not known, as in training and in `Network.run`.
    """
    return data_format == 'NCHW' and samples is not None and samples <= _GROUPED_SAMPLES


def packs_variables(device: str) -> bool:
    """Whether gradients and averages of all variables go through one buffer, see `packing`.

    On GPUs alone, where each kernel has its price (chosen, not measured on one). On a CPU the copy
    costs more: 303 instead of 157 ms for a step of Adam over 23 million numbers in 82 variables
    (TensorFlow 1.14, busy), 83 instead of 59 ms (TensorFlow 2.21, busy).
    """
    return 'gpu' in device.lower()
