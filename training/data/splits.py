"""Which images of a data set a run trains on, and which it holds back."""

from typing import Optional

import numpy as np

from dnnlib.options import check_choice
from dnnlib.util import UserError

# Of the images, mixed by the seed, the first `validation` are held out, and of the rest the first
# `subset` are trained on.
SPLITS = {
    'train': 'what is trained on',
    'validation': 'what --validation holds out',
    'others': 'all that is not trained on',
    'all': 'the whole data set',
}


def numbers_of(
    split: str, num_images: int, seed: int, subset: Optional[int], validation: int
) -> Optional[np.ndarray]:
    """Numbers of the images of a split in file order, int64 [n]; None: all of them.

    Args:
        split: one of SPLITS. num_images: in the data set. seed: decides which are taken.
        subset: how many to train on; None: all that are not held out. validation: how many to hold
            out.

    Raises:
        UserError: there are not so many, or none at all.
    """
    check_choice('split', split, SPLITS)
    left = num_images - validation
    if left < (subset or 1):
        text = 'a subset of %d images and %d for validation cannot be had of %d'
        raise UserError(text % (subset or 1, validation, num_images))
    subset = left if subset is None else subset
    order = np.random.RandomState([seed % (1 << 32), 1]).permutation(num_images)
    held, trained, rest = np.split(order, [validation, validation + subset])
    parts = dict(train=[trained], validation=[held], others=[held, rest], all=[order])[split]
    chosen = np.sort(np.concatenate(parts))
    if not len(chosen):
        text = 'there are no images of the split %r: %s takes a run with --validation or --subset'
        raise UserError(text % (split, SPLITS[split]))
    return None if len(chosen) == num_images else chosen
