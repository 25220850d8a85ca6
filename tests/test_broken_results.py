"""Results from strangers: what is broken is told in one line that names the file."""

import json
import os

import numpy as np
import PIL.Image
import pytest

import run_generator
import run_projector
from dnnlib import records
from dnnlib.cli import run_cli
from dnnlib.util import UserError
from metrics import inversion_table, metric_plot
from training import runs
from training.inversion import results

RUN = 'results/00000-stylegan2-a-1gpu-config-e'
GOOD = dict(network=RUN + '/network-snapshot-000010.pkl', results={'fid50k': 8.0})
SETTINGS = dict(
    network='net.pkl', network_sha256='0', optimize_alpha=True, optimize_noise=False, seed=1
)
FIGURES = dict(mse=0.5, perceptual=None, distance=1.0, alpha_powers=[0.5])


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs(RUN)


def error_of(main, *argv):
    """The line on stderr, after exit status 2, of a program that must not make a run folder."""
    before = sorted(os.listdir('results'))
    with pytest.raises(UserError) as caught:
        main(list(argv))
    assert sorted(os.listdir('results')) == before
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    'line',
    [
        b'[1, 2]',
        b'null',
        b'{"results',
        b'\xff\xfe\x00binary',
        b'[' * 100000,
        b'{"results": {"fid50k": 1.0}}',
        b'{"network": "a.pkl"}',
        b'{"network": ["a.pkl"], "results": {}}',
        b'{"network": "a.pkl", "results": [1]}',
        b'{"network": "a.pkl", "results": {"fid50k": "8.0"}}',
        b'{"network": "a.pkl", "results": {"fid50k": 1' + 400 * b'0' + b'}}',
        b'{"network": "a.pkl", "results": {"fid50k": 1.0}, "time": 3}',
        b'{"network": "\\u0000/network-final.pkl", "results": {"fid50k": 1.0}}',
    ],
)
def test_a_broken_record_of_a_metric_is_named_with_its_line(line):
    path = os.path.abspath(RUN + '/metric-fid50k.jsonl')
    with open(path, 'wb') as file:
        file.write(json.dumps(GOOD).encode() + b'\n' + line + b'\n' + json.dumps(GOOD).encode())
    message = error_of(run_generator.main, 'plot-metric', RUN)
    assert message.startswith('%r, line 2 is broken: ' % path)


def test_a_number_with_two_points_in_an_official_file_is_named():
    path = RUN + '/metric-fid50k.txt'
    with open(path, 'w') as file:
        file.write('network-snapshot-000100  time 1s  fid50k 1.5\n')
        file.write('network-snapshot-000200  time 1s  fid50k 1.2.3\n')
    assert "metric-fid50k.txt', line 2 is broken" in error_of(
        run_generator.main, 'plot-metric', RUN
    )


def test_figures_that_are_not_finite_are_left_out_of_plots():
    values = ['8.0', 'null', 'NaN', '5.0']
    with open(RUN + '/metric-fid50k.jsonl', 'w') as file:
        for index, value in enumerate(values):
            network = RUN + '/network-snapshot-%06d.pkl' % index
            file.write('{"network": "%s", "results": {"fid50k": %s}}\n' % (network, value))
    points = metric_plot.read_points(RUN)['fid50k']
    assert [(point.kimg, point.value) for point in points] == [(0, 8.0), (3, 5.0)]


@pytest.mark.parametrize('line', ['[3]', 'null', '{"Progress/kimg": "3"}', '{"Pro'])
def test_broken_statistics_are_named_with_their_line(line):
    with open(RUN + '/stats.jsonl', 'w') as file:
        file.write('{"Progress/kimg": 1.0}\n%s\n{"Progress/kimg": 3.0}\n' % line)
    with pytest.raises(UserError, match="stats.jsonl', line 2 is broken"):
        runs.trained_kimg(RUN)


def test_json_is_read_back_without_what_is_not_finite(capsys):
    record = {'a': [1.0, float('nan')], 'b': {'c': np.float64('-inf'), 'd': 'text'}, 'e': 3}
    with open('x.jsonl', 'w') as file:
        file.write(records.to_json(record, 'x.jsonl') + '\n')
    want = {'a': [1.0, None], 'b': {'c': None, 'd': 'text'}, 'e': 3}
    assert records.read_lines('x.jsonl') == [(1, want)]
    assert capsys.readouterr().out == (
        'Warning: not finite, so null in x.jsonl: a = nan, c = -inf\n'
    )


def save(folder, name='a', settings=SETTINGS, figures=FIGURES, size=8, **changes):
    """A projection with its picture."""
    os.makedirs(folder, exist_ok=True)
    arrays = dict(
        dlatents=np.zeros([4, 8], np.float32),
        noises=[np.zeros([1, 4, 4], np.float32)],
        alpha_powers=np.ones([1], np.float32),
        target=np.zeros([3, size, size], np.float32),
        curves=dict(mse=np.zeros([2], np.float32)),
    )
    path = os.path.join(folder, name + '.npz')
    results.save_projection(path, settings=settings, figures=figures, **dict(arrays, **changes))
    PIL.Image.new('RGB', (size, size)).save(os.path.join(folder, name + '-projected.png'))
    return path


@pytest.mark.parametrize(
    'changes',
    [
        dict(settings=[]),
        dict(settings=None),
        dict(settings={}),
        dict(settings=dict(SETTINGS, network=3)),
        dict(figures=[1.0]),
        dict(figures={'mse': 'x'}),
        dict(figures={'mse': {}}),
        dict(dlatents=np.array('x')),
        dict(dlatents=np.zeros([2, 2, 2], np.float32)),
        dict(target=np.zeros([8], np.float32)),
        dict(noises=[np.zeros([1, 4, 4], bool)]),
        dict(alpha_powers=np.zeros([], np.float32)),
    ],
)
def test_a_broken_projection_is_named(changes):
    path = save('results/p', **changes)
    assert path in error_of(run_generator.main, 'render-projection', path)
    assert path in error_of(run_projector.main, 'compare', 'results/p')


def test_projections_that_would_fill_the_memory_or_never_end_are_refused():
    path = save('results/p')
    with np.load(path) as file:
        arrays = dict(file)
    np.savez_compressed(path, **dict(arrays, target=np.zeros([3, 2000, 2000], np.float32)))
    assert 'would unpack to' in error_of(run_generator.main, 'render-projection', path)
    os.remove(path)
    os.mkfifo(path)
    assert 'it is no regular file' in error_of(run_generator.main, 'render-projection', path)


@pytest.mark.parametrize('content', [b'', b'[1]', b'null', b'{"hard', b'{"hard_cases": "a"}', None])
def test_a_broken_summary_is_named(content):
    save('results/p')
    path = 'results/p/summary.json'
    if content is None:
        os.mkdir(path)
    else:
        with open(path, 'wb') as file:
            file.write(content)
    assert repr(path) in error_of(run_projector.main, 'compare', 'results/p')


@pytest.mark.parametrize('mode, size', [('L', 8), ('RGBA', 8), ('RGB', 16), (None, 0)])
def test_a_picture_of_another_size_or_kind_is_named(mode, size):
    for folder in ('results/p', 'results/q'):
        save(folder)
    path = 'results/q/a-projected.png'
    with open(path, 'wb') as file:
        if mode:
            PIL.Image.new(mode, (size, size)).save(file, 'PNG')
    assert repr(path) in error_of(run_projector.main, 'compare', 'results/p', 'results/q')


def test_means_are_those_of_figures_that_all_have(capsys):
    found = [
        results.load_projection(save('results/p', name, figures=figures))
        for name, figures in [
            ('a', dict(FIGURES, lpips=1.0)),
            ('b', dict(FIGURES, mse=1.5)),
            ('c', dict(FIGURES, distance=float('nan'), alpha_powers=[1.0, 2.0])),
        ]
    ]
    assert 'not finite, so null in results/p/c.npz: distance = nan' in capsys.readouterr().out
    overall = inversion_table.summarize(found, [])['overall']
    assert overall == dict(num_images=3, mse=pytest.approx(2.5 / 3))


def test_programs_end_with_status_2(capsys):
    with open(RUN + '/metric-fid50k.jsonl', 'w') as file:
        file.write('null\n')
    assert run_cli(run_generator.main, ['plot-metric', RUN]) == 2
    err = capsys.readouterr().err
    assert err.startswith('Error: ') and err.count('\n') == 1
