"""Who trains together is read from TF_CONFIG or Slurm; what makes no sense is told in a line."""

import json
import os
import re
import shlex

import pytest

import run_training
from dnnlib import workers
from dnnlib.util import UserError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def tf_config(task, **cluster):
    return dict(TF_CONFIG=json.dumps(dict(cluster=cluster, task=task)))


def test_tf_config_names_the_workers_the_chief_first():
    task = dict(type='worker', index=1)
    found = workers.find(tf_config(task, worker=['b:1', 'c:2'], chief=['a:3']))
    assert found == (('a:3', 'b:1', 'c:2'), 2)
    assert found.name(2) == 'worker 2 (c:2)'
    task = dict(type='worker', index='0')  # some write it as text
    assert workers.find(tf_config(task, worker=['[::1]:2222', 'c:2'])).rank == 0
    assert workers.split_address('[::1]:2222') == ('::1', 2222)


@pytest.mark.parametrize(
    'environ',
    [
        {},
        dict(TF_CONFIG=''),
        dict(TF_CONFIG='{}'),
        tf_config(dict(type='worker', index=0), worker=['a:1']),
        dict(SLURM_NTASKS='4', SLURM_PROCID='0'),  # in a batch script, not under srun
    ],
)
def test_who_is_alone_is_no_worker(environ):
    assert workers.find(environ) is None


WORKER = dict(type='worker', index=0)


@pytest.mark.parametrize(
    'environ, message',
    [
        (dict(TF_CONFIG='{"cluster"'), 'is no JSON'),
        (dict(TF_CONFIG='[1]'), 'it must be like'),
        (tf_config(WORKER, worker=['a:1', 'b']), "the address 'b'; it must be host:port"),
        (tf_config(WORKER, worker=['a:1', 'b:99999']), 'it must be host:port'),
        (tf_config(WORKER, worker=['a:1', 'a:1']), 'a:1 for two workers'),
        (tf_config(WORKER, worker='a:1'), 'it must be a list of host:port'),
        (tf_config(WORKER, worker=['a:1', 'b:1'], ps=['c:1']), "has the job 'ps'"),
        (tf_config(dict(type='worker', index=2), worker=['a:1', 'b:1']), 'worker 2, .*of 2'),
        (tf_config(dict(type='chief', index=0), worker=['a:1', 'b:1']), 'chief 0, .*not in its'),
        (tf_config(dict(type='worker', index=-1), worker=['a:1', 'b:1']), 'worker -1'),
        (dict(SLURM_STEP_NUM_TASKS='2'), 'not all of its step'),
    ],
)
def test_mistakes_are_told_in_a_line(environ, message):
    with pytest.raises(UserError, match=message) as caught:
        workers.find(environ)
    assert '\n' not in str(caught.value)


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A stand-in for Slurm's program, which knows one list of nodes."""
    path = tmp_path / 'scontrol'
    path.write_text(
        '#!/bin/sh\n[ "$*" = "show hostnames n[2,10]" ] && printf "n2\\nn10\\n" || exit 1\n'
    )
    path.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')


def slurm(rank, nodes='n[2,10]', number=3, counts='2,1'):
    return dict(
        SLURM_PROCID=str(rank),
        SLURM_STEP_NUM_TASKS=str(number),
        SLURM_STEP_NODELIST=nodes,
        SLURM_STEP_TASKS_PER_NODE=counts,
    )


def test_slurm_names_the_tasks_of_a_step_node_by_node(scontrol):
    addresses = ('n2:8888', 'n2:8889', 'n10:8888')
    assert [workers.find(slurm(rank)) for rank in range(3)] == [(addresses, i) for i in range(3)]
    assert len(workers.find(slurm(0, number=4, counts='2(x2)')).addresses) == 4


def test_a_step_that_does_not_fit_its_nodes_is_refused(scontrol):
    for environ in [slurm(0, number=4), slurm(3), slurm(0, counts='2;1'), slurm(0, nodes='m1')]:
        with pytest.raises(UserError, match=re.compile('Slurm|TASKS_PER_NODE|scontrol')):
            workers.find(environ)


def blocks(language):
    """Examples of docs/cluster.md."""
    with open(os.path.join(ROOT, 'docs', 'cluster.md'), encoding='utf-8') as file:
        return re.findall(r'^```%s\n(.*?)^```' % language, file.read(), re.MULTILINE | re.DOTALL)


def test_examples_of_the_docs_are_understood():
    (config,) = blocks('json')
    assert workers.find(dict(TF_CONFIG=config)) == (('10.0.0.1:2222', '10.0.0.2:2222'), 1)
    (script,) = blocks('bash')
    (command,) = re.findall(r'^srun .*', script.replace('\\\n', ''), re.MULTILINE)
    (job,) = blocks('yaml')
    listed = re.findall(r'^ {16}- (--\S+)$', job, re.MULTILINE)
    _, _, flags = command.partition(' run_training.py ')
    for words in shlex.split(flags), listed:
        args = run_training.parse_args(words)
        assert (args.num_gpus, args.resume) == (8, 'auto')
    assert 'command: [python, run_training.py]' in job and 'kind: TFJob' in job
