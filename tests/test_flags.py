"""The command lines of all programs: help, version, and numbers that make no sense."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

import dataset_tool
import dnnlib
import doctor
import pretrained_networks
import run_generator
import run_metrics
import run_paper
import run_projector
import run_training
import run_viewer
from dnnlib import flags, names
from dnnlib.cli import number, run_cli
from metrics import metric_defaults, metric_names
from training import configs, networks_stylegan2, training_flags

PROGRAMS = [
    dataset_tool,
    doctor,
    pretrained_networks,
    run_generator,
    run_metrics,
    run_paper,
    run_projector,
    run_training,
    run_viewer,
]
WITH_COMMANDS = {
    dataset_tool: dataset_tool._COMMANDS,
    pretrained_networks: pretrained_networks._COMMANDS,
    run_generator: run_generator.COMMANDS,
    run_projector: run_projector.COMMANDS,
}
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MISTAKES = {
    'dataset_tool': [
        'verfy datasets/x',
        'verify /no/such/folder',
        'create_from_images a /no/such/folder',
        'create_from_images a b --resize=x',
        'create_lsun a b --resolution=-1',
        'select_by_pagerank a b --features=x',
        'compare a',
    ],
    'doctor': ['--verbose', '--quick=1', 'x', '--help=1', '-x'],
    'pretrained_networks': [
        '',
        'inf x.pkl',
        'info',
        'info /no/such/file',
        'info x.pkl --biuld',
        'export gdrive:networks/x.pkl y.npz',
    ],
    'run_generator': [
        '',
        'generate-image',
        'generate-images',
        'generate-images --seeds=x',
        'generate-images --seeds=0 --network=/no/such/file',
        'generate-images --seeds=0 --result-dir=/no/such/folder',
        'generate-images --seeds=0 --noise=loud',
        'generate-video --seeds=0 --format=avi',
        'plot-metric --result-dir=/no/such/folder',
    ],
    'run_metrics': [
        '--metrics=fid51k',
        '--metrics=none',
        '--metric=fid50k',
        '--network=/no/such/file',
        '--result-dir=/no/such/folder',
        '--num-samples=0',
        '--reals=last',
        '--best=fid50k',
        '--watch=/no/such/folder',
        '--watch=1 --network=x.pkl',
        '--watch=1 --repeats=2',
    ],
    'run_paper': [
        '--scale=large',
        '--tables=3',
        '--systems=config-z',
        '--shard=2',
        '--scale=small',
        '--scale=paper',
        '--report --result-dir=/no/such/folder',
    ],
    'run_projector': [
        '',
        'project-real-image',
        'project-real-images --method=x',
        'project-real-images --space=x',
        'project-real-images --num-steps=0',
        'project-real-images --network=/no/such/file',
        'compare',
    ],
    'run_training': [
        '--config=config-z',
        '--confg=config-e',
        '--config-file=/no/such/file',
        '--noise-injection=fuzzy',
        '--metrics=fid51k',
        '--precision=double',
        '--metrics=fid50k,ppl_wend --best=swd16k',
        '--keep-snapshots=some',
        '--set=gamma',
        '--total-kimg=many',
        '--num-gpus=0',
        '--init-from=/no/such/file',
        '--freeze-d=-1',
    ],
    'run_viewer': ['--port=x', '--port=65536', '--host=', '--network=/no/such/file', 'x'],
}
TRY_THEM = """
import contextlib, importlib, io, json, sys
from dnnlib.cli import run_cli

for name, lines in json.loads(sys.argv[1]).items():
    program = importlib.import_module(name)
    for line in ['--help', '--version'] + lines:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                status = run_cli(program.main, line.split())
            except SystemExit as end:
                status = end.code
        heavy = {'tensorflow', 'scipy', 'h5py', 'matplotlib'} & set(sys.modules)
        print(json.dumps([name, line, status, sorted(heavy)]))
"""


def printed(capsys, main, *argv):
    """What a program prints that ends with status 0 by itself."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(list(argv))
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize('program', PROGRAMS, ids=lambda program: program.__name__)
def test_every_program_tells_its_version_and_its_flags(capsys, program):
    version = printed(capsys, program.main, '--version')
    assert version == '%s.py %s\n' % (program.__name__, dnnlib.full_version())
    assert re.match(r'%s( \([0-9a-f]{7}\))?$' % re.escape(dnnlib.__version__), version.split()[1])
    assert 'usage: %s.py' % program.__name__ in printed(capsys, program.main, '--help')


def test_help_and_mistakes_are_answered_before_what_takes_long_to_import(tmp_path):
    output = subprocess.check_output(
        [sys.executable, '-c', TRY_THEM, json.dumps(MISTAKES)],
        env=dict(os.environ, PYTHONPATH=ROOT),
        cwd=str(tmp_path),
    )
    ended = [json.loads(line) for line in output.decode().splitlines()]
    want = []
    for name, lines in MISTAKES.items():
        want += [[name, line, 0, []] for line in ('--help', '--version')]
        want += [[name, line, 2, []] for line in lines]
    assert ended == want


def test_flags_offer_all_forms_of_noise(monkeypatch):
    name = networks_stylegan2.__name__
    monkeypatch.delitem(sys.modules, name)  # as it is when flags are read
    forms = names.keys_in_source(name, 'NOISE_INJECTION_FORMS')
    assert name not in sys.modules
    assert forms == list(networks_stylegan2.NOISE_INJECTION_FORMS) == training_flags.FORMS


@pytest.mark.parametrize('program', WITH_COMMANDS, ids=lambda program: program.__name__)
def test_the_functions_of_sub_commands_are_there(program):
    for command in WITH_COMMANDS[program]:
        function, check = command.loaded()
        assert callable(function) and (check is None or callable(check))


@pytest.mark.parametrize('program', WITH_COMMANDS, ids=lambda program: program.__name__)
def test_every_sub_command_shows_an_example_that_can_be_parsed(capsys, program):
    whole = printed(capsys, program.main, '--help')
    for command in WITH_COMMANDS[program]:
        line = 'python %s.py %s %s' % (program.__name__, command.name, command.example)
        assert line in whole and line in printed(capsys, program.main, command.name, '--help')
        argv = shlex.split(line)[2:]
        found, _ = flags.parse_command('prog', '', WITH_COMMANDS[program], argv)
        assert found is command


_PLAIN = [run_training, run_metrics, run_paper, run_viewer]


@pytest.mark.parametrize('program', _PLAIN, ids=lambda p: p.__name__)
def test_examples_of_programs_without_sub_commands_can_be_parsed(program):
    for _, line in program._EXAMPLES:
        flags.parse('prog', '', program._FLAGS, shlex.split(line.replace('\\\n', '')))


def test_help_groups_flags_and_tells_defaults(capsys):
    text = ' '.join(printed(capsys, run_generator.main, 'generate-video', '--help').split())
    for words in [
        'network: --network PKL',
        'sampling: --truncation-psi X strength of truncation, 1 for none (default: 0.5)',
        '--frames N frames from one seed to the next (default: 60)',
        'output: --result-dir DIR folder of all runs (default: results)',
    ]:
        assert words in text
    assert text.count('(default: None)') == text.count('(default: False)') == 0


def test_every_configuration_and_metric_has_a_line_of_explanation(capsys):
    assert set(configs.SUMMARIES) == set(configs.CONFIGS)
    known = set(metric_defaults.metric_defaults) | set(metric_names.GROUPS)
    assert set(metric_names.SUMMARIES) == known
    text = printed(capsys, run_training.main, '--help')
    assert re.search(r'^  config-e-fr +config-e with fuzzy reparameterization', text, re.MULTILINE)
    assert re.search(
        r'^  cond +condition number', printed(capsys, run_metrics.main, '--help'), re.M
    )


@pytest.mark.parametrize('program', [pretrained_networks, run_generator, run_projector])
def test_a_missing_sub_command_is_one_line_that_names_all(capsys, program):
    assert run_cli(program.main, []) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: missing sub-command; choose from ') and err.count('\n') == 1
    assert all(command.name in err for command in WITH_COMMANDS[program])


@pytest.mark.parametrize(
    'program, argv',
    [
        (run_training, '--gamma=nan'),
        (run_training, '--gamma=-1'),
        (run_training, '--gamma=1e300'),
        (run_training, '--total-kimg=1e20'),
        (run_training, '--total-kimg=100000000000000000000'),
        (run_training, '--num-gpus=1000'),
        (run_training, '--fmap-base=1000000000000'),
        (run_training, '--fmap-max=0'),
        (run_training, '--seed=4294967296'),
        (run_training, '--minibatch-size=-4'),
        (run_training, '--snapshot-ticks=0'),
        (run_training, '--keep-snapshots=0'),
        (run_training, '--set gamma'),
        (run_training, '--set D_loss_args.gamma=NaN'),
        (run_training, '--set D_loss_args.gamma=1e999'),
        (run_metrics, '--seed=-1'),
        (run_metrics, '--num-gpus=0'),
        (run_metrics, '--num-samples=nan'),
        (run_metrics, '--class=-1'),
        (run_paper, '--total-kimg=0'),
        (run_paper, '--seeds=0'),
        (run_paper, '--num-gpus=nan'),
        (run_paper, '--shard=0/2'),
        (run_projector, 'project-real-images --learning-rate=inf'),
        (run_projector, 'project-real-images --lambda-mse=nan'),
        (run_projector, 'project-real-images --num-steps=100000000'),
        (run_projector, 'project-generated-images --seeds=0-4294967296'),
        (run_generator, 'generate-video --seeds=0,1 --fps=1e-30'),
        (run_generator, 'generate-video --seeds=0,1 --fps=inf'),
        (run_generator, 'generate-video --seeds=0,1 --frames=0'),
        (run_generator, 'generate-images --seeds=0-99999999999'),
        (run_generator, 'generate-images --seeds=0-4294967295'),
        (run_generator, 'generate-images --seeds=0 --truncation-psi=nan'),
        (run_generator, 'generate-images --seeds=0 --noise=seed:4294967296'),
        (run_generator, 'noise-stddev --num-draws=-1'),
        (dataset_tool, 'create_from_crops a b --seed=-1'),
        (dataset_tool, 'create_mnistrgb a b --num-images=0'),
        (dataset_tool, 'create_lsun a b --max-images=-1'),
    ],
)
def test_numbers_that_make_no_sense_are_one_line_before_any_work(
    capsys, tmp_path, monkeypatch, program, argv
):
    monkeypatch.chdir(tmp_path)
    assert run_cli(program.main, argv.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: ') and err.count('\n') == 1
    assert re.search(r'--[a-z-]+', err).group() in argv
    assert list(tmp_path.iterdir()) == []


def test_the_limits_of_a_number_are_told():
    parser = flags.ArgumentParser()
    parser.add_argument('--rate', type=number(float, 0, 1, above=True))
    assert parser.parse_args(['--rate=1']).rate == 1.0
    for text in ['0', '1.5', 'nan', '-inf']:
        with pytest.raises(dnnlib.util.UserError) as error:
            parser.parse_args(['--rate=' + text])
        line = '--rate is %s; it must be greater than 0 and at most 1 (see --help)' % text
        assert str(error.value) == line
