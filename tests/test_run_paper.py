"""run_paper.py: the plan, who does what, and the report."""

import csv
import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import run_generator
import run_metrics
import run_paper
import run_projector
import run_training
from dnnlib import flags, owner, program
from dnnlib.cli import run_cli
from dnnlib.submission import run_lock
from metrics import paper_tables
from metrics.metric_defaults import metric_defaults
from paper import contents, findings, metrics_at_hand, plan, report, scales
from tests import paper_programs

ROOT = Path(__file__).resolve().parent.parent
SMALL = ['--systems=config-e,config-e-fr', '--seeds=2', '--tables=2']


def choice_of(*argv):
    return run_paper.choice_of(run_paper.parse_args(list(argv)))


def tasks_of(*argv, at_hand=metrics_at_hand.OF_PAPER):
    return plan.Planner(choice_of(*argv), lambda metric: metric in at_hand).tasks()


def names_of(*argv, **options):
    return [task.name for task in tasks_of(*argv, **options)]


# The plan


def test_one_table_of_two_systems_needs_these_runs():
    runs = [
        'demo-people-32-%s-seed%d' % (s, n) for s in ('config-e', 'config-e-fr') for n in (1, 2)
    ]
    expected = ['train-' + run for run in runs] + ['metric-%s-cond' % run for run in runs]
    assert names_of(*SMALL) == expected


def test_tasks_come_once_after_those_that_they_need_and_name_them_in_their_words():
    for scale in ['--scale=demo', '--scale=paper', '--scale=small --dataset=photos']:
        tasks = tasks_of(*scale.split())
        names = [task.name for task in tasks]
        assert len(set(names)) == len(names) > 50
        for number, task in enumerate(tasks):
            assert set(task.needs) <= set(names[:number])
            assert set(plan.placeholders(task.words)) == set(task.needs)


def test_all_commands_are_such_as_the_programs_take(tmp_path):
    parsers = {
        'run_training.py': run_training.parse_args,
        'run_metrics.py': run_metrics.parse_args,
        'run_generator.py': lambda argv: flags.parse_command('', '', run_generator.COMMANDS, argv),
        'run_projector.py': lambda argv: flags.parse_command('', '', run_projector.COMMANDS, argv),
    }
    for scale in ['--scale=demo', '--scale=paper', '--scale=small --dataset=photos']:
        for task in tasks_of(*scale.split()):
            words = plan.fill_in(task.words, dict.fromkeys(task.needs, str(tmp_path)))
            parsers[words[0]](words[1:])


def test_estimates_are_lengths_by_speeds():
    task = tasks_of('--tables=2', '--systems=config-e', '--seeds=1', '--total-kimg=72')[0]
    costs = scales.SCALES['demo'].costs
    assert task.hours * 3600 == pytest.approx(costs.start + 72000 / costs.images['stylegan'])
    all_tasks = tasks_of('--scale=paper')
    assert plan.totals(all_tasks)['all'][1] == pytest.approx(sum(t.hours for t in all_tasks))


def test_forms_are_compared_half_way_and_at_the_end_of_one_run(tmp_path):
    argv = ['--tables=forms', '--seeds=1', '--total-kimg=120']
    found = tasks_of(*argv, at_hand=['swd16k', 'cond', 'ppl_local'])
    tasks = {task.name: task for task in found}
    run = 'demo-people-32-config-e-seed1'
    assert len(tasks) == 4 * (1 + 2 * 3)  # a run of each form, three metrics twice
    half, end = tasks['metric-%s-cond-60kimg' % run], tasks['metric-%s-cond' % run]
    assert half.needs == end.needs == ('train-' + run,)
    assert plan.placeholders(half.words) == ['train-' + run]
    for kimg in ('000000', '000061', '000120'):
        (tmp_path / ('network-snapshot-%s.pkl' % kimg)).write_bytes(b'')
    (tmp_path / 'network-final.pkl').write_bytes(b'')
    networks = [
        plan.fill_in(task.words, {'train-' + run: str(tmp_path)})[2] for task in (half, end)
    ]
    names = 'network-snapshot-000061.pkl', 'network-final.pkl'
    assert networks == ['--network=' + str(tmp_path / name) for name in names]


@pytest.mark.parametrize('tables', ['1,2,4,5', 'forms'])
def test_a_report_of_nothing_says_that_all_is_missing(tables, tmp_path):
    run_paper.main(['--report', '--tables=' + tables, '--result-dir=%s' % tmp_path])
    report = (tmp_path / 'report' / 'report.md').read_text(encoding='utf-8')
    assert report.count('missing') > 10 and '## Table ' + tables[:1] in report


def test_each_system_has_one_line_in_a_table(tmp_path):
    systems = ['config-e', 'config-e-fr', 'config-e-fr-noise', 'config-e-fr-released']
    flags = ['--report', '--tables=forms', '--systems=' + ','.join(systems)]
    run_paper.main(flags + ['--result-dir=%s' % tmp_path])
    report = (tmp_path / 'report' / 'report.md').read_text(encoding='utf-8')
    assert report.count('| config-e-fr-released |') == 1


def test_systems_of_other_configurations_get_lines_in_all_tables_of_their_family():
    names = names_of('--tables=1,2', '--systems=paper,config-f', '--seeds=1')
    assert 'metric-demo-people-32-config-f-seed1-cond' in names
    assert 'metric-demo-people-32-config-f-seed1-swd16k' not in names  # it was not at hand
    assert 'train-demo-people-32-dcgan-seed1' in names
    assert not any('dcgan' in name for name in names_of('--tables=2', '--systems=paper,config-f'))
    assert not any('fr-cnn' in name for name in names_of('--tables=1,2'))


def test_metrics_are_those_of_the_paper_or_what_is_at_hand(monkeypatch):
    for metric in ('fid_local', 'ppl_local'):
        monkeypatch.setitem(metric_defaults, metric, dict(name=metric, num_images=10000))
    argv = ['--tables=1', '--systems=config-e,dcgan', '--seeds=1']
    run = 'metric-demo-people-32-%s-seed1-%s'
    with_networks = names_of(*argv)
    assert run % ('config-e', 'ppl_wend') in with_networks
    assert run % ('dcgan', 'ppl_zend') in with_networks
    local = names_of(*argv, at_hand=['ppl_local', 'fid_local', 'swd16k', 'ppl_wend'])
    for metric in ('ppl_local', 'fid_local', 'swd16k'):
        assert run % ('dcgan', metric) in local and run % ('config-e', metric) in local
    assert run % ('config-e', 'ppl_wend') not in local  # a DCGAN's is not at hand
    paper = names_of('--scale=paper', *argv, at_hand=[])
    assert 'metric-ffhq-128-config-e-seed1-fid50k' in paper
    assert 'metric-church-64-dcgan-seed1-ppl_zend' in paper


def test_every_system_of_the_paper_has_its_printed_figures():
    for kind, number, part in choice_of('--scale=paper').parts():
        for column in part.columns if (kind, number) != ('figure', '4') else ():
            for system in part.systems if column.printed else ():
                assert (part.data, system) in paper_tables.FIGURES, (number, system)
                assert column.printed in paper_tables.FIGURES[part.data, system]
    assert set(paper_tables.INVERSION) == set(contents.TABLES['4'][0].systems)


def test_a_figure_of_other_systems_is_another_task():
    one = names_of('--figures=3', '--systems=config-e')[-1]
    two = names_of('--figures=3', '--systems=config-e,config-e-fr')[-1]
    assert one != two and one.startswith('figure3-ffhq-') and two.startswith('figure3-ffhq-')


def test_a_dry_run_makes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_cli(run_paper.main, ['--dry-run'] + SMALL) == 0
    out = capsys.readouterr().out
    assert 'metric-demo-people-32-config-e-fr-seed2-cond' in out and 'estimates' in out
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize(
    'line, words',
    [
        ('--tables=3', "'3' is none of 1,2,4,5,forms"),
        ('--systems=config-z', "'config-z' is none of paper, "),
        ('--seeds=0', 'at least 1'),
        ('--shard=3/2', 'is not like 1/4'),
        ('--scale=small', 'name it by --dataset'),
        ('--dataset=x', '--dataset is for --scale=small'),
        ('--tables=2 --systems=dcgan', 'nothing to do'),
        ('--result-dir=a,b', 'has a comma'),
        ('--report', 'there is no folder'),
        ('--scale=paper', 'there is no cat-selected-128, church-128, '),
        ('--pictures=/no/such/folder --tables=4', '/no/such/folder'),
    ],
)
def test_mistakes_are_one_line_before_anything_is_made(line, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_cli(run_paper.main, line.split()) == 2
    err = capsys.readouterr().err
    assert words in err and err.count('\n') == 1
    assert os.listdir(str(tmp_path)) == []


# The report


def test_cells_are_mean_and_deviation_and_orders_are_compared_by_pairs():
    # By hand: means 2, 2.5 and 9; deviations 1 and 0.7071; in the paper the second is the lowest.
    cells = findings.compared([[1.0, 2.0, 3.0], [2.0, 3.0], [9.0], []], [5.0, 4.0, 7.0, 1.0])
    assert [cell.mean for cell in cells] == [2.0, 2.5, 9.0, None]
    assert cells[0].std == 1.0 and cells[1].std == pytest.approx(0.70711, abs=1e-5)
    assert cells[2].std is None
    assert [(cell.agreeing, cell.pairs) for cell in cells] == [(1, 2), (1, 2), (2, 2), (0, 0)]
    # Standard errors 0.577 and 0.5: together 0.764, more than 0.5.
    assert [cell.close for cell in cells] == [1, 1, 0, 0]
    texts = list(map(report._cell, cells))
    assert texts[0] == '2 ± 1 (3); paper 5 ✗ 1/2'
    assert texts[2] == '9 (1); paper 7 ✓' and texts[3] == 'missing; paper 1'
    equal = findings.compared([[1.0], [2.0]], [3.0, 3.0])  # in the paper
    assert [cell.pairs for cell in equal] == [0, 0]
    collapsed = findings.compared([[float('nan'), 1.0], [2.0]], [3.0, 4.0])
    assert [cell.pairs for cell in collapsed] == [0, 0]
    assert report._cell(collapsed[0]) == 'nan ± nan (2); paper 3'


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder with programs that do next to nothing, in the place of this project's."""
    folder = tmp_path / 'programs'
    folder.mkdir()
    for name in paper_programs.PROGRAMS:
        shutil.copy(paper_programs.__file__, str(folder / name))
    monkeypatch.setattr(program, 'ROOT', str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def starts(programs):
    path = programs / 'starts.txt'
    return path.read_text().split() if path.exists() else []


def same_folders(a, b):
    names = sorted(os.listdir(str(a)))
    assert names == sorted(os.listdir(str(b)))
    return filecmp.cmpfiles(str(a), str(b), names, shallow=False)[0] == names


def test_all_is_done_once_and_reported(programs, tmp_path, capsys):
    argv = ['--systems=config-e,config-e-fr', '--seeds=2', '--result-dir=all']
    assert run_cli(run_paper.main, argv) == 0
    out = capsys.readouterr().out
    tasks = tasks_of(*argv, at_hand=['swd16k', 'cond'])
    assert sorted(starts(programs)) == sorted(task.name for task in tasks)
    assert '%d of %d: ' % (len(tasks), len(tasks)) in out and ' left\n' in out
    folder = tmp_path / 'all' / 'report'
    text = (folder / 'report.md').read_text(encoding='utf-8')
    facts = json.loads((folder / 'report.json').read_text())
    assert facts['missing'] == {} and facts['code']['code'] == ['2'] and facts['kimg'] == 60
    with open(str(folder / 'table2.csv')) as file:
        rows = list(csv.DictReader(file))
    assert [row['n'] for row in rows] == ['2'] * 4
    row = [r for r in rows if r['system'] == 'StyleGAN2 + FR' and r['figure'] == 'MC'][0]
    values = [paper_programs.fraction('config-e-fr%d' % seed, 'cond', '_mc') for seed in (1, 2)]
    assert float(row['mean']) == pytest.approx(sum(values) / 2)
    assert float(row['standard deviation']) == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert row['paper'] == '0.53'
    for name in ('figure1-noise-layers-demo-people-32-config-e-seed1', 'figure9-ffhq'):
        assert (folder / (name + '.pdf')).exists() and '(%s.png)' % name in text
    hard = (tmp_path / 'all' / 'hard-cases.txt').read_text().split()
    assert len(hard) == 10 and len(list((tmp_path / 'all' / 'pictures').glob('*/*'))) == 20
    assert run_cli(run_paper.main, argv) == 0  # nothing is left
    assert len(starts(programs)) == len(tasks)
    assert run_cli(run_paper.main, argv + ['--total-kimg=61']) == 2
    assert 'was begun with --total-kimg=60, not 61' in capsys.readouterr().err


def test_what_fails_does_not_stop_the_others(programs, tmp_path, capsys):
    bad = 'train-demo-people-32-config-e-seed1'
    (programs / 'failing.txt').write_text(bad)
    assert run_cli(run_paper.main, SMALL + ['--result-dir=r']) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and bad in err and 'Error: it is to fail' in err
    text = (tmp_path / 'r' / 'report' / 'report.md').read_text(encoding='utf-8')
    assert '2 tasks are not done yet' in text and ' (1); paper 0.666' in text
    assert '- %s: exit status 1: Error: it is to fail' % bad in text
    (programs / 'failing.txt').write_text('')
    assert run_cli(run_paper.main, SMALL + ['--result-dir=r']) == 0
    assert starts(programs).count(bad) == 2 and len(starts(programs)) == 9


START = """
import sys
from dnnlib import cli, program
program.ROOT = sys.argv[1]
import run_paper
sys.exit(cli.run_cli(run_paper.main, sys.argv[2:]))
"""


def start(programs, *argv, slow=''):
    env = dict(os.environ, PYTHONPATH=str(ROOT), PAPER_TEST_SLOW=slow)
    command = [sys.executable, '-c', START, str(programs)] + list(argv)
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(condition):
    end = time.time() + 120
    while not condition():
        assert time.time() < end
        time.sleep(0.05)


def test_killed_at_any_moment_it_goes_on_to_the_same_report(programs, tmp_path):
    assert start(programs, '--result-dir=whole', *SMALL).wait() == 0
    killed = [('train', signal.SIGKILL, -9), ('train', signal.SIGTERM, 143)]
    for slow, number, status in killed + [('metric', signal.SIGKILL, -9)]:
        (programs / 'starts.txt').unlink()
        process = start(programs, '--result-dir=killed', *SMALL, slow=slow)
        wait_for(lambda word=slow: ''.join(starts(programs)[-1:]).startswith(word))
        process.send_signal(number)
        assert process.wait() == status
    assert start(programs, '--result-dir=killed', *SMALL).wait() == 0
    assert same_folders(tmp_path / 'whole' / 'report', tmp_path / 'killed' / 'report')


def test_two_shards_share_the_work_and_make_one_report(programs, tmp_path):
    shards = [
        start(programs, '--result-dir=r', '--shard=%d/2' % number, *SMALL) for number in (1, 2)
    ]
    assert [process.wait() for process in shards] == [0, 0]
    assert len(starts(programs)) == len(set(starts(programs))) == 8
    facts = json.loads((tmp_path / 'r' / 'report' / 'report.json').read_text())
    assert facts['missing'] == {}


def test_what_another_machine_does_is_left_to_it_until_it_is_silent(programs, tmp_path, capsys):
    """Its clock does not matter: the lock's time is compared with the file system's."""
    name = 'train-demo-people-32-config-e-seed1'
    folder = tmp_path / 'r' / 'runs' / name
    folder.mkdir(parents=True)
    lock = folder / run_lock.FILE_NAME
    lock.write_text(json.dumps(dict(owner.current()._asdict(), host='elsewhere', boot='0')))
    assert run_cli(run_paper.main, SMALL + ['--result-dir=r']) == 0
    assert '2 of 8 tasks are not done' in capsys.readouterr().out
    assert len(starts(programs)) == 6 and name not in starts(programs)
    long_ago = os.stat(str(lock)).st_mtime - 601
    os.utime(str(lock), (long_ago, long_ago))
    assert run_cli(run_paper.main, SMALL + ['--result-dir=r']) == 0
    assert len(starts(programs)) == 8 and not lock.exists()


def test_what_failed_for_another_process_meanwhile_is_left_to_later_ones(programs, tmp_path):
    bad = 'train-demo-people-32-config-e-seed1'
    (programs / 'failing.txt').write_text(bad)
    argv = SMALL + ['--result-dir=r']
    assert run_cli(run_paper.main, argv) == 2
    note = str(tmp_path / 'r' / 'runs' / bad / 'failed.txt')
    later = os.stat(note).st_mtime + 1000
    os.utime(note, (later, later))
    assert run_cli(run_paper.main, argv) == 0
    assert starts(programs).count(bad) == 1
    os.utime(note, (later - 2000, later - 2000))
    assert run_cli(run_paper.main, argv) == 2
    assert starts(programs).count(bad) == 2
