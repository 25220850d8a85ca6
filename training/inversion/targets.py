"""Images to project: made by the network itself, of its data set, or files of a folder."""

import itertools
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from dnnlib.names import plain_name
from dnnlib.tflib.network import Network
from dnnlib.util import UserError, open_regular, reading
from training import anatomy
from training.data.decoding import CONVERSIONS, ImageOptions, UnusableImage
from training.data.image_files import ImageFiles
from training.data.opening import load_dataset
from training.inversion.methods import NUM_IMAGES
from training.misc import adjust_dynamic_range
from training.pictures.generate import Generator
from training.runs import training_options

_LONGEST_NAME = 150  # characters; endings such as -projected.png come on top
_COLOURS = {1: 'gray', 3: 'rgb', 4: 'rgba'}


class Target(NamedTuple):
    """An image to project into a network."""

    name: str  # what its files begin with
    source: str  # its seed, number or file name
    title: str  # for messages, with places for its number and that of all
    image: Optional[np.ndarray]  # float32 [C, H, W] in [-1, 1]
    noises: Optional[List[np.ndarray]]  # [1, H, W] each, where they are known


def find_targets(Gs: Network, kind: str, **options) -> List[Target]:
    """Images to project into a network.

    Args:
        kind: 'generated', 'dataset' or 'folder'. options: of `generated`, `from_dataset` or
            `from_folder`.

    Raises:
        UserError: the images do not fit the network, cannot be read or are not there.
    """
    kinds: Dict[str, Callable[..., List[Target]]]
    kinds = dict(generated=generated, dataset=from_dataset, folder=from_folder)
    return kinds[kind](Gs, **options)


def real_images(
    run_dir: Optional[str],
    images: Optional[str],
    fit: bool,
    num_images: Optional[int],
    dataset: Optional[str],
    data_dir: Optional[str],
) -> Dict[str, Any]:
    """Which images to project, as arguments of `find_targets`.

    Args:
        run_dir: of the network, whose data set is the default; None if it is not known.
        images: folder or .zip. fit: see `from_folder`. num_images: None: NUM_IMAGES, or all files.
        dataset, data_dir: a data set in place of the run's.

    Raises:
        UserError: the arguments contradict each other, or name no images.
    """
    if images is not None:
        if dataset is not None:
            raise UserError('--images and --dataset are both given; choose one')
        return dict(kind='folder', path=images, num_images=num_images, fit=fit)
    if fit:
        raise UserError('--fit is for --images, which is not given')
    options = (training_options(run_dir, dataset is None) if run_dir else None) or {}
    dataset_args = options.get('dataset_args')
    if dataset is not None:
        dataset_args = dict(tfrecord_dir=dataset)
    if dataset_args is None:
        advice = 'name the data set by --dataset, or image files by --images'
        text = 'no training run tells which images the network was trained on; %s'
        raise UserError(text % advice)
    return dict(
        kind='dataset',
        dataset_args=dict(dataset_args),
        data_dir=data_dir or options.get('data_dir') or 'datasets',
        num_images=num_images or NUM_IMAGES,
    )


def generated(
    Gs: Network,
    seeds: Sequence[int],
    truncation_psi: float,
    class_index: Optional[int] = None,
    only_check: bool = False,
) -> List[Target]:
    """Images of seeds, with the noise inputs that belong to them.

    Args:
        only_check: leave images and noise out.
    """
    noise = 'random' if anatomy.takes_noise(Gs) else 'const'
    generator = Generator(Gs, truncation_psi, noise, class_index)
    if only_check:
        return [_of_seed(seed) for seed in seeds]
    latents, noises = generator.latents(seeds), list(generator.noises(seeds) or [])
    images = generator.images(latents, noises=noises or None, as_uint8=False)
    if not noises:
        return [_of_seed(seed, image) for seed, image in zip(seeds, images)]
    maps = [[m[0].astype(np.float32) for m in each] for each in noises]
    return [_of_seed(*values) for values in zip(seeds, images, maps)]


def _of_seed(seed, image=None, noises=None):
    return Target('seed%04d' % seed, str(seed), 'seed %d (%%d/%%d)' % seed, image, noises)


def from_dataset(
    Gs: Network, data_dir: str, dataset_args: Dict[str, Any], num_images: int
) -> List[Target]:
    """The first images of a data set, in file order."""
    options = dict(dataset_args, max_label_size=0, shuffle_mb=0, repeat=False)
    reals = load_dataset(data_dir=data_dir, **options)
    try:
        if reals.shape != Gs.output_shape[1:]:
            shapes = _in_words(reals.shape), _in_words(Gs.output_shape[1:])
            text = 'the images of the data set are %s, those of the network %s; '
            raise UserError(text % shapes + 'choose another --dataset')
        if num_images > reals.num_images:
            text = '--num-images is %d, but the data set has %d images'
            raise UserError(text % (num_images, reals.num_images))
        images = enumerate(map(_to_float, map(reals.get_image, range(num_images))))
        return [Target('image%04d' % i, str(i), 'image %d/%d', x, None) for i, x in images]
    finally:
        reals.close()


def from_folder(
    Gs: Network, path: str, num_images: Optional[int] = None, fit: bool = False
) -> List[Target]:
    """Image files of a folder or .zip in the order of their names, named after them.

    Args:
        num_images: the first so many; None: all.
        fit: cut out the middle square, resize it and convert its colours, as the network has it.
    """
    channels, _, resolution = Gs.output_shape[1:]
    colours = _COLOURS[channels]
    files = ImageFiles(path)
    try:
        targets: Dict[str, Target] = {}
        for index in range(len(files.names))[:num_images]:
            file_name = files.names[index]
            try:
                options = ImageOptions(convert=colours if colours == 'rgba' else None)
                if fit:
                    options = ImageOptions(resolution, True, colours)
                else:
                    _check_image(files, index, options, resolution, colours)
                image = files.decode(index, options)
            except UnusableImage as error:
                raise UserError('%s in %r %s' % (file_name, path, error))
            name = _new_name(os.path.splitext(file_name)[0], targets)
            targets[name] = Target(name, file_name, 'image %d/%d', _to_float(image), None)
        files.report()
        return list(targets.values())
    finally:
        files.close()


def _new_name(file_name, taken):
    """What results are called: in letters that every file system has, and as no others are."""
    name = first = plain_name(file_name)[:_LONGEST_NAME]
    for number in itertools.count(2):
        if name not in taken:
            return name
        name = '%s-%d' % (first, number)


def _check_image(files, index, options, resolution, colours):
    """Raise UnusableImage unless the network can make such an image."""
    image = files.open(index, options)
    if image.size != (resolution, resolution):
        text = 'is %dx%d pixels, the network makes %dx%d; --fit cuts out the middle and resizes it'
        raise UnusableImage(text % (image.size + (resolution, resolution)))
    if image.mode != CONVERSIONS[colours]:
        text = 'is an image of mode %s, the network makes %s; --fit converts it'
        raise UnusableImage(text % (image.mode, CONVERSIONS[colours]))


def read_hard_cases(path: str, targets: Sequence[Target]) -> List[str]:
    """Names of hard cases from a text file, one a line, with or without extension; # comments.

    Raises:
        UserError: the file cannot be read, or an image of that name is not among the targets.
    """
    with open_regular(os.path.expanduser(path)) as file, reading(path, '--hard-cases'):
        text = file.read().decode('utf-8')
    lines = [line.partition('#')[0].strip() for line in text.splitlines()]
    names = {key: target.name for target in targets for key in (target.name, target.source)}
    for line in filter(None, lines):
        if line not in names:
            text = '--hard-cases names %r, which is not among the %d images (%s, ...)'
            raise UserError(text % (line, len(targets), targets[0].name))
    hard = {names[line] for line in lines if line}
    return [target.name for target in targets if target.name in hard]


def _to_float(image):
    return adjust_dynamic_range(image.astype(np.float32), [0, 255], [-1, 1])


def _in_words(shape):
    return '%dx%d %s' % (shape[2], shape[1], _COLOURS[shape[0]])
