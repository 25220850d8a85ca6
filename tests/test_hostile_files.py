"""Network files of strangers are refused in one line, soon, in little memory; nothing runs."""

import functools
import glob
import os
import pickle
import pickletools
import shutil

import numpy as np
import pytest

from dnnlib.pickle_machine import Call
from tests import forked, golden, network_files

_CASES = sorted(glob.glob(os.path.join(golden.DATA_DIR, 'cases', '*.pkl')))


def write_command(path):
    """A network file that, read by Python's unpickler, has `submit_config` run a command."""
    attributes = {'run_func_name': 'os.system', 'run_func_kwargs': {'command': 'touch RAN'}}
    state = pickletools.optimize(pickle.dumps((None, attributes), 2))[2:-1]
    with open(network_files.SNAPSHOT, 'rb') as file:
        good = file.read()
    with open(path, 'wb') as file:  # the class EasyDict, BUILD on it, and the network after it
        file.write(b'\x80\x04cdnnlib.util\nEasyDict\n' + state + b'b0' + good[2:])


# name -> change of the state of a discriminator
_D_CHANGES = {
    'name-of-a-path': lambda D: D.update(name='../../x'),
    'name-of-lines': lambda D: D.update(name='D\nError: all is well'),
    'name-of-control-characters': lambda D: D.update(name='D\x1b[2J'),
    'name-of-megabytes': lambda D: D.update(name='D' * 5000000),
    'name-missing': lambda D: D.pop('name'),
    'version-of-text': lambda D: D.update(version='4'),
    'version-of-a-tuple': lambda D: D.update(version=(4, 4)),
    'class-as-build-function': lambda D: D.update(build_func_name='UserError'),
    'module-as-build-function': lambda D: D.update(build_func_name='np'),
    'private-build-function': lambda D: D.update(build_func_name='_to_rgb'),
    'dotted-build-function': lambda D: D.update(build_func_name='np.zeros'),
    'options-of-no-dictionary': lambda D: D.update(static_kwargs=[1]),
    'option-of-a-type': lambda D: D['static_kwargs'].update(x=np.dtype('f4')),
    'option-of-an-input': lambda D: D['static_kwargs'].update(images_in=1),
    'unknown-architecture': lambda D: D['static_kwargs'].update(architecture='no'),
    'resolution-33': lambda D: D['static_kwargs'].update(resolution=33),
    'resolution-of-text': lambda D: D['static_kwargs'].update(resolution='16'),
    'resolution-2-to-the-40': lambda D: D['static_kwargs'].update(resolution=1 << 40),
    'resolution-of-900-digits': lambda D: D['static_kwargs'].update(resolution=1 << 3000),
    'many-taps': lambda D: D['static_kwargs'].update(resample_kernel=[1] * 3000),
    'many-features': lambda D: D['static_kwargs'].update(fmap_base=10**12, fmap_max=10**12),
    'many-labels': lambda D: D['static_kwargs'].update(label_size=10**12),
    'variable-of-text': lambda D: D['variables'].append(('x', 'text')),
    'variable-twice': lambda D: D['variables'].append(D['variables'][0]),
    'variable-of-a-path': lambda D: D['variables'].append(('../x\n', np.zeros(2))),
    'variable-too-many': lambda D: D['variables'].append(('x', np.zeros(2))),
    'variables-none': lambda D: D.update(variables=[]),
    'source-of-bytes': lambda D: D.update(build_module_src=b'x'),
}

# name -> change of the states of a generator and of its components
_G_CHANGES = {
    'many-layers': lambda G, mapping, synthesis: mapping['static_kwargs'].update(
        mapping_layers=10**9
    ),
    'component-missing': lambda G, mapping, synthesis: (
        G['components'].pop('synthesis'),
        G['static_kwargs'].update(fmap_base=1 << 40, fmap_max=1 << 30),
    ),
    'component-of-no-network': lambda G, mapping, synthesis: G['components'].update(synthesis=3),
    'component-shared': lambda G, mapping, synthesis: G['components'].update(
        synthesis=G['components']['mapping']
    ),
    'components-of-each-other': lambda G, mapping, synthesis: synthesis.update(
        components={'main': Call('dnnlib.tflib.network.Network', (), 0, G)}
    ),
}


def altered_files():
    """(file name, content) of networks whose states no network has."""
    for name, change in _D_CHANGES.items():
        _, D, _ = network_files.read_calls()
        change(D.state)
        yield name + '.pkl', network_files.dumps(D)
    for name, change in _G_CHANGES.items():
        G, _, _ = network_files.read_calls()
        parts = G.state['components']
        change(G.state, parts['mapping'].state, parts['synthesis'].state)
        yield name + '.pkl', network_files.dumps(G)
    network = b'\x80\x04cdnnlib.tflib.network\nNetwork\n)\x81'
    yield (
        'options-nested-deep.pkl',
        network + b'}X\x01\0\0\0a' + b']' * 10000 + b'a' * 9999 + b'sb.',
    )
    yield 'many-empty-lists.pkl', b'(' + b']' * 5000000 + b't.'
    doubled = b''.join(b']q%c(h%ch%ce' % (i + 1, i, i) for i in range(60))
    yield 'lists-of-2-to-the-60.pkl', b'(]q\0' + doubled + b't.'
    yield 'text-number-of-a-million-digits.pkl', b'L' + b'9' * 1000000 + b'L\n.'
    large = b'B\0\0\x40\0' + b'x' * (1 << 22) + b'q\x01'
    array = b'cnumpy\nndarray\n(\x8a\x04\0\0\x40\0\x85U\x02u1h\x01tR'
    yield 'array-repeated.pkl', b'(' + large + 1000 * array + b't.'


def attempts(folder):
    """What `tests.forked` tries: every case by every program that loads networks."""
    import pretrained_networks
    import run_generator
    import run_metrics
    import run_projector
    from dnnlib.cli import run_cli

    info = pretrained_networks.main
    run = os.path.join(folder, '00000-run')
    os.makedirs(run)
    write_command(os.path.join(run, 'network-final.pkl'))
    for path in _CASES:
        shutil.copy(path, folder)
    command = os.path.join(run, 'network-final.pkl')
    for path in [command] + [os.path.join(folder, os.path.basename(case)) for case in _CASES]:
        name = os.path.basename(path)
        network = '--network=' + path
        for program, argv in [
            (pretrained_networks, ['info', path]),
            (pretrained_networks, ['info', path, '--build']),
            (pretrained_networks, ['export', path, 'out.npz']),
            (run_generator, ['generate-images', network, '--seeds=0']),
        ]:
            yield name, functools.partial(run_cli, program.main, argv)
    for program, argv in [
        (run_metrics, ['--metrics=cond', '--network=' + command]),
        (run_metrics, ['--metrics=cond', '--network=' + run]),
        (
            run_projector,
            [
                'project-generated-images',
                '--seeds=0',
                '--num-steps=1',
                '--vgg16=none',
                '--network=' + command,
            ],
        ),
    ]:
        yield 'network-final.pkl', functools.partial(run_cli, program.main, argv)
    for name, data in altered_files():
        path = os.path.join(folder, name)
        with open(path, 'wb') as file:
            file.write(data)
        yield name, functools.partial(run_cli, info, ['info', path, '--build'])
    for path in ['/dev/zero', os.path.join(folder, 'fifo'), 'a\0b']:
        if path.endswith('fifo'):
            os.mkfifo(path)
        yield os.path.basename(path), functools.partial(run_cli, info, ['info', path])


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('hostile')
    found = forked.run('tests.test_hostile_files', folder)
    return folder, found


def test_hostile_network_files_are_refused_by_every_program(outcomes):
    folder, found = outcomes
    assert len(found) == 4 * (len(_CASES) + 1) + 3 + 3 + len(list(altered_files()))
    for outcome in found:
        forked.assert_ended_well(outcome, statuses=[2])
        assert repr(outcome['name'])[1:-1] in outcome['lines'][0]
    assert not glob.glob(os.path.join(str(folder), 'out.npz'))
