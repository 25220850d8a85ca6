"""Features of generated and real images of one evaluation, computed once for all metrics."""

import hashlib
import json
import os
import time
from typing import Dict, List, NamedTuple, Union

import numpy as np

from dnnlib import tflib
from dnnlib.download import cache_dir
from dnnlib.files import sweep
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write
from metrics import together
from metrics.features import FAKES_TITLE, copies_on_devices, reals_title
from metrics.sample_store import ArrayStore, Samples, SampleStore, warn_once


class _Fakes(NamedTuple):
    """Features of generated images, or of those that stand for them."""

    store: Union[SampleStore, ArrayStore]
    prefix: str  # of the names of the arrays in it
    wanted: int  # images that were asked for
    number: int  # images that there are
    seconds: float


class ImageFeatures:
    """Computes and keeps the features that `FeatureMetric`s of an `Evaluation` ask for."""

    def __init__(self, evaluation):
        self._evaluation = evaluation
        self._fakes: Dict[tuple, _Fakes] = {}  # by minibatch and key
        self._reals: Dict[tuple, Samples] = {}
        self._impossible: Dict[object, str] = {}  # metric: why it cannot be computed

    def compute_fakes(self, metrics: list) -> float:
        """Generate images and compute their features, in one pass for all these metrics.

        Metrics that cannot be computed for this network and data are left out; `fakes` says why.
        Where real images are evaluated, those of the other half stand for generated ones.

        Returns:
            Seconds that this took, now or before.
        """
        passes: Dict[int, list] = {}
        for metric in metrics:
            done = self._fakes.get(_address(metric))
            is_done = done is not None and done.wanted >= metric.num_images
            if not is_done and metric not in self._impossible:
                passes.setdefault(metric.minibatch_per_gpu, []).append(metric)
        for minibatch, members in passes.items():
            make = self._take_other_half if self._evaluation.is_of_reals else self._generate
            make(minibatch, members)
        return sum({self._fakes[_address(m)].seconds for m in metrics if m not in self._impossible})

    def fakes(self, metric) -> Samples:
        """Features of generated images, after `compute_fakes`.

        Raises:
            UserError: the metric cannot be computed for this network and data.
        """
        if metric in self._impossible:
            raise UserError(self._impossible[metric])
        fakes = self._fakes[_address(metric)]
        return Samples(fakes.store, min(metric.num_images, fakes.number), fakes.prefix)

    def reals(self, metric) -> Samples:
        """Features of real images, see `Evaluation.real_indices`, each used once."""
        evaluation, feature = self._evaluation, metric.feature
        indices = evaluation.real_indices()[: metric.num_images]
        number = len(indices)
        if number < metric.num_images:
            text = '%s: the data set has %d images%s; each is used once.'
            print(text % (metric.name, number, _of_class(evaluation)))
        is_random = evaluation.reals_order == 'random' or evaluation.is_of_reals
        is_random = is_random or evaluation.mirror_augment
        facts = dict(
            number=number,
            class_index=evaluation.class_index,
            nets=evaluation.feature_net_hashes(feature.nets),
            mirror=evaluation.mirror_augment,
            order='half' if evaluation.is_of_reals else evaluation.reals_order,
            seed=evaluation.seed if is_random else None,
        )
        names = evaluation.dataset.fingerprint(), feature.key, _digest(facts)
        path = os.path.join(cache_dir(), 'reals-%s-%s-%s.npz' % names)
        address = (path, metric.minibatch_per_gpu)
        if address not in self._reals:
            found = _load(path) if feature.is_cached else None
            has_all = all(together.meet('reals', int(found is not None)))
            if found is None or not has_all:
                found = self._look_at_reals(feature, indices, metric.minibatch_per_gpu, 'reals')
                if feature.is_cached:
                    _save(path, found)
            self._reals[address] = found
        return self._reals[address]

    def _generate(self, minibatch, metrics):
        start, evaluation = time.time(), self._evaluation
        with evaluation.graph():
            generators = copies_on_devices(evaluation.load_generator(), evaluation.num_gpus)
            nets: Dict[str, List[Network]] = {}
            metrics = [metric for metric in metrics if self._is_possible(metric, nets)]
            if not metrics:
                return
            features = {metric.feature.key: metric.feature for metric in metrics}
            numbers: Dict[str, int] = {}
            for metric in sorted(metrics, key=lambda metric: metric.feature.key):
                key = metric.feature.key
                numbers[key] = max(metric.num_images, numbers.get(key, 0))

            def make_inputs(_unit, rng):
                return evaluation.draw_inputs(rng, minibatch)

            def make_outputs(index, inputs):
                net = generators[index]
                tensors = [inputs['latents'], inputs['labels']][: net.num_inputs]
                images = net.get_output_for(*tensors, **evaluation.Gs_kwargs)
                images = tflib.convert_images_to_uint8(images)
                return {key: f.build(nets[key], index, images) for key, f in features.items()}

            def convert(unit, values):
                arrays = {}
                for key, feature in features.items():
                    if unit * minibatch < numbers[key]:
                        rng = evaluation.rng('fakes/' + key, unit)
                        for name, array in feature.convert(values[key], rng).items():
                            arrays['%s.%s' % (key, name)] = array
                return arrays

            files = [net for feature in features.values() for net in feature.nets]
            work = FAKES_TITLE, 'fakes', max(numbers.values()), minibatch
            facts = dict(numbers=numbers, nets=evaluation.feature_net_hashes(files))
            store = evaluation.collect(*work, make_inputs, make_outputs, convert, facts)
        for key, number in numbers.items():
            seconds = time.time() - start
            self._fakes[minibatch, key] = _Fakes(store, key + '.', number, number, seconds)

    def _is_possible(self, metric, nets):
        """Whether a metric can be computed; adds the networks of its feature to `nets`."""
        problem = together.first_problem(self._problem(metric, nets))
        if problem:
            self._impossible[metric] = problem
        return not problem

    def _problem(self, metric, nets):
        evaluation, feature = self._evaluation, metric.feature
        try:
            if metric.needs_reals:
                _check_fit(evaluation.generator, evaluation.dataset)
                metric.check_data(evaluation.dataset.shape, len(evaluation.real_indices()))
            if feature.key not in nets:
                nets[feature.key] = feature.load(evaluation)
            metric.check_number(feature.size(nets[feature.key]), self._num_others(metric))
        except UserError as error:
            return str(error)
        return ''

    def _num_others(self, metric):
        """Real images that stand for generated ones; None where these are generated."""
        evaluation = self._evaluation
        return len(evaluation.halves()[1][: metric.num_images]) if evaluation.is_of_reals else None

    def _take_other_half(self, minibatch, metrics):
        evaluation = self._evaluation
        nets: Dict[str, List[Network]] = {}
        with evaluation.graph():
            metrics = [metric for metric in metrics if self._is_possible(metric, nets)]
        for key, feature in {metric.feature.key: metric.feature for metric in metrics}.items():
            start = time.time()
            wanted = max(metric.num_images for metric in metrics if metric.feature.key == key)
            indices = evaluation.halves()[1][:wanted]
            store = self._look_at_reals(feature, indices, minibatch, 'other half').store
            facts = store, '', wanted, len(indices), time.time() - start
            self._fakes[minibatch, key] = _Fakes(*facts)

    def _look_at_reals(self, feature, indices, minibatch, name):
        evaluation = self._evaluation
        dataset = evaluation.dataset
        with evaluation.graph():
            nets = feature.load(evaluation)

            def make_inputs(unit, rng):
                places = (unit * minibatch + np.arange(minibatch)) % len(indices)
                images = np.stack([dataset.get_image(int(index)) for index in indices[places]])
                if evaluation.mirror_augment:
                    flipped = rng.rand(minibatch) < 0.5
                    images[flipped] = images[flipped, ..., ::-1]
                return dict(images=images)

            def make_outputs(index, inputs):
                return dict(value=feature.build(nets, index, inputs['images']))

            def convert(unit, values):
                rng = evaluation.rng('%s/%s' % (name, feature.key), unit)
                return feature.convert(values['value'], rng)

            work = reals_title(feature), name, len(indices), minibatch
            nets_used = evaluation.feature_net_hashes(feature.nets)
            facts = dict(feature=feature.key, nets=nets_used, order=evaluation.reals_order)
            store = evaluation.collect(*work, make_inputs, make_outputs, convert, facts)
        return Samples(store, len(indices))


def _of_class(evaluation):
    text = '' if evaluation.class_index is None else ' of class %d' % evaluation.class_index
    return text + (' in each half' if evaluation.is_of_reals else '')


def _address(metric):
    return metric.minibatch_per_gpu, metric.feature.key


def _digest(facts):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode('utf-8')).hexdigest()[:12]


def _check_fit(generator, dataset):
    if list(generator['shape']) != list(dataset.shape):
        raise UserError(
            'the network makes images %s, those of the data set are %s [channels, height, width]; '
            'choose the data set that it was trained on' % (generator['shape'], dataset.shape)
        )


def _load(path):
    if not os.path.isfile(path):
        return None
    try:
        with open(path, 'rb') as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Samples(ArrayStore(arrays), len(next(iter(arrays.values()))))
    except Exception:  # zip files that are broken raise nearly anything
        print('Warning: %r is broken; real images are looked at again.' % path)
        return None


def _save(path, samples):
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        sweep(os.path.dirname(path))
        with atomic_write(path) as file:
            np.savez(file, **{name: samples.read(name) for name in samples.names()})
    except (OSError, UserError) as error:
        reason = getattr(error, 'strerror', None) or error
        place = '%s: %s' % (os.path.dirname(path), reason)
        warn_once(
            'features of real images are not kept (%s); --cache-dir names another place' % place
        )
