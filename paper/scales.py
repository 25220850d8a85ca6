"""The scales of run_paper.py: how much is done for the tables and figures, as plain data.

What a scale costs is an estimate, for --dry-run and the time left; no result depends on it.
"""

from collections import OrderedDict
from typing import Dict, List, NamedTuple, Optional, Tuple

from paper.contents import DCGAN, STYLEGAN
from training.data import demo


class Costs(NamedTuple):
    """About what things take on the machine that `machine` names."""

    machine: str
    images: Dict[str, float]  # by family: images a second and device in training
    start: float  # seconds in which a program is ready
    image: float  # seconds for an image that a metric looks at
    pair: float  # seconds for a pair of images, for PPL and cond
    step: float  # seconds for a step of the projection of one image
    network: Dict[str, float]  # by family: MB of a network pickle, and as many of a state


class Scale(NamedTuple):
    """How much is done.

    Attributes:
        data: {data set of the paper: {family: data set here}}; None as name: --dataset.
        training: {family: flags of run_training.py}. mirrored: data sets of the paper whose images
            are mirrored at random. kimg: thousands of images. snapshots: networks on the way, for
            figure 4. num_gpus: of a StyleGAN2; a DCGAN has one, for batch normalization.
        samples: images or pairs of metrics that do not have their own number.
        is_papers: metrics are the paper's; else those that can be had without a download.
    """

    summary: str
    data: Dict[str, Dict[str, Optional[str]]]
    training: Dict[str, List[str]]
    mirrored: Tuple[str, ...]
    kimg: int
    tick_kimg: float
    snapshots: int
    num_gpus: int
    samples: Dict[str, int]
    is_papers: bool
    pictures: int  # to project, half of them hard cases
    steps: int  # of a projection
    draws: int  # of noise, for figure 1
    costs: Costs


def _both(value):
    return {STYLEGAN: value, DCGAN: value}


def _sized(name):
    return {STYLEGAN: name + '-128', DCGAN: name + '-64'}


SCALES = OrderedDict(
    [
        (
            'demo',
            Scale(
                summary='people and faces of the demo at 32x32, narrow networks, on a CPU',
                data={name: _both(demo.NAME) for name in ('ffhq', 'cifar', 'cat')},
                training=_both(['--checkpoint-minutes=1']),
                mirrored=(),
                kimg=60,
                tick_kimg=1,
                snapshots=6,
                num_gpus=1,
                samples={'swd16k': 1024, 'cond': 10000},
                is_papers=False,
                pictures=20,
                steps=1000,
                draws=100,
                costs=Costs(
                    machine='two cores of a CPU with AVX-512, TensorFlow 2.21',
                    images={STYLEGAN: 200.0, DCGAN: 250.0},
                    start=15,
                    image=0.01,
                    pair=0.003,
                    step=0.002,
                    network={STYLEGAN: 3.0, DCGAN: 3.0},
                ),
            ),
        ),
        (
            'small',
            Scale(
                summary='a data set of yours (--dataset) at 64x64, on one GPU',
                data={name: _both(None) for name in ('ffhq', 'cifar', 'cat')},
                training={STYLEGAN: ['--minibatch-gpu=32'], DCGAN: []},
                mirrored=(),
                kimg=2000,
                tick_kimg=4,
                snapshots=10,
                num_gpus=1,
                samples={'cond': 10000},
                is_papers=False,
                pictures=20,
                steps=1000,
                draws=100,
                costs=Costs(
                    machine='one H100, by the speed that docs/performance.md has for 64x64',
                    images={STYLEGAN: 170.0, DCGAN: 1500.0},
                    start=40,
                    image=0.002,
                    pair=0.004,
                    step=0.02,
                    network={STYLEGAN: 350.0, DCGAN: 40.0},
                ),
            ),
        ),
        (
            'paper',
            Scale(
                summary="the paper's data sets and lengths, 8 GPUs",
                data={
                    'ffhq': _sized('ffhq'),
                    'church': _sized('church'),
                    'cat': _sized('cat-selected'),
                    'cifar': _both('cifar10'),
                },
                training=_both([]),
                mirrored=('ffhq',),  # as in StyleGAN2's paper
                kimg=25000,
                tick_kimg=4,
                snapshots=25,
                num_gpus=8,
                samples={},
                is_papers=True,
                pictures=20,
                steps=1000,
                draws=100,
                costs=Costs(
                    machine='8 H100, by the speed at 64x64 of one and the number of operations',
                    images={STYLEGAN: 110.0, DCGAN: 1500.0},
                    start=60,
                    image=0.002,
                    pair=0.004,
                    step=0.02,
                    network={STYLEGAN: 360.0, DCGAN: 40.0},
                ),
            ),
        ),
    ]
)  # type: Dict[str, Scale]
