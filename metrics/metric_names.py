"""What metrics are called, what their figures mean, and which way is better; plain data."""

import re
from collections import OrderedDict
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

from dnnlib.util import UserError

LOWER, HIGHER = 'lower', 'higher'

REALS = 'reals'  # in place of a network: one half of the data against the other


class Figure(NamedTuple):
    """One figure of a metric."""

    title: str  # in a few words
    scale: str  # its unit, and its range or best value
    better: str  # LOWER, HIGHER, or '' where neither is, as for a standard deviation


class Metric(NamedTuple):
    """One metric, as --metrics names it."""

    summary: str  # one line for --help
    figures: Dict[str, Figure]  # by what follows the metric's name; '_R': any resolution


def _one(summary, title, scale):
    return Metric(summary, {'': Figure(title, scale, LOWER)})


_SPREAD = 'standard deviation of the '
_LPIPS = 'LPIPS by squared step, from 0'
_WAYS = 'perceptual path length along ways between latents '
_ENDS = 'perceptual path length at latents '


def _condition(summary, where):
    names = [('_mc', 'mean'), ('_ttmc', 'mean of the largest'), ('_max', 'largest')]
    text = '%s condition number%s at %s'
    plural = {'_ttmc': 's'}
    figures = {
        suffix: Figure(text % (which, plural.get(suffix, ''), where), 'from 0', LOWER)
        for suffix, which in names
    }
    return Metric(summary, figures)


METRICS = {
    'fid50k': _one(
        'Frechet inception distance of 50,000 images to the real ones',
        'Frechet inception distance',
        'from 0',
    ),
    'kid50k': Metric(
        'kernel inception distance, like FID, but without bias',
        {
            '': Figure('kernel inception distance', 'about 0 at best', LOWER),
            '_std': Figure(_SPREAD + 'kernel inception distance', 'of subsets of images', ''),
        },
    ),
    'is50k': Metric(
        'inception score: mean and standard deviation over 10 parts',
        {
            '_mean': Figure('inception score', '1 to the number of classes', HIGHER),
            '_std': Figure(_SPREAD + 'inception score', 'of parts of the images', ''),
        },
    ),
    'pr50k3': Metric(
        'precision and recall by the 3 nearest neighbours',
        {
            '_precision': Figure('precision', 'share of fakes, 0 to 1', HIGHER),
            '_recall': Figure('recall', 'share of reals, 0 to 1', HIGHER),
        },
    ),
    'swd16k': Metric(
        'sliced Wasserstein distance of 16,384 images, without a pretrained network',
        {
            '_R': Figure('sliced Wasserstein distance of detail at RxR', 'x 1000, from 0', LOWER),
            '_avg': Figure('mean sliced Wasserstein distance', 'x 1000, from 0', LOWER),
        },
    ),
    'ppl_zfull': _one(
        'perceptual path length between latents z, along whole ways, of faces',
        _WAYS + 'z, of faces',
        _LPIPS,
    ),
    'ppl_wfull': _one('the same between latents w', _WAYS + 'w, of faces', _LPIPS),
    'ppl_zend': _one(
        'perceptual path length at latents z, of faces', _ENDS + 'z, of faces', _LPIPS
    ),
    'ppl_wend': _one('the same at latents w', _ENDS + 'w, of faces', _LPIPS),
    'ppl2_wend': _one('the same of whole images', _ENDS + 'w', _LPIPS),
    'fid_local': _one(
        'like fid50k, of 10,000 images by a small network from PyPI; not comparable with it',
        'Frechet distance by EfficientNet-Lite0',
        'from 0',
    ),
    'kid_local': Metric(
        'like kid50k, likewise',
        {
            '': Figure('kernel distance by EfficientNet-Lite0', 'about 0 at best', LOWER),
            '_std': Figure(
                _SPREAD + 'kernel distance by EfficientNet-Lite0', 'of subsets of images', ''
            ),
        },
    ),
    'ppl_local': _one(
        'like ppl2_wend, of 10,000 steps, likewise',
        _ENDS + 'w by EfficientNet-Lite0',
        'distance by squared step, from 0',
    ),
    'ls': Metric(
        'linear separability by 40 attributes of faces',
        {
            '_z': Figure('linear separability of attributes in z', 'from 1', LOWER),
            '_w': Figure('linear separability of attributes in w', 'from 1', LOWER),
        },
    ),
    'cond': _condition(
        'condition number of the generator at w, at z where there is no w', 'w, else z'
    ),
    'cond_w': _condition('the same at w', 'w'),
    'cond_z': _condition('the same at z', 'z'),
    'cond_wcrop': _condition('the same at w, of faces', 'w, of faces'),
    'noise_share': Metric(
        'part of the variance of images that noise decides, and not latents',
        {'': Figure('part of the variance of images that is due to noise', '0 to 1', '')},
    ),
}

# Names that stand for several metrics.
GROUPS = {
    'all-local': ['swd16k', 'cond'],  # those that need no pretrained network
    'local-features': ['fid_local', 'kid_local', 'ppl_local'],
}


def _summary(metric):
    """With 'lower is better', by the figures that have a better way."""
    ways = sorted({figure.better for figure in metric.figures.values() if figure.better})
    return '; '.join([metric.summary] + ['%s is better' % ' or '.join(ways)] * bool(ways))


# One line of explanation for each metric and group.
SUMMARIES = {name: _summary(metric) for name, metric in METRICS.items()}
SUMMARIES['all-local'] = 'swd16k and cond, which need no pretrained network'
SUMMARIES['local-features'] = 'fid_local, kid_local and ppl_local, which need one package of PyPI'


class Parts(NamedTuple):
    """What the name of a result is made of."""

    metric: str  # as --metrics names it
    class_index: Optional[int]  # of --class
    num_samples: Optional[int]  # of --num-samples; None: the metric's own number
    suffix: str  # which figure of the metric


def parse(result: str) -> Parts:
    """Take a name such as cond_class3_n1000_mc apart: Parts('cond', 3, 1000, '_mc').

    A result of a metric that is not in METRICS is taken to be its only one.
    """
    labels: List[Optional[int]] = []
    rest = result
    for pattern in (r'_class(\d+)', r'_n(\d+)'):
        found = re.search(pattern + '(?=_|$)', rest)
        labels.append(int(found.group(1)) if found else None)
        rest = rest[: found.start()] + rest[found.end() :] if found else rest
    for name in METRICS:
        suffix = rest[len(name) :]
        if rest.startswith(name) and _figure(name, suffix):
            return Parts(name, labels[0], labels[1], suffix)
    return Parts(rest, labels[0], labels[1], '')


def _figure(metric, suffix):
    """As the table has it, with any resolution for R; None if the metric has no such figure."""
    known = METRICS[metric].figures if metric in METRICS else {}
    return known.get(re.sub(r'^_\d+$', '_R', suffix))


def figure_of(result: str) -> Optional[Figure]:
    """What a recorded result is, such as cond_mc or fid50k_n1000; None if it is not known.

    The title says of which class and of how many samples it is, where the name does.
    """
    parts = parse(result)
    figure = _figure(parts.metric, parts.suffix)
    if figure is None:
        return None
    title = re.sub(r'\bRxR\b', '{0}x{0}'.format(parts.suffix[1:]), figure.title)
    labels = [] if parts.class_index is None else ['class %d' % parts.class_index]
    labels += [] if parts.num_samples is None else ['{:,} samples'.format(parts.num_samples)]
    return figure._replace(title=', '.join([title] + labels))


def explanations(results: Sequence[str]) -> List[str]:
    """Lines for results whose meaning is known, with all resolutions in one.

    Such as 'cond_mc: mean condition number at w, else z (from 0; lower is better)'.
    """
    names: Dict[Figure, str] = OrderedDict()
    for result in results:
        parts = parse(result)
        figure = _figure(parts.metric, parts.suffix)
        if figure is not None:
            names[figure] = names[figure] + ', ' + parts.suffix if figure in names else result
    lines = []
    for figure, text in names.items():
        better = '; %s is better' % figure.better if figure.better else ''
        lines.append('%s: %s (%s%s)' % (text, figure.title, figure.scale, better))
    return lines


class Choice(NamedTuple):
    """The result by which the best network of a run is found."""

    metric: str  # which has it, as its files are called: swd16k_n1000
    result: str  # swd16k_n1000_avg
    better: str  # LOWER or HIGHER


def choose(best: Optional[str], metrics: Sequence[str]) -> Optional[Choice]:
    """The result that says which network is the best; None if no metric has one.

    Args:
        best: what --best says, a metric or one of its results; parts such as _n1000 may be left
            out. None: the first metric's. A metric stands for the first of its figures that has a
            better way and is there at any resolution: fid50k, pr50k3_precision, swd16k_avg.
        metrics: names of the metrics that are evaluated.

    Raises:
        UserError: they have no such result.
    """
    found = [choice for metric in metrics for choice in _choices(metric)]
    if best is None:
        return found[0] if found else None
    for choice in found:
        names = [choice.metric, choice.result]
        if best in names + [_without_labels(name) for name in names]:
            return choice
    if not metrics:
        raise UserError('--best=%s: there are no metrics; choose some by --metrics' % best)
    there = ', '.join(choice.result for choice in found) or 'none; leave --best out'
    raise UserError('--best=%s is no result of --metrics; there are: %s' % (best, there))


def _choices(metric: str) -> Iterator[Choice]:
    known = METRICS.get(_without_labels(metric))
    for suffix, figure in known.figures.items() if known else ():
        if figure.better and suffix != '_R':
            yield Choice(metric, metric + suffix, figure.better)


def _without_labels(name):
    parts = parse(name)
    return parts.metric + parts.suffix
