import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

STUB_PYTHON = """#!/usr/bin/env bash
here=$(dirname "$0")
case $* in
    *ensurepip*) [[ $* == *"!= '3.6'"* && ! -e $here/activate ]] ;;
    *sys.executable*) echo "$0" ;;
    *python_version*) echo 3.6.15 ;;
    '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/bin/activate" ;;
    '-m pip '*) echo "$*" >>"$here/pip.calls"
                if [ -e "$STUB_FAILURE" ]; then echo 'pip: no network'; exit 1; fi ;;
esac
"""


@pytest.fixture
def tree(tmp_path):
    """A copy of what makes environments, on a machine whose only Python is a stand-in for 3.6."""
    for name in ['tools', 'requirements']:
        shutil.copytree(os.path.join(ROOT, name), str(tmp_path / name))
    programs = tmp_path / 'programs'
    programs.mkdir()
    needed = 'bash cat cp cut dirname env ln mkdir mv readlink rm sed sha256sum touch'
    for name in needed.split():
        (programs / name).symlink_to(shutil.which(name))
    add_program(tmp_path, 'python3.6', STUB_PYTHON)
    return tmp_path


def add_program(tree, name, text):
    path = tree / 'programs' / name
    path.write_text(text)
    path.chmod(0o755)


def make_env(tree, *args, activated=None):
    """Run the script, in an environment if told; return (exit status, output, messages)."""
    path = str(tree / 'programs')
    environment = {
        'PATH': '%s:%s' % (tree / activated / 'bin', path) if activated else path,
        'PYENV_ROOT': str(tree / 'pyenv'),
        'STUB_FAILURE': str(tree / 'offline'),
    }
    done = subprocess.run(
        [str(tree / 'tools/make_env.sh')] + list(args),
        env=environment,
        cwd='/',
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_paper_s_environment_is_made_where_it_can_be_and_only_once(tree):
    creating = 'Creating .venv-tf1 with Python 3.6.15 and TensorFlow 1.14 ...'
    assert make_env(tree) == (0, '.venv-tf1/bin/python', creating)
    calls = (tree / '.venv-tf1/bin/pip.calls').read_text().splitlines()
    assert [re.findall(r'[\w-]+\.txt', call) for call in calls] == [
        ['pip.txt'],
        ['pip.txt', 'tf1.txt', 'test.txt'],
    ]
    assert make_env(tree) == make_env(tree, 'tf1') == (0, '.venv-tf1/bin/python', '')


def test_changed_requirements_make_the_environment_anew(tree):
    make_env(tree)
    with (tree / 'requirements/tf1.txt').open('a') as file:
        file.write('extra==1.0.0\n')
    old = os.path.realpath(str(tree / '.venv-tf1'))
    assert make_env(tree)[2].startswith('Creating .venv-tf1')
    assert len((tree / '.venv-tf1/bin/pip.calls').read_text().splitlines()) == 2
    assert make_env(tree)[2] == ''
    assert not os.path.exists(old) and len(os.listdir(str(tree / '.venvs'))) == 1


def test_a_failed_installation_shows_why_and_does_not_block_the_next(tree):
    (tree / 'offline').write_text('')
    status, printed, messages = make_env(tree)
    assert (status, printed) == (2, '') and 'pip: no network' in messages
    (tree / 'offline').unlink()
    assert make_env(tree)[:2] == (0, '.venv-tf1/bin/python')


def test_an_environment_whose_python_is_gone_is_made_anew(tree):
    make_env(tree)
    (tree / '.venv-tf1/bin/python').unlink()
    assert make_env(tree)[2].startswith('Creating .venv-tf1')


def test_a_fitting_environment_is_kept_without_a_network(tree):
    make_env(tree)
    (tree / '.venv-tf1').unlink()
    (tree / 'offline').write_text('')
    assert make_env(tree, 'tf1') == (0, '.venv-tf1/bin/python', '')
    assert (tree / '.venv-tf1').is_symlink()


def test_an_activated_environment_is_kept_and_makes_no_other(tree):
    make_env(tree)
    shutil.copy(str(tree / '.venv-tf1/bin/python'), str(tree / '.venv-tf1/bin/python3.6'))
    assert make_env(tree, activated='.venv-tf1') == (0, '.venv-tf1/bin/python', '')
    (tree / 'requirements/tf1.txt').write_text('tensorflow-gpu==1.14.0\n')
    assert make_env(tree, 'tf1', activated='.venv-tf1')[0] == 0
    made_by = (tree / '.venv-tf1/bin/python').read_text()
    assert made_by == STUB_PYTHON and not (tree / '.venv-tf1/bin/python3.6').exists()
    (tree / 'programs/python3.6').unlink()
    assert make_env(tree, 'tf1', activated='.venv-tf1') == (0, '.venv-tf1/bin/python', '')


def test_an_environment_stays_until_the_next_one_is_whole(tree):
    make_env(tree)
    (tree / 'requirements/tf1.txt').write_text('tensorflow-gpu==1.14.0\n')
    (tree / 'offline').write_text('')
    assert make_env(tree)[0] == 2
    assert (tree / '.venv-tf1/bin/python').exists()
    (tree / 'offline').unlink()
    assert make_env(tree)[2].startswith('Creating .venv-tf1')


def test_the_folder_of_an_older_version_gives_way_to_a_link(tree):
    (tree / '.venv-tf1/bin').mkdir(parents=True)
    assert make_env(tree)[:2] == (0, '.venv-tf1/bin/python')
    assert (tree / '.venv-tf1').is_symlink() and not (tree / '.venvs/tf1-old').exists()


def test_uv_installs_where_a_python_can_have_it(tree):
    stub_311 = STUB_PYTHON.replace("'3.6'", "'3.11'").replace(
        'echo "$*" >>"$here/pip.calls"', 'cp uv "$here/uv"'
    )
    add_program(tree, 'python3.11', stub_311)
    (tree / 'uv').write_text('#!/usr/bin/env bash\necho "$*" >>"$(dirname "$0")/uv.calls"\n')
    (tree / 'uv').chmod(0o755)
    assert make_env(tree, 'tf1')[:2] == (0, '.venv-tf1/bin/python')
    (call,) = (tree / '.venvs/uv/bin/uv.calls').read_text().splitlines()
    assert re.findall(r'[\w-]+\.txt', call) == ['pip.txt', 'tf1.txt', 'test.txt']
    assert not (tree / '.venv-tf1/bin/pip.calls').exists()


@pytest.mark.parametrize(
    'engine, words',
    [('tf2', ['no Python 3.10 to 3.13', 'pyenv install']), ('tf3', ['ENGINE=tf3', 'tf1', 'tf2'])],
)
def test_an_impossible_engine_ends_in_one_line_that_says_what_to_do(tree, engine, words):
    status, printed, messages = make_env(tree, engine)
    assert (status, printed, messages.count('\n')) == (2, '', 0)
    assert messages.startswith('Error: ') and all(word in messages for word in words)


def test_a_python_that_does_not_run_does_not_count(tree):
    add_program(tree, 'python3.6', '#!/usr/bin/env bash\nexit 127\n')
    assert 'no Python 3.6 or 3.7' in make_env(tree, 'tf1')[2]


def test_pythons_that_pyenv_installed_are_found(tree):
    folder = tree / 'pyenv/versions/3.6.15/bin'
    folder.mkdir(parents=True)
    (tree / 'programs/python3.6').rename(folder / 'python')
    assert make_env(tree)[:2] == (0, '.venv-tf1/bin/python')
