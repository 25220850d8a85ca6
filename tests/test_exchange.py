"""Networks of other code bases, recorded with their own code, become ours; others are refused."""

import io
import os
import pickle
import re
import zipfile
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import pretrained_networks
from dnnlib import tflib, torch_file
from dnnlib.cli import run_cli
from dnnlib.pickle_machine import PickleError
from dnnlib.tflib import network_state
from dnnlib.util import UserError
from tests import golden
from tests.network_files import torch_weights
from training import misc, transfer
from training.exchange import building, reading, rosinality

FOLDER = os.path.join(golden.DATA_DIR, 'foreign')
TOLERANCE = 1e-4


def path_of(name):
    return os.path.join(FOLDER, name)


def numbers_of(name):
    return np.load(path_of(name), allow_pickle=False)


def load(name):
    with open(path_of(name), 'rb') as file:
        return reading.load(file)


def records(name):
    with open(path_of(name), 'rb') as file:
        return reading.load_records(file)


def check_images(net, recorded):
    """Both truncations in one graph."""
    labels = recorded['c'] if net.input_shapes[1][1] else None
    psi = tf.placeholder(tf.float32, [])
    inputs = [x if x is None else tf.constant(x) for x in (recorded['z'], labels)]
    images = net.get_output_for(*inputs, truncation_psi=psi, randomize_noise=False)
    for value, name in [(1, 'images_psi1'), (0.7, 'images_psi07')]:
        golden.assert_close(tflib.run(images, {psi: value}), recorded[name], TOLERANCE, name)


def assert_same(got, want, *other_options):
    """Records of the same networks, but for some options."""
    assert got.build_func_name == want.build_func_name
    options = [dict(each.static_kwargs) for each in (got, want)]
    for name in other_options:
        assert options[0].pop(name) != options[1].pop(name)
    assert options[0] == options[1] and set(got.variables) == set(want.variables)
    for name, value in want.variables.items():
        np.testing.assert_array_equal(got.variables[name], value, name)
    for key, component in want.components.items():
        assert_same(got.components[key], component)


def test_networks_of_stylegan2_ada_pytorch(session):
    G, D, Gs = load('stylegan2_ada_pytorch.pkl')
    recorded = numbers_of('stylegan2_ada_pytorch.npz')
    check_images(G, recorded)
    w = G.components.mapping.run(recorded['z'], recorded['c'])
    golden.assert_close(w, recorded['w'], TOLERANCE, 'w')
    scores = D.run(recorded['images_psi1'][[0, 1, 2, 0]], recorded['d_labels'])
    golden.assert_close(scores, recorded['d_scores'], TOLERANCE, 'scores')
    assert (G.name, D.name, Gs.name) == ('G', 'D', 'Gs')
    assert G.static_kwargs.dlatent_avg_beta == 0.995


def test_networks_of_stylegan3_s_stylegan2():
    """Their images were recorded as those of stylegan2-ada-pytorch; so are all numbers."""
    arrays = [
        numbers_of(name + '.npz') for name in ('stylegan3_stylegan2', 'stylegan2_ada_pytorch')
    ]
    for name in arrays[0].files:
        np.testing.assert_array_equal(arrays[0][name], arrays[1][name])
    (G, D, Gs), others = records('stylegan3_stylegan2.pkl'), records('stylegan2_ada_pytorch.pkl')
    for got, want in zip((G, Gs), others[::2]):
        assert_same(got, want, 'dlatent_avg_beta')
    assert_same(D, others[1])
    assert G.static_kwargs['dlatent_avg_beta'] == 0.998


def test_checkpoints_of_rosinality(session):
    recorded = numbers_of('rosinality.npz')
    _, D, Gs = records('rosinality.pt')
    assert_same(records('rosinality_legacy.pt'), Gs)
    D, Gs = network_state.build((D, Gs))
    check_images(Gs, recorded)
    golden.assert_close(D.run(recorded['images_psi1'], None), recorded['d_scores'], TOLERANCE)

    # Without latent_avg the mean of w is computed.
    with open(path_of('rosinality_legacy.pt'), 'rb') as file:
        content = torch_file.read(file.read())
    del content['latent_avg']
    mean = rosinality.records_of(content).variables['dlatent_avg']
    z = np.random.RandomState(5).randn(20000, 32)
    w = Gs.components.mapping.run(z, None, minibatch_size=1000)[:, 0]
    assert np.all(np.abs(mean - w.mean(axis=0)) < 6 * w.std(axis=0) / np.sqrt(10000))


def test_import_makes_a_pickle_of_ours(tmp_path, capsys):
    source, ours = path_of('rosinality_legacy.pt'), str(tmp_path / 'network.pkl')
    pretrained_networks.main(['import', source, ours])
    with open(ours, 'rb') as file:
        assert_same(reading.load_records(file), records('rosinality_legacy.pt'))
    pretrained_networks.main(['info', path_of('stylegan2_ada_pytorch.pkl')])
    assert 'normalize_separately = True' in capsys.readouterr().out


def test_all_programs_take_such_files(session):
    source = path_of('stylegan2_ada_pytorch.pkl')
    assert [record.name for record in transfer.load(source)] == ['G', 'D', 'Gs']
    for load_with in (misc.load_pkl, pretrained_networks.load_generator):
        with mock.patch.object(network_state, 'build', side_effect=InterruptedError) as build:
            with pytest.raises(InterruptedError):
                load_with(source)
        assert [record.name for record in build.call_args[0][0]] == ['G', 'D', 'Gs']


def changed(change):
    """stylegan2_ada_pytorch.pkl with a text of equal length in place of another."""
    with open(path_of('stylegan2_ada_pytorch.pkl'), 'rb') as file:
        data = file.read()
    for old, new in change.items():
        assert old in data and len(old) == len(new)
        data = data.replace(old, new)
    return data


@pytest.mark.parametrize(
    'change, reason',
    [
        ({b'G_ema': b'G_oma'}, 'holds no G_ema, but G, D'),
        ({b'\x8c\x05lrelu': b'\x8c\x05elele'}, "activation function .* is 'elele'"),
        ({b'noise_strength': b'noise_Strength'}, 'no tensor synthesis.b4.conv1.noise_strength'),
        ({b'\x8c\x06affine': b'\x8c\x06affinE'}, 'no tensor synthesis.b4.conv1.affine.weight'),
        ({b'\x8c\x09synthesis': b'\x8c\x09Synthesis'}, 'none of StyleGAN2; those of StyleGAN3'),
        ({b'num_layers': b'num_Layers'}, 'a MappingNetwork has no num_layers'),
        ({b'\x8c\x05state': b'\x8c\x05State'}, 'something else than modules'),
    ],
)
def test_networks_of_other_kinds_are_refused_by_what_is_other(change, reason, tmp_path, capsys):
    (tmp_path / 'other.pkl').write_bytes(changed(change))
    assert run_cli(pretrained_networks.main, ['info', str(tmp_path / 'other.pkl')]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert re.search('cannot load .*other.pkl: .*' + reason, line), line


def test_tensors_without_a_place_in_our_networks_are_not_dropped():
    bag = building.TensorBag(
        {'a': np.zeros(2), 'more.kernel': np.zeros(2), 'b': np.zeros(3)}, 'kernel'
    )
    bag.take('a')
    with pytest.raises(UserError, match=r'have not \(b\)'):
        bag.check_empty()


@pytest.mark.parametrize(
    'channels, options',
    [
        ({2: 16, 3: 16, 4: 8}, dict(fmap_base=64, fmap_max=16)),
        ({2: 512, 3: 512, 4: 512, 5: 512, 6: 256, 7: 128}, dict(fmap_base=8192, fmap_max=512)),
        ({2: 16, 3: 8, 4: 8}, None),
    ],
)
def test_feature_maps_are_halved_with_each_resolution_or_refused(channels, options):
    if options:
        assert building.fmap_options(channels) == options
    else:
        with pytest.raises(UserError, match=r'\[16, 8, 8\] feature maps'):
            building.fmap_options(channels)


class _Escape:
    """What must never be run."""

    def __reduce__(self):
        return os.mkdir, ('escaped',)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = dict(g_ema={'conv1.conv.modulation.weight': _Escape()})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        archive.writestr('archive/data.pkl', pickle.dumps(content, 2))
    for data in (stream.getvalue(), b'torch: _reconstruct_persistent_obj' + pickle.dumps(content)):
        with pytest.raises(UserError):
            reading.load_records(io.BytesIO(data))
    assert os.listdir('.') == []


def test_cut_and_flipped_files_are_one_error_or_other_numbers():
    with open(path_of('rosinality_legacy.pt'), 'rb') as file:
        legacy = file.read()
    with open(path_of('rosinality.pt'), 'rb') as file:
        zipped = file.read()
    for data in (legacy, zipped):
        for length in np.linspace(60, len(data) - 1, 25).astype(int):
            with pytest.raises(PickleError):
                torch_file.read(data[:length])
        random = np.random.RandomState(0)
        for at in random.randint(0, 30000, 150):
            broken = data[:at] + bytes([data[at] ^ (1 << random.randint(8))]) + data[at + 1 :]
            try:
                reading.load_records(io.BytesIO(broken))
            except UserError as error:
                assert '\n' not in str(error)


def test_other_weights_of_pytorch_are_named(tmp_path):
    data = torch_weights({'layer.weight': np.zeros([2, 2], np.float32)})
    with pytest.raises(UserError, match='holds no networks .* but layer.weight'):
        reading.load_records(io.BytesIO(data))
