"""dnnlib.completion: what shells complete for the console commands."""

import subprocess
import sys

import pytest

import doctor
import run_generator
import run_paper
import run_training
from dnnlib import cli, flags

PROGRAMS = [doctor, run_generator, run_paper, run_training]


def script(capsys, program, shell):
    """The completion script that a program prints."""
    pytest.importorskip('shtab')
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        program.main(['--print-completion', shell])
    assert end.value.code == 0
    return capsys.readouterr().out


def complete(text, function, *words):
    """What bash completes the last of some words to, in a script of completions."""
    text += '\nCOMP_WORDS=(%s); COMP_CWORD=%d\n%s\n' % (' '.join(words), len(words) - 1, function)
    text += 'printf "%s\\n" "${COMPREPLY[@]}"'
    output = subprocess.check_output(['bash', '-c', text], universal_newlines=True)
    return output.split()


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'tcsh'])
@pytest.mark.parametrize('program', PROGRAMS, ids=lambda program: program.__name__)
def test_every_shell_has_a_script_of_the_console_command(capsys, program, shell):
    text = script(capsys, program, shell)
    command = {'doctor': 'doctor', 'run_generator': 'generate', 'run_training': 'train'}
    command['run_paper'] = 'paper'
    assert 'stylegan2-' + command[program.__name__] in text and 'version' in text
    if shell == 'bash':
        subprocess.run(['bash', '-n'], input=text.encode(), check=True)


def test_bash_completes_flags_values_and_commands(capsys):
    train = script(capsys, run_training, 'bash')
    command = ['_shtab_stylegan2_train', 'stylegan2-train']
    assert complete(train, *command, '--total') == ['--total-kimg']
    assert complete(train, *command, '--precision', '') == ['float32', 'tf32', 'mixed']
    generate = script(capsys, run_generator, 'bash')
    command = ['_shtab_stylegan2_generate', 'stylegan2-generate']
    assert complete(generate, *command, 'generate-') == ['generate-images', 'generate-video']
    assert complete(generate, *command, 'generate-video', '--fr') == ['--frames']


def test_bash_completes_paths(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'network.pkl').write_text('')
    generate = script(capsys, run_generator, 'bash')
    command = ['_shtab_stylegan2_generate', 'stylegan2-generate', 'fr-maps', '--network', 'net']
    assert complete(generate, *command) == ['network.pkl']


def test_programs_do_not_get_the_flag_as_an_option_of_theirs():
    assert vars(flags.parse('doctor.py', '', [], [])) == {}


def test_without_shtab_one_line_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    assert cli.run_cli(doctor.main, ['--print-completion', 'bash']) == 2
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert err.startswith('Error: the package shtab is missing in ') and '; run `' in err
