"""Network files: published names, what is inside of them, old formats, .npz files of numbers."""

import gc
import io
import json
import os
import pickle
import weakref
import zipfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import pretrained_networks
import run_metrics
from dnnlib import tflib
from dnnlib.cli import run_cli
from dnnlib.tflib import network_code, pickles, weights
from dnnlib.util import UserError
from tests import toy_networks
from tests.test_runs import make_run

TOY_SOURCE = open(toy_networks.__file__, encoding='utf-8').read()
AFFINE = [
    ('Layer/weight', np.float32([1, 2])),
    ('Layer/bias', np.float32([3, -4])),
    ('counter', np.float32(5)),
]
X = np.float32([[1, 2], [3, 4]])


@pytest.fixture(autouse=True)
def toys_are_local(monkeypatch, tmp_path):
    monkeypatch.setattr(network_code, 'LOCAL_MODULES', ['tests.toy_networks'])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toys(session):
    """Three networks, two with a component, of random weights; the third has options."""
    nets = [
        tflib.Network('G', toy_networks.pair, size=2),
        tflib.Network('D', toy_networks.affine, size=3, scale=0.5),
        tflib.Network('Gs', toy_networks.pair, size=2),
    ]
    random = np.random.RandomState(0)
    for net in nets:
        tflib.set_vars({var: random.randn(*var.shape.as_list()) for var in net.vars.values()})
    return tuple(nets)


def all_values(nets):
    return [(name, value) for net in nets for name, value in tflib.run(dict(net.vars)).items()]


def assert_identical(got, want):
    """The same names, and values that are equal bit by bit."""
    assert [name for name, _ in got] == [name for name, _ in want]
    for (_, a), (_, b) in zip(got, want):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def refuse(argv, capsys):
    """Run with bad input; return the one line."""
    assert run_cli(pretrained_networks.main, argv) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_published_networks_have_their_names_and_urls():
    urls = pretrained_networks.gdrive_urls
    assert len(urls) == 36
    for path in [
        'stylegan2-ffhq-config-f.pkl',
        'stylegan2-car-config-b.pkl',
        'stylegan2-horse-config-a.pkl',
        'stylegan2-church-config-f.pkl',
        'stylegan2-cat-config-a.pkl',
        'table2/stylegan2-car-config-e-Gskip-Dresnet.pkl',
        'table2/stylegan2-ffhq-config-e-Gorig-Dorig.pkl',
    ]:
        assert urls['gdrive:networks/' + path] == (
            'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/' + path
        )
    assert pretrained_networks.get_path_or_url('results/net.pkl') == 'results/net.pkl'
    assert pretrained_networks.get_path_or_url('gdrive:networks/stylegan2-cat-config-f.pkl') == (
        'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/stylegan2-cat-config-f.pkl'
    )


def test_published_names_can_be_given_to_run_metrics():
    args = run_metrics.parse_args(['--network=gdrive:networks/stylegan2-cat-config-a.pkl'])
    url = 'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/stylegan2-cat-config-a.pkl'
    assert run_metrics.find_networks(args)['networks'] == [url]
    assert pretrained_networks.find(args.network, 'results') == ([url], None)


def test_a_network_is_a_file_or_a_run_and_by_default_the_newest_run_s_last(tmp_path):
    names = ['network-snapshot-%06d.pkl' % number for number in (0, 1)]
    old, new = [make_run(tmp_path / 'results' / run, names) for run in ('00003-a', '00012-b')]
    last = os.path.join(new, names[1])
    assert pretrained_networks.find(None, 'results') == (
        ['results/00012-b/' + names[1]],
        'results/00012-b',
    )
    found = pretrained_networks.find(old, 'results')
    assert found.paths == [os.path.join(old, name) for name in names] and found.run_dir == old
    assert pretrained_networks.find(last, 'results') == ([last], new)
    for wrong, message in [
        (str(tmp_path / 'none.pkl'), 'none.pkl.: No such file'),
        ('gdrive:networks/stylegan2-ffqh-config-f.pkl', 'did you mean'),
        (str(tmp_path), 'no network-'),
    ]:
        with pytest.raises(UserError, match=message):
            pretrained_networks.find(wrong, 'results')


def test_a_misspelt_published_network_is_named_with_one_that_exists(session):
    with pytest.raises(UserError, match='did you mean .*stylegan2-ffhq-config-f.pkl'):
        pretrained_networks.load_networks('gdrive:networks/stylegan2-ffqh-config-f.pkl')


def test_networks_are_loaded_once(toys):
    pickles.save(toys, 'toys.pkl')
    loaded = pretrained_networks.load_networks('toys.pkl')
    assert [net.name for net in loaded] == ['G', 'D', 'Gs']
    assert pretrained_networks.load_networks('toys.pkl')[2] is loaded[2]
    assert pretrained_networks.load_generator('toys.pkl') is loaded[2]
    assert_identical(all_values(loaded), all_values(toys))
    pickles.save(toys[0], 'one.pkl')
    assert pretrained_networks.load_generator('one.pkl').name == 'G'
    with tf.Graph().as_default(), tflib.create_session():
        pretrained_networks.load_generator('one.pkl')
        graph = weakref.ref(tf.get_default_graph())
    gc.collect()
    assert graph() is None
    with pytest.raises(UserError, match=r'one.pkl does not hold \(G, D, Gs\)'):
        pretrained_networks.load_networks('one.pkl')


class _OldPickler(pickle._Pickler):
    """Writes protocol 2 as Python 2 does: all text as byte strings, arrays with NumPy's helpers."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file):
        super().__init__(file, protocol=2)

    def save_text(self, text):
        data = text if isinstance(text, bytes) else text.encode('latin1')
        self.write(b'T' + len(data).to_bytes(4, 'little') + data)  # BINSTRING
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_text

    def save_network(self, net):
        self.write(b'cdnnlib.tflib.network\nNetwork\n)\x81')  # the class, called without __init__
        self.save(net.state)
        self.write(b'b')

    def save_array(self, array):
        self.write(b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n')
        self.save((0,))
        self.save('b')
        self.write(b'\x87R(')
        for part in [1, array.shape]:
            self.save(part)
        self.write(b'cnumpy\ndtype\n')
        for part in ['f4', 0, 1]:
            self.save(part)
        self.write(b'\x87R(')
        for part in [3, '<', None, None, None, -1, -1, 0]:
            self.save(part)
        self.write(b'tb')
        for part in [False, array.astype('<f4').tobytes()]:
            self.save(part)
        self.write(b'tb')

    dispatch[np.ndarray] = save_array


class _OldNetwork:
    def __init__(self, **state):
        self.state = state


_OldPickler.dispatch[_OldNetwork] = _OldPickler.save_network


def old_file(version, name='net', **changes):
    """A network file of Python 2."""
    state = dict(
        version=version,
        name=name,
        static_kwargs=dict(size=2, scale=2.0),
        build_module_src=TOY_SOURCE,
        build_func_name='affine',
        variables=[(key, np.asarray(value)) for key, value in AFFINE],
    )
    if version > 2:
        state['components'] = {}
    state.update(changes)
    stream = io.BytesIO()
    _OldPickler(stream).dump(_OldNetwork(**state))
    return stream.getvalue()


@pytest.mark.parametrize('version', [2, 3, 4])
def test_files_of_python_2_load(session, version):
    data = old_file(version)
    assert b'\x8c' not in data[:9] and b'X' != data[20:21]
    net = pickles.load(io.BytesIO(data))
    assert net.name == 'net' and net.static_kwargs == {'size': 2, 'scale': 2.0}
    np.testing.assert_allclose(net.run(X, X), X * [1, 2] * 2 + X + [3, -4])
    trusted = pickles.load(io.BytesIO(data), trust_network_code=True)
    np.testing.assert_allclose(trusted.run(X, X), net.run(X, X))
    record = pickles.load_records(io.BytesIO(data))
    assert_identical(list(record.variables.items()), [(k, np.asarray(v)) for k, v in AFFINE])


def test_info_tells_what_is_inside(toys, capsys):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['info', 'toys.pkl'])
    out = capsys.readouterr().out
    for line in [
        "G: network 'G', format version 4",
        "D: network 'D', format version 4",
        "Gs.inner: network 'Inner', format version 4",
        '  build function: affine',
        '  code: local, tests.toy_networks.affine',
        '    scale = 0.5',
        '    size = 2',
        '  variables: 3 with 7 numbers',
        '    Layer/weight  float32  [3]',
        '    gain  float32  []',
        'G in total: 6 numbers',
    ]:
        assert line in out.splitlines()
    assert 'All variables fit' not in out
    pretrained_networks.main(['info', 'toys.pkl', '--build'])
    assert 'All variables fit' in capsys.readouterr().out


def test_info_runs_and_builds_nothing(capsys):
    code = 'open("ran", "w").close()\n' + TOY_SOURCE
    with open('evil.pkl', 'wb') as file:
        file.write(old_file(3, build_module_src=code, build_func_name='strange'))
    with tf.Graph().as_default() as graph:
        pretrained_networks.main(['info', 'evil.pkl'])
        assert not graph.get_operations()
    out = capsys.readouterr().out
    assert 'only in the file; loads with --trust-network-code' in out
    assert not os.path.exists('ran')


def test_files_that_are_no_networks_are_refused_in_one_line(capsys):
    class Command:
        def __reduce__(self):
            return os.system, ('touch ran',)

    whole = old_file(4)
    for name, data, words in [
        ('html.pkl', b'<!DOCTYPE html>', ['html.pkl', 'web page']),
        ('half.pkl', whole[: len(whole) // 2], ['half.pkl', 'not a whole network file']),
        ('cut.pkl', whole[:-3], ['cut.pkl', 'not a whole network file']),
        ('damaged.pkl', b'\x80\x04\x95' + b'\xff' * 8, ['not a whole network file']),
        ('evil.pkl', pickle.dumps(Command()), ['evil.pkl', 'posix.system', 'not loaded']),
        ('state.pkl', old_file(7), ['version 7']),
        ('other.pkl', pickle.dumps([1, 2]), ['neither (G, D, Gs) nor one network']),
    ]:
        with open(name, 'wb') as file:
            file.write(data)
        for command in (['info', name], ['export', name, 'out.npz']):
            line = refuse(command, capsys)
            for word in words:
                assert word in line
    assert sorted(os.listdir('.')) == [
        'cut.pkl',
        'damaged.pkl',
        'evil.pkl',
        'half.pkl',
        'html.pkl',
        'other.pkl',
        'state.pkl',
    ]
    assert 'missing sub-command; choose from info, export, verify, import' in refuse([], capsys)
    assert 'absent.pkl' in refuse(['info', 'absent.pkl'], capsys)


def test_weights_survive_export_and_import_bit_by_bit(toys, capsys):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    pretrained_networks.main(['import', 'weights.npz', 'back.pkl'])
    with open('back.pkl', 'rb') as file:
        back = pickles.load(file)
    assert_identical(all_values(back), all_values(toys))
    for net, original in zip(back, toys):
        assert net.name == original.name and net.static_kwargs == original.static_kwargs
    np.testing.assert_array_equal(back[2].run(X)[0], toys[2].run(X)[0])

    pickles.save(toys[1], 'one.pkl')
    pretrained_networks.main(['export', 'one.pkl', 'one.npz'])
    with open('one.npz', 'rb') as file:
        assert weights.read_npz(file).name == 'D'


def test_exported_weights_are_numbers_and_json(toys):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    with np.load('weights.npz', allow_pickle=False) as arrays:
        header = json.loads(str(arrays['header']))
        assert np.array_equal(arrays['Gs.inner:Layer/bias'], toys[2].get_var('Inner/Layer/bias'))
        assert len(arrays.files) == 1 + sum(len(net.vars) for net in toys)
    assert list(header['networks']) == ['G', 'D', 'Gs'] and header['version'] == 1
    D = header['networks']['D']
    assert D['build_func_name'] == 'affine' and D['static_kwargs'] == {'size': 3, 'scale': 0.5}
    assert D['variables'] == [
        ['Layer/weight', [3], '<f4'],
        ['Layer/bias', [3], '<f4'],
        ['counter', [], '<f4'],
    ]


def rewritten(change):
    """weights.npz with a changed header; an array is left out if the header says so."""
    with np.load('weights.npz', allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    header = json.loads(str(content['header']))
    change(header, content)
    content['header'] = np.array(json.dumps(header))
    np.savez('changed.npz', **content)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda header, content: header.update(version=2), 'version 2'),
        (
            lambda header, content: header['networks']['D'].update(module='os'),
            "'affine'.*not known",
        ),
        (lambda header, content: content.pop('D:Layer/bias'), 'no whole file'),
        (
            lambda header, content: content.update({'D:Layer/bias': np.zeros(4)}),
            'what the header says',
        ),
        (
            lambda header, content: header['networks']['D']['static_kwargs'].update(size=4),
            'Layer/weight is .3,. in the file and .4,. here',
        ),
        (
            lambda header, content: content.update({'D:Layer/bias': np.array([None])}),
            'no whole file',
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(toys, change, message):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    rewritten(change)
    with pytest.raises(UserError, match=message):
        pretrained_networks.main(['import', 'changed.npz', 'back.pkl'])
    assert not os.path.exists('back.pkl')


def test_a_truncated_npz_is_named_as_such(toys):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    for data, what in [
        (open('weights.npz', 'rb').read()[:-100], 'no whole file of exported networks'),
        (b'', 'not a whole network file'),
        (b'text', 'not a whole network file'),
    ]:
        with open('cut.npz', 'wb') as file:
            file.write(data)
        with pytest.raises(UserError, match='cut.npz is ' + what):
            pretrained_networks.main(['import', 'cut.npz', 'back.pkl'])


def flip(data, at, bits):
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def in_directory(data, offset, bits):
    """The archive with bits flipped in the directory's first entry, and in the entry itself."""
    start = data.index(b'PK\x01\x02')
    return flip(flip(data, start + offset, bits), data.index(b'PK\x03\x04') + offset - 2, bits)


@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda data: in_directory(data, 8, 1), 'RuntimeError.*encrypted'),
        (lambda data: in_directory(data, 10, 64), 'NotImplementedError.*compression'),
        (lambda data: flip(data, data.index(b'\x93NUMPY'), 255), 'BadZipFile'),
        (lambda data: flip(data, data.index(b'PK\x01\x02'), 1), 'BadZipFile'),
    ],
)
def test_damaged_archives_are_one_line(toys, damage, message):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    with open('weights.npz', 'rb') as file:
        data = damage(file.read())
    with open('changed.npz', 'wb') as file:
        file.write(data)
    with pytest.raises(UserError, match='changed.npz is no whole file .*' + message):
        pretrained_networks.main(['import', 'changed.npz', 'back.pkl'])


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda header: header.update(networks={}), 'neither .G, D, Gs. nor one network'),
        (lambda header: header.update(is_single=True), 'neither .G, D, Gs. nor one network'),
        (lambda header: header.update(networks=3), 'no whole file'),
        (lambda header: header['networks']['D'].update(name='../../x'), 'name of a network is'),
        (lambda header: header['networks']['D'].update(build_func_name='tf'), "'tf', which is not"),
        (lambda header: header['networks']['D'].update(variables=3), 'no whole file'),
        (
            lambda header: header['networks']['D']['variables'].append(
                header['networks']['D']['variables'][0]
            ),
            'there twice',
        ),
        (
            lambda header: header['networks']['D'].update(static_kwargs={'size': 'x'}),
            'cannot build',
        ),
        (
            lambda header: header['networks']['D'].update(static_kwargs={'a b': 1}),
            "an option of D is 'a b'",
        ),
        (
            lambda header: header['networks']['D'].update(components={'../x': None}),
            'no whole file',
        ),
    ],
)
def test_headers_that_no_export_writes_are_one_line(toys, change, message):
    pickles.save(toys, 'toys.pkl')
    pretrained_networks.main(['export', 'toys.pkl', 'weights.npz'])
    rewritten(lambda header, content: change(header))
    with pytest.raises(UserError, match='changed.npz.*' + message):
        pretrained_networks.main(['import', 'changed.npz', 'back.pkl'])


@pytest.mark.parametrize(
    'text, message',
    [
        ('[' * 100000, 'nested too deep'),
        ('{"format": ' + '9' * 2000 + '}', 'more than 1000 digits'),
        ('[]', 'TypeError'),
        ('{}', 'KeyError'),
    ],
)
def test_headers_that_are_no_json_of_ours_are_one_line(text, message):
    np.savez('weights.npz', header=np.array(text))
    with pytest.raises(UserError, match='weights.npz is no whole file.*' + message):
        pretrained_networks.main(['import', 'weights.npz', 'back.pkl'])


def test_archives_that_unpack_to_much_more_are_refused_before_they_are_unpacked():
    np.savez_compressed('weights.npz', header=np.array('x'), D=np.zeros(1 << 25))
    with pytest.raises(UserError, match='weights.npz: its .* bytes unpack to 2684'):
        pretrained_networks.main(['import', 'weights.npz', 'back.pkl'])


def test_array_headers_are_not_evaluated():
    np.savez('weights.npz', header=np.array('x'))
    for new in [b"{'descr': " + b'(' * 60, b"{'descr': '|O',", b"{'descr': os.sys}"]:
        with zipfile.ZipFile('changed.npz', 'w') as archive, zipfile.ZipFile('weights.npz') as old:
            body = old.read('header.npy')
            start = body.index(b'{')
            archive.writestr('header.npy', body[:start] + new + body[start + len(new) :])
        with pytest.raises(UserError, match='changed.npz is no whole file.*plain header'):
            pretrained_networks.main(['import', 'changed.npz', 'back.pkl'])


def test_outputs_never_replace_their_own_input(toys, capsys):
    pickles.save(toys, 'toys.pkl')
    os.symlink('toys.pkl', 'link.npz')
    before = open('toys.pkl', 'rb').read()
    for command in (['export', 'toys.pkl', 'toys.pkl'], ['export', 'toys.pkl', 'link.npz']):
        assert 'both input and output' in refuse(command, capsys)
    assert 'both input and output' in refuse(['import', 'toys.pkl', './toys.pkl'], capsys)
    assert open('toys.pkl', 'rb').read() == before


def test_pipes_and_devices_are_no_networks(toys, capsys):
    os.mkfifo('pipe.pkl')
    for name in ['pipe.pkl', '/dev/zero', '.']:
        assert 'Cannot open' in refuse(['info', name], capsys)
