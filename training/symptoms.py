"""What the figures of a run say about its health, in plain words: a line for each trouble, once.

Limits are outside of what healthy runs of the demo have had (r of a layer: 0.03 to 3.1; loss of D:
from 0.04), so that a line is seldom a false alarm.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

import numpy as np

from training.augmentation.adaptation import LARGEST_P, R_T, R_V, P, Settings
from training.health import figures_of_layers

Figures = Mapping[str, Any]

PATIENCE = 3  # ticks in a row in which something is seen before it is told
_KNOWN_BY_HEART = 0.9  # r_t where nothing keeps it at a target
_UNLIKE_HELD_OUT = 0.5  # r_v
_DIVERSITY = (0.5, 0.2)  # of fakes, as a share of that of reals: what it had, and has no more
_GROWTH = 10.0  # of path lengths
_QUIET, _LOUD = 0.01, 4.0  # r of a layer
_SURE = 0.01  # loss of a discriminator that knows all
_NUM_LENGTHS = 50
_FAKE = 'Loss/scores/fake'


class _Symptom(NamedTuple):
    """A trouble; `seen` tells what of it is seen in a tick; None: it has no figures."""

    name: str
    seen: Callable[['Symptoms', Figures], Optional[str]]
    advice: str


class Symptoms:
    """Looks at the figures of each tick.

    Args:
        augmentation: of the run. reals_stddev: of real images as `health.stddev_of_fakes`; None:
            unknown.
    """

    def __init__(self, augmentation: Settings, reals_stddev: Optional[float] = None):
        self.augmentation = augmentation
        self.reals_stddev = reals_stddev
        self.was_diverse = False
        self.lengths: List[float] = []  # path lengths of the last ticks
        self._seen_in_row: Dict[str, int] = {}
        self._told: List[str] = []

    def state(self) -> Dict[str, Any]:
        """What a run that is resumed goes on from, as plain data."""
        return dict(
            was_diverse=self.was_diverse,
            lengths=list(self.lengths),
            seen_in_row=dict(self._seen_in_row),
            told=list(self._told),
        )

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from a state."""
        self.was_diverse, self.lengths = state['was_diverse'], list(state['lengths'])
        self._seen_in_row, self._told = dict(state['seen_in_row']), list(state['told'])

    def lines(self, figures: Figures) -> List[str]:
        """Lines on what the figures of a tick show and was not told before."""
        found = []
        for symptom in _SYMPTOMS:
            seen = symptom.seen(self, figures)
            if seen is None:
                continue
            number = self._seen_in_row.get(symptom.name, 0) + 1 if seen else 0
            self._seen_in_row[symptom.name] = number
            if number == PATIENCE and symptom.name not in self._told:
                self._told.append(symptom.name)
                found.append('Note: %s: %s; %s' % (symptom.name, seen, symptom.advice))
        self._remember(figures)
        return found

    def _remember(self, figures):
        diversity, length = figures.get('Progress/fakes_stddev'), _length(figures)
        if diversity is not None and self.reals_stddev:
            self.was_diverse |= diversity >= _DIVERSITY[0] * self.reals_stddev
        if length is not None:
            self.lengths = (self.lengths + [float(length)])[-_NUM_LENGTHS:]


def _length(figures):
    return figures.get('Loss/pl_lengths')


def _knows_reals(symptoms, figures):
    r_t, p, chosen = figures.get(R_T), figures.get(P, 0), symptoms.augmentation
    if r_t is None:
        return None
    if figures.get(_FAKE, 0) >= 0:  # at the start all scores may have one sign
        return ''
    if chosen.mode == 'ada':
        is_seen = p >= LARGEST_P and r_t > chosen.target
        return (
            'r_t is %.2f, above %g, with p at its limit' % (r_t, chosen.target) if is_seen else ''
        )
    return 'r_t is %.2f of at most 1' % r_t if r_t > _KNOWN_BY_HEART else ''


def _distrusts_held_out(symptoms, figures):
    r_v = figures.get(R_V)
    if r_v is None:
        return None
    text = 'the discriminator takes held-out images for fakes (r_v %.2f)'
    return text % r_v if r_v > _UNLIKE_HELD_OUT else ''


def _lost_diversity(symptoms, figures):
    diversity = figures.get('Progress/fakes_stddev')
    if diversity is None or not symptoms.was_diverse or not symptoms.reals_stddev:
        return ''
    share = diversity / symptoms.reals_stddev
    text = 'fakes differ from each other %.2f times as much as real images, and did more before'
    return text % share if share < _DIVERSITY[1] else ''


def _long_paths(symptoms, figures):
    length = _length(figures)
    if length is None:
        return None
    if len(symptoms.lengths) < PATIENCE:
        return ''
    usual = float(np.median(symptoms.lengths))
    text = 'path lengths are %.3g, and were %.3g'
    return text % (length, usual) if not length <= _GROWTH * usual else ''


def _odd_noise(symptoms, figures):
    strengths = [abs(r) for r in figures_of_layers(figures, 'strength')]
    if not strengths:
        return ''
    if min(strengths) < _QUIET:
        return 'a layer has none left (r %.2g)' % min(strengths)
    return 'it drowns a layer (r %.2g)' % max(strengths) if max(strengths) > _LOUD else ''


def _won(symptoms, figures):
    loss = figures.get('Loss/D')
    is_seen = loss is not None and 0 <= loss < _SURE and _FAKE in figures
    return 'the discriminator makes no mistakes (loss %.2g)' % loss if is_seen else ''


_SYMPTOMS = [
    _Symptom(
        'overfitting',
        _knows_reals,
        'try --augment=ada (or a richer --augment-pipe), --mirror-augment=yes, more images, or '
        '--init-from; the best snapshot is an earlier one',
    ),
    _Symptom(
        'overfitting seen by validation',
        _distrusts_held_out,
        'try --augment=ada, a larger --gamma or more images; the best snapshot is an earlier one',
    ),
    _Symptom(
        'collapse',
        _lost_diversity,
        'go back to an earlier snapshot by --init-from with a larger --gamma or a smaller --lr',
    ),
    _Symptom(
        'path lengths blow up',
        _long_paths,
        'try a smaller --lr, or --set G_loss_args.pl_weight=1',
    ),
    _Symptom(
        'noise',
        _odd_noise,
        'that may be what the images want; else try --noise-injection=additive or another form',
    ),
    _Symptom(
        'vanishing gradients',
        _won,
        'the generator learns little from it; try a larger --gamma, or a smaller '
        '--set sched_args.D_lrate_base',
    ),
]
