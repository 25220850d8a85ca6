"""The pictures of several projection runs side by side, as in figure 9 of the paper."""

from typing import Any, List, Sequence, Tuple

import numpy as np

from dnnlib.util import UserError


def common_names(runs: Sequence[Tuple[str, List[Any]]]) -> List[str]:
    """Names of the images that all runs have, in order.

    Args:
        runs: (folder, its projections) each.

    Raises:
        UserError: there is none, or images of one name are not the same.
    """
    by_name = [{result.name: result for result in results} for _, results in runs]
    names = [name for name in by_name[0] if all(name in found for found in by_name)]
    if not names:
        raise UserError('%s have no image in common' % ' and '.join(folder for folder, _ in runs))
    for name in names:
        for (folder, _), found in zip(runs, by_name):
            if not np.array_equal(found[name].target, by_name[0][name].target):
                text = '%s in %r is another image than in %r; choose runs of the same images'
                raise UserError(text % (name, folder, runs[0][0]))
    return names
