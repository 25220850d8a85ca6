"""Commands that programs name as the next ones can be copied and pasted."""

import shlex

import pytest

from dnnlib import hints


@pytest.mark.parametrize(
    'started, words',
    [
        ('run_training.py', ['python', 'run_metrics.py']),
        ('/opt/my code/run_training.py', ['python', '/opt/my code/run_metrics.py']),
        ('/usr/bin/stylegan2-train', ['stylegan2-metrics']),
        ('/usr/bin/pytest', ['python', 'run_metrics.py']),
    ],
)
def test_a_command_is_given_in_the_way_this_one_was_started(started, words, monkeypatch):
    monkeypatch.setattr('sys.argv', [started, '--whatever'])
    monkeypatch.setattr('dnnlib.program._BY_CONSOLE', 'stylegan2-' in started)
    line = hints.next_command('run_metrics.py', '--network=results/00001-my run/$(x).pkl')
    assert line.startswith('next: ')
    assert shlex.split(line)[1:] == words + ['--network=results/00001-my run/$(x).pkl']
