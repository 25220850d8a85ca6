#!/usr/bin/env python3
"""Times the metrics on this machine, and says where their time goes, for one generator.

Rates are those of the sampling loop of `run_metrics.py` once it is warm. Pretrained networks are
replaced by ones that cost next to nothing, so what is told of them is a limit: a real one takes its
own time for each image on top. Statistics are timed with random features of the real size, with
fewer images where all would take minutes, and scaled.
"""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import ArgumentParser, parse_name_list, run_cli  # first, see dnnlib/startup.py

# isort: split

import numpy as np

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

from bench import measure, metric_toys
from dnnlib import download, tflib
from dnnlib.util import UserError
from metrics import sliced_wasserstein as swd
from metrics.base import FeatureMetric
from metrics.evaluation import Evaluation
from metrics.features import Feature
from metrics.frechet_inception_distance import frechet_distance, gaussian_of
from metrics.inception_score import inception_score
from metrics.kernel_inception_distance import kernel_distance
from metrics.metric_defaults import make_group, metric_defaults
from metrics.precision_recall import knn_precision_recall_features
from training import runs
from training.data.tfrecord_exporter import TFRecordExporter

_WARM_UP_UNITS = 3
_NUM_REALS = 64
_GENERATION = 'generation alone'
_METRICS = ['fid50k', 'is50k', 'pr50k3', 'swd16k', 'ppl_zend', 'ppl_wend', 'cond_z', 'cond']


class _TimedEvaluation(Evaluation):
    """Notes when the values of each unit of generated samples came, and when they were stored."""

    def collect(
        self, title, name, num_samples, unit_size, make_inputs, make_outputs, convert=None, key=None
    ):
        times = []

        def timed(unit, values):
            start = time.perf_counter()
            arrays = convert(unit, values) if convert else values
            times.append((start, time.perf_counter()))
            return arrays

        store = super().collect(
            title, name, num_samples, unit_size, make_inputs, make_outputs, timed, key
        )
        if not title.startswith('real images'):
            (_, begin), (_, end) = times[_WARM_UP_UNITS - 1], times[-1]
            number = (len(times) - _WARM_UP_UNITS) * unit_size
            self.seconds = (end - begin) / number
            self.host_seconds = sum(b - a for a, b in times[_WARM_UP_UNITS:]) / number
        return store


class _Mean(Feature):
    key = 'mean'

    def build(self, copies, index, images):
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3])


class Generation(FeatureMetric):
    """Looks at as little of an image as possible."""

    needs_reals = False

    def __init__(self, num_images, minibatch_per_gpu, name):
        super().__init__(name, _Mean(), num_images, minibatch_per_gpu)

    def _from_features(self, reals, fakes):
        self._report_result(fakes.read('features').mean())


def _sampling(network, name, num_samples):
    """Seconds per sample: all, and those on the host after the graph."""
    if name == _GENERATION:
        size = metric_defaults.fid50k.minibatch_per_gpu
        metric = Generation(num_images=num_samples, minibatch_per_gpu=size, name=name)
    else:
        (metric,) = make_group([name], num_samples).metrics
    reals = dict(tfrecord_dir='reals')
    with _TimedEvaluation(network, dataset_args=reals, feature_nets_dir='nets') as evaluation:
        metric.evaluate(evaluation, log_results=False)
        return evaluation.seconds, evaluation.host_seconds


def _features(number, size):
    return np.random.RandomState(0).rand(number, size).astype(np.float32)


def _fid(number):
    reals, fakes = _features(number, 2048), _features(number, 2048)
    frechet_distance(*gaussian_of(reals), *gaussian_of(fakes))


def _kid(number):
    features = _features(number, 2048)
    kernel_distance(features, features, np.random.RandomState(0), 100, 1000)


def _pr(number):
    features = _features(number, 4096)
    with tf.Graph().as_default(), tflib.create_session():
        knn_precision_recall_features(features, features)


def _swd(number):
    """One level of RGB images; there are log2(resolution) - 3."""
    patches = _features(number * swd.PATCHES_PER_IMAGE, 3 * swd.PATCH_SIZE**2)
    a, b = (swd.normalize_patches(x) for x in (patches, patches.copy()))
    swd.sliced_distance(a, b, np.random.RandomState(0))


# metric: (function of a number of images, number to time, number of the metric, power of growth)
_STATISTICS = {
    'fid50k': (_fid, 50000, 50000, 1),
    'kid50k': (_kid, 5000, 50000, 0),  # of subsets
    'is50k': (lambda number: inception_score(_features(number, 1008), 10), 50000, 50000, 1),
    'pr50k3': (_pr, 5000, 50000, 2),
    'swd16k': (_swd, 1024, 16384, 1),
}


def _statistics(name):
    function, number, full_number, power = _STATISTICS[name]
    start = time.perf_counter()
    function(number)
    return (time.perf_counter() - start) * (full_number / number) ** power


def _prepare(network):
    """Write what metrics need beside the network into the current folder."""
    metric_toys.save_feature_nets('nets')
    with Evaluation(network) as evaluation, evaluation.graph():
        evaluation.load_generator()
        shape = evaluation.generator['shape']
    with TFRecordExporter('reals', _NUM_REALS, print_progress=False) as exporter:
        for image in np.random.RandomState(0).randint(256, size=[_NUM_REALS] + list(shape)):
            exporter.add_image(image.astype(np.uint8))
    return shape


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    parser = ArgumentParser(description='Time the metrics and the parts of their work.')
    add = parser.add_argument
    text = 'network pickle (default: last snapshot of the newest run in results)'
    add('--network', metavar='PKL', help=text)
    text = 'metrics to sample for (default: %s)' % ','.join(_METRICS)
    add('--metrics', type=parse_name_list, default=_METRICS, metavar='LIST', help=text)
    add('--num-samples', type=int, default=1024, help='samples of each')
    add('--json', metavar='FILE', help='write the numbers to this file as well')
    args = parser.parse_args(argv)
    if args.num_samples < 128:
        raise UserError('--num-samples is %d; it must be at least 128' % args.num_samples)
    network = os.path.abspath(args.network or runs.last_snapshot(runs.newest_run('results')))
    json_path = args.json and os.path.abspath(args.json)

    records, home = [], os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ[download.CACHE_VARIABLE] = folder  # nothing has been computed before
        try:
            print('TensorFlow %s, images %s' % (tf.__version__, _prepare(network)))
            print('%-18s %12s %12s %12s' % ('sampling', 'samples/s', 'ms each', 'on the host'))
            for name in [_GENERATION] + args.metrics:
                seconds, host_seconds = _sampling(network, name, args.num_samples)
                r = dict(metric=name, samples_per_s=1 / seconds, ms_per_sample=1e3 * seconds)
                r.update(host_ms=1e3 * host_seconds)
                print('%-18s %12.0f %12.2f %12.2f' % tuple(r.values()), flush=True)
                records.append(r)
            print('\n%-18s %12s' % ('statistics', 'seconds'))
            for name in _STATISTICS:
                seconds = _statistics(name)
                records.append(dict(metric=name, statistics_s=seconds))
                print('%-18s %12.1f' % (name, seconds), flush=True)
        finally:
            os.chdir(home)
    measure.write_json(json_path, records)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
