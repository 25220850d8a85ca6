"""The lines of ticks fit a terminal and explain themselves."""

import re

import pytest

from training.tick_lines import WIDTH, Tick, TickLines

ORDINARY = {
    'Progress/tick': 12,
    'Progress/kimg': 48.2,
    'Progress/lod': 0.0,
    'Timing/total_sec': 4210.0,
    'Timing/sec_per_kimg': 85.25,
    'Timing/maintenance_sec': 0.002,
    'Resources/peak_gpu_mem_gb': 0.0,
    'Loss/G': 1.325,
    'Loss/D': 0.926,
    'Loss/gradient_penalty': 0.00421,
    'Loss/pl_lengths': 2.38,
}
FR = {
    'FR/4x4/Conv/alpha': 0.501,
    'FR/8x8/Conv1/alpha': 0.57,
    'FR/4x4/Conv/strength': 0.98,
    'FR/8x8/Conv1/strength': 0.52,
}
EXTREME = {
    'Progress/tick': 99999,
    'Progress/kimg': 99999.9,
    'Progress/lod': 8.25,
    'Timing/total_sec': 300.99 * 86400,
    'Timing/sec_per_kimg': 123456.7,
    'Timing/maintenance_sec': 98765.4,
    'Resources/peak_gpu_mem_gb': 139.5,
    'Loss/G': -1234567.8,
    'Loss/D': 1.2345e-9,
    'Loss/gradient_penalty': 1.2345e30,
    'Loss/pl_lengths': 1.2345e-30,
    'FR/4x4/Conv/alpha': -0.0001,
    'FR/8x8/Conv1/alpha': 0.99999,
    'FR/4x4/Conv/strength': -1234.5,
    'FR/8x8/Conv1/strength': 98765.4,
}
# What a network trains with decides on the columns; those of alpha and lod are in one line only
# where StyleGAN 1 has FR, without path lengths.
CASES = {
    'stylegan2 on a GPU': [],
    'fr on a GPU': ['Progress/lod'],
    'progressive fr on a GPU': ['Loss/pl_lengths'],
    'no fr': [name for name in EXTREME if name.startswith('FR/')],
}


def lines(stats, share=0.5, left=100.0, of=None):
    return (of or TickLines()).lines(Tick(stats, share, left))


@pytest.mark.parametrize('without', list(CASES.values()), ids=list(CASES))
def test_no_line_is_longer_than_120_columns(without):
    stats = {name: value for name, value in EXTREME.items() if name not in without}
    found = TickLines()
    for share, left in [(1.0, 300 * 86400.0), (0.0, None)]:
        for line in lines(stats, share, left, found):
            assert len(line) <= WIDTH == 120
    for name in list(stats):  # figures that are missing or not finite
        if not name.startswith(('Progress/', 'Timing/')):
            for value in ({}, {name: float('nan')}, {name: float('-inf')}):
                changed = {k: v for k, v in stats.items() if k != name}
                assert all(len(line) <= WIDTH for line in lines(dict(changed, **value), of=found))


def test_figures_stand_below_their_titles_and_are_explained_once():
    found = TickLines()
    *explanation, header, line = lines(dict(ORDINARY, **FR), of=found)
    cells = {
        title: line[match.start() :].split('  ')[0]
        for match in re.finditer(r'\S+', header)
        for title in [match.group()]
    }
    assert cells == {
        'done': '50%',
        'time': '1h 10m',
        'left': '1m 40s',
        's/kimg': '85.25',
        'maint': '0',
        'G': '1.32',
        'D': '0.926',
        'r1': '0.0042',
        'pl': '2.38',
        'alpha': '0.50..0.57',
        'r': '0.52..0.98',
    }
    for title in cells:
        assert sum(text.startswith('  %s ' % title) for text in explanation) == 1
    assert lines(dict(ORDINARY, **FR), of=found) == [line]


def test_what_a_run_has_not_is_not_shown():
    explanation = lines(ORDINARY)
    assert not [text for text in explanation if re.search(r'\b(alpha|gpumem|lod)\b', text)]


def test_titles_come_again_on_each_screen():
    found = TickLines()
    numbers = [len(lines(ORDINARY, of=found)) for _ in range(45)]
    assert numbers[0] > 10 and [i for i, n in enumerate(numbers) if n == 2] == [20, 40]
