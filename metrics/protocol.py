"""How results are written: official StyleGAN2's line, and JSON of all that they depend on."""

import datetime
import functools
import glob
import hashlib
import os

import tensorflow.compat.v1 as tf

import dnnlib
from dnnlib import records
from dnnlib.tflib import engine
from dnnlib.util import TEXT
from metrics import recorded
from metrics.features import colour_handling

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PACKAGES = ('dcgan', 'dnnlib', 'metrics', 'training')
_SOURCES = ('.py', '.cu', '.cc', '.h', '.cuh')


@functools.lru_cache(maxsize=None)
def code_hash() -> str:
    """Hash of all sources that results may depend on: of metrics, networks and operations."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        paths = glob.glob(os.path.join(glob.escape(_ROOT), package, '**', '*.*'), recursive=True)
        for path in sorted(p for p in paths if p.endswith(_SOURCES)):
            with open(path, 'rb') as file:
                digest.update(file.read())
    return digest.hexdigest()[:12]


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
        network_mtime_ns=evaluation.network_mtime_ns,
        seed=evaluation.seed,
        class_index=evaluation.class_index,
        feature_networks=evaluation.feature_net_hashes(metric.feature_nets),
        image_shape=generator.get('shape'),
        Gs_kwargs=evaluation.Gs_kwargs,
        truncation_psi=generator.get('truncation_psi'),
        truncation_cutoff=generator.get('truncation_cutoff'),
        precision=evaluation.precision,
        num_gpus=evaluation.num_gpus,
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
    """Add a result to metric-<name>.txt and metric-<name>.jsonl of a run folder."""
    path = recorded.path_of(run_dir, name)
    text = records.to_json(facts, path)
    with recorded.appending(path) as file, open(path[: -len('jsonl')] + 'txt', 'ab') as lines:
        file.write((text + '\n').encode(**TEXT))
        lines.write((line + '\n').encode(**TEXT))
