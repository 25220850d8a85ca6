"""What the figures of metrics are called: for --help, tables and plots."""

import subprocess
import sys

import pytest

from dnnlib.util import UserError
from metrics.metric_defaults import metric_defaults
from metrics.metric_names import METRICS, SUMMARIES, choose, explanations, figure_of, parse


@pytest.mark.parametrize(
    'result, parts',
    [
        ('fid50k', ('fid50k', None, None, '')),
        ('cond_class3_n1000_mc', ('cond', 3, 1000, '_mc')),
        ('cond_w_n40_ttmc', ('cond_w', None, 40, '_ttmc')),
        ('cond_wcrop_max', ('cond_wcrop', None, None, '_max')),
        ('swd16k_class0_128', ('swd16k', 0, None, '_128')),
        ('pr50k3_n60_recall', ('pr50k3', None, 60, '_recall')),
        ('my_new_n7', ('my_new', None, 7, '')),
    ],
)
def test_a_result_is_taken_apart(result, parts):
    assert parse(result) == parts


def test_each_figure_says_what_it_is_and_which_way_is_better():
    assert figure_of('cond_mc').better == 'lower' and figure_of('is50k_mean').better == 'higher'
    assert figure_of('swd16k_n300_32').title == (
        'sliced Wasserstein distance of detail at 32x32, 300 samples'
    )
    assert figure_of('foo_mc') is None and figure_of('cond') is None


def test_results_are_explained_with_all_resolutions_in_one_line():
    names = ['fid50k_class2', 'foo', 'swd16k_32', 'swd16k_16', 'swd16k_avg', 'kid50k_std']
    assert explanations(names) == [
        'fid50k_class2: Frechet inception distance (from 0; lower is better)',
        'swd16k_32, _16: sliced Wasserstein distance of detail at RxR '
        '(x 1000, from 0; lower is better)',
        'swd16k_avg: mean sliced Wasserstein distance (x 1000, from 0; lower is better)',
        'kid50k_std: standard deviation of the kernel inception distance (of subsets of images)',
    ]


def test_all_metrics_are_in_the_table():
    assert set(METRICS) == set(metric_defaults)
    no_better = {name for name in METRICS if not SUMMARIES[name].endswith(' is better')}
    assert no_better == {'noise_share'}


@pytest.mark.parametrize(
    'best, metrics, want',
    [
        (None, ['fid50k', 'is50k'], ('fid50k', 'fid50k', 'lower')),
        (None, ['my_own', 'is50k'], ('is50k', 'is50k_mean', 'higher')),
        (None, ['my_own'], None),
        (None, [], None),
        ('swd16k', ['fid50k', 'swd16k'], ('swd16k', 'swd16k_avg', 'lower')),
        ('pr50k3_recall', ['pr50k3'], ('pr50k3', 'pr50k3_recall', 'higher')),
        ('pr50k3', ['pr50k3'], ('pr50k3', 'pr50k3_precision', 'higher')),
        ('cond_max', ['cond_w', 'cond_n9'], ('cond_n9', 'cond_n9_max', 'lower')),
        ('cond_w_n9_mc', ['cond_w_n9'], ('cond_w_n9', 'cond_w_n9_mc', 'lower')),
        ('fid50k', ['fid50k_class2_n9'], ('fid50k_class2_n9', 'fid50k_class2_n9', 'lower')),
    ],
)
def test_the_best_is_chosen_by_a_metric_or_one_of_its_results(best, metrics, want):
    assert choose(best, metrics) == want


@pytest.mark.parametrize(
    'best, metrics, words',
    [
        ('fid50k', [], ['--best=fid50k', '--metrics']),
        ('fid50k', ['swd16k', 'kid50k'], ['there are: swd16k_avg, kid50k$']),
        ('kid50k_std', ['kid50k'], ['there are: kid50k$']),  # no way of it is better
        ('my_own', ['my_own'], ['leave --best out']),
    ],
)
def test_a_result_that_there_is_not_is_one_line_with_those_that_there_are(best, metrics, words):
    for word in words:
        with pytest.raises(UserError, match=word):
            choose(best, metrics)


def test_names_are_known_without_tensorflow():
    code = 'import sys; from metrics import metric_names; sys.exit("tensorflow" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0
