"""Names of runs tell them apart."""

import json

import pytest

from metrics import inversion_table, run_titles


def test_runs_of_one_configuration_are_told_apart():
    a, b = 'x/00000-stylegan2-s-1gpu-config-e', 'x/00003-stylegan2-s-1gpu-config-e'
    assert run_titles.titles([a, 'y.pkl', b]) == ['config-e (00000)', 'y', 'config-e (00003)']
    assert run_titles.titles(['p/%s/network-final.pkl' % a, 'q/%s/network-final.pkl' % a]) == [
        'config-e (p)',
        'config-e (q)',
    ]
    snapshots = [a + '/network-snapshot-%06d.pkl' % kimg for kimg in [10, 20]]
    assert run_titles.titles(snapshots) == [
        'config-e (network-snapshot-%06d.pkl)' % kimg for kimg in [10, 20]
    ]


@pytest.mark.parametrize(
    'first, second, added',
    [
        (
            dict(D_loss_args=dict(gamma=10)),
            dict(D_loss_args=dict(gamma=5)),
            ['gamma=10', 'gamma=5'],
        ),
        (
            dict(resume_pkl=None),
            dict(resume_pkl='/a/b.pkl'),
            ['resume_pkl=null', 'resume_pkl=b.pkl'],
        ),
        (dict(total_kimg=5, data_dir='a'), dict(total_kimg=5, data_dir='b'), ['', '']),
        (dict(a=1, b=1, c=1, d=1), dict(a=2, b=2, c=2, d=2), ['', '']),  # too many to be read
    ],
)
def test_a_few_options_that_differ_are_told(tmp_path, first, second, added):
    folders = []
    for number, options in enumerate([first, second]):
        folders.append(tmp_path / ('%05d-stylegan2-s-1gpu-config-e' % number))
        folders[-1].mkdir()
        config = json.dumps(dict(run_func_kwargs=options))
        (folders[-1] / 'submit_config.json').write_text(config)
    numbers = ['00000', '00001']
    want = ['config-e (%s)' % ', '.join(filter(None, both)) for both in zip(numbers, added)]
    assert run_titles.titles(list(map(str, folders))) == want
    assert run_titles.titles([str(folders[0])]) == ['config-e']


def test_projections_by_one_network_are_told_apart():
    def settings(number, steps, t=True):
        network = 'r/%05d-stylegan2-s-1gpu-config-e/network-final.pkl' % number
        searched = dict(optimize_alpha=t, optimize_noise=False)
        return dict(searched, network=network, network_sha256=str(number), num_steps=steps)

    folders = ['r/00007-project-real-images', 'r/00008-project-real-images']
    assert inversion_table.labels(folders, [settings(0, 50), settings(0, 1000)]) == [
        'config-e with t (00007, num_steps=50)',
        'config-e with t (00008, num_steps=1000)',
    ]
    assert inversion_table.labels(folders, [settings(0, 50), settings(1, 50)]) == [
        'config-e (00000) with t',
        'config-e (00001) with t',
    ]
    assert inversion_table.labels(folders, [settings(0, 50), settings(0, 50, t=False)]) == [
        'config-e with t',
        'config-e',
    ]
