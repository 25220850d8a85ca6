"""How results are written: official StyleGAN2's line, and JSON of all that they depend on."""

import datetime
import errno
import os
from typing import Dict

import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import records
from dnnlib.disk_errors import Expendable
from dnnlib.tflib import cluster, engine
from dnnlib.tflib.provenance import code_hash
from dnnlib.util import TEXT, UserError
from metrics import recorded
from metrics.features import colour_handling


def engine_name() -> str:
    """TensorFlow's version and the kind of device."""
    return 'tensorflow %s on %s' % (tf.__version__, 'gpu' if engine.gpu_devices() else 'cpu')


def record(metric, seconds: float, evaluation) -> dict:
    """Results of a `MetricBase` and all that they depend on, as JSON.

    Args:
        seconds: time that it took. evaluation: `evaluation.Evaluation`.
    """
    generator = evaluation.generator
    facts = dict(
        metric=metric.name,
        results=metric.get_results(),
        network=evaluation.network_pkl,
        network_sha256=evaluation.network_sha256,
        seed=evaluation.seed,
        class_index=evaluation.class_index,
        feature_networks=evaluation.feature_net_hashes(metric.feature_nets),
        image_shape=generator.get('shape'),
        Gs_kwargs=evaluation.Gs_kwargs,
        truncation_psi=generator.get('truncation_psi'),
        truncation_cutoff=generator.get('truncation_cutoff'),
        precision=evaluation.precision,
        num_gpus=evaluation.num_gpus * cluster.current().size,
        mirror_augment=evaluation.mirror_augment,
        dataset=None,
        version=dnnlib.full_version(),
        code='sources-' + code_hash(),
        engine=engine_name(),
        seconds=round(seconds, 3),
        time=datetime.datetime.now().isoformat(timespec='seconds'),
    )
    if metric.feature_nets and generator.get('shape'):
        facts['colour'] = colour_handling(generator['shape'][0])
    if evaluation.has_dataset():
        dataset = evaluation.dataset
        facts['dataset'] = dict(
            name=evaluation.dataset_name(),
            shape=list(dataset.shape),
            num_images=dataset.num_images,
            fingerprint=dataset.fingerprint(),
            reals=evaluation.reals_order,
        )
    facts.update(metric.get_protocol())
    return facts


def append(run_dir: str, name: str, line: str, facts: dict) -> None:
    """Add a result to metric-<name>.txt and metric-<name>.jsonl of a run folder.

    What the disk does not take, which costs a warning, waits for the next result; see `check`.
    """
    path = recorded.path_of(run_dir, name)
    texts = {path[: -len('jsonl')] + 'txt': line, path: records.to_json(facts, path)}
    for each, text in texts.items():
        full = os.path.abspath(each)
        file = _files.setdefault(full, _File(full))
        file.append((text + '\n').encode(**TEXT))


def check() -> None:
    """Raise UserError if a result is in no file, as the disk has not taken it."""
    missing = [path for path, file in _files.items() if file.is_failing()]
    if missing:
        text = 'results are missing in %s; they stand above; free some space and evaluate again'
        raise UserError(text % ', '.join(missing))


class _File:
    """Lines of a file to which other processes may append, too."""

    def __init__(self, path):
        self._path = path
        self._disk = Expendable(path)
        self._waiting = b''

    def is_failing(self):
        return bool(self._waiting)

    def append(self, line):
        self._waiting += line
        with self._disk.writing(), recorded.appending(self._path) as file:
            start = file.tell()
            if file.write(self._waiting) == len(self._waiting):
                self._waiting = b''
            else:
                file.truncate(start)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_files: Dict[str, _File] = {}
