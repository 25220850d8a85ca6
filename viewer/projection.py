"""Projecting one picture, a few steps at a time, so that others are served in between."""

import os
import shlex
import shutil
import time
from argparse import Namespace
from typing import Iterator, List, NamedTuple, Optional

import numpy as np

from dnnlib import EasyDict, program
from dnnlib.files import temporary_folder
from dnnlib.util import UserError
from projector import find_vgg16, make_projector
from training.inversion import results
from training.inversion.targets import from_folder
from viewer.networks import Networks

METHOD = 'wplus-alpha'
_SECONDS = 0.5  # of steps between two looks


class Found(NamedTuple):
    """How far a projection is.

    images: target and what is found, float32 [C, H, W] in [-1, 1]; mse: between them. seconds_left:
        about.
    """

    step: int
    num_steps: int
    images: List[np.ndarray]
    mse: float
    seconds_left: float


def project(
    networks: Networks,
    network: str,
    picture: str,
    num_steps: int,
    class_index: Optional[int] = None,
) -> Iterator[Found]:
    """Find the latents of a file's picture, as `run_projector.py project-real-images` does.

    Yields how far it is; the last image is the one that the command writes.

    Raises:
        UserError: the picture cannot be used, or the network cannot be searched.
    """
    vgg16 = find_vgg16(
        Namespace(vgg16=None, feature_nets_dir=None, lambda_perceptual=None, method=METHOD)
    )
    projector = make_projector(METHOD, dict(num_steps=num_steps, class_index=class_index), vgg16)
    loaded = networks.load(network)
    try:
        with networks.entered(loaded):
            target = _target(loaded.Gs, picture)
            projector.set_network(loaded.Gs)
            projector.start(np.stack([target.image]), [[0, 0]])
        start = time.time()
        step = 0
        while step < num_steps:
            end = time.time() + _SECONDS
            with networks.entered(loaded):
                while time.time() < end and step < num_steps:
                    projector.step()
                    step += 1
                images = [target.image, projector.get_images()[0]]
                mse = float(projector.get_losses()['mse'][0])
            left = (time.time() - start) / step * (num_steps - step)
            yield Found(step, num_steps, images, mse, left)
        with networks.entered(loaded):
            t = projector.get_alpha_powers()
            result = EasyDict(
                dlatents=projector.get_dlatents()[0],
                noises=[noise[0] for noise in projector.get_noises()],
                alpha_powers=None if t is None else t[0],
            )
            images[1] = results.Renderer(loaded.Gs, result).render(result)
        yield Found(num_steps, num_steps, images, mse, 0.0)
    finally:
        loaded.session.close()


def _target(Gs, picture):
    with temporary_folder('stylegan2-viewer') as folder:
        shutil.copyfile(picture, os.path.join(folder, 'picture'))
        try:
            return from_folder(Gs, folder, fit=True)[0]
        except UserError as error:
            raise UserError(str(error).replace(repr(folder), 'what was uploaded'))


def command(network: str, num_steps: int, class_index: Optional[int] = None) -> str:
    """The command that projects the picture, in a folder of its own, again."""
    words = ['project-real-images', '--network=' + network, '--images=FOLDER', '--fit']
    words += ['--num-steps=%d' % num_steps]
    words += [] if class_index is None else ['--class=%d' % class_index]
    return ' '.join([program.how_to_run('run_projector.py')] + list(map(shlex.quote, words)))
