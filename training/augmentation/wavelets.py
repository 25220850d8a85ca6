"""Orthogonal low-pass filters, and a bank of filters for octaves that is made of them.

Daubechies, "Ten Lectures on Wavelets", 1992, table 6.3.
"""

from typing import List

import numpy as np

# The least asymmetric ones of 12 and 4 taps. Their sum is sqrt(2), and they are orthogonal to
# themselves moved by 2, 4, ... taps: what they double in resolution they halve without loss.
SYM6 = np.array(
    [
        0.015404109327027373,
        0.0034907120842174702,
        -0.11799011114819057,
        -0.048311742585633,
        0.4910559419267466,
        0.787641141030194,
        0.3379294217276218,
        -0.07263752278646252,
        -0.021060292512300564,
        0.04472490177066578,
        0.0017677118642428036,
        -0.007800708325034148,
    ]
)
SYM2 = np.array([1 - 3**0.5, 3 - 3**0.5, 3 + 3**0.5, 1 + 3**0.5]) / (4 * 2**0.5)


def centre(taps: np.ndarray) -> float:
    """The place, counted in taps, on which a filter's weights balance."""
    return float(np.sum(np.arange(len(taps)) * taps) / np.sum(taps))


def octave_bank(taps: np.ndarray, number: int) -> List[np.ndarray]:
    """Filters that divide the frequencies in octaves and add up to the identity.

    The last one has the upper half of the frequencies, the one before the half below that, and the
    first one the rest (the paper, appendix B.3).

    Args:
        taps: orthogonal low-pass filter. number: of bands.

    Returns:
        Symmetric filters of odd length, from the lowest band on.
    """
    low = np.convolve(taps, taps[::-1]) / 2
    rest, bands = np.ones(1), []
    for octave in range(number - 1):
        spread = np.zeros((len(low) - 1) * 2**octave + 1)
        spread[:: 2**octave] = low
        below = np.convolve(rest, spread)
        above = -below
        margin = (len(below) - len(rest)) // 2
        above[margin : margin + len(rest)] += rest
        bands.append(above)
        rest = below
    return [rest] + bands[::-1]
