"""Damaged and forged files: whatever is changed in them, they load or are refused in one line.

Seeded mutations of a network pickle, of exported weights and of run folders; half of those of
pickles change opcodes or their arguments.
"""

import io
import os
import pickletools
import random
import struct
import zipfile

import pytest

from tests import forked, network_files

_COUNTS = {'pickle': 150, 'npz': 100, 'run': 50}
_EXTREMES = [0, 1, 2, 127, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63]
_NAMES = ['os\nsystem', 'builtins\neval', 'numpy\ndtype', 'dnnlib.util\nEasyDict', 'posix\nfork']
_WORDS = [
    'O',
    'V8',
    'M8',
    '<f8',
    'hex',
    'rot13',
    'touch RAN',
    '..',
    '\n',
    'G_main',
    'static_kwargs',
]


def mutate_opcode(data, rnd):
    """Change one opcode of a pickle, or its argument."""
    opcodes = [(op, argument, at) for op, argument, at in pickletools.genops(data)]
    index = rnd.randrange(len(opcodes))
    op, argument, at = opcodes[index]
    end = opcodes[index + 1][2] if index + 1 < len(opcodes) else len(data)
    kind = rnd.randrange(7)
    if kind == 0:  # another opcode with the same argument
        new = bytes(
            [
                rnd.choice(
                    b'(.0123BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}\x80\x81\x82\x85\x8f\x90\x94\x95'
                )
            ]
        )
        new += data[at + 1 : end]
    elif kind == 1:
        new = b''
    elif kind == 2:
        new = data[at:end] * rnd.choice([2, 3, 100])
    elif kind == 3:  # a number elsewhere
        number = rnd.choice(_EXTREMES)
        new = data[at : at + 1] + struct.pack('<Q', number)[: max(end - at - 1, 1)]
    elif kind == 4:  # a call
        new = b'c' + rnd.choice(_NAMES).encode() + b'\nX\x09\0\0\0touch RAN\x85R'
    elif kind == 5:  # other text
        word = rnd.choice(_WORDS).encode()
        new = b'X' + struct.pack('<I', len(word)) + word
    else:  # something of another place
        _, _, other = rnd.choice(opcodes[:-1])
        new = data[other : other + rnd.randrange(1, 40)]
    return data[:at] + new + data[end:]


def mutate_bytes(data, rnd):
    """Change, cut, drop or repeat bytes anywhere."""
    at = rnd.randrange(len(data))
    kind = rnd.randrange(4)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + rnd.randrange(1, 100) :]
    if kind == 2:
        return data[:at] + data[at : at + rnd.randrange(1, 100)] + data[at:]
    changed = bytearray(data)
    for _ in range(rnd.choice([1, 1, 10, 1000])):
        changed[rnd.randrange(len(data))] = rnd.randrange(256)
    return bytes(changed)


def mutate_npz(data, rnd):
    """Change the JSON header, an array's header, an entry's header, or bytes anywhere."""
    kind = rnd.randrange(4)
    if kind == 0:
        return mutate_bytes(data, rnd)
    if kind == 1:  # in the directory at the end
        at = len(data) - rnd.randrange(1, min(len(data), 4000))
        return data[:at] + bytes([rnd.randrange(256)]) + data[at + 1 :]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name = 'header.npy' if kind == 2 else rnd.choice(sorted(content))
    start = content[name].index(b'\n') + 1
    if kind == 2:
        text = content[name][start:].decode('utf-32-le')
        at = rnd.randrange(len(text))
        piece = rnd.choice(['9' * 30, '-1', 'null', '[' * 2000, '"', '{}', '\0', '1e999', ''])
        text = text[:at] + piece + text[at + rnd.randrange(8) :]
        header = "{'descr': '<U%d', 'fortran_order': False, 'shape': (), }" % len(text)
        header = header.ljust(117).encode() + b'\n'
        body = b'\x93NUMPY\x01\0' + struct.pack('<H', len(header)) + header
        content[name] = body + text.encode('utf-32-le', 'surrogatepass')
    else:
        head = mutate_bytes(content[name][:start], rnd)
        content[name] = head + content[name][start:]
    stream = io.BytesIO()
    method = rnd.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(stream, 'w', method) as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return stream.getvalue()


def small_networks(folder):
    """Write small networks, build them once to see that the unchanged files load."""
    import pretrained_networks

    G, D, Gs = network_files.read_calls()
    source = 'def D_stylegan2(): pass'
    networks = (D, D, Gs.state['components']['mapping'])
    for net in networks:
        net.state['build_module_src'] = source
    path = os.path.join(folder, 'whole.pkl')
    with open(path, 'wb') as file:
        file.write(network_files.dumps(networks))
    return pretrained_networks.main(['export', path, os.path.join(folder, 'whole.npz')])


def attempts(folder, seed):
    """What `tests.forked` tries."""
    import pickle

    import pretrained_networks
    from dnnlib import SubmitConfig
    from dnnlib.cli import run_cli
    from training import runs

    small_networks(folder)
    whole = {}
    for kind in ('pkl', 'npz'):
        with open(os.path.join(folder, 'whole.' + kind), 'rb') as file:
            whole[kind] = file.read()
    config = SubmitConfig()
    config.run_func_kwargs = dict(
        dataset_args=dict(tfrecord_dir='x', seed=1), mirror_augment=True, data_dir='y'
    )
    whole['run'] = pickle.dumps(config, 4)
    rnd = random.Random(int(seed))

    def attempt(name, data, function):
        def write_and_call():
            with open(name, 'wb') as file:
                file.write(data)
            return run_cli(function)

        return name, write_and_call

    yield attempt('whole', b'', lambda: pretrained_networks.main(['info', 'whole.pkl', '--build']))
    for index in range(_COUNTS['pickle']):
        mutate = mutate_opcode if index % 2 else mutate_bytes
        name = 'fuzz-%d.pkl' % index
        yield attempt(
            name,
            mutate(whole['pkl'], rnd),
            lambda name=name: pretrained_networks.main(['info', name, '--build']),
        )
    for index in range(_COUNTS['npz']):
        name = 'fuzz-%d.npz' % index
        yield attempt(
            name,
            mutate_npz(whole['npz'], rnd),
            lambda name=name: pretrained_networks.main(['import', name, 'out.pkl']),
        )
    for index in range(_COUNTS['run']):
        mutate = mutate_opcode if index % 2 else mutate_bytes
        yield attempt(
            'submit_config.pkl',
            mutate(whole['run'], rnd),
            lambda: runs.training_options('.') and None,
        )


@pytest.mark.parametrize('seed', [0])
def test_mutated_files_load_or_are_refused_in_one_line(seed, tmp_path):
    found = forked.run('tests.test_fuzz_pickles', tmp_path, seed)
    assert len(found) == 1 + sum(_COUNTS.values()) and found[0]['status'] == 0, found[0]
    for outcome in found:
        forked.assert_ended_well(outcome)
    refused = sum(outcome['status'] == 2 for outcome in found)
    assert len(found) // 3 < refused < len(found)
