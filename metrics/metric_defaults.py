"""The metrics by name, with their settings, and which of them training uses by default."""

from typing import TYPE_CHECKING, List, Optional

from dnnlib.util import EasyDict, UserError
from metrics.metric_names import GROUPS
from training.perception import feature_nets

if TYPE_CHECKING:
    from metrics.metric_base import MetricGroup

_IMAGES = dict(num_images=50000, minibatch_per_gpu=8)
_FLOAT32 = dict(dtype='float32', mapping_dtype='float32')
_PAIRS = dict(num_samples=50000, minibatch_per_gpu=4, Gs_overrides=_FLOAT32)
_PPL = dict(_PAIRS, func_name='metrics.perceptual_path_length.PPL', epsilon=1e-4)
_COND = dict(_PAIRS, func_name='metrics.condition_number.ConditionNumber', std=1e-4)
_FID = dict(_IMAGES, func_name='metrics.frechet_inception_distance.FID')
_KID = dict(_IMAGES, func_name='metrics.kernel_inception_distance.KID')
_PR = dict(_IMAGES, func_name='metrics.precision_recall.PR')
_SWD = dict(_IMAGES, func_name='metrics.sliced_wasserstein.SWD')
_NOISE = dict(func_name='metrics.noise_share.NoiseShare', num_samples=10000, minibatch_per_gpu=8)
_LS = dict(func_name='metrics.linear_separability.LS', num_samples=200000, minibatch_per_gpu=4)

_LITE = dict(num_images=10000, feature_net=feature_nets.LITE_FEATURES)
_PPL_LITE = dict(_PPL, num_samples=10000, distance_net=feature_nets.LITE_DISTANCE)

_TABLE = [
    ('fid50k', _FID),
    ('kid50k', dict(_KID, num_subsets=100, subset_size=1000)),
    ('is50k', dict(_IMAGES, func_name='metrics.inception_score.IS', num_splits=10)),
    ('pr50k3', dict(_PR, nhood_size=3, row_batch_size=10000, col_batch_size=10000)),
    ('swd16k', dict(_SWD, num_images=16384)),
    ('ppl_zfull', dict(_PPL, space='z', sampling='full', crop=True)),
    ('ppl_wfull', dict(_PPL, space='w', sampling='full', crop=True)),
    ('ppl_zend', dict(_PPL, space='z', sampling='end', crop=True)),
    ('ppl_wend', dict(_PPL, space='w', sampling='end', crop=True)),
    ('ppl2_wend', dict(_PPL, space='w', sampling='end', crop=False)),
    ('fid_local', dict(_FID, **_LITE)),
    ('kid_local', dict(_KID, num_subsets=100, subset_size=1000, **_LITE)),
    ('ppl_local', dict(_PPL_LITE, space='w', sampling='end', crop=False)),
    ('ls', dict(_LS, num_keep=100000, attrib_indices=list(range(40)))),
    ('cond', dict(_COND, space='auto', crop=False)),
    ('cond_w', dict(_COND, space='w', crop=False)),
    ('cond_z', dict(_COND, space='z', crop=False)),
    ('cond_wcrop', dict(_COND, space='w', crop=True)),
    ('noise_share', _NOISE),
]

metric_defaults = EasyDict((name, EasyDict(kwargs, name=name)) for name, kwargs in _TABLE)


def metric_kwargs(
    names: List[str], num_samples: Optional[int] = None, class_index: Optional[int] = None
) -> List[dict]:
    """Look metrics up by name: what they are made of, see `MetricGroup`.

    Args:
        names: names of metrics or of GROUPS.
        num_samples: images or pairs in place of each metric's own number; the metric is then called
            <name>_n<num_samples> wherever its result is written.
        class_index: class of the images, if of one only; the metric is then called
            <name>_class<class_index>.

    Raises:
        UserError: an unknown name.
    """
    kwargs_list: List[dict] = []
    for name in [n for group in names for n in GROUPS.get(group, [group])]:
        if name not in metric_defaults:
            known = ', '.join(list(metric_defaults) + list(GROUPS))
            raise UserError('unknown metric %r; choose from %s' % (name, known))
        kwargs = dict(metric_defaults[name])
        if class_index is not None:
            kwargs['name'] += '_class%d' % class_index
        if num_samples is not None:
            kwargs.update(_resized(kwargs, num_samples))
        if kwargs not in kwargs_list:
            kwargs_list.append(kwargs)
    return kwargs_list


def make_group(
    names: List[str], num_samples: Optional[int] = None, class_index: Optional[int] = None
) -> 'MetricGroup':
    """The metrics of these names, see `metric_kwargs`; UserError if there are too few samples."""
    from metrics.metric_base import MetricGroup

    return MetricGroup(metric_kwargs(names, num_samples, class_index))


def _resized(kwargs, num_samples):
    """What another number of samples changes."""
    number = 'num_images' if 'num_images' in kwargs else 'num_samples'
    if num_samples == kwargs[number]:
        return {}
    changes = {number: num_samples, 'name': '%s_n%d' % (kwargs['name'], num_samples)}
    if 'num_keep' in kwargs:
        changes['num_keep'] = max(num_samples * kwargs['num_keep'] // kwargs[number], 1)
    return changes


def default_metrics() -> List[str]:
    """Metrics of a training run that names none: FID if its network is at hand, else none.

    One line tells how to get it. Metrics without pretrained networks are not put in its place: on a
    CPU they take longer than the demo's training.
    """
    if feature_nets.is_at_hand(feature_nets.INCEPTION_FEATURES):
        return ['fid50k']
    print(
        'No metrics during training: fid50k needs %s. --metrics=fid50k downloads it once (or put '
        'it into a folder and set %s); --metrics=all-local needs no download.'
        % (feature_nets.url(feature_nets.INCEPTION_FEATURES), feature_nets.FOLDER_VARIABLE)
    )
    return []
