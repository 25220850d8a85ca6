import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parent.parent)
REQUIREMENTS = Path(ROOT, 'requirements')
FOLDERS = ['.', 'dnnlib/**', 'training/**', 'metrics/**', 'dcgan/**', 'tests/**', 'bench/**']
PYTHON_FILES = sorted(
    str(path.relative_to(ROOT)) for folder in FOLDERS for path in Path(ROOT).glob(folder + '/*.py')
)


def pins(text):
    """{package: version} of lines such as 'name==1.0; marker' and '- name==1.0'."""
    return {
        name.lower(): re.sub(r'(\.0)+$', '', version)
        for name, version in re.findall(r'^[\s-]*([\w.-]+)==([\w.]+)', text, re.MULTILINE)
    }


def requirements(*names):
    """The lines of requirements files, without comments."""
    lines = '\n'.join((REQUIREMENTS / name).read_text() for name in names).splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def for_old_python(names):
    return '\n'.join(line for line in requirements(*names) if '>= "3.' not in line)


def test_conda_and_pip_make_the_same_paper_environment():
    conda = Path(ROOT, 'environment.yml').read_text()
    want = pins(for_old_python(['pip.txt', 'tf1.txt', 'test.txt']))
    got = pins(conda)
    assert got and got == {name: want[name] for name in got}
    assert {'tensorflow-gpu', 'numpy', 'scipy', 'pillow', 'requests'} <= set(got)
    assert 'python=3.6\n' in conda and '- pip=%s\n' % want['pip'] in conda


def test_every_requirement_names_one_exact_version():
    for path in REQUIREMENTS.glob('*.txt'):
        for line in requirements(path.name):
            one_version = r'[a-z0-9-]+==[\w.]+(; python_version .+)?$'
            assert re.match(r'-r [\w-]+\.txt$|' + one_version, line), line


@pytest.mark.parametrize(
    'names',
    [
        'pip tf2-common tf2-cuda test export features notebook tracking viewer browser',
        'pip tf2-common tf2 test',
        'pip tf1 test features',
        'pip lint',
        'pip docs',
    ],
)
def test_requirements_that_are_installed_together_agree(names):
    old = names.startswith('pip tf1')
    versions = {}
    for line in requirements(*[name + '.txt' for name in names.split()]):
        others = ('>= "3.', '== "3.') if old else ('< "3.',)
        if line.startswith('-r ') or any(each in line for each in others):
            continue
        for name, version in pins(line).items():
            versions.setdefault(name, set()).add(version)
    assert len(versions) > 5
    assert not {name: found for name, found in versions.items() if len(found) > 1}


def test_names_of_environments_state_the_pinned_tensorflow():
    script = Path(ROOT, 'tools/make_env.sh').read_text()
    tf1, tf2, tf2_cuda = [
        pins('\n'.join(requirements(name)))[package]
        for name, package in [
            ('tf1.txt', 'tensorflow-gpu'),
            ('tf2.txt', 'tensorflow-cpu'),
            ('tf2-cuda.txt', 'tensorflow'),
        ]
    ]
    assert tf2 == tf2_cuda
    assert re.findall(r"title='TensorFlow ([\d.]+)'", script) == [tf1, '.'.join(tf2.split('.')[:2])]


def test_the_paper_s_python_can_read_every_file():
    options = {} if sys.version_info < (3, 8) else dict(feature_version=(3, 6))
    bad = []
    for path in PYTHON_FILES:
        try:
            ast.parse(Path(ROOT, path).read_text(encoding='utf-8'), path, **options)  # novermin
        except SyntaxError as error:
            bad.append(str(error))
    assert bad == []


def test_documented_commands_exist():
    targets = re.findall(r'^(\w+):', Path(ROOT, 'Makefile').read_text(), re.MULTILINE)
    for page in Path(ROOT).glob('*.md'):
        text = page.read_text(encoding='utf-8')
        code = '\n'.join(re.findall(r'^    .*$|`[^`\n]+`', text, re.MULTILINE))
        code += '\n'.join(re.findall(r'^```\w*\n(.*?)^```', text, re.MULTILINE | re.DOTALL))
        for target in re.findall(r'\bmake ([a-z]+)\b', code):
            assert target in targets, '%s: make %s' % (page.name, target)
        for script in re.findall(r'python[\d.]* ([\w/]+\.py)\b', code):
            assert script in PYTHON_FILES, '%s: %s' % (page.name, script)
        for module in re.findall(r'python[\d.]* -m (dnnlib[\w.]*|training[\w.]*)', code):
            assert module.replace('.', '/') + '.py' in PYTHON_FILES, '%s: %s' % (page.name, module)


def test_the_quick_tests_exist():
    lines = Path(ROOT, 'tests/quick.txt').read_text().splitlines()
    for line in [line for line in lines if not line.startswith('#')]:
        path, _, name = line.partition('::')
        source = Path(ROOT, path).read_text(encoding='utf-8')
        assert 'def %s(' % name.split('[')[0] in source or not name, line


@pytest.mark.parametrize('command', [['make', 'env', 'ENGINE=tf3'], ['make', 'env']])
def test_the_engine_is_chosen_on_the_command_line_and_by_the_environment(command):
    # Without what a make that runs the tests passes on to further ones.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(('MAKE', 'MFLAGS'))}
    environment['ENGINE'] = 'tf3'
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert result.returncode != 0 and 'ENGINE=tf3' in result.stderr
