"""What a page asks for: images by the functions of run_generator.py, and its commands."""

import math
import os
import shlex
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from dnnlib import cli, program
from dnnlib.util import UserError
from training.pictures import figures, fr_maps, images, layer_noise, video
from training.pictures.generate import Generator
from training.pictures.layer_noise import LayerNoise
from viewer.networks import Loaded, Networks

NOISES = ('random', 'const', 'none')  # what `Generator` takes


class Wish(NamedTuple):
    """All that decides on an image.

    network: path. seed, truncation_psi, class_index, noise, layers: see `Generator`. mix_seed: of
    the styles from `first_style` to `last_style`, counted from 0 at 4x4; None: no mixing.
    """

    network: str
    seed: int = 0
    truncation_psi: float = 0.5
    class_index: Optional[int] = None
    noise: str = 'random'
    mix_seed: Optional[int] = None
    first_style: int = 0
    last_style: int = 0
    layers: Dict[str, LayerNoise] = {}

    @property
    def styles(self) -> List[int]:
        """The styles of the second seed."""
        return list(range(self.first_style, self.last_style + 1))


def check(wish: Wish) -> None:
    """Raise UserError for a number that no flag of run_generator.py takes."""
    seeds = [('seed', wish.seed), ('seed of the styles', wish.mix_seed)]
    seeds += [('seed of %s' % name, layer.seed) for name, layer in wish.layers.items()]
    for what, seed in seeds:
        _check(what, seed, cli.number(int, 0, cli.MAX_SEED))
    _check('truncation psi', wish.truncation_psi, cli.number(float, -100, 100))
    for name, layer in wish.layers.items():
        _check('strength of %s' % name, layer.scale, layer_noise.SCALE)
        _check('t of %s' % name, layer.t, layer_noise.EXPONENT)
    if wish.mix_seed is not None and not wish.styles:
        text = 'styles %d to %d are none; the first must not be greater than the last'
        raise UserError(text % (wish.first_style, wish.last_style))


def _check(what, value, kind):
    problem = '' if value is None else kind.problem(value)
    if problem:
        raise UserError('%s %s' % (what, problem))


def generator_of(loaded: Loaded, wish: Wish) -> Generator:
    """The generator of a wish; it shares the graph with those of other wishes."""
    check(wish)
    sampling = dict(truncation_psi=wish.truncation_psi, class_index=wish.class_index)
    return loaded.generator.varied(noise=wish.noise, layers=wish.layers, **sampling)


def image(networks: Networks, wish: Wish) -> np.ndarray:
    """The image, uint8 [C, H, W], as run_generator.py makes it.

    Raises:
        UserError: the network cannot be loaded, or cannot do what is wished for.
    """
    with networks.using(wish.network) as loaded:
        generator = generator_of(loaded, wish)
        if wish.mix_seed is None:
            return next(generator.images_of_seeds([wish.seed]))
        images.check_styles(generator, wish.network, wish.styles)
        return next(images.mixed_images(generator, [(wish.seed, wish.mix_seed)], wish.styles))


def unchanged(wish: Wish) -> Wish:
    """The same image without second seed and changes of layers."""
    return wish._replace(mix_seed=None, layers={})


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Half of b - a over middle gray, uint8 [C, H, W]; 128 where images are the same."""
    return (128 + (b.astype(np.int16) - a) // 2).astype(np.uint8)


def with_alpha(alpha: float, wanted: float) -> float:
    """The t that turns a layer's alpha into another one, see `networks_stylegan2.stabilize`.

    Raises:
        UserError: there is none, as alpha is 1/2, or 0 or 1 is wanted.
    """
    logits = [math.log(x / (1 - x)) if 0 < x < 1 else 0.0 for x in (alpha, wanted)]
    if not 0 < wanted < 1 or not logits[0]:
        text = 'no t makes an alpha of %.3g of one of %.3g'
        raise UserError(text % (wanted, alpha))
    return logits[1] / logits[0]


def alpha_at(alpha: float, t: float) -> float:
    """alpha^t / (alpha^t + (1 - alpha)^t)."""
    exponent = t * math.log(alpha / (1 - alpha)) if 0 < alpha < 1 else math.inf * (alpha - 0.5)
    return 1 / (1 + math.exp(-max(min(exponent, 700), -700)))


def save_noise_stddev(networks: Networks, wish: Wish, num_draws: int, path: str) -> None:
    """Write the figure of `figures.save_noise_stddev` for the seed."""
    with networks.using(wish.network) as loaded:
        generator = generator_of(loaded, wish)
        figures.check_noise(generator, wish.network, [wish.seed])
        figures.save_noise_stddev(path, generator, [wish.seed], num_draws)


def save_fr_maps(networks: Networks, wish: Wish, path: str) -> None:
    """Write the figure of `fr_maps.save_fr_maps` for the seed."""
    with networks.using(wish.network) as loaded:
        fr_maps.check_fr(loaded.Gs, wish.network, [wish.seed])
        fr_maps.save_fr_maps(path, loaded.Gs, generator_of(loaded, wish), [wish.seed])


def save_walk(
    networks: Networks, wish: Wish, seeds: Sequence[int], frames: int, space: str, folder: str
) -> str:
    """Write a walk as GIF into a folder, see `video.save_walk`; returns its path."""
    with networks.using(wish.network) as loaded:
        generator = generator_of(loaded, wish)
        video.check_walk(generator, wish.network, folder, list(seeds), frames, space, 'gif')
        video.save_walk(folder, generator, list(seeds), frames, 30.0, space, 'gif', None)
    return os.path.join(folder, 'video.gif')


def command(wish: Wish) -> str:
    """The command that makes the image again."""
    if wish.mix_seed is None:
        return _command(wish, 'generate-images', ['--seeds=%d' % wish.seed])
    what = ['--row-seeds=%d' % wish.seed, '--col-seeds=%d' % wish.mix_seed]
    what += ['--col-styles=%d-%d' % (wish.first_style, wish.last_style)]
    return _command(wish, 'style-mixing-example', what)


def stddev_command(wish: Wish, num_draws: int) -> str:
    """The command of `save_noise_stddev`."""
    what = ['--seeds=%d' % wish.seed, '--num-draws=%d' % num_draws]
    return _command(wish, 'noise-stddev', what, takes_noise=False)


def maps_command(wish: Wish) -> str:
    """The command of `save_fr_maps`."""
    return _command(wish, 'fr-maps', ['--seeds=%d' % wish.seed])


def walk_command(wish: Wish, seeds: Sequence[int], frames: int, space: str) -> str:
    """The command of `save_walk`."""
    what = ['--seeds=' + ','.join(map(str, seeds)), '--frames=%d' % frames, '--space=' + space]
    return _command(wish, 'generate-video', what + ['--format=gif'])


def _command(wish, name, what, takes_noise=True):
    words = [name, '--network=' + wish.network] + what
    words.append('--truncation-psi=%.9g' % wish.truncation_psi)
    words += [] if wish.class_index is None else ['--class=%d' % wish.class_index]
    words += ['--noise=' + wish.noise] if takes_noise else []
    words += ['--layer=' + text for text in layer_noise.texts(wish.layers)]
    return ' '.join([program.how_to_run('run_generator.py')] + list(map(shlex.quote, words)))
