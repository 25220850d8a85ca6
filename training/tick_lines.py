"""The line of a tick: figures in columns, with what they mean before the first one."""

from typing import Any, Callable, List, Mapping, NamedTuple, Optional

from dnnlib.util import format_time
from training import health
from training.augmentation import adaptation

WIDTH = 120
_LINES_PER_HEADER = 20


class Tick(NamedTuple):
    """What a line is made of."""

    stats: Mapping[str, Any]  # figures of the tick by their names in stats.jsonl
    share: float  # of the run, 0..1
    left: Optional[float]  # seconds to its end


class _Column(NamedTuple):
    title: str
    meaning: str
    width: int
    text: Callable[[Tick, int], str]  # of at most so many characters
    is_there: Callable[[Mapping[str, Any]], bool] = lambda stats: True  # by the first tick
    is_optional: bool = False  # left out where the others take the width


def _number(value: float, width: int) -> str:
    """As many digits as are of use, up to three, in at most `width` (4 or more) characters."""
    templates = ['%.2f', '%.1f', '%.0f'] if abs(value) >= 1 else ['%.3g', '%.2g', '%.1g']
    texts = [template % value for template in templates + ['%.0e']]
    return next((text for text in texts if len(text) <= width), '>' * width)


def _duration(seconds: float, width: int) -> str:
    """With its two largest units."""
    text = ' '.join(format_time(seconds).split()[:2])
    return text if len(text) <= width else text.split()[0][:width]


def _of_stats(name):
    return lambda tick, width: _number(tick.stats[name], width) if name in tick.stats else '-'


def _over_layers(what):
    """Smallest and largest figure over layers of fuzzy reparameterization."""

    def text(tick, width):
        values = health.figures_of_layers(tick.stats, what)
        if not values:
            return '-'
        for digits in (2, 1, 0):
            found = '{1:.{0}f}..{2:.{0}f}'.format(digits, min(values), max(values))
            if len(found) <= width:
                return found
        return _number(max(values, key=abs), width)

    return text


def _has(name):
    return lambda stats: name in stats


def _has_layers(what):
    return lambda stats: bool(health.figures_of_layers(stats, what))


_COLUMNS = [
    _Column('done', 'share of the run', 4, lambda tick, width: '%d%%' % (100 * tick.share)),
    _Column(
        'time',
        'since the start, of runs before this one too',
        7,
        lambda tick, width: _duration(tick.stats['Timing/total_sec'], width),
    ),
    _Column(
        'left',
        'time to the end, with snapshots and metrics as measured so far',
        7,
        lambda tick, width: '?' if tick.left is None else _duration(tick.left, width),
    ),
    _Column('s/kimg', 'seconds for 1,000 images', 6, _of_stats('Timing/sec_per_kimg')),
    _Column(
        'maint',
        'maintenance: seconds before the tick, for snapshots and metrics',
        5,
        lambda tick, width: _number(round(tick.stats['Timing/maintenance_sec'], 1), width),
    ),
    _Column(
        'lod',
        'level of detail: how many times the resolution is yet to double',
        4,
        _of_stats('Progress/lod'),
        lambda stats: stats.get('Progress/lod', 0) > 0,
    ),
    _Column('G', 'loss of the generator', 6, _of_stats('Loss/G'), _has('Loss/G')),
    _Column('D', 'loss of the discriminator', 6, _of_stats('Loss/D'), _has('Loss/D')),
    _Column(
        'r_t',
        'overfitting: mean sign of scores of real images; 0 at the start, 1 where all are known',
        5,
        _of_stats(adaptation.R_T),
        _has(adaptation.R_T),
    ),
    _Column(
        'r_v',
        'overfitting: 1 where held-out images are taken for fakes, 0 where for those of training',
        5,
        _of_stats(adaptation.R_V),
        _has(adaptation.R_V),
        is_optional=True,
    ),
    _Column(
        'p',
        'of augmentation: probability of each transformation',
        5,
        _of_stats(adaptation.P),
        _has(adaptation.P),
        is_optional=True,
    ),
    _Column(
        'pl',
        'path length: how much images change on a step in w',
        5,
        _of_stats('Loss/pl_lengths'),
        _has('Loss/pl_lengths'),
        is_optional=True,
    ),
    _Column(
        'r1',
        "gradient penalty: squared slope of the discriminator's scores",
        6,
        _of_stats('Loss/gradient_penalty'),
        _has('Loss/gradient_penalty'),
        is_optional=True,
    ),
    _Column(
        'alpha',
        'of FR, least..most over layers: weight of noise that follows the image (Eq. 9)',
        10,
        _over_layers('alpha'),
        _has_layers('alpha'),
    ),
    _Column(
        'r',
        'of FR, likewise: strength of the noise (Eq. 10)',
        10,
        _over_layers('strength'),
        _has_layers('strength'),
    ),
    _Column(
        'gpumem',
        'peak memory of the first GPU in GiB',
        6,
        _of_stats('Resources/peak_gpu_mem_gb'),
        lambda stats: stats.get('Resources/peak_gpu_mem_gb', 0) > 0,
    ),
]


def _line(start, cells, columns):
    """A line of cells in columns; `start` is what all lines begin with."""
    return (start + ''.join('  %-*s' % (c.width, x) for c, x in zip(columns, cells))).rstrip()


class TickLines:
    """Makes the lines of a run; which columns there are depends on the first tick's figures."""

    def __init__(self) -> None:
        self._columns: List[_Column] = []
        self._since_header = 0

    def lines(self, tick: Tick) -> List[str]:
        """The line of a tick, after lines that explain it where it is the first one.

        None is longer than WIDTH.
        """
        start = 'tick %-5d kimg %-7.1f' % (tick.stats['Progress/tick'], tick.stats['Progress/kimg'])
        lines = []
        if not self._columns:
            self._choose(tick.stats, len(start))
            lines += self._explanation()
        if self._since_header % _LINES_PER_HEADER == 0:
            titles = [column.title for column in self._columns]
            lines.append(_line(' ' * len(start), titles, self._columns))
        self._since_header += 1
        cells = [column.text(tick, column.width) for column in self._columns]
        return lines + [_line(start, cells, self._columns)]

    def _choose(self, stats, start):
        columns = [column for column in _COLUMNS if column.is_there(stats)]
        while start + sum(column.width + 2 for column in columns) > WIDTH:
            optional = [column for column in columns if column.is_optional]
            columns.remove((optional or columns)[-1])
        self._columns = columns

    def _explanation(self):
        lines = ['A line for each tick; all figures, of each layer too, are in stats.jsonl:']
        return lines + ['  %-7s %s' % (c.title, c.meaning) for c in self._columns] + ['']
