"""Groups of metrics that are evaluated together; see `metrics.base` for single ones.

Of several workers the chief calls `MetricGroup.run`, and the others `follow_metrics`, to share it.
"""

import contextlib
from collections import OrderedDict
from typing import Any, Dict, List, Optional

from dnnlib import util
from dnnlib.bars import Phases
from dnnlib.peers import WorkerLost
from dnnlib.tflib import cluster
from dnnlib.util import UserError
from metrics import metric_names, protocol, together
from metrics.base import DummyMetric, FeatureMetric, MetricBase  # noqa: F401 - official names
from metrics.best import Best
from metrics.evaluation import Evaluation
from metrics.features import FAKES_TITLE
from training import misc
from training.perception import feature_nets


class MetricGroup:
    """Several metrics of the same networks.

    Args:
        metric_kwarg_list: dict(func_name=..., name=..., **kwargs) for each.

    Attributes:
        metric_kwarg_list: as given. metrics: the metrics.
        image_shape: [C, H, W] of the images of the network evaluated last.
        phases: bars of the work. rounds: networks to evaluate, the next one included, for the time
            left that they tell.

    Raises:
        UserError: one of the metrics makes no sense, such as for too few samples.
    """

    def __init__(self, metric_kwarg_list: List[dict]):
        self.metric_kwarg_list = metric_kwarg_list
        self.metrics: List[MetricBase] = [util.call_func_by_name(**k) for k in metric_kwarg_list]
        self.image_shape: Optional[List[int]] = None
        self.phases = Phases()
        self.rounds = 1

    def best(
        self, run_dir: str, best: Optional[str] = None, takes_over: bool = True
    ) -> Optional[Best]:
        """What finds the best network of a run; None if no metric tells.

        Args:
            best: name of a metric or result, see `metric_names.choose`. takes_over: see `Best`.

        Raises:
            UserError: the metrics have no such result.
        """
        choice = metric_names.choose(best, [metric.name for metric in self.metrics])
        return Best(run_dir, choice, takes_over) if choice else None

    def needing_reals(self) -> List[FeatureMetric]:
        """The metrics that look at real images."""
        return [m for m in self.metrics if isinstance(m, FeatureMetric) and m.needs_reals]

    def ensure_feature_nets(self, folder: Optional[str] = None) -> None:
        """Make sure that the pretrained networks can be loaded, downloading those that are missing.

        Raises:
            UserError: one of them is not in the folder, or cannot be downloaded.
        """
        reasons = self.drop_without_feature_nets(folder)
        if reasons:
            raise UserError(told(reasons))

    def drop_without_feature_nets(self, folder: Optional[str] = None) -> Dict[str, List[str]]:
        """Leave out the metrics whose pretrained networks cannot be had: {reason: their names}."""
        reason_of: Dict[str, str] = {}
        for net in OrderedDict.fromkeys(net for m in self.metrics for net in m.feature_nets):
            try:
                feature_nets.ensure(net, folder)
            except UserError as error:
                reason_of[net] = str(error)
        return self._drop(lambda m: [reason_of[n] for n in m.feature_nets if n in reason_of])

    def drop_with_generator(self) -> Dict[str, List[str]]:
        """Leave out the metrics that real images alone do not do for: {reason: their names}."""
        text = 'it takes a generator; leave it out, or choose another --network'
        return self._drop(lambda metric: [] if isinstance(metric, FeatureMetric) else [text])

    def _drop(self, reasons_against):
        reasons: Dict[str, List[str]] = OrderedDict()
        kept = []
        for metric, kwargs in zip(self.metrics, self.metric_kwarg_list):
            reason = next(iter(reasons_against(metric)), None)
            if reason is None:
                kept.append((metric, kwargs))
            else:
                reasons.setdefault(reason, []).append(metric.name)
        self.metrics = [metric for metric, _ in kept]
        self.metric_kwarg_list = [kwargs for _, kwargs in kept]
        return reasons

    def run(
        self,
        network_pkl: str,
        run_dir: Optional[str] = None,
        data_dir: Optional[str] = None,
        dataset_args: Optional[dict] = None,
        mirror_augment: Optional[bool] = None,
        num_gpus: int = 1,
        tf_config: Optional[dict] = None,
        log_results: bool = True,
        Gs_kwargs: Optional[dict] = None,
        raise_errors: bool = True,
        **others: Any,
    ) -> None:
        """Evaluate one network.

        Args:
            network_pkl: path or URL of a pickle of (G, D, Gs), or of one network; or REALS, see
                `Evaluation`.
            run_dir: where results are written; None: they are only printed.
            data_dir, dataset_args, mirror_augment: real images; where dataset_args or
                mirror_augment is None, both are those of the training run in `run_dir`.
            num_gpus: devices to use.
            tf_config: options of `tflib.create_session`.
            log_results: print and write the results.
            Gs_kwargs: options for the generator; default: dict(is_validation=True), that is no
                truncation.
            raise_errors: False: a metric that fails is reported in one line, and the others go on.
                True: errors are raised; UserErrors of metrics when the others are done.
            others: other arguments of `Evaluation`.
        """
        for metric in self.metrics:
            metric.reset()
        if not self.metrics:
            return
        own = dict(run_dir=run_dir, num_gpus=num_gpus, tf_config=tf_config)
        try:
            with contextlib.ExitStack() as opened:
                with together.stage():
                    if run_dir is not None and (dataset_args is None or mirror_augment is None):
                        options = misc.parse_config_for_previous_run(run_dir)
                        dataset_args = dict(options['dataset'], shuffle_mb=0)
                        mirror_augment = options['train'].get('mirror_augment', False)
                    common = dict(others, data_dir=data_dir, dataset_args=dataset_args)
                    common.update(mirror_augment=bool(mirror_augment), Gs_kwargs=Gs_kwargs)
                    metrics = self.metric_kwarg_list
                    order = dict(metrics=metrics, raise_errors=raise_errors, common=common)
                    together.share('order', order)
                    evaluation = opened.enter_context(_evaluation(network_pkl, **own, **common))
                evaluation.phases = self.phases
                reasons = self._evaluate_all(evaluation, log_results, raise_errors)
            if reasons:
                raise UserError(told(reasons))
            if raise_errors:
                protocol.check()
        except WorkerLost:
            raise
        except Exception as error:
            if raise_errors:
                raise
            _print_failure('metrics', error)

    def _evaluate_all(self, evaluation, log_results, raise_errors):
        self.phases.plan(self._costs(), self.rounds)
        reasons = self._evaluate_each(evaluation, log_results, raise_errors)
        self.image_shape = evaluation.generator.get('shape')
        return reasons

    def _costs(self):
        """All phases in their order: what metrics share is the first, and done once."""
        costs: Dict[str, float] = {FAKES_TITLE: 0.0}
        for metric in self.metrics:
            for name, cost in metric.phases().items():
                costs[name] = max(cost, costs.get(name, 0.0))
        return costs

    def _evaluate_each(self, evaluation, log_results, raise_errors):
        """Evaluate the metrics; returns why some could not be, {reason: their names}."""
        reasons: Dict[str, List[str]] = OrderedDict()
        try:
            with together.stage():
                metrics = [m for m in self.metrics if isinstance(m, FeatureMetric)]
                evaluation.images.compute_fakes(metrics)
        except WorkerLost:
            raise
        except Exception:
            if raise_errors:
                raise  # else each metric tries alone, so that one does not stop the others
        for metric in self.metrics:
            try:
                with together.stage():
                    metric.evaluate(evaluation, log_results)
            except WorkerLost:
                raise
            except Exception as error:
                metric.reset()
                if not raise_errors:
                    _print_failure('metric ' + metric.name, error)
                elif isinstance(error, UserError) or not cluster.current().is_chief:
                    reasons.setdefault(str(error), []).append(metric.name)
                else:
                    raise
        return reasons

    def get_results(self) -> Dict[str, float]:
        """Figures of the last run by name."""
        return {name: value for m in self.metrics for name, value in m.get_results().items()}

    def get_result_str(self) -> str:
        """The lines of all metrics, joined by spaces."""
        return ' '.join(line for line in (m.get_result_str() for m in self.metrics) if line)

    def update_autosummaries(self) -> None:
        """Report the last figures of all metrics to the training run."""
        for metric in self.metrics:
            metric.update_autosummaries()


def follow_metrics(
    data_dir: Optional[str],
    num_gpus: int,
    tf_config: Optional[dict] = None,
    feature_nets_dir: Optional[str] = None,
) -> bool:
    """Do a worker's share of the chief's next `MetricGroup.run`; returns whether there was one.

    What fails for all of them is told by the chief.

    Args:
        data_dir, feature_nets_dir: None: those of the chief. others: see `MetricGroup.run`.
    """
    own = dict(data_dir=data_dir, feature_nets_dir=feature_nets_dir)
    try:
        with contextlib.ExitStack() as opened:
            with together.stage():
                order = together.share('order', None)
                if order is None:
                    return False
                group = MetricGroup(order['metrics'])
                common = dict(order['common'], num_gpus=num_gpus, tf_config=tf_config)
                common.update((name, value) for name, value in own.items() if value is not None)
                evaluation = opened.enter_context(_evaluation('', **common))
            group._evaluate_all(evaluation, False, order['raise_errors'])
    except WorkerLost:
        raise
    except Exception:
        pass
    return True


@contextlib.contextmanager
def _evaluation(network_pkl, **options):
    is_trusted = options.get('trust_network_code', False)
    with together.file_of_chief(network_pkl, is_trusted) as network:
        with Evaluation(network, **options) as evaluation:
            yield evaluation


def told(reasons: Dict[str, List[str]]) -> str:
    """Line of {reason: names of metrics}; names that a reason has already are not added."""
    return '; '.join(
        reason if all(name in reason for name in names) else '%s: %s' % (', '.join(names), reason)
        for reason, names in reasons.items()
    )


def _print_failure(what, error):
    reason = '%s: %s' % (type(error).__name__, util.reason_of(error))
    print('Warning: %s failed, training goes on: %s' % (what, reason))
