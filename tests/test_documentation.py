"""Every command of README and docs runs as it stands there, in order, on tiny networks."""

import glob
import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import dataset_tool
import doctor
import pretrained_networks
import run_generator
import run_metrics
import run_paper
import run_projector
import run_training
from bench import metric_toys
from dnnlib import cli, tflib
from dnnlib.tflib import engine
from tests import snippets
from training.perception import feature_nets

ROOT = Path(__file__).resolve().parent.parent
DOCS = ['README.md'] + sorted('docs/' + path.name for path in (ROOT / 'docs').glob('*.md'))
PROGRAMS = {
    'run_training.py': run_training,
    'run_metrics.py': run_metrics,
    'run_paper.py': run_paper,
    'run_generator.py': run_generator,
    'run_projector.py': run_projector,
    'dataset_tool.py': dataset_tool,
    'pretrained_networks.py': pretrained_networks,
    'doctor.py': doctor,
}
# What makes the work of a program, or of one of its commands, short.
SHORT = {
    'run_training.py': '--total-kimg=1 --fmap-base=64 --fmap-max=4 --num-gpus=1 --metrics=none',
    'run_metrics.py': '--num-samples=24 --trust-network-code',
    'run_paper.py': '--dry-run',
    'create_from_images': '--resize=16',
    'generate-video': '--frames=1',
    'noise-stddev': '--num-draws=2',
    'project-real-images': '--num-images=1 --num-steps=2 --num-snapshots=1',
    'project-generated-images': '--seeds=0 --num-steps=2 --num-snapshots=1',
}
# Not here: what needs what is downloaded, and what other tests do.
ELSEWHERE = re.compile(
    r'(git clone|cd |source |conda |pip install|npm |eval |tensorboard |jupyter |'
    r'make (env|test|lint|quick|docs|bench|pictures|paper)\b|python (bench|tools)/|'
    r'python run_viewer.py|'
    r'.* create_lsun |.*(stylegan2-ada-ffhq.pkl|\.onnx|--track|--format=rosinality)|docker |'
    r'.* --features=vgg16|'
    r'.* --metrics=local-features)'
)
COMMAND = re.compile(
    r'([A-Z]+=\S+ )*(python|make|stylegan2-\w+|for|source|conda|pip|npm|eval|docker)\b'
)


def commands(text):
    """Lines of the code blocks that are shell commands."""
    for block in re.findall(r'(?:^(?: {4}.*)?\n)+', text, re.MULTILINE):
        lines = re.sub(r'\\\n\s*', '', block).splitlines()
        lines = [line[4:] for line in lines if line.strip()]
        if lines and COMMAND.match(lines[0]):
            yield from lines


# Pages with Python, and what runs it.
PYTHON = {
    'CONTRIBUTING.md': 'tests/test_noise_injection.py',
    'docs/api.md': 'tests/test_api.py',
    'docs/exchange.md': 'tests/test_exports.py',  # but for PyTorch, which is not here
    'docs/transfer.md': 'tests/test_api.py',
}


def test_python_of_all_pages_is_run_by_a_test():
    pages = DOCS + ['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
    assert {page for page in pages if snippets.blocks(page)} == set(PYTHON)
    for page, test in PYTHON.items():
        assert "'%s'" % page in (ROOT / test).read_text(encoding='utf-8')


def test_commands_are_found_in_blocks():
    text = 'Text:\n\n    python a.py \\\n        --x=1\n    make train\n\nCode:\n\n    def f():\n'
    assert list(commands(text)) == ['python a.py --x=1', 'make train']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a newcomer stands: the photographs, images of their own, feature networks; no run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    for name in ['training', 'Makefile', 'tools', 'requirements']:
        os.symlink(str(ROOT / name), name)
    metric_toys.save_feature_nets('nets')
    monkeypatch.setenv(feature_nets.FOLDER_VARIABLE, str(tmp_path / 'nets'))
    for name in ['path/to/images', 'path/to/ffhq', 'photos']:
        os.makedirs(name)
        for index in range(30):
            pixels = np.random.RandomState(index).randint(256, size=[32, 32, 3], dtype=np.uint8)
            PIL.Image.fromarray(pixels).save('%s/%02d.png' % (name, index))
    return tmp_path


def run(command):
    """Run one line of a shell in this process; returns its exit status."""
    words = shlex.split(command, comments=True)
    while '=' in words[0]:  # a variable
        del words[0]
    if words[0] == 'make':
        if words[1:] != ['train']:
            return subprocess.call(words + ['-n'], stdout=subprocess.DEVNULL)
        words = ['python', 'run_training.py', '--config=config-e-fr']
    assert words[0] == 'python', command
    if words[1] == '-m':
        words[1:3] = [words[2].replace('.', '/') + '.py']
    # The name of a figure tells how many samples it is of.
    argv = [re.sub(r'=swd16k(_n\d+)?_avg', '=swd16k_n24_avg', word) for word in words[2:]]
    if not {'--resume=0', '--resume=latest'}.intersection(argv):  # the run has its options
        argv += SHORT.get(words[1], '').split()
    argv += SHORT.get(argv[0], '').split() if argv else []
    with tf.Graph().as_default(), tflib.create_session().as_default() as session:
        with session:
            return cli.run_cli(PROGRAMS[words[1]].main, argv)


def start_anew(number):
    """A result folder as after a first training run."""
    os.rename('results', 'results%d' % number)
    os.mkdir('results')
    (first,) = glob.glob('results%d/00000-*' % number)
    os.rename(first, first.replace('results%d' % number, 'results'))


@pytest.mark.skipif(engine.ENGINE == 'tf1', reason='commands of the docs are run with TensorFlow 2')
def test_all_commands_work_in_the_order_of_the_docs(folder, capfd):
    failed, seen = [], set()
    for number, name in enumerate(DOCS):
        if number:
            start_anew(number)
        for command in commands((ROOT / name).read_text(encoding='utf-8')):
            is_training = 'run_training.py' in command  # it takes longest
            if ELSEWHERE.match(command) or is_training and command in seen:
                continue
            seen.add(command)
            capfd.readouterr()
            status = run(command)
            if status:
                failed.append('%s: %s: %d: %s' % (name, command, status, capfd.readouterr().err))
    assert not failed, '\n'.join(failed)
