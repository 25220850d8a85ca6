#!/usr/bin/env python3
"""Make data sets for training and look into them."""

import argparse
import inspect
import os
import sys

from dnnlib import flags  # first, see dnnlib/startup.py

# isort: split

from PIL import ImageColor

from dnnlib.cli import MAX_SEED, number, run_cli
from dnnlib.flags import Command, flag
from dnnlib.hints import next_command
from training.data.decoding import CONVERSIONS
from training.data.from_images import create_from_crops, create_from_images
from training.data.hdf5_images import VALUES
from training.data.inspection import compare, display, extract, info, verify
from training.data.published import (
    create_celeba,
    create_cifar10,
    create_cifar100,
    create_from_hdf5,
    create_lsun,
    create_lsun_wide,
    create_mnist,
    create_mnistrgb,
    create_svhn,
)
from training.data.tfrecord_exporter import TFRecordExporter  # noqa: F401 - for users' scripts

_POSITIONALS = {
    'source': 'data set to choose from: folder of .tfrecords, or folder or .zip of images',
    'tfrecord_dir': 'folder of the data set',
    'tfrecord_dir_a': 'folder of a data set',
    'tfrecord_dir_b': 'folder of another data set',
    'image_dir': 'folder or .zip of images',
    'output_dir': 'folder for the images',
    'mnist_dir': 'folder of the MNIST files *-ubyte.gz',
    'cifar10_dir': 'folder of data_batch_1 to data_batch_5 (Python version)',
    'cifar100_dir': 'folder of the file train (Python version)',
    'svhn_dir': 'folder of train_1.pkl to train_3.pkl',
    'lmdb_dir': 'LMDB folder of one LSUN category',
    'celeba_dir': 'folder that holds img_align_celeba_png',
    'hdf5_filename': 'HDF5 file of images',
}
_COUNT = number(int, 1, 10**9)
_SEED = number(int, 0, MAX_SEED)
_PIXELS = number(int, 0, 1 << 16)


def _colour(text):
    """Flag type: a colour by name or as #rrggbb, as (red, green, blue)."""
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise argparse.ArgumentTypeError('%r is no colour such as white or #ff8000' % text)


def _command(function, summary, options, example):
    """The sub-command of a function's name; its paths are positional arguments."""
    names = [name for name in inspect.signature(function).parameters if name in _POSITIONALS]
    return Command(function.__name__, function, summary, _paths(*names) + options, example)


def _paths(*names):
    return [flag(name, str, _POSITIONALS[name]) for name in names]


def _zero_or_one(name, default, help):
    return flag(name, int, help, default, choices=[0, 1])


_FORCE = flag('--force', bool, 'replace a data set that is in the folder')
_SHUFFLE = _zero_or_one('--shuffle', 1, '1 = always the same random order, 0 = source order')
_BACKGROUND = flag('--background', _colour, 'what transparent pixels are blended with', 'white')
_MAX_IMAGES = flag('--max-images', _COUNT, 'stop after so many images (default: all)')

_COMMANDS = [
    _command(info, 'print what a data set holds', [], 'datasets/photos'),
    _command(verify, 'check every record of a data set', [], 'datasets/photos'),
    _command(display, 'show images one by one', [], 'datasets/photos'),
    _command(extract, 'write all images as PNG files', [], 'datasets/photos my/copies'),
    _command(
        compare,
        'compare two data sets image by image',
        [_zero_or_one('--ignore-labels', 0, 'compare images only')],
        'datasets/photos datasets/others',
    ),
    _command(
        create_from_images,
        'make a data set of image files; one folder per class gives labels',
        [
            _SHUFFLE,
            flag('--resize', int, 'resize to NxN pixels, a power of two'),
            flag('--crop', bool, 'cut out the middle square'),
            flag('--convert', sorted(CONVERSIONS), 'convert all images to this kind'),
            flag('--skip-bad', bool, 'leave out files that cannot be used'),
            _BACKGROUND,
            _FORCE,
        ],
        'datasets/photos my/photos --crop --resize=256',
    ),
    _command(
        create_from_crops,
        'make a data set of random square crops of photographs',
        [
            flag('--resolution', int, 'side of the images, a power of two', 32),
            flag('--num-images', int, 'number of crops', 5000),
            flag('--seed', _SEED, 'determines the crops', 0),
            flag('--min-scale', float, "smallest crop, as part of a photograph's short side", 0.25),
            flag('--max-scale', float, 'largest crop, likewise', 1.0),
            _BACKGROUND,
            _FORCE,
        ],
        'datasets/crops my/photos --num-images=10000',
    ),
    _command(create_mnist, 'make a data set of MNIST', [_FORCE], 'datasets/mnist my/mnist'),
    _command(
        create_mnistrgb,
        'make a data set of stacked MNIST',
        [
            flag('--num-images', _COUNT, 'number of images', 1000000),
            flag('--random-seed', _SEED, 'determines the digits', 123),
            _FORCE,
        ],
        'datasets/mnistrgb my/mnist',
    ),
    _command(create_cifar10, 'make a data set of CIFAR-10', [_FORCE], 'datasets/cifar my/cifar-10'),
    _command(
        create_cifar100, 'make a data set of CIFAR-100', [_FORCE], 'datasets/cifar my/cifar-100'
    ),
    _command(create_svhn, 'make a data set of SVHN', [_FORCE], 'datasets/svhn my/svhn'),
    _command(
        create_lsun,
        'make a data set of one LSUN category',
        [flag('--resolution', _PIXELS, 'side of the images', 256), _MAX_IMAGES, _FORCE],
        'datasets/cats my/cat_lmdb --resolution=128',
    ),
    _command(
        create_lsun_wide,
        'make a data set of one LSUN category, wide images between black bars',
        [
            flag('--width', _PIXELS, 'side of the images', 512),
            flag('--height', _PIXELS, 'rows between the bars', 384),
            _MAX_IMAGES,
            _FORCE,
        ],
        'datasets/cars my/car_lmdb',
    ),
    _command(
        create_celeba,
        'make a data set of 128x128 crops of CelebA',
        [
            flag('--cx', _PIXELS, 'middle of the crops', 89),
            flag('--cy', _PIXELS, 'middle of the crops', 121),
            _FORCE,
        ],
        'datasets/celeba my/celeba',
    ),
    _command(
        create_from_hdf5,
        'make a data set of an HDF5 file',
        [_SHUFFLE, flag('--values', list(VALUES), 'range of its values', '0..255'), _FORCE],
        'datasets/celebahq my/celebahq.h5',
    ),
    Command(
        'select_by_pagerank',
        'training.data.pagerank.select_by_pagerank',  # needs TensorFlow
        'make a data set of the most typical images of another one, by PageRank',
        [
            *_paths('tfrecord_dir', 'source'),
            flag('--num', int, 'number of images to choose', 100000),
            flag(
                '--features',
                ['pixels', 'vgg16'],
                'what is compared: 16x16 pixels, or VGG16',
                'pixels',
            ),
            flag('--k', int, 'nearest neighbours that an image links to', 20),
            flag('--a', float, 'weight of a link of mean squared length', 0.95),
            flag('--damping', float, 'part of a score that links bring', 0.85),
            flag('--vgg16', 'FILE', "Keras' weights of VGG16 (default: found or downloaded)"),
            _FORCE,
        ],
        'datasets/cat-selected datasets/cats --num=100000',
    ),
]


def main(argv=None):
    """Run the command that the arguments name; without any, print the help."""
    argv = list(map(_with_dashes, sys.argv[1:] if argv is None else argv)) or ['--help']
    command, options = flags.parse_command('dataset_tool.py', __doc__, _COMMANDS, argv)
    function, _ = command.loaded()
    status = function(**options)
    if 'force' in options:  # it made a data set
        data_dir, name = os.path.split(os.path.normpath(options['tfrecord_dir']))
        flags_of_data = '--data-dir=' + (data_dir or '.'), '--dataset=' + name
        print(next_command('run_training.py', *flags_of_data))
    return status


def _with_dashes(argument):
    """Upstream's spelling of a flag, --num_images, as --num-images."""
    name, equals, value = argument.partition('=')
    return (name.replace('_', '-') if name.startswith('--') else name) + equals + value


if __name__ == '__main__':
    sys.exit(run_cli(main))
