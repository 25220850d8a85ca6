#!/usr/bin/env python3
"""Whether metrics tell worse images from better ones: real images are spoiled, more and more.

One half of a data set stands for the real images, the other half, blurred, noisy or mixed with
other images, for the generated ones. `none` is the other half as it is. Distances of ppl_local are
those of each image to its own spoiled copy. A column is right if it grows with the strength, from
`none` on; each figure is a mean over several ways to halve the data.
"""

import os
import sys
import tempfile
from typing import Callable, Dict, List, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib.cli import run_cli  # first, see dnnlib/startup.py

# isort: split

from dnnlib import quiet

with quiet.without_noise():
    import tensorflow.compat.v1 as tf

import numpy as np
import scipy.ndimage

from bench import measure
from dnnlib import tflib
from dnnlib.bars import Bar
from dnnlib.tflib import engine, random
from metrics import sliced_wasserstein as swd
from metrics.frechet_inception_distance import frechet_distance, gaussian_of
from metrics.kernel_inception_distance import kernel_distance, size_of_subsets
from training.data import demo
from training.data.opening import load_dataset
from training.perception import feature_nets

_MINIBATCH = 16
_SUBSETS, _SUBSET_SIZE = 100, 1000  # of kid_local


def blurred(images: np.ndarray, sigma: float, _rng: np.random.RandomState) -> np.ndarray:
    """Images [N, C, H, W] after a Gaussian filter of that standard deviation in pixels."""
    return scipy.ndimage.gaussian_filter(images, [0, 0, sigma, sigma], mode='nearest')


def noisy(images: np.ndarray, std: float, rng: np.random.RandomState) -> np.ndarray:
    """Images with noise of that standard deviation in each colour of each pixel."""
    return images + std * rng.randn(*images.shape).astype(np.float32)


def mixed(images: np.ndarray, share: float, rng: np.random.RandomState) -> np.ndarray:
    """Images with a share of another one of them."""
    return images + share * (images[rng.permutation(len(images))] - images)


SPOILERS: List[Tuple[str, Callable, List[float]]] = [
    ('blurred, pixels', blurred, [0.5, 1, 2]),
    ('noisy, of 255', noisy, [8, 16, 32]),
    ('mixed, share', mixed, [0.1, 0.25, 0.5]),
]


def spoil(spoiler: Callable, images: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """Spoiled images, uint8 as those are."""
    values = spoiler(images.astype(np.float32), strength, random.generator('spoil', 0, seed))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


class Judge:
    """The figures of spoiled images, beside the real ones of one half."""

    def __init__(self):
        with tf.device(engine.device(0)):
            self._features = feature_nets.load(feature_nets.LITE_FEATURES)
            self._distance = feature_nets.load(feature_nets.LITE_DISTANCE)
        self._reals = self._real_features = np.zeros([0])  # of the last call

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Features [N, F]."""
        return self._features.run(images, minibatch_size=_MINIBATCH)

    def _features_of_reals(self, reals):
        if self._reals is not reals:
            self._reals, self._real_features = reals, self.embed(reals)
        return self._real_features

    def figures(
        self, reals: np.ndarray, images: np.ndarray, spoiled: np.ndarray, seed: int
    ) -> Dict[str, float]:
        """What the metrics make of spoiled images that were these before."""
        rng = random.generator('figures', 0, seed)
        x, y = self._features_of_reals(reals), self.embed(spoiled)
        size = size_of_subsets(_SUBSET_SIZE, len(x), len(y))
        return {
            'fid_local': frechet_distance(*gaussian_of(x), *gaussian_of(y)),
            'kid_local': kernel_distance(x, y, rng, _SUBSETS, size)[0],
            'distance': float(
                self._distance.run(images, spoiled, minibatch_size=_MINIBATCH).mean()
            ),
            'swd': np.mean(
                [1e3 * distance for distance in _sliced_distances(reals, spoiled, seed)]
            ),
        }


def _sliced_distances(reals, fakes, seed):
    rng = random.generator('patches', 0, seed)
    number = min(len(reals), len(fakes))
    for levels in zip(*[swd.laplacian_pyramid(images[:number]) for images in (reals, fakes)]):
        patches = [swd.draw_patches(level, swd.PATCHES_PER_IMAGE, rng) for level in levels]
        a, b = [swd.normalize_patches(part.reshape(-1, part.shape[-1])) for part in patches]
        yield swd.sliced_distance(a, b, rng)


def measured(judge: Judge, images: np.ndarray, repeats: int) -> Dict[str, List[Dict[str, float]]]:
    """{what was done: figures for each way to halve the images}."""
    found: Dict[str, List[Dict[str, float]]] = {}
    plans = [('none', blurred, 0.0)]
    plans += [('%s: %g' % (what, s), f, s) for what, f, strengths in SPOILERS for s in strengths]
    with Bar('spoiled images', repeats * len(plans), ' sets') as bar:
        for seed in range(repeats):
            order = random.generator('halves', 0, seed).permutation(len(images))
            reals, others = images[order[::2]], images[order[1::2]]
            for what, spoiler, strength in plans:
                spoiled = spoil(spoiler, others, strength, seed)
                figures = judge.figures(reals, others, spoiled, seed)
                found.setdefault(what, []).append(figures)
                bar.update()
    return found


def wrong(found: Dict[str, List[Dict[str, float]]]) -> List[str]:
    """Columns and spoilers that are not in the right order, such as 'swd: noisy, of 255'."""
    texts = []
    for what, _, strengths in SPOILERS:
        rows = ['none'] + ['%s: %g' % (what, strength) for strength in strengths]
        for name in found['none'][0]:
            values = [np.mean([figures[name] for figures in found[row]]) for row in rows]
            if not np.all(np.diff(values) > 0):
                texts.append('%s: %s' % (name, what))
    return texts


def _print_table(found):
    names = list(found['none'][0])
    print('| what was done | %s |' % ' | '.join(names))
    print('| --- |%s' % (' --- |' * len(names)))
    for what, rounds in found.items():
        columns = [[figures[name] for figures in rounds] for name in names]
        cells = [_cell(column) for column in columns]
        print('| %s | %s |' % (what, ' | '.join(cells)))


def _cell(values):
    spread = ' ± %.1g' % np.std(values, ddof=1) if len(values) > 1 else ''
    return '%.4g%s' % (np.mean(values), spread)


def main(argv=None) -> int:
    """Print the table; write it as JSON too where asked."""
    text = 'See whether metrics order spoiled images rightly.'
    parser = measure.arguments(text, repeats=3, repeats_help='ways to halve the data')
    add = parser.add_argument
    add('--dataset', metavar='NAME', help='data set in --data-dir (default: the demo)')
    add('--data-dir', default='datasets', metavar='DIR', help='folder of data sets')
    args = parser.parse_args(argv)
    tflib.init_tf({'rnd.np_random_seed': 0})
    judge = Judge()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = args.data_dir if args.dataset else folder
        name = args.dataset or demo.ensure_demo_dataset(folder)
        dataset = load_dataset(data_dir=data_dir, tfrecord_dir=name, shuffle_mb=0)
        images = np.stack([dataset.get_image(index) for index in range(dataset.num_images)])
        dataset.close()
    found = measured(judge, images, args.repeats)
    _print_table(found)
    print('\nNot in order: %s' % (', '.join(wrong(found)) or 'none'))
    records = [dict(what=what, figures=rounds) for what, rounds in found.items()]
    measure.write_json(args.json, records, num_images=len(images))
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
