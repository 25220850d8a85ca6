"""Images that go on beyond their edges as in a mirror, in the middle of the outermost pixels.

Along an axis of n pixels such an image repeats itself after 2 (n - 1) pixels, and turning it round
is the same as moving it by half of that.
"""

import numpy as np
import tensorflow.compat.v1 as tf


def period(size: int) -> int:
    """Pixels after which a mirrored image of `size` pixels, 2 or more, repeats itself."""
    return 2 * (size - 1)


def places(positions: np.ndarray, size: int) -> np.ndarray:
    """The pixels, 0 to size - 1, that are seen at some positions of the mirrored image."""
    folded = np.asarray(positions) % period(size)
    return np.minimum(folded, period(size) - folded)


def extend(x: tf.Tensor, before: int, after: int) -> tf.Tensor:
    """Go on by so many pixels on both axes of images [N, H, W, C]; differentiable at any order."""
    while before or after:
        limit = min(x.shape.as_list()[1:3]) - 1
        pad = [min(before, limit), min(after, limit)]
        x = tf.pad(x, [[0, 0], pad, pad, [0, 0]], 'REFLECT')
        before, after = before - pad[0], after - pad[1]
    return x
