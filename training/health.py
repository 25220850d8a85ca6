"""What the noise injection of a run has learned, and whether its generator still works.

Two of the paper's ablations collapse (its table 5): the generator comes to draw one image for all
latents, values far outside the range of images, or numbers that are not finite.
"""

from typing import Any, Dict, List, Mapping, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import tflib
from dnnlib.tflib import random
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.network import Network
from training import anatomy

# Fakes that differ by less, an eighth of one of 256 levels in [-1, 1], make the same pictures.
# Networks that have just begun are above: a DCGAN at about 0.003.
SMALLEST_STDDEV = 0.001
# No images in [-1, 1] differ by more. A network that has just begun may be above for a while.
LARGEST_STDDEV = 1.0
# Steps in a row without a finite gradient before a run is given up. In mixed precision the first
# steps are left out, each with half the loss scale of the one before.
MOST_SKIPPED = 100
_NUM_FAKES = 8


def noise_scalars(G: Network) -> Dict[str, tf.Tensor]:
    """Alpha and r of each layer with FR: FR/8x8/Conv1/alpha, FR/8x8/Conv1/strength and so on."""
    return {
        'FR/%s/%s' % (layer, what): value
        for layer, values in anatomy.fr_values(G).items()
        for what, value in values.items()
        if what in ('alpha', 'strength')
    }


def figures_of_layers(stats: Mapping[str, Any], what: str) -> List[Any]:
    """Those of `noise_scalars`, 'alpha' or 'strength', among the figures of a run."""
    return [v for k, v in stats.items() if k.startswith('FR/') and k.endswith('/' + what)]


class Health:
    """Looks at the networks of a run once per tick.

    Args:
        G, D: the networks in training. Gs: G's running average, which makes the fakes.
        minibatch_size: fakes at a time.
    """

    def __init__(self, G: Network, D: Network, Gs: Network, minibatch_size: int):
        self._scalars = noise_scalars(G)
        self._sums = {name: _sums(net.vars) for name, net in [('G', G), ('D', D), ('Gs', Gs)]}
        self._Gs = Gs
        self._minibatch_size = minibatch_size
        self._latents = random.generator('health').randn(_NUM_FAKES, *Gs.input_shape[1:])
        self._skipped_steps = 0
        self._was_too_large = False

    def state(self) -> Dict[str, Any]:
        """What a run that is resumed goes on from, as plain data."""
        return dict(skipped_steps=self._skipped_steps, was_too_large=self._was_too_large)

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""
        self._skipped_steps = state['skipped_steps']
        self._was_too_large = state['was_too_large']

    def examine(self, skipped_steps: int) -> Optional[str]:
        """Add the figures to the autosummaries, and say what is wrong with the run, in one line.

        Args:
            skipped_steps: steps left out since the start.
        """
        for name, value in tflib.run(self._scalars).items():
            autosummary(name, value)
        # Fixed noise: fresh noise would make one image look like many.
        options = dict(is_validation=True, randomize_noise=False)
        fakes = self._Gs.run(self._latents, None, minibatch_size=self._minibatch_size, **options)
        stddev = stddev_of_fakes(fakes)
        autosummary('Progress/fakes_stddev', stddev)
        is_too_large = stddev > LARGEST_STDDEV
        skipped_now = skipped_steps - self._skipped_steps
        self._skipped_steps = skipped_steps

        problems = []
        if not np.isfinite(stddev):
            problems.append('fakes have values that are not finite')
        elif stddev < SMALLEST_STDDEV:
            problems.append('fakes are all the same (standard deviation %.2g)' % stddev)
        elif is_too_large and self._was_too_large:
            figures = 'standard deviation %.2g, at most %g in [-1, 1]' % (stddev, LARGEST_STDDEV)
            problems.append('fakes are far outside the range of images (%s)' % figures)
        self._was_too_large = is_too_large
        if skipped_now:
            text = '%d more steps skipped, as gradients were not finite'
            problems.append(text % skipped_now)
        return 'Warning: %s' % '; '.join(problems) if problems else None

    def reason_to_stop(self) -> Optional[str]:
        """Why the networks cannot learn again, None if they may: weights that are not finite."""
        for name, sums in tflib.run(self._sums).items():
            if not np.isfinite(sums).all():
                return 'the weights of %s are not finite' % name
        return None


def reason_without_gradients(skipped_in_row: Mapping[str, int]) -> Optional[str]:
    """Why a run is given up whose gradients are not finite for MOST_SKIPPED steps, else None.

    Args:
        skipped_in_row: see `TrainGraph.steps_skipped_in_row`.
    """
    for name, number in skipped_in_row.items():
        if number >= MOST_SKIPPED:
            return 'no gradient of %s was finite for %d steps in a row' % (name, number)
    return None


def _sums(variables):
    """Sums [variables] of absolute values, which are not finite if any weight is not."""
    return tf.stack([tf.reduce_sum(tf.abs(tf.cast(x, tf.float32))) for x in variables.values()])


def stddev_of_fakes(fakes: np.ndarray) -> float:
    """Standard deviation over images [N, C, H, W], mean over pixels; nan if any is not finite."""
    if not np.isfinite(fakes).all():
        return float('nan')
    return float(np.mean(np.std(fakes.astype(np.float64), axis=0)))
