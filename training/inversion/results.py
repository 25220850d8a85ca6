"""Results of projecting images: one .npz file an image, with all that makes the image again.

Beside it lie pictures: <name>-target.png, -step*.png, -projected.png and -strip.png.
"""

import glob
import hashlib
import json
import os
import re
import zipfile
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from dnnlib import EasyDict, tflib, util
from dnnlib.tflib import engine
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, atomic_write, open_regular, reading
from training import anatomy, misc
from training.inversion import arithmetic

_KIND = 'a result of run_projector.py'
_MOST_BYTES = 1 << 30  # of a result's arrays
_PICTURES = r'-(target|projected|strip|step\d+)\.png'
# Settings that need not agree for two runs to give the same results.
_IRRELEVANT = ('network',)


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
    arrays = {
        'latents': dlatents,
        'target': target,
        'settings': json.dumps(settings),
        'figures': json.dumps(figures),
    }
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
    with open_regular(os.path.expanduser(path)) as file, reading(path, _KIND):
        with zipfile.ZipFile(file) as archive:  # of NumPy, older versions complain of broken ones
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise ValueError('it unpacks to more than %d MiB' % (_MOST_BYTES >> 20))
        file.seek(0)
        arrays = np.load(file, allow_pickle=False)
        found = {name: arrays[name] for name in arrays.files}
        settings, figures = [json.loads(str(found.pop(key))) for key in ('settings', 'figures')]
        _check_texts(settings)
        if not isinstance(figures, dict):
            raise ValueError('its figures have no names')
        if any(array.dtype.kind != 'f' for array in found.values()):
            raise ValueError('its arrays are no numbers')
        noises = sum(bool(re.match(r'noise\d+$', key)) for key in found)
        return EasyDict(
            name=os.path.splitext(os.path.basename(path))[0],
            dlatents=found['latents'],
            target=found['target'],
            noises=[found['noise%d' % index] for index in range(noises)],
            alpha_powers=found.get('alpha_powers'),
            settings=settings,
            figures=figures,
            curves={
                key[len('curve_') :]: curve
                for key, curve in found.items()
                if key.startswith('curve_')
            },
        )


def _check_texts(settings):
    """Raise ValueError unless settings name the network, with its hash."""
    texts = [settings[key] for key in ('network', 'network_sha256')]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError('its settings do not name the network')


def load_run(run_dir: str) -> List[EasyDict]:
    """Read the results of a folder, in the order of their names; UserError if there is none."""
    pattern = os.path.join(glob.escape(os.path.expanduser(run_dir)), '*.npz')
    found = [load_projection(path) for path in sorted(glob.glob(pattern))]
    if not found:
        raise UserError(
            'there is no projected image (*.npz) in %r; choose the folder of a run of '
            'run_projector.py' % run_dir
        )
    return found


def load_picture(run_dir: str, name: str) -> np.ndarray:
    """The projected image of a result, float32 [C, H, W] in [-1, 1]; UserError if it is gone."""
    path = os.path.join(os.path.expanduser(run_dir), name + '-projected.png')
    with open_regular(path) as file, reading(path, 'a picture'), Image.open(file) as picture:
        if picture.format != 'PNG' or picture.mode not in ('L', 'RGB', 'RGBA'):
            raise ValueError('it is %s of mode %s' % (picture.format, picture.mode))
        pixels = np.asarray(picture, np.float32)
    pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return misc.adjust_dynamic_range(pixels, [0, 255], [-1, 1])


def hard_cases(run_dir: str) -> List[str]:
    """Names of the hard cases of a run, [] if it was stopped."""
    path = os.path.join(os.path.expanduser(run_dir), 'summary.json')
    if not os.path.exists(path):
        return []
    with open_regular(path) as file, reading(path, 'a summary of run_projector.py'):
        names = json.loads(file.read().decode('utf-8'))['hard_cases']
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError('its hard_cases are no list of names')
        return names


def file_sha256(path_or_url: str) -> str:
    """Hash of a file's content."""
    with misc.open_file_or_url(path_or_url) as file:
        return hashlib.sha256(file.read()).hexdigest()


def network_of(result: EasyDict, network: Optional[str] = None) -> str:
    """Path or URL of the network of a projection.

    Args:
        network: where it is now; None: where it was.

    Raises:
        UserError: it is not there, or is another one.
    """
    path = network or result.settings['network']
    if network is None and not util.is_url(path) and not os.path.isfile(path):
        raise UserError(
            'the network of %s is no longer at %s; name it by --network' % (result.name, path)
        )
    if file_sha256(path) != result.settings['network_sha256']:
        raise UserError(
            '%s is not the network that %s was projected into (%s then)'
            % (path, result.name, result.settings['network'])
        )
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
        raise UserError(
            'the projection does not fit the network %r: its arrays are %s, the '
            'network takes %s' % (Gs.name, have, want)
        )
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
            self._images = arithmetic.images_at(
                Gs, space, self._latents, self._noises, self._alpha_powers
            )

    def render(self, result: EasyDict) -> np.ndarray:
        """Image float32 [C, H, W], nominally in [-1, 1]."""
        feed = {self._latents: result.dlatents[np.newaxis]}
        feed.update((var, value[np.newaxis]) for var, value in zip(self._noises, result.noises))
        if self._alpha_powers is not None:
            feed[self._alpha_powers] = result.alpha_powers[np.newaxis]
        return tflib.run(self._images, feed)[0]


def save_picture(images: Sequence[np.ndarray], path: str) -> None:
    """Save images [C, H, W] in [-1, 1] side by side."""
    misc.save_image_grid(np.stack(images), path, [-1, 1], (len(images), 1))


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
        if os.path.exists(os.path.join(folder, '_finished.txt')) or os.path.samefile(
            folder, run_dir
        ):
            continue
        for name in sorted(set(targets) - set(done)):
            path = os.path.join(folder, name + '.npz')
            if not os.path.exists(path):
                continue
            result = load_projection(path)
            if _relevant(result.settings) == _relevant(settings) and np.array_equal(
                result.target, targets[name]
            ):
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
        with open(os.path.join(source, file_name), 'rb') as file, atomic_write(
            os.path.join(target, file_name)
        ) as copy:
            copy.write(file.read())
