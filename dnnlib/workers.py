"""The processes that train together, as TF_CONFIG or Slurm names them.

TF_CONFIG is TensorFlow's convention, which Kubernetes' TFJob and Vertex AI follow:

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
     "task": {"type": "worker", "index": 0}}

Tasks of the jobs 'chief' (or 'master') and 'worker' are workers, the chief first. Where there is no
chief the first worker is it. Under `srun` Slurm's variables say the same. TensorFlow's own resolver
is not used for them: that of 1.14 knows but one number of tasks for all nodes, that of 2.21 sorts
the nodes by name, which are other ones than those of Slurm's ranks where there are ten.
"""

import json
import os
import re
import subprocess
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple

from .util import UserError

_JOBS = ('chief', 'master', 'worker')
_FIRST_PORT = 8888  # under Slurm, as in TensorFlow's resolver
_ADDRESS = re.compile(r'([\w.-]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})')


class Workers(NamedTuple):
    """All workers, and which one this process is.

    Attributes:
        addresses: host:port by the worker's number, the chief's first.
        rank: number of this process.
    """

    addresses: Tuple[str, ...]
    rank: int

    def name(self, index: int) -> str:
        """What lines call a worker."""
        return 'worker %d (%s)' % (index, self.addresses[index])


def find(environ: Optional[Mapping[str, str]] = None) -> Optional[Workers]:
    """The workers that the environment names; None if this process is alone.

    Raises:
        UserError: what it says makes no sense.
    """
    environ = os.environ if environ is None else environ
    if environ.get('TF_CONFIG', '').strip():
        found = _of_tf_config(environ['TF_CONFIG'])
    elif int(environ.get('SLURM_STEP_NUM_TASKS') or 1) > 1:
        found = _of_slurm(environ)
    else:
        found = None
    return found if found and len(found.addresses) > 1 else None


def split_address(address: str) -> Tuple[str, int]:
    """Host and port."""
    host, _, port = address.rpartition(':')
    return host.strip('[]'), int(port)


def tf_config(addresses: List[str], index: int) -> str:
    """TF_CONFIG of a worker."""
    return json.dumps(dict(cluster=dict(worker=addresses), task=dict(type='worker', index=index)))


def _of_tf_config(text: str) -> Optional[Workers]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError('TF_CONFIG is %.200s, which is no JSON: %s' % (text, error))
    cluster = _part(config, 'cluster', config)
    if not cluster:
        return None
    wrong = sorted(set(cluster) - set(_JOBS))
    if wrong:
        text = 'TF_CONFIG has the job %r; there may be chief and worker alone'
        raise UserError(text % wrong[0])
    task = _part(config, 'task', config)
    job, index = task.get('type', 'worker'), task.get('index', 0)
    if isinstance(index, str) and index.isdecimal():  # of some schedulers
        index = int(index)
    addresses: List[str] = []
    own = None
    for name in (name for name in _JOBS if name in cluster):
        tasks = cluster[name]
        if not isinstance(tasks, list):
            raise UserError('TF_CONFIG has %s = %r; it must be a list of host:port' % (name, tasks))
        if name == job and type(index) is int and 0 <= index < len(tasks):
            own = len(addresses) + index
        addresses += tasks
    if own is None:
        sizes = ', '.join('%s of %d' % (name, len(cluster[name])) for name in cluster)
        text = 'TF_CONFIG is of the task %s %s, which is not in its cluster (%s)'
        raise UserError(text % (job, index, sizes))
    return Workers(_checked(addresses), own)


def _part(config: Any, name: str, whole: Any) -> dict:
    value = config.get(name, {}) if isinstance(config, dict) else None
    if not isinstance(value, dict):
        text = 'TF_CONFIG is %.200s; it must be like %s'
        raise UserError(text % (json.dumps(whole), tf_config(['host:2222', 'other:2222'], 0)))
    return value


def _checked(addresses):
    for address in addresses:
        match = isinstance(address, str) and _ADDRESS.fullmatch(address)
        if not match or not 0 < int(match.group(2)) < 1 << 16:
            raise UserError('TF_CONFIG has the address %r; it must be host:port' % (address,))
        if addresses.count(address) > 1:
            raise UserError('TF_CONFIG has the address %s for two workers' % address)
    return tuple(addresses)


def _of_slurm(environ) -> Workers:
    """Those of a step, in the order of their ranks: node by node."""
    try:
        index, number = int(environ['SLURM_PROCID']), int(environ['SLURM_STEP_NUM_TASKS'])
        nodes, counts = environ['SLURM_STEP_NODELIST'], environ['SLURM_STEP_TASKS_PER_NODE']
    except (KeyError, ValueError) as error:
        raise UserError('Slurm has set SLURM_STEP_NUM_TASKS, but not all of its step: %s' % error)
    command = ['scontrol', 'show', 'hostnames', nodes]
    try:
        hosts = subprocess.check_output(command).decode('utf-8').split()
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError('%s failed: %s; set TF_CONFIG in place of it' % (' '.join(command), error))
    addresses = []
    for host, count in zip(hosts, _expand_counts(counts)):
        addresses += ['%s:%d' % (host, _FIRST_PORT + offset) for offset in range(count)]
    if len(addresses) != number or not 0 <= index < number:
        text = 'Slurm names %d nodes with tasks %s, but %d tasks, of which this is number %d'
        raise UserError(text % (len(hosts), counts, number, index))
    return Workers(tuple(addresses), index)


def _expand_counts(text: str) -> List[int]:
    """Tasks of each node: '3(x2),1' is [3, 3, 1]."""
    numbers: List[int] = []
    for part in text.split(','):
        match = re.fullmatch(r'(\d+)(?:\(x(\d+)\))?', part.strip())
        if not match:
            raise UserError('SLURM_STEP_TASKS_PER_NODE is %r; it must be like 3(x2),1' % text)
        numbers += [int(match.group(1))] * int(match.group(2) or 1)
    return numbers
