"""What people who get the project see first: images of Docker, citation, security, bug reports."""

import re
from pathlib import Path

import pytest

import dnnlib
from dnnlib import program

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
