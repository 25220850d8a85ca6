"""Results of projecting images: one .npz file an image, with all that makes the image again.

Beside it lie pictures: <name>-target.png, -step*.png, -projected.png and -strip.png.
"""

import glob
import json
import os
import re
import zipfile
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, plain_data, records, tflib, util
from dnnlib.tflib import engine
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write, open_regular, reading
from training import anatomy, misc
from training.data.decoding import opened_image
from training.inversion import arithmetic

_PICTURES = r'-(target|projected|strip|step\d+)\.png'
# Settings that need not agree for two runs to give the same results.
_IRRELEVANT = ('network',)
# Settings that are read again, and their types.
_SETTINGS = dict(network=str, network_sha256=str, optimize_alpha=bool, optimize_noise=bool)


def save_projection(
    path: str,
    dlatents: np.ndarray,
    noises: Sequence[np.ndarray],
    alpha_powers: Optional[np.ndarray],
    target: np.ndarray,
    settings: dict,
    figures: dict,
    curves: Dict[str, np.ndarray],
) -> None:
    """Write what was found for one image.

    Args:
        dlatents: w [num_layers, dlatent_size], or z [latent_size].
        noises: [1, H, W] each. alpha_powers: t [layers], None if there is none.
        target: [C, H, W] in [-1, 1].
        settings, figures: plain data. curves: losses [steps] by name.
    """
    texts = dict(settings=settings, figures=figures)
    arrays = {name: records.to_json(value, path) for name, value in texts.items()}
    arrays.update(latents=dlatents, target=target)
    if alpha_powers is not None:
        arrays['alpha_powers'] = alpha_powers
    arrays.update(('noise%d' % index, noise) for index, noise in enumerate(noises))
    arrays.update(('curve_' + name, curve) for name, curve in curves.items())
    with atomic_write(path) as file:
        np.savez(file, **arrays)


def load_projection(path: str) -> EasyDict:
    """Read what `save_projection` wrote: attributes of its arguments' names, and `name`.

    Raises:
        UserError: it cannot be read, or is something else.
    """
    path = os.path.expanduser(path)
    with open_regular(path) as stream, reading(path, 'a result of run_projector.py'):
        with zipfile.ZipFile(stream) as archive:  # older versions of NumPy print what it raises
            size = sum(entry.file_size for entry in archive.infolist())
        if size > stream.seek(0, os.SEEK_END):
            raise ValueError('it would unpack to %d bytes' % size)
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as file:
            noises = sum(bool(re.match(r'noise\d+$', key)) for key in file.files)
            curves = [key for key in file.files if key.startswith('curve_')]
            result = EasyDict(
                name=os.path.splitext(os.path.basename(path))[0],
                dlatents=file['latents'],
                target=file['target'],
                noises=[file['noise%d' % index] for index in range(noises)],
                alpha_powers=file['alpha_powers'] if 'alpha_powers' in file.files else None,
                settings=plain_data.from_json(str(file['settings'])),
                figures=plain_data.from_json(str(file['figures'])),
                curves={key[len('curve_') :]: file[key] for key in curves},
            )
        _check(result)
        return result


def _check(result):
    """Raise ValueError unless this is what `save_projection` writes."""
    arrays = [(result.dlatents, (1, 2)), (result.target, (3,))]
    arrays += [(noise, (3,)) for noise in result.noises]
    arrays += [(curve, (1,)) for curve in result.curves.values()]
    arrays += [] if result.alpha_powers is None else [(result.alpha_powers, (1,))]
    if not all(array.dtype.kind == 'f' and array.ndim in ranks for array, ranks in arrays):
        raise ValueError('an array has another type or shape')
    settings, figures = result.settings, result.figures
    for name, kind in _SETTINGS.items():
        if not (isinstance(settings, dict) and isinstance(settings.get(name), kind)):
            raise ValueError('settings lack ' + name)
    if not isinstance(figures, dict) or not all(map(_is_plain_figure, figures.values())):
        raise ValueError('figures are no numbers by name')


def _is_plain_figure(value):
    if isinstance(value, list):  # t of each layer
        return all(map(records.is_figure, value))
    return value is None or records.is_figure(value)


def load_run(run_dir: str) -> List[EasyDict]:
    """Read the results of a folder, in the order of their names; UserError if there is none."""
    pattern = os.path.join(glob.escape(os.path.expanduser(run_dir)), '*.npz')
    found = [load_projection(path) for path in sorted(glob.glob(pattern))]
    if not found:
        advice = 'choose the folder of a run of run_projector.py'
        raise UserError('there is no projected image (*.npz) in %r; %s' % (run_dir, advice))
    return found


def load_picture(run_dir: str, name: str, shape: Sequence[int]) -> np.ndarray:
    """The projected image of a result, float32 [C, H, W] in [-1, 1].

    Raises:
        UserError: it cannot be read, or is not of the shape [C, H, W] of its target.
    """
    path = os.path.join(os.path.expanduser(run_dir), name + '-projected.png')
    with open_regular(path) as file, reading(path, 'a picture'):
        with opened_image(file) as picture:
            pixels = np.asarray(picture, np.float32)
    pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if pixels.shape != tuple(shape):
        raise UserError(
            '%r has another size or kind of colour than the image that was projected: %s, not %s '
            '[channels, height, width]' % (path, list(pixels.shape), list(shape))
        )
    return misc.adjust_dynamic_range(pixels, [0, 255], [-1, 1])


def hard_cases(run_dir: str) -> List[str]:
    """Names of the hard cases of a run, [] if it was stopped; UserError if the file is broken."""
    path = os.path.join(os.path.expanduser(run_dir), 'summary.json')
    if not os.path.exists(path):
        return []
    with open_regular(path) as file, reading(path, 'a summary of run_projector.py'):
        summary = plain_data.from_json(file.read().decode('utf-8'))
    names = summary.get('hard_cases') if isinstance(summary, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError('%r is broken: hard_cases in it is no list of names' % path)
    return names


def network_of(result: EasyDict, network: Optional[str] = None) -> str:
    """Path or URL of the network of a projection.

    Args:
        network: where it is now; None: where it was.

    Raises:
        UserError: it is not there, or is another one.
    """
    path = network or result.settings['network']
    if network is None and not util.is_url(path) and not os.path.isfile(path):
        text = 'the network of %s is no longer at %s; name it by --network'
        raise UserError(text % (result.name, path))
    if misc.file_sha256(path) != result.settings['network_sha256']:
        text = '%s is not the network that %s was projected into (%s then)'
        raise UserError(text % (path, result.name, result.settings['network']))
    return path


class _Shapes(NamedTuple):
    """Of the arrays that a network takes."""

    space: str
    latents: List[int]
    noises: List[List[int]]
    alpha_powers: List[List[int]]  # one or none


def shapes_in(Gs: Network, like: EasyDict) -> _Shapes:
    """What the arrays of a projection are in a network.

    Raises:
        UserError: they do not fit it.
    """
    space = 'z' if like.dlatents.ndim == 1 else 'wplus'
    arithmetic.check_space(Gs, space)
    shapes = _Shapes(
        space,
        anatomy.latent_shape(Gs, space),
        [var.shape.as_list()[1:] for var in anatomy.noise_inputs(Gs)],
        [] if like.alpha_powers is None else [[anatomy.num_alphas(Gs)]],
    )
    arrays = [like.dlatents] + like.noises
    arrays += [] if like.alpha_powers is None else [like.alpha_powers]
    have = [list(array.shape) for array in arrays]
    want = [shapes.latents] + shapes.noises + shapes.alpha_powers
    if have != want:
        text = 'the projection does not fit the network %r: its arrays are %s, the network takes %s'
        raise UserError(text % (Gs.name, have, want))
    return shapes


class Renderer:
    """Makes the images of projections, one at a time, so that an image is always the same.

    Args:
        Gs: the network. like: a projection with the same arrays as those that will come.

    Raises:
        UserError: they do not fit the network.
    """

    def __init__(self, Gs: Network, like: EasyDict):
        space, shape, noise_shapes, t_shapes = shapes_in(Gs, like)
        with tf.device(engine.device(0)), tf.name_scope('Render'):
            self._latents = tf.placeholder(tf.float32, [1] + shape)
            self._noises = [tf.placeholder(tf.float32, [1] + shape) for shape in noise_shapes]
            self._alpha_powers = tf.placeholder(tf.float32, [1] + t_shapes[0]) if t_shapes else None
            inputs = self._latents, self._noises, self._alpha_powers
            self._images = arithmetic.images_at(Gs, space, *inputs)

    def render(self, result: EasyDict) -> np.ndarray:
        """Image float32 [C, H, W], nominally in [-1, 1]."""
        feed = {self._latents: result.dlatents[np.newaxis]}
        feed.update((var, value[np.newaxis]) for var, value in zip(self._noises, result.noises))
        if self._alpha_powers is not None:
            feed[self._alpha_powers] = result.alpha_powers[np.newaxis]
        return tflib.run(self._images, feed)[0]


def save_picture(images: Sequence[np.ndarray], path: str, scale: Optional[int] = None) -> None:
    """Save images [C, H, W] in [-1, 1] side by side; several small ones are enlarged.

    Args:
        scale: times that pixels are enlarged; None: 1 for a single image, which so can be read
            again, else `misc.automatic_scale`.
    """
    scale = scale or (1 if len(images) == 1 else None)
    misc.save_image_grid(np.stack(images), path, [-1, 1], (len(images), 1), scale)


def take_over(
    result_dir: str, run_desc: str, run_dir: str, settings: dict, targets: Dict[str, np.ndarray]
) -> List[EasyDict]:
    """Copy what stopped runs have finished into a run's folder, if the settings are the same.

    Args:
        result_dir: folder of all runs. run_desc: what their names end with. run_dir: of this run.
        targets: images [C, H, W] by name.

    Returns: the projections that are done.
    """
    done: Dict[str, EasyDict] = {}
    pattern = os.path.join(glob.escape(os.path.expanduser(result_dir)), '[0-9]*-' + run_desc)
    for folder in sorted(glob.glob(pattern), reverse=True):
        is_finished = os.path.exists(os.path.join(folder, '_finished.txt'))
        if is_finished or os.path.samefile(folder, run_dir):
            continue
        for name in sorted(set(targets) - set(done)):
            path = os.path.join(folder, name + '.npz')
            if not os.path.exists(path):
                continue
            result = load_projection(path)
            is_target = np.array_equal(result.target, targets[name])
            if is_target and _relevant(result.settings) == _relevant(settings):
                _copy(folder, run_dir, name)
                done[name] = result
                print('%s: taken from %s, which was stopped.' % (name, folder))
    return [done[name] for name in targets if name in done]


def _relevant(settings):
    plain = json.loads(json.dumps(settings))
    return {key: value for key, value in plain.items() if key not in _IRRELEVANT}


def _copy(source, target, name):
    """Copy the files of an image; the .npz, which says that it is finished, comes last."""
    pattern = re.compile(re.escape(name) + _PICTURES)
    for file_name in sorted(filter(pattern.fullmatch, os.listdir(source))) + [name + '.npz']:
        with open(os.path.join(source, file_name), 'rb') as file:
            with atomic_write(os.path.join(target, file_name)) as copy:
                copy.write(file.read())
