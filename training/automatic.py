"""Settings by rule, for `--config=auto` and `auto-fr`: each choice with its reason.

Where a rule is that of Karras et al., "Training Generative Adversarial Networks with Limited Data"
(2020; arXiv:2006.06676), appendix C and its released settings, it says so; others are ours.
"""

from typing import Any, Dict, List, NamedTuple, Optional

GAMMA_RATE = 0.0002  # R1's weight by pixels of an image and images of a minibatch
_FEW_IMAGES = 100000
_GIB_AT_1024 = 3.0  # of memory for an image with fmap_base 16384: docs/guide.md, "Time and memory"


class Situation(NamedTuple):
    """What the rules look at."""

    num_images: int
    resolution: int
    num_devices: int
    has_gpu: bool
    memory: float  # of a device, in GiB
    minibatch_size: Optional[int] = None  # where the user chose it
    minibatch_gpu: Optional[int] = None


class Decision(NamedTuple):
    """Options, by dotted names, and why they are what they are."""

    options: Dict[str, Any]
    what: str
    reason: str

    def __str__(self) -> str:
        return '  %-38s %s' % (self.what, self.reason)


def gamma(resolution: int, minibatch_size: int) -> float:
    """R1's weight by rule, with three digits: 0.0002 * resolution^2 / minibatch."""
    return float('%.3g' % (GAMMA_RATE * resolution**2 / minibatch_size))


def decide(facts: Situation) -> List[Decision]:
    """All choices for a situation."""
    networks = _networks(facts)
    fmap_base = networks[0].options['G_args.fmap_base']
    size, minibatch = _minibatch(facts, fmap_base)
    return [
        minibatch,
        Decision(
            {'D_loss_args.gamma': gamma(facts.resolution, size)},
            'gamma %g' % gamma(facts.resolution, size),
            '0.0002 * resolution^2 / minibatch (settings of ADA)',
        ),
        *networks,
        _average(size),
        _augmentation(facts.num_images),
        _length(facts),
    ]


def part(decisions: List[Decision]) -> Dict[str, Any]:
    """The options of decisions as a part of a configuration."""
    return {path: value for each in decisions for path, value in each.options.items()}


def _minibatch(facts, fmap_base):
    if facts.has_gpu:
        need = _GIB_AT_1024 * (facts.resolution / 1024) ** 2 * (fmap_base / 16384)
        per_device = min(32, max(4096 // facts.resolution, 4))
        why = '4096 / resolution on a device, 4 to 32 (settings of ADA)'
        while per_device > 2 and per_device * need > 0.8 * facts.memory:
            per_device //= 2
            why = 'what fits in %.0f GiB' % facts.memory
        while per_device > 4 and per_device * facts.num_devices > 64:
            per_device //= 2
            why = '64 in all: larger ones learn no faster'
    else:
        is_small = facts.resolution <= 64
        per_device, why = (16, "as the demo's") if is_small else (4, 'small, to save memory')
    per_device = facts.minibatch_gpu or per_device
    together = per_device * facts.num_devices
    size = facts.minibatch_size or max(1, -(-16 // together)) * together
    if facts.minibatch_size and not facts.minibatch_gpu:
        while per_device > 1 and size % (per_device * facts.num_devices):
            per_device //= 2
    if facts.minibatch_size or facts.minibatch_gpu:
        why = 'as you say'
    elif size > together:
        why += ', in rounds to have 16'
    options = {'minibatch_size_base': size, 'minibatch_gpu_base': per_device}
    options.update(minibatch_size_dict={}, minibatch_gpu_dict={})
    what = 'minibatch %d, %d on a device' % (size, per_device)
    paths = {'sched_args.%s' % name: value for name, value in options.items()}
    return size, Decision(paths, what, why)


def _networks(facts):
    """Widths, depth of the mapping network and learning rates, which go together."""
    if not facts.has_gpu:
        base = 8 * facts.resolution
        return [
            Decision(
                {**_both('fmap_base', base), **_both('fmap_max', 64)},
                'fmap_base %d, fmap_max 64' % base,
                '16 maps at full resolution: wide layers take CPUs days',
            ),
            Decision(
                dict(
                    {
                        'G_args.%s' % n: 128
                        for n in ('mapping_fmaps', 'latent_size', 'dlatent_size')
                    },
                    **{'G_args.mapping_layers': 2, 'G_args.mapping_lrmul': 0.05},
                ),
                'mapping of 2 layers of 128',
                'as narrow as the rest; deep ones learn slowly in short runs',
            ),
            _rates(0.01, 0.005, 'narrow layers bear more'),
        ]
    is_large = facts.resolution >= 512
    base = 16384 if is_large else 8192
    return [
        Decision(
            {**_both('fmap_base', base), **_both('fmap_max', 512)},
            'fmap_base %d, fmap_max 512' % base,
            'as config-f, from 512x512 on' if is_large else 'as config-e: below 512x512 it will do',
        ),
        Decision(
            {'G_args.mapping_layers': 2},
            'mapping of 2 layers',
            'easier to train than 8 (settings of ADA)',
        ),
        _rates(0.002, 0.002, 'as StyleGAN2')
        if facts.resolution >= 1024
        else _rates(0.0025, 0.0025, 'settings of ADA below 1024x1024'),
    ]


def _both(name, value):
    return {'%s_args.%s' % (net, name): value for net in 'GD'}


def _rates(G, D, why):
    options = {'sched_args.G_lrate_base': G, 'sched_args.D_lrate_base': D}
    options.update({'sched_args.G_lrate_dict': {}, 'sched_args.D_lrate_dict': {}})
    return Decision(options, 'learning rates %g of G, %g of D' % (G, D), why)


def _average(size):
    kimg = round(size * 10 / 32, 3)
    what = 'weights averaged over %g kimg' % kimg
    return Decision({'G_smoothing_kimg': kimg}, what, '10 kimg for a minibatch of 32')


def _augmentation(num_images):
    if num_images >= _FEW_IMAGES:
        what, why = 'no augmentation', '%d images are enough' % num_images
        return Decision({}, what, why)
    why = 'adaptive, from p = 0: %d images are fewer than %d' % (num_images, _FEW_IMAGES)
    return Decision({'augment_args.mode': 'ada'}, 'augmentation bgc', why)


def _length(facts):
    if not facts.has_gpu:
        kimg, why = 200, 'hours on a CPU; pictures are there much earlier'
        ticks = {'sched_args.tick_kimg_base': 1, 'sched_args.tick_kimg_dict': {}}
        grid = {'grid_args.size': 'screen', 'grid_args.layout': 'random'}
        return Decision({'total_kimg': kimg, **ticks, **grid}, '%d kimg' % kimg, why)
    kimg = 25000 if facts.num_images >= 10000 else 10000
    why = 'as the papers' if kimg == 25000 else 'few images are learned sooner; look at snapshots'
    return Decision({'total_kimg': kimg}, '%d kimg' % kimg, why)


def note_on_gamma(
    value: float, is_chosen: bool, resolution: int, minibatch_size: int
) -> Optional[str]:
    """A warning where R1's weight is one for large images, and the images are small.

    Args:
        value: the weight. is_chosen: whether the user gave it.
    """
    rule = gamma(resolution, minibatch_size)
    if is_chosen or resolution > 128 or value not in (10.0, 100.0) or value <= 2 * rule:
        return None
    text = (
        'Warning: gamma is %g, as for images of 1024x1024; for %dx%d in minibatches of %d the rule '
        'gives --gamma=%g'
    )
    return text % (value, resolution, resolution, minibatch_size, rule)
