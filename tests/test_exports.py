"""Exports make the same images, and nothing of ours is needed to load those for other programs."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import pretrained_networks
from dnnlib import program, safetensors, tflib, torch_file
from dnnlib.cli import run_cli
from dnnlib.tflib import engine
from dnnlib.util import UserError
from tests import golden, snippets
from tests.test_exchange import assert_same, path_of, records
from training import anatomy, misc, transfer
from training.exchange import formats, reading, stylegan2_ada, verifying

OPTIONS = dict(resolution=8, fmap_base=64, fmap_max=8, latent_size=8)
STYLES = dict(OPTIONS, dlatent_size=8, mapping_fmaps=8, mapping_layers=2)
NETWORKS = {
    'fr': ('training.networks_stylegan2.G_main', dict(STYLES, label_size=3, noise_injection='fr')),
    'fr-released': (
        'training.networks_stylegan2.G_main',
        dict(STYLES, noise_injection='fr-released', architecture='resnet', nonlinearity='swish'),
    ),
    'page': ('training.networks_stylegan2.G_main', dict(STYLES, latent_size=512)),
    'bald': ('training.networks_stylegan2.G_main', dict(STYLES, noise_injection='none')),
    'growing': (
        'training.networks_stylegan2.G_main',
        dict(STYLES, synthesis_func='G_synthesis_stylegan_revised'),
    ),
    'stylegan1': ('training.networks_stylegan.G_style', STYLES),
    'dcgan': ('dcgan.networks.G_dcgan', dict(OPTIONS, noise_injection='fr')),
}


def save_network(name, path):
    """A generator of random numbers, saved."""
    func_name, options = NETWORKS[name]
    with tf.Graph().as_default(), tflib.create_session().as_default():
        Gs = tflib.Network('Gs', func_name, **options)
        random = np.random.RandomState(0)
        values = {}
        for variable, var in Gs.vars.items():
            value = random.randn(*var.shape.as_list())
            if re.search('mapping/Dense.*weight', variable):
                value *= 100
            elif 'variance' in variable:
                value = 1 + np.abs(value)
            elif anatomy.is_lod(variable):
                value = 0.3
            elif np.ndim(value) < 2:
                value *= 0.5
            values[var] = value
        tflib.set_vars(values)
        misc.save_pkl(Gs, path)


@pytest.fixture
def network(tmp_path, monkeypatch, request):
    """Path of a network that a test names by `request.param`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_network(request.param, request.param + '.pkl')
    return request.param + '.pkl'


def export(*argv):
    pretrained_networks.main(['export', *argv])
    return verifying.compare(read(argv[0]), argv[1])


def run_block(word):
    """Run the block of docs/exchange.md with a word; the process does not see this project."""
    (code,) = [block for block in snippets.blocks('docs/exchange.md') if word in block]
    code += '\nprint(*images.shape)'
    done = subprocess.run(
        [sys.executable, '-I', '-c', code], stdout=subprocess.PIPE, universal_newlines=True
    )
    return done.returncode, done.stdout.strip()


@pytest.mark.skipif(engine.ENGINE == 'tf1', reason='the page tells it for TensorFlow 2')
@pytest.mark.parametrize('network', ['page'], indirect=True)
def test_the_code_of_the_page_evaluates_exports(network):
    pretrained_networks.main(['export', network, 'saved-model'])
    assert run_block('tf.saved_model.load') == (0, '4 3 8 8')
    if not program.is_missing('onnxruntime'):
        pretrained_networks.main(['export', network, 'network.onnx'])
        assert run_block('onnxruntime.InferenceSession') == (0, '4 3 8 8')


def read(path):
    with open(path, 'rb') as file:
        return reading.load_records(file)


@pytest.mark.parametrize('network', ['fr', 'growing'], indirect=True)
def test_a_saved_model_needs_tensorflow_alone(network):
    assert export(network, 'exported') <= 1e-5
    assert set(os.listdir('.')) == {network, 'exported'}
    with pytest.raises(UserError, match='is there already'):
        pretrained_networks.main(['export', network, 'exported'])


@pytest.mark.skipif(program.is_missing('onnxruntime'), reason='requirements/export.txt')
@pytest.mark.parametrize('network', sorted(set(NETWORKS) - {'bald', 'page'}), indirect=True)
def test_an_onnx_model_makes_the_same_images(network):
    assert export(network, 'exported.onnx') <= 1e-4


@pytest.mark.skipif(not program.is_missing('onnx'), reason='onnx is there')
def test_without_onnx_a_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_cli(pretrained_networks.main, ['export', 'none.pkl', 'exported.onnx']) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert 'takes the package onnx' in line and 'pip install -r requirements/export.txt' in line


@pytest.mark.parametrize('network', ['bald'], indirect=True)
def test_other_images_are_found(network):
    pretrained_networks.main(['export', network, 'exported.safetensors'])
    with open('exported.safetensors', 'rb') as file:
        arrays, metadata = safetensors.read(file.read())
    name = 'Gs.synthesis:8x8/ToRGB/bias'
    for change, reason in [(1e-3, 'are others: they differ by'), (np.nan, 'differ by nan')]:
        changed = dict(arrays, **{name: arrays[name] + np.float32(change)})
        with open('exported.safetensors', 'wb') as file:
            safetensors.write(file, changed, metadata)
        with pytest.raises(UserError, match=reason):
            verifying.compare(read(network), 'exported.safetensors')


def test_safetensors_hold_the_networks_bit_by_bit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = path_of('stylegan2_ada_pytorch.pkl')
    pretrained_networks.main(['export', source, 'exported.safetensors'])
    for got, want in zip(read('exported.safetensors'), records('stylegan2_ada_pytorch.pkl')):
        assert_same(got, want)


def tensors_of(value):
    """All arrays below a dictionary or module, by their full names."""
    if isinstance(value, dict):
        return value
    return stylegan2_ada._Module(value).tensors()


@pytest.mark.parametrize(
    'source, code, roles',
    [
        ('rosinality.pt', 'rosinality', ['g', 'd', 'g_ema']),
        ('stylegan2_ada_pytorch.pkl', 'stylegan2-ada-pytorch', ['G', 'G_ema']),
    ],
)
def test_names_and_numbers_of_pytorch_are_those_of_its_own_files(
    source, code, roles, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    pretrained_networks.main(['export', path_of(source), 'out.safetensors', '--format=' + code])
    with open('out.safetensors', 'rb') as file:
        got, metadata = safetensors.read(file.read())
    with open(path_of(source), 'rb') as file:
        content = torch_file.read(file.read())
    want = {
        '%s.%s' % (role, name): value
        for role in roles
        for name, value in tensors_of(content[role]).items()
    }
    if code == 'rosinality':
        want['latent_avg'] = content['latent_avg']
        assert json.loads(metadata['config'])['channels'] == {'4': 16, '8': 16, '16': 16, '32': 16}
    else:
        assert 'D is left out' in capsys.readouterr().out
    assert set(got) == set(want)
    for name, value in want.items():
        assert got[name].shape == value.shape, name
        if 'mapping.embed' not in name:  # where a bias became part of the weight
            np.testing.assert_allclose(got[name], value, atol=1e-6, err_msg=name)
    back, originals = read('out.safetensors'), records(source)
    pairs = zip(back, originals) if code == 'rosinality' else [(back, originals[2])]
    for got_record, original in pairs:
        assert got_record.static_kwargs == original.static_kwargs
        found, values = transfer.values_of(got_record), transfer.values_of(original)
        assert set(found) == set(values)
        for name, value in values.items():
            golden.assert_close(found[name], value, 1e-6, name)


@pytest.mark.parametrize('network', ['fr', 'stylegan1'], indirect=True)
def test_networks_that_pytorch_has_not_are_refused(network, capsys):
    for code in ('rosinality', 'stylegan2-ada-pytorch'):
        argv = ['export', network, 'out.safetensors', '--format=' + code]
        assert run_cli(pretrained_networks.main, argv) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert re.search("noise_injection='fr'|only those of G_main", line)
    assert os.listdir('.') == [network]


def test_formats_are_chosen_by_the_suffix_or_by_name(monkeypatch):
    monkeypatch.setattr(program, 'is_missing', lambda package: False)
    for path, name in [
        ('a.npz', 'npz'),
        ('a.safetensors', 'safetensors'),
        ('a.b/c', 'saved-model'),
        ('folder/', 'saved-model'),
        ('a.onnx', 'onnx'),
    ]:
        assert formats.choose(path) is formats.FORMATS[name]
    with pytest.raises(UserError, match=r"'a.pt' has the suffix of no format: .npz, .onnx"):
        formats.choose('a.pt')
    with pytest.raises(UserError, match='does not end with .safetensors'):
        formats.choose('a.npz', 'rosinality')
