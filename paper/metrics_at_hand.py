"""Which metrics can be had on this machine, and what their results are called."""

from typing import Optional

from dnnlib.util import UserError
from metrics.metric_defaults import metric_defaults, metric_kwargs
from training.perception import feature_nets

# The network that a metric of the paper looks at images with; None: it needs none.
OF_PAPER = {
    'fid50k': feature_nets.INCEPTION_FEATURES,
    'is50k': feature_nets.INCEPTION_SOFTMAX,
    'ppl_wend': feature_nets.LPIPS,
    'ppl_zend': feature_nets.LPIPS,
    'cond': None,
}


def is_at_hand(metric: str) -> bool:
    """Whether a metric can be evaluated without a download."""
    if metric not in metric_defaults:
        return False
    if metric in OF_PAPER:
        network = OF_PAPER[metric]
        return network is None or feature_nets.is_at_hand(network)
    kwargs = metric_defaults[metric]
    local = kwargs.get('feature_net') or kwargs.get('distance_net')
    try:
        if local:
            feature_nets.ensure(local)  # of an installed package: nothing is downloaded
    except UserError:
        return False
    return True


def number_of_samples(metric: str) -> int:
    """Images or pairs that a metric looks at."""
    kwargs = metric_defaults[metric]
    return kwargs['num_images'] if 'num_images' in kwargs else kwargs['num_samples']


def result_name(metric: str, num_samples: Optional[int]) -> str:
    """What the result of a metric is called, see `metric_kwargs`."""
    (kwargs,) = metric_kwargs([metric], num_samples)
    return kwargs['name']
