"""What metrics derive from.

A metric that looks at images alone derives from `FeatureMetric` and computes figures from features
of real and generated images. One that does more with the generator derives from `MetricBase` and
implements `_evaluate`.
"""

import os
import time
from typing import ContextManager, Dict, List, Optional, Sequence, Tuple

import numpy as np

from dnnlib import util
from dnnlib.bars import Bar
from dnnlib.tflib.autosummary import autosummary
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from metrics import protocol, together
from metrics.evaluation import Evaluation
from metrics.features import FAKES_TITLE, Feature, reals_title
from metrics.metric_names import explanations

_LONGEST_LABEL = 29


class MetricBase:
    """One metric.

    Attributes:
        name: its name in results. feature_nets: file names of the pretrained networks that it
            needs.
        evaluation: what is evaluated, there while `_evaluate` runs; its `collect` gathers samples.
    """

    evaluation: Evaluation

    def __init__(self, name: str):
        self.name = name
        self.feature_nets: List[str] = []
        self._is_explained = False
        self.reset()

    def reset(self) -> None:
        """Forget the last results."""
        self._results: List[Tuple[str, float, str]] = []  # (suffix, value, format)
        self._label = ''
        self._seconds = 0.0

    def _evaluate(self, Gs: Network, Gs_kwargs: dict, num_gpus: int) -> None:
        """Compute figures and pass them to `_report_result`. To be implemented by a metric.

        Runs in a graph and session of its own, with seeds set.
        """
        raise NotImplementedError

    def phases(self) -> Dict[str, float]:
        """Parts of the work by the names of their bars, and how long each takes, in their order.

        The unit is the time in which one image is generated; guesses will do, since the time that
        a part took when another network was evaluated is taken in place of that.
        """
        return {}

    def _compute(self, evaluation):
        with evaluation.graph():
            Gs = evaluation.load_generator()
            self._evaluate(Gs, dict(evaluation.Gs_kwargs), evaluation.num_gpus)

    def _report_result(self, value: float, suffix: str = '', fmt: str = '%-10.4f') -> None:
        self._results.append((suffix, float(value), fmt))

    def get_protocol(self) -> dict:
        """What a result of this metric depends on beside the network, as JSON."""
        return {}

    def run(self, network_pkl: str, *args, **kwargs) -> None:
        """Evaluate one network; arguments as those of `MetricGroup.run`."""
        from metrics.metric_base import MetricGroup  # which is made of such metrics

        group = MetricGroup([])
        group.metrics = [self]
        group.run(network_pkl, *args, **kwargs)

    def evaluate(self, evaluation: Evaluation, log_results: bool = True) -> None:
        """Evaluate and log the results."""
        self.reset()
        start = time.time()
        self.evaluation = evaluation
        try:
            self._compute(evaluation)
            together.meet('figures')
        finally:
            del self.evaluation
        self._label = os.path.splitext(os.path.basename(evaluation.network_pkl))[0]
        self._seconds += time.time() - start
        if log_results:
            print(self.get_result_str())
            if not self._is_explained:
                for line in explanations(list(self.get_results())):
                    print('    ' + line)
                self._is_explained = True
        if log_results and evaluation.run_dir is not None:
            record = protocol.record(self, self._seconds, evaluation)
            protocol.append(evaluation.run_dir, self.name, self.get_result_str(), record)

    def get_results(self) -> Dict[str, float]:
        """Figures of the last evaluation by name."""
        return {self.name + suffix: value for suffix, value, _ in self._results}

    def get_result_str(self) -> str:
        """The figures as a line in the form of official StyleGAN2; '' if there are none."""
        if not self._results:
            return ''
        label = self._label
        if len(label) > _LONGEST_LABEL:
            label = '...' + label[3 - _LONGEST_LABEL :]
        parts = ['%-30s time %-12s' % (label, util.format_time(self._seconds))]
        parts += ['%s%s %s' % (self.name, suffix, fmt % x) for suffix, x, fmt in self._results]
        return ' '.join(parts).strip()

    def update_autosummaries(self) -> None:
        """Report the last figures as Metrics/<name> of the training run."""
        for name, value in self.get_results().items():
            autosummary('Metrics/' + name, value)


class DummyMetric(MetricBase):
    """A metric that is always 0 and looks at nothing, to try out what surrounds metrics."""

    def _compute(self, evaluation):
        self._report_result(0.0)


class FeatureMetric(MetricBase):
    """A metric of the features of generated images, and of real ones where `needs_reals`.

    Args:
        name: its name in results.
        feature: what it sees of an image.
        num_images: number of generated images, and of real ones if there are as many.
        minibatch_per_gpu: images at a time.
    """

    needs_reals = True

    def __init__(self, name: str, feature: Feature, num_images: int, minibatch_per_gpu: int):
        super().__init__(name)
        self.feature = feature
        self.feature_nets = list(feature.nets)
        self.num_images = num_images
        self.minibatch_per_gpu = minibatch_per_gpu
        self._num_reals = self._num_fakes = 0
        self.check_number(None)

    def phases(self) -> Dict[str, float]:
        features = self.num_images * self.feature.cost
        costs = {FAKES_TITLE: self.num_images + features}
        if self.needs_reals:
            costs[reals_title(self.feature)] = features
        return dict(costs, **{self.name: self._figures_cost()})

    def _figures_cost(self) -> float:
        """Time that the figures take once all features are there, see `phases`."""
        return 0.0

    def _bar(self, total: int, unit: str) -> ContextManager[Bar]:
        """The bar of what is computed from the features."""
        return self.evaluation.phases.bar(self.name, self.name, total, unit)

    def min_images(self, num_features: Optional[int]) -> int:
        """Least number of images that makes sense.

        Args:
            num_features: of an image; None: not known yet, or the number of real images is asked
                for, of which some metrics make do with fewer.
        """
        return 1

    def check_number(self, num_features: Optional[int], number: Optional[int] = None) -> None:
        """Raise UserError if the metric makes no sense for so few images, None: `num_images`."""
        self._check_enough(self.num_images if number is None else number, 'images', num_features)

    def check_data(self, shape: Sequence[int], num_reals: int) -> None:
        """Raise UserError if the metric cannot be had of so many real images [C, H, W]."""
        self._check_enough(num_reals, 'real images', None)

    def _check_enough(self, number, what, num_features):
        least = self.min_images(num_features)
        if number < least:
            text = '%s of %d %s says nothing; it takes at least %d'
            raise UserError(text % (self.name, number, what, least))

    def _from_features(self, reals, fakes) -> None:
        """Compute figures from `sample_store.Samples` and pass them to `_report_result`."""
        raise NotImplementedError

    def _compute(self, evaluation):
        images = evaluation.images
        self._seconds += images.compute_fakes([self])
        fakes = images.fakes(self)
        reals = images.reals(self) if self.needs_reals else None
        self._num_reals = reals.num_samples if reals else 0
        self._num_fakes = fakes.num_samples
        self._from_features(reals, fakes)

    def get_protocol(self) -> dict:
        facts = dict(num_reals=self._num_reals) if self.needs_reals else {}
        resize = 'by the feature network'
        return dict(facts, num_samples=self._num_fakes, feature=self.feature.key, resize=resize)

    def make_rng(self, purpose: str) -> np.random.RandomState:
        """A generator that depends on the seed, this kind of metric and a purpose."""
        return self.evaluation.rng('%s/%s' % (type(self).__name__, purpose), 0)
