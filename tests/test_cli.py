"""dnnlib.cli: one-line errors, exit status, types of flags."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from dnnlib import cli
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def parse(*argv):
    parser = cli.ArgumentParser(prog='prog')
    parser.add_argument('--number', type=int)
    parser.add_argument('--mirror', type=cli.str_to_bool)
    parser.add_argument('--seeds', type=cli.parse_int_list)
    parser.add_argument('--dir', type=cli.existing_dir)
    commands = parser.add_subparsers()
    commands.add_parser('command').add_argument('--option')
    return parser.parse_args(argv)


@pytest.mark.parametrize(
    'argv, message',
    [
        (['--number=x'], "argument --number: invalid int value: 'x'"),
        (['--mirror=maybe'], "argument --mirror: 'maybe' is neither yes/true/t/y/1 nor"),
        (['--seeds=3-1'], "argument --seeds: the range '3-1' runs backwards"),
        (['--dir=/no/such/dir'], "argument --dir: there is no folder '/no/such/dir'"),
        (['--nonsense=1'], 'unrecognized arguments: --nonsense=1'),
        (['--numbr=1'], 'unrecognized arguments: --numbr=1; did you mean --number?'),
        (['command', '--optoin=1'], 'unrecognized arguments: --optoin=1; did you mean --option?'),
        (['--num=1'], 'unrecognized arguments: --num=1'),
        (['command', '--opt=1'], 'unrecognized arguments: --opt=1'),
    ],
)
def test_a_wrong_flag_is_one_line_and_status_2(capsys, argv, message):
    assert cli.run_cli(lambda argv: parse(*argv), argv) == 2
    out, err = capsys.readouterr()
    assert out == ''
    assert err.startswith('Error: ' + message) and err.endswith(' (see --help)\n')
    assert err.count('\n') == 1


def test_help_is_printed_with_status_0(capsys):
    with pytest.raises(SystemExit) as end:
        cli.run_cli(lambda argv: parse(*argv), ['--help'])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('usage: prog')


def test_run_cli_returns_what_main_returns():
    assert cli.run_cli(lambda: None) == 0
    assert cli.run_cli(lambda: 3) == 3
    assert cli.run_cli(lambda argv: len(argv), ['a', 'b']) == 2


def test_ctrl_c_is_one_line_and_status_130(capsys):
    def main():
        raise KeyboardInterrupt()

    assert cli.run_cli(main) == 130
    assert capsys.readouterr().err == 'Interrupted.\n'


def test_a_user_error_is_one_line_even_if_its_text_is_not(capsys):
    def main():
        raise UserError('one\ntwo')

    assert cli.run_cli(main) == 2
    assert capsys.readouterr().err == 'Error: one two\n'


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run_cli(lambda: 1 // 0)


def test_booleans_in_all_spellings():
    assert all(cli.str_to_bool(t) is True for t in ['yes', 'True', 't', 'Y', '1', True])
    assert all(cli.str_to_bool(t) is False for t in ['no', 'FALSE', 'f', 'N', '0', False])
    with pytest.raises(argparse.ArgumentTypeError):
        cli.str_to_bool('')


@pytest.mark.parametrize(
    'text, numbers',
    [
        ('5', [5]),
        ('0-3', [0, 1, 2, 3]),
        ('1,5,9', [1, 5, 9]),
        ('9, 0-1,9', [9, 0, 1, 9]),
        ('6600-6600', [6600]),
    ],
)
def test_number_lists(text, numbers):
    assert cli.parse_int_list(text) == numbers


@pytest.mark.parametrize(
    'text', ['', '-1', '1-', 'a', '1,,2', '1-2-3', '1.5', '3-2', '4294967296', '0-1000000']
)
def test_wrong_number_lists_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        cli.parse_int_list(text)


def test_a_setting_is_json_or_text():
    assert cli.setting('D_loss_args.gamma=2.5') == ('D_loss_args.gamma', 2.5)
    assert cli.setting('G_args.architecture=skip') == ('G_args.architecture', 'skip')
    assert cli.setting('resume_pkl=') == ('resume_pkl', '')
    assert cli.setting('sizes={"8": 256}') == ('sizes', {8: 256})
    assert cli.setting('text=a=b') == ('text', 'a=b')
    for text in ['gamma', '=5', 'a..b=1', 'a b=1', 'a=-Infinity', 'a=[NaN]']:
        with pytest.raises(argparse.ArgumentTypeError):
            cli.setting(text)


def test_name_lists():
    assert cli.parse_name_list('fid50k, ppl_wend') == ['fid50k', 'ppl_wend']
    assert cli.parse_name_list('none') == cli.parse_name_list('') == []
    with pytest.raises(argparse.ArgumentTypeError):
        cli.parse_name_list('fid50k,')


def test_folders_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    (tmp_path / 'datasets').mkdir()
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cli.existing_dir('~/datasets') == os.path.join(str(tmp_path), 'datasets')
    with pytest.raises(argparse.ArgumentTypeError, match='none'):
        cli.existing_dir('~/none')


@pytest.mark.parametrize('module', ['numpy', 'tensorflow'])  # before and after flags are read
@pytest.mark.parametrize(
    'command', ['run_training.py', 'run_metrics.py --network=x', 'pretrained_networks.py info x']
)
def test_ctrl_c_while_modules_are_imported_is_one_line(tmp_path, command, module):
    """A module in place of a package interrupts the program that imports it."""
    (tmp_path / 'x').write_bytes(b'')
    (tmp_path / module).mkdir()
    (tmp_path / module / '__init__.py').write_text('import signal, os\nos.kill(os.getpid(), 2)')
    program, *flags = command.split()
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, program)] + flags,
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=str(tmp_path),
        # It is ignored where the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b'', b'Interrupted.\n')
