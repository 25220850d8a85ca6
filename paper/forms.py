"""Which form of noise the configurations are to name: a rule that was fixed before the trials."""

import math
from typing import List, NamedTuple, Optional, Sequence

from paper import contents
from paper.findings import Table

_ADDITIVE = 'config-e'
_CANDIDATES = ('config-e-fr', 'config-e-fr-noise', 'config-e-fr-released')  # of several, the first
_BOUND = 1.1  # of additive noise's SWD
_END = ', end'
_SWD, _LOWER, _TTMC = 'SWD', ('MC', 'TTMC', 'PPL'), 'TTMC'
RULE = (
    'A form qualifies if, at the end, its means of %s are all below those of additive noise and '
    'its SWD is at most %g times as much. Of several, the first; of none, the one with the lowest '
    'TTMC within the bound of SWD, else `fr`.' % (', '.join(_LOWER), _BOUND)
)


class Verdict(NamedTuple):
    """What the rule says of a form: the figures that speak against it, with their ratios."""

    form: str
    is_within_bound: bool
    against: List[str]


def judge(means: Sequence[dict]) -> List[Verdict]:
    """What the rule says of all candidates.

    Args:
        means: of each system 'system' and, by title of the column, its mean over seeds.
    """
    by_system = {each['system']: each for each in means}
    additive = by_system[_ADDITIVE]
    verdicts = []
    for form in _CANDIDATES:
        ratios = {name: by_system[form][name] / additive[name] for name in (_SWD,) + _LOWER}
        is_within = ratios[_SWD] <= _BOUND
        failed = [name for name in _LOWER if not ratios[name] < 1]
        against = [_SWD] * (not is_within) + failed
        words = ['%s %.3g times' % (name, ratios[name]) for name in against]
        verdicts.append(Verdict(form, is_within, words))
    return verdicts


def choose(means: Sequence[dict]) -> str:
    """The configuration that the rule chooses."""
    verdicts = judge(means)
    qualified = [each.form for each in verdicts if not each.against]
    if qualified:
        return qualified[0]
    within = {each.form for each in verdicts if each.is_within_bound}
    allowed = [x for x in means if x['system'] in within and math.isfinite(x[_TTMC])]
    return min(allowed, key=lambda each: each[_TTMC])['system'] if allowed else _CANDIDATES[0]


def lines(table: Table) -> List[str]:
    """Markdown: what the rule says of a table of forms; nothing where figures are missing."""
    means = _means(table)
    if means is None:
        return []
    said = ['Rule: ' + RULE, '']
    for verdict in judge(means):
        words = 'against it: ' + ', '.join(verdict.against) if verdict.against else 'qualifies'
        said.append('- `%s`: %s' % (verdict.form, words))
    return said + ['', 'The rule chooses `%s`.' % choose(means), '']


def _means(table) -> Optional[List[dict]]:
    """Means at the end of training; None if one is missing."""
    names = {contents.title(name): name for name in (_ADDITIVE,) + _CANDIDATES}
    found = []
    for title, cells in table.rows:
        means = {
            column[: -len(_END)]: cell.mean
            for column, cell in zip(table.columns, cells)
            if column.endswith(_END)
        }
        found.append(dict(means, system=names.get(title, title)))
    systems = {each['system'] for each in found}
    has_all = all(each.get(name) is not None for each in found for name in (_SWD,) + _LOWER)
    return found if has_all and {_ADDITIVE, *_CANDIDATES} <= systems else None
