"""What people who get the project see first: images of Docker, citation, security, bug reports."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import dnnlib
from dnnlib import program
from dnnlib.tflib import engine

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILES = sorted((ROOT / 'docker').glob('*.Dockerfile'))


def instructions(path):
    """(name, arguments) of a Dockerfile, with the default values of its arguments put in."""
    text = re.sub(r'^#.*\n', '', path.read_text(encoding='utf-8'), flags=re.MULTILINE)
    lines = re.sub(r'\\\n\s*', '', text).splitlines()
    values = dict(line[len('ARG ') :].split('=') for line in lines if line.startswith('ARG '))
    for line in lines:
        name, _, words = line.partition(' ')
        yield name, re.sub(r'\$\{(\w+)\}', lambda match: values.get(match[1], match[0]), words)


@pytest.mark.parametrize('path', DOCKERFILES, ids=lambda path: path.name)
def test_dockerfiles_use_files_and_commands_that_are_there(path):
    found = list(instructions(path))
    assert found[0][0] == 'ARG' and found[1][0] == 'FROM'
    for name, words in found:
        if name == 'COPY':
            assert (ROOT / words.split()[0]).exists(), words
        if name == 'CMD':
            assert re.search(r'"(.*)"', words).group(1) in program.COMMANDS.values()
    text = ' '.join(words for name, words in found if name == 'RUN')
    files = re.findall(r'-r /src/(\S+)', text)
    assert len(files) >= 2 and all((ROOT / name).is_file() for name in files), files
    engine = path.name.partition('.')[0]
    assert 'requirements/%s.txt' % engine in files


# In place of the Python of an image: a virtual environment whose pip only looks for the files of
# requirements, and installs the project itself, without a network.
PYTHON = """#!/usr/bin/env bash
set -e
case "$*" in
    '-m venv '*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *'pip install'*' --no-deps '*)
        exec {python} -m pip install -q --no-index --no-deps --no-build-isolation --no-compile \\
            --target {root}/installed "${{@: -1}}" ;;
    *'pip install'*) echo "$*" >>{root}/calls; while [ $# != 0 ]; do
        if [ "$1" = -r ]; then [ -f "$2" ]; fi; shift; done ;;
    *) exit 1 ;;
esac
"""


def copy_sources(words, root):
    """COPY, without what .dockerignore names."""
    patterns = (ROOT / '.dockerignore').read_text().split()
    patterns += [pattern[3:] for pattern in patterns if pattern.startswith('**/')]

    def ignored(folder, names):
        here = os.path.relpath(folder, str(ROOT))
        paths = {name: os.path.normpath(os.path.join(here, name)) for name in names}
        return [n for n in names if any(fnmatch.fnmatch(paths[n], each) for each in patterns)]

    source, target = words.split()
    shutil.rmtree(str(root) + target, ignore_errors=True)  # COPY adds; what is copied last is all
    shutil.copytree(str(ROOT / source), str(root) + target, ignore=ignored)


@pytest.mark.skipif(
    any(find_spec(package) is None for package in ('pip', 'setuptools', 'wheel')),
    reason='no pip, setuptools and wheel to install the project with',
)
def test_the_steps_of_this_engine_s_dockerfile_install_the_project(tmp_path):
    stubs = tmp_path / 'stubs'
    stubs.mkdir()
    text = PYTHON.format(python=sys.executable, root=tmp_path)
    for name, content in [('python3', text), ('apt-get', '#!/usr/bin/env bash\n')]:
        (stubs / name).write_text(content)
        (stubs / name).chmod(0o755)
    environment = dict(os.environ, PATH='%s:%s' % (stubs, os.environ['PATH']))
    for name, words in instructions(ROOT / 'docker' / (engine.ENGINE + '.Dockerfile')):
        if name == 'COPY':
            copy_sources(words, tmp_path)
        elif name == 'RUN':
            script = re.sub(r'(?<![\w.])/(?=(src|venv|var)\b)', '%s/' % tmp_path, words)
            subprocess.run(['bash', '-ec', script], env=environment, cwd=str(stubs), check=True)
        elif name == 'CMD':
            assert (tmp_path / 'installed' / 'bin' / words.strip('[]"')).exists()
    first, second = (tmp_path / 'calls').read_text().splitlines()
    assert 'pip.txt' in first and engine.ENGINE + '.txt' in second
    assert not (tmp_path / 'src' / 'tests').exists()  # an image has no use for them


def test_dockerfiles_have_a_python_that_the_requirements_are_for():
    script = (ROOT / 'tools' / 'make_env.sh').read_text()
    for path in DOCKERFILES:
        name = path.name.partition('.')[0]
        (version,) = re.findall(r'^# Python (\S+) and TensorFlow', path.read_text())
        (versions,) = re.findall(name + r"_versions='(.*)'", script)
        assert version in versions.split()
        base = dict(line.split('=') for line in path.read_text().splitlines() if 'ARG BASE' in line)
        assert base['ARG BASE'] == {'3.6': 'ubuntu:18.04', '3.12': 'ubuntu:24.04'}[version]


def test_dockerfiles_for_gpus_name_requirements_that_are_there():
    text = ''.join(path.read_text() for path in DOCKERFILES)
    assert re.findall(r'TENSORFLOW=(tf2-cuda)\b', text) and len(DOCKERFILES) == 2
    assert (ROOT / 'requirements' / 'tf2-cuda.txt').is_file()


def test_the_citation_is_of_this_version():
    text = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert re.search(r'^version: (.+)$', text, re.MULTILINE).group(1) == dnnlib.__version__
    for paper in ('2006.05891', '1912.04958'):
        assert 'https://arxiv.org/abs/' + paper in text


def test_bug_reports_have_what_the_doctor_says():
    text = (ROOT / '.github' / 'ISSUE_TEMPLATE' / 'bug.md').read_text(encoding='utf-8')
    assert re.match(r'---\nname: .+\nabout: .+\n---\n', text)
    assert '\n    python -m doctor\n' in text and 'SECURITY.md' in text
