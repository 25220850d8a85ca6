"""How the workers of a training run find together, before the run has a folder."""

from typing import Any, Dict, NamedTuple

import tensorflow.compat.v1 as tf

from dnnlib import plain_data
from dnnlib.tflib import cluster, engine, provenance
from dnnlib.util import UserError
from dnnlib.workers import Workers

# May differ from worker to worker: what each has on its own disks, and what only the chief uses.
_OWN_FLAGS = (
    *('data_dir', 'result_dir', 'cache_dir', 'feature_nets_dir', 'network'),
    *('choice', 'reasons', 'is_demo', 'num_gpus'),
)
_OWN_OPTIONS = ('data_dir', 'metric_arg_list')
TRAINING_ENDS = (
    'so training ends here; start all workers again with --resume=auto, which goes on from the '
    'last state'
)
EVALUATION_ENDS = 'so evaluation ends here; start all workers again'


class Plan(NamedTuple):
    """What the chief has decided.

    Attributes:
        options: of `training_loop`. is_resumed: a run goes on. is_complete: nothing is left to do.
    """

    options: Dict[str, Any]
    is_resumed: bool
    is_complete: bool


def join(
    workers: Workers, flags: Dict[str, Any], options: Dict[str, Any], num_gpus: int, advice: str
) -> None:
    """Wait for all workers; see `cluster.join`.

    Args:
        flags: that were given. options: of `training_loop`, none if there is no training.
        num_gpus: devices of each worker. advice: see `cluster.join`.

    Raises:
        UserError: one has not come, or has other code, flags or options.
    """
    flags = {k: v for k, v in flags.items() if v is not None and k not in _OWN_FLAGS}
    facts = {
        'code': provenance.code_hash(),
        'TensorFlow': tf.__version__,
        'a GPU': bool(engine.gpu_devices()),
        '--num-gpus': num_gpus,
        'flags': flags,
        'options': {k: v for k, v in options.items() if k not in _OWN_OPTIONS},
    }
    ours = 'rnd.', 'math.', 'env.'
    proto = {k: v for k, v in options.get('tf_config', {}).items() if not k.startswith(ours)}
    server = dict(engine.logical_devices(num_gpus), **proto)
    server = dict({'gpu_options.allow_growth': True, 'allow_soft_placement': True}, **server)
    cluster.join(workers, plain_data.from_json(plain_data.to_json(facts)), server, advice)


def check_data(fingerprint: str) -> None:
    """Raise UserError on all workers unless they have the same data set."""
    rows = cluster.current().gather(fingerprint.encode('utf-8'))
    for index, row in enumerate(rows):
        if row != rows[0]:
            text = 'worker %d has another data set (fingerprint %s) than the chief (%s)'
            raise UserError(text % (index, row.decode('utf-8'), rows[0].decode('utf-8')))


def plan_of_chief(plan: Plan) -> Plan:
    """The chief's plan; a worker's own counts for nothing but its data_dir."""
    workers = cluster.current()
    if workers.size == 1:
        return plan
    text = plain_data.to_json(plan._asdict()).encode('utf-8', 'surrogateescape')
    shared = plain_data.from_json(workers.share(text).decode('utf-8', 'surrogateescape'))
    if workers.is_chief:
        return plan
    shared['options']['data_dir'] = plan.options['data_dir']
    return Plan(**shared)
