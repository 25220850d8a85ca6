"""How strongly a run augments: p, and the sign that it follows (the paper, section 3)."""

from typing import Any, Dict, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from dnnlib.options import check_choice
from dnnlib.tflib import cluster, random, tfutil
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.placement import exactly_on, make_state_variable
from dnnlib.util import UserError
from training.augmentation import colour
from training.augmentation.pipeline import PIPES, augment

MODES = {
    'none': 'images are seen as they are',
    'ada': 'with a probability that follows r_t',
    'fixed': 'with a probability that stays',
}
INTERVAL = 4  # iterations between two changes of p
LARGEST_P = 1.0
R_T, R_V, P = 'Overfitting/r_t', 'Overfitting/r_v', 'Overfitting/p'  # names of figures
_SCOPE = 'Augmentation'


class Settings(NamedTuple):
    """What a run does to the images that its discriminator sees; see `settings`."""

    mode: str = 'none'
    pipe: str = 'bgc'
    p: float = 0.0
    target: float = 0.6
    kimg: float = 500.0


def settings(
    mode: str = 'none',
    pipe: str = 'bgc',
    p: Optional[float] = None,
    target: float = 0.6,
    kimg: float = 500.0,
) -> Settings:
    """Options of a run, checked.

    Args:
        mode: one of MODES: 'fixed' augments with probability p; 'ada' lets p follow r_t, the mean
            sign of the discriminator's scores of real images in training.
        pipe: one of `pipeline.PIPES`.
        p: probability of each transformation, with 'ada' the first one; None: 0 with 'ada'.
        target: r_t at which p stays. kimg: thousands of images in which p gets from 0 to 1.

    Raises:
        UserError: options that make no sense, alone or together.
    """
    check_choice('mode of augmentation', mode, MODES)
    check_choice('augmentation pipe', pipe, PIPES)
    for name, value in [('p', p), ('target', target), ('kimg', kimg)]:
        if value is not None and type(value) not in (int, float):
            raise UserError('augment_args.%s is %r; it must be a number' % (name, value))
    if mode == 'none' and p is not None:
        raise UserError('--augment-p is %g, but nothing is augmented; add --augment=fixed' % p)
    if mode == 'fixed' and p is None:
        raise UserError('--augment=fixed needs a probability; add --augment-p=0.2, for instance')
    if p is not None and not 0 <= p <= LARGEST_P:
        raise UserError('the probability of augmentation is %g; it must be 0 to 1' % p)
    if kimg <= 0:
        raise UserError('--ada-kimg is %g; it must be above 0' % kimg)
    return Settings(mode, pipe, p or 0.0, target, kimg)


def notes(options: Dict[str, Any], channels: int) -> List[str]:
    """Lines on what augmentation cannot do for images of so many channels."""
    chosen = settings(**options)
    if chosen.mode == 'none' or 'c' not in PIPES[chosen.pipe] or colour.is_defined(channels):
        return []
    text = 'Note: images of %d channels have no colours that are known; theirs are not augmented.'
    return [text % channels]


class Augmentation:
    """What a training graph augments with.

    Args:
        chosen: see `settings`.

    Attributes:
        settings: as given.
        p: probability of each transformation, a variable on the CPU; None: nothing is augmented.
    """

    def __init__(self, chosen: Settings):
        self.settings = chosen
        self._signs: Dict[int, tf.Variable] = {}  # [number, sum] of each device of this worker
        self.p: Optional[tf.Variable] = None
        if chosen.mode != 'none':
            self.p = make_state_variable(_SCOPE, 'p', '/cpu:0', initial_value=chosen.p)

    def look(self, D: Any, reals: tf.Tensor, device: int = 0) -> 'AugmentedD':
        """The discriminator as losses of a device see it.

        Args:
            D: the network. reals: the real images of the device, as losses get them.
            device: its number among those of all workers.
        """
        return AugmentedD(D, reals, self, device)

    def seen(
        self, images: tf.Tensor, place: str, device: int, counter: str = 'augmentation'
    ) -> tf.Tensor:
        """Images [N, C, H, H] as the discriminator sees them.

        Args:
            place: says where it looks, so that random numbers are others at each place of a device.
            counter: of the times that it looks. What else draws is not to notice.
        """
        if self.p is None:
            return images
        step = random.counter(counter)
        with random.stream('augmentation ' + place, step, device):
            return augment(images, tf.identity(self.p), self.settings.pipe)

    def count(self, scores: tf.Tensor, device: int = 0) -> tf.Tensor:
        """The scores of real images; evaluating the result counts them towards r_t."""
        signs = tf.sign(scores)
        scores = autosummary(R_T, signs, passthru=scores)
        if self.settings.mode != 'ada':
            return scores
        signs = tf.boolean_mask(signs, tf.is_finite(scores))
        if device not in self._signs:
            name = 'signs%d' % len(self._signs)
            self._signs[device] = make_state_variable(_SCOPE, name, scores.device, [2])
        sums = tf.stack(
            [tf.cast(tf.size(signs), tf.float32), tf.reduce_sum(tf.cast(signs, tf.float32))]
        )
        counted = self._signs[device].assign_add(sums)
        with exactly_on(scores.device), tf.control_dependencies([counted]):
            return tf.identity(scores)

    def report(self) -> None:
        """Add p to the figures of a tick."""
        if self.p is not None:
            autosummary(P, tfutil.run(self.p))

    def update(self, minibatch_size: tf.Tensor) -> Optional[tf.Operation]:
        """The operation of every INTERVAL-th iteration: a step of p; None if p does not change.

        Raises:
            UserError: no loss has looked at real images.
        """
        if self.settings.mode != 'ada':
            return None
        if not self._signs:
            text = '--augment=ada follows the scores of real images; this loss asks for none'
            raise UserError(text)
        with tf.device('/cpu:0'), tf.name_scope(_SCOPE):
            signs = list(self._signs.values())
            sums = tf.add_n([each.read_value() for each in signs])
            number, total = tf.unstack(cluster.current().all_sum([sums])[0])
            excess = total / tf.maximum(number, 1.0) - self.settings.target
            step = tf.cast(minibatch_size, tf.float32) * (INTERVAL / (self.settings.kimg * 1000))
            step = tf.where(number > 0, tf.sign(excess) * step, tf.zeros_like(step))
            assert self.p is not None
            changed = self.p.assign(tf.clip_by_value(self.p + step, 0.0, LARGEST_P))
            with tf.control_dependencies([changed]):
                return tf.group(*(each.assign(tf.zeros([2])) for each in signs))


class AugmentedD:
    """A discriminator behind augmentation; else like the network itself."""

    def __init__(self, D: Any, reals: tf.Tensor, augmentation: Augmentation, device: int):
        self._D = D
        self._reals = reals
        self._augmentation = augmentation
        self._device = device
        self._num_looks = 0

    def get_output_for(self, images: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Scores [N, 1] of images; those of the real ones are counted."""
        self._num_looks += 1
        seen = self._augmentation.seen(images, str(self._num_looks), self._device)
        scores = self._D.get_output_for(seen, *args, **kwargs)
        if images is not self._reals:
            return scores
        return self._augmentation.count(scores, self._device)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._D, name)
