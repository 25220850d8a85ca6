"""The training schedule: what depends on the number of images seen so far."""

from typing import Callable, Dict, Mapping, Optional

import numpy as np

from dnnlib import EasyDict
from dnnlib.util import UserError

# Ticks are shorter where images are larger, so that they take similar time.
TICK_KIMG = {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4}


def training_schedule(
    cur_nimg: int,
    training_set,
    lod_initial_resolution: Optional[int] = None,
    lod_training_kimg: float = 600,
    lod_transition_kimg: float = 600,
    minibatch_size_base: int = 32,
    minibatch_size_dict: Dict[int, int] = {},  # noqa: B006
    minibatch_gpu_base: int = 4,
    minibatch_gpu_dict: Dict[int, int] = {},  # noqa: B006
    G_lrate_base: float = 0.002,
    G_lrate_dict: Dict[int, float] = {},  # noqa: B006
    D_lrate_base: float = 0.002,
    D_lrate_dict: Dict[int, float] = {},  # noqa: B006
    lrate_rampup_kimg: float = 0,
    tick_kimg_base: float = 4,
    tick_kimg_dict: Mapping[int, float] = TICK_KIMG,
) -> EasyDict:
    """State of the schedule after `cur_nimg` images.

    A `_dict` holds, by resolution, what takes the place of the `_base` value. Progressive growing
    (Karras et al. 2018) starts at `lod_initial_resolution`, trains each resolution for
    `lod_training_kimg`, then fades the next one in during `lod_transition_kimg`; None: full
    resolution throughout.

    Returns: EasyDict of kimg, lod (level of detail: 0 = full resolution), resolution,
        minibatch_size, minibatch_gpu (images per device and round), G_lrate, D_lrate, tick_kimg.
    """
    s = EasyDict(kimg=cur_nimg / 1000.0, lod=0.0)
    if lod_initial_resolution is not None:
        phase_kimg = lod_training_kimg + lod_transition_kimg
        phase = int(np.floor(s.kimg / phase_kimg)) if phase_kimg > 0 else 0
        into_phase = s.kimg - phase * phase_kimg
        lod = training_set.resolution_log2 - np.floor(np.log2(lod_initial_resolution)) - phase
        if lod_transition_kimg > 0:
            lod -= max(into_phase - lod_training_kimg, 0.0) / lod_transition_kimg
        s.lod = max(lod, 0.0)
    s.resolution = 2 ** (training_set.resolution_log2 - int(np.floor(s.lod)))

    s.minibatch_size = minibatch_size_dict.get(s.resolution, minibatch_size_base)
    s.minibatch_gpu = minibatch_gpu_dict.get(s.resolution, minibatch_gpu_base)
    rampup = min(s.kimg / lrate_rampup_kimg, 1.0) if lrate_rampup_kimg > 0 else 1.0
    s.G_lrate = G_lrate_dict.get(s.resolution, G_lrate_base) * rampup
    s.D_lrate = D_lrate_dict.get(s.resolution, D_lrate_base) * rampup
    s.tick_kimg = tick_kimg_dict.get(s.resolution, tick_kimg_base)
    return s


def check_minibatches(
    sched_args: dict,
    resolution: int,
    num_gpus: int,
    is_legal_on_device: Callable[[int], bool] = lambda size: True,
) -> None:
    """Make sure that every minibatch of a schedule can be spread over the devices.

    Args:
        sched_args: arguments of `training_schedule`. resolution: that of the data set.
        num_gpus: number of devices.
        is_legal_on_device: whether the networks and losses can take so many images at a time.

    Raises:
        UserError: names the sizes seen and those allowed.
    """
    first = min(sched_args.get('lod_initial_resolution') or resolution, resolution)
    for log2 in range(int(np.log2(first)), int(np.log2(resolution)) + 1):
        # Without phases the schedule has a single resolution: that of the data set.
        one_phase = dict(sched_args, lod_initial_resolution=None)
        sched = training_schedule(0, EasyDict(resolution_log2=log2), **one_phase)
        size, per_device = sched.minibatch_size, sched.minibatch_gpu
        if size % (per_device * num_gpus) == 0 and is_legal_on_device(per_device):
            continue
        divisors = [n for n in range(1, size // num_gpus + 1) if size % (n * num_gpus) == 0]
        legal = ', '.join(str(n) for n in divisors if is_legal_on_device(n))
        if legal:
            advice = 'choose --minibatch-gpu from ' + legal
        else:  # rounded up to what so many devices with the smallest number of images each make
            least = num_gpus * next(filter(is_legal_on_device, range(1, 4096)), 1)
            advice = 'choose another --minibatch-size, such as %d' % (-(-size // least) * least)
        text = 'a minibatch of %d at %dx%d cannot be made of %d device(s) x %d images; %s'
        raise UserError(text % (size, 2**log2, 2**log2, num_gpus, per_device, advice))
