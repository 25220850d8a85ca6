"""paper/forms.py: the rule that chooses the form of noise."""

import pytest

from paper import contents, forms
from paper.findings import Cell, Table

ADDITIVE = dict(SWD=30.0, MC=0.5, TTMC=1.1, PPL=80.0)
BETTER = dict(SWD=32.9, MC=0.4, TTMC=1.0, PPL=79.0)
NAMES = 'config-e', 'config-e-fr', 'config-e-fr-noise', 'config-e-fr-released'


def means(*figures):
    return [dict(each, system=name) for name, each in zip(NAMES, figures)]


@pytest.mark.parametrize(
    'fr, noise, released, chosen',
    [
        (BETTER, BETTER, BETTER, 'config-e-fr'),
        (dict(BETTER, MC=0.5), BETTER, BETTER, 'config-e-fr-noise'),  # equal is not below
        (dict(BETTER, SWD=33.1), dict(BETTER, PPL=81.0), BETTER, 'config-e-fr-released'),
        # None qualifies: the lowest TTMC within the bound.
        (dict(BETTER, SWD=40.0, TTMC=0.1), dict(BETTER, MC=1.0), ADDITIVE, 'config-e-fr-noise'),
        (dict(BETTER, SWD=40.0), dict(BETTER, SWD=50.0), dict(BETTER, SWD=60.0), 'config-e-fr'),
        (dict(BETTER, TTMC=float('nan')), BETTER, ADDITIVE, 'config-e-fr-noise'),
        (dict(BETTER, TTMC=float('nan')), ADDITIVE, ADDITIVE, 'config-e-fr-noise'),
    ],
)
def test_the_first_form_that_qualifies_is_chosen(fr, noise, released, chosen):
    assert forms.choose(means(ADDITIVE, fr, noise, released)) == chosen


def test_what_speaks_against_a_form_is_named_with_its_ratio():
    worse = dict(BETTER, TTMC=1.21, SWD=45.0)
    verdicts = forms.judge(means(ADDITIVE, worse, BETTER, ADDITIVE))
    assert verdicts[0].against == ['SWD 1.5 times', 'TTMC 1.1 times']
    assert not verdicts[0].is_within_bound and verdicts[1].against == []
    assert len(verdicts[2].against) == 3 and verdicts[2].is_within_bound


def table_of(*rows):
    columns = [name + when for name in ADDITIVE for when in (', half way', ', end')]
    cells = [[Cell([x * f]) for x in row.values() for f in (3, 1)] for row in rows]
    titles = list(map(contents.title, NAMES))
    return Table('table', 'forms', 'ffhq', 'demo', columns, [], [], list(zip(titles, cells)))


def test_the_report_says_what_the_rule_says_of_the_end_alone():
    lines = forms.lines(table_of(ADDITIVE, dict(BETTER, MC=0.6), BETTER, ADDITIVE))
    assert lines[0].startswith('Rule: A form qualifies if')
    assert lines[2:4] == [
        '- `config-e-fr`: against it: MC 1.2 times',
        '- `config-e-fr-noise`: qualifies',
    ]
    assert lines[-2] == 'The rule chooses `config-e-fr-noise`.'


def test_missing_figures_choose_nothing():
    whole = table_of(ADDITIVE, BETTER, BETTER, BETTER)
    assert forms.lines(whole._replace(rows=whole.rows[:3])) == []
    whole.rows[2][1][1] = Cell([])
    assert forms.lines(whole) == []
