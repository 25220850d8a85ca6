"""Plots of metrics show what runs recorded."""

import json
import os
from pathlib import Path

import pytest

import run_generator
from dnnlib.util import UserError
from metrics import metric_plot
from training import runs


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write_record(path, network, kimg_results, **more):
    with open(str(path), 'a') as file:
        for kimg, results in kimg_results:
            name = network % kimg if '%' in network else network
            file.write(json.dumps(dict(more, network=name, results=results)) + '\n')


@pytest.fixture
def trained(tmp_path):
    """Folders of runs with records: of training, of run_metrics.py, official ones, and none."""
    names = [
        '00000-stylegan2-a-1gpu-config-e',
        '00001-stylegan2-a-1gpu-config-e-fr',
        '00002-stylegan2-a-8gpu-config-f',
        '00003-stylegan2-a-1gpu-dcgan',
        '00004-run-metrics',
    ]
    folders = [tmp_path / 'results' / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / 'network-final.pkl').write_bytes(b'')
    snapshot = 'results/%s/network-snapshot-%%06d.pkl'
    # In training, one snapshot evaluated twice.
    write_record(
        folders[0] / 'metric-fid50k.jsonl',
        snapshot % names[0],
        [(20, {'fid50k': 5.0}), (10, {'fid50k': 9.0})],
        time='2020-01-01T00:00:00',
    )
    write_record(
        folders[0] / 'metric-fid50k.jsonl',
        snapshot % names[0],
        [(10, {'fid50k': 8.0})],
        time='2020-01-02T00:00:00',
    )
    # By run_metrics.py, also of the final network, at what the statistics tell.
    write_record(
        folders[4] / 'metric-fid50k.jsonl',
        snapshot % names[1],
        [(10, {'fid50k': 7.0})],
        dataset='other',
    )
    write_record(
        folders[4] / 'metric-fid50k.jsonl',
        'results/%s/network-final.pkl' % names[1],
        [(0, {'fid50k': 4.0})],
    )
    (folders[1] / 'stats.jsonl').write_text(
        '{"Progress/kimg": 10.0}\n{"Progress/kimg": 25.0}\n{"Progr'
    )
    # As official StyleGAN2 writes it.
    (folders[2] / 'metric-fid50k.txt').write_text(
        'network-snapshot-000100        time 15m 02s      fid50k 12.5000\n'
        'network-snapshot-000200        time 1h 02m 03s   fid50k 11.2500\n'
    )
    (folders[2] / 'metric-ppl_wend.txt').write_text(
        'network-snapshot-000100        time 31s          ppl_wend 140.25\n'
    )
    return [str(folder) for folder in folders]


def test_recorded_points_are_read_back(trained):
    def points(run_dir, metric='fid50k'):
        return [(p.kimg, p.value) for p in metric_plot.read_points(run_dir)[metric]]

    assert points(trained[0]) == [(10, 8.0), (20, 5.0)]
    assert points(trained[1]) == points(trained[4]) == [(10, 7.0), (25, 4.0)]
    assert points(trained[2]) == [(100, 12.5), (200, 11.25)]
    assert points(trained[2], 'ppl_wend') == [(100, 140.25)]
    assert metric_plot.read_points(trained[3]) == {}
    assert runs.trained_kimg(trained[1]) == 25.0 and runs.trained_kimg(trained[3]) is None


def test_runs_are_plotted_under_their_configurations(trained, capsys):
    series, without = metric_plot.read_runs(trained[:4], 'fid50k')
    assert [title for title, _ in series] == ['config-e', 'config-e-fr', 'config-f']
    assert without == [trained[3]]
    run_generator.main(['plot-metric', '--format=svg'] + trained[:4])
    out = capsys.readouterr().out
    assert 'Without a record of fid50k: %s\n' % trained[3] in out
    assert 'Warning: results of different data sets are in one plot.' in out
    (folder,) = [name for name in os.listdir('results') if name.endswith('plot-metric')]
    svg = Path('results', folder, 'metric.svg').read_text()
    assert svg.rstrip().endswith('</svg>')
    words = ['Frechet inception distance', 'lower is better', 'thousands of images']
    for text in ['config-e-fr', 'config-f'] + words:
        assert text in svg


def test_a_single_point_is_told_of(trained, capsys):
    run_generator.main(['plot-metric', '--metric=ppl_wend', '--format=svg', '--dpi=50', trained[2]])
    out = capsys.readouterr().out
    assert 'One point is no curve: config-f.' in out
    (path,) = Path('results').glob('*-plot-metric/metric.svg')
    svg = path.read_text()
    assert 'config-f (one point)' in svg and 'perceptual path length' in svg


def test_a_plot_of_an_unknown_metric_has_its_name(tmp_path):
    points = [metric_plot.Point(kimg, 1.0, {}) for kimg in (0, 1)]
    metric_plot.save_metric_plot(str(tmp_path / 'a.svg'), [('$a', points)], 'my_$metric')
    svg = (tmp_path / 'a.svg').read_text()
    assert 'my_$metric' in svg and '$a' in svg


def test_the_recorded_metrics_are_named_where_the_wanted_one_is_not(trained):
    with pytest.raises(UserError, match='fid10k.*recorded are: fid50k, ppl_wend'):
        metric_plot.read_runs(trained, 'fid10k')


def test_figures_of_ticks_are_plotted_too(tmp_path):
    for number, losses in enumerate([[1.5, 9.5], [2.0]]):
        lines = [
            '{"Progress/kimg": %d, "Loss/D": %g, "timestamp": 1}\n' % (8 * tick, loss)
            for tick, loss in enumerate(losses)
        ]
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / 'stats.jsonl').write_text(''.join(lines))
    (tmp_path / 'empty').mkdir()
    dirs = [str(tmp_path / name) for name in ('0', '1', 'empty')]
    series, without = metric_plot.read_runs(dirs, 'Loss/D')
    found = [[(point.kimg, point.value) for point in points] for _, points in series]
    assert found == [[(0, 1.5), (8, 9.5)], [(0, 2)]] and without == [dirs[2]]
    with pytest.raises(UserError, match='Loss/G; in stats.jsonl are: Loss/D;'):
        metric_plot.read_runs(dirs, 'Loss/G')
