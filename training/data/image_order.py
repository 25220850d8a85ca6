"""The order in which a data set is read: a pure function of seed and position, without any table.

Every epoch is a permutation of its own of all images, drawn from a keyed Feistel network with cycle
walking (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
"""

import numpy as np

_NUM_ROUNDS = 8
_MIN_BITS = 6  # few images still get a well mixed order


def image_indices(positions: np.ndarray, num_images: int, seed: int, shuffle: bool) -> np.ndarray:
    """Numbers of the images at some positions of the endless stream of epochs.

    Args:
        positions: int64 [n], from 0; epoch e covers the positions from e * num_images on.
        num_images: images in the data set.
        seed: any number from 0; every seed has orders of its own.
        shuffle: False = every epoch in file order.

    Returns:
        int64 [n], numbers in [0, num_images).
    """
    positions = np.asarray(positions, np.int64)
    epochs, indices = np.divmod(positions, num_images)
    if shuffle:
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            indices[chosen] = permute(indices[chosen], num_images, seed, int(epoch))
    return indices


def permute(values: np.ndarray, size: int, seed: int, epoch: int = 0) -> np.ndarray:
    """Apply the permutation of [0, size) that belongs to (seed, epoch) to `values` [n]."""
    num_bits = max(_MIN_BITS, (size - 1).bit_length())
    keys = np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(_NUM_ROUNDS, np.uint64)
    permuted = _encrypt(np.array(values, np.uint64, ndmin=1), keys, num_bits)
    while True:
        outside = permuted >= np.uint64(size)
        if not outside.any():
            return permuted.astype(np.int64)
        permuted[outside] = _encrypt(permuted[outside], keys, num_bits)


def _encrypt(values, keys, num_bits):
    """Feistel network on numbers of `num_bits` bits; rounds change left and right half in turn."""
    right_bits = num_bits // 2
    shift = np.uint64(right_bits)
    left_mask = np.uint64((1 << (num_bits - right_bits)) - 1)
    right_mask = np.uint64((1 << right_bits) - 1)
    left, right = values >> shift, values & right_mask
    for even_key, odd_key in keys.reshape(-1, 2):
        left = left ^ (_mix(right + even_key) & left_mask)
        right = right ^ (_mix(left + odd_key) & right_mask)
    return left << shift | right


def _mix(x):
    """Spread every bit over all 64 (finalizer of SplitMix64: Steele, Lea, Flood, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
