#!/usr/bin/env python3
"""Make data sets for training and look into them."""

import argparse
import sys

from dnnlib.cli import ArgumentParser, run_cli
from training.data.from_images import create_from_crops, create_from_images
from training.data.image_files import CONVERSIONS
from training.data.inspection import compare, display, extract, info, verify
from training.data.pagerank import FEATURES, select_by_pagerank
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
from training.data.tfrecord_exporter import TFRecordExporter

__all__ = [
    'TFRecordExporter',
    'compare',
    'create_celeba',
    'create_cifar10',
    'create_cifar100',
    'create_from_crops',
    'create_from_hdf5',
    'create_from_images',
    'create_lsun',
    'create_lsun_wide',
    'create_mnist',
    'create_mnistrgb',
    'create_svhn',
    'display',
    'extract',
    'info',
    'main',
    'select_by_pagerank',
    'verify',
]

_EXAMPLES = """examples:
  # photographs of any size in my/photos -> data set of 256x256 images
  python dataset_tool.py create_from_images datasets/photos my/photos --crop --resize=256
  # the same with one folder per class -> data set with labels
  python dataset_tool.py create_from_images datasets/animals my/animals --crop --resize=64
  # what is in it, and is it sound?
  python dataset_tool.py info datasets/photos
  python dataset_tool.py verify datasets/photos

python dataset_tool.py <command> --help tells the options of a command.
"""

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
_FORCE = ('--force', dict(action='store_true', help='replace a data set that is in the folder'))
_SHUFFLE = (
    '--shuffle',
    dict(
        type=int,
        default=1,
        choices=[0, 1],
        help='1 = always the same random order, 0 = source order',
    ),
)

_MAX_IMAGES = ('--max-images', dict(type=int, help='stop after so many images, None = all'))

# function, what it does, positional arguments, options
_COMMANDS = [
    (info, 'Print what a data set holds.', ['tfrecord_dir'], []),
    (verify, 'Check every record of a data set.', ['tfrecord_dir'], []),
    (display, 'Show images one by one.', ['tfrecord_dir'], []),
    (extract, 'Write all images as PNG files.', ['tfrecord_dir', 'output_dir'], []),
    (
        compare,
        'Compare two data sets image by image.',
        ['tfrecord_dir_a', 'tfrecord_dir_b'],
        [
            (
                '--ignore-labels',
                dict(type=int, default=0, choices=[0, 1], help='compare images only'),
            ),
        ],
    ),
    (
        create_from_images,
        'Make a data set of image files; one folder per class gives labels.',
        ['tfrecord_dir', 'image_dir'],
        [
            _SHUFFLE,
            ('--resize', dict(type=int, metavar='N', help='resize to NxN pixels, a power of two')),
            ('--crop', dict(action='store_true', help='cut out the middle square')),
            (
                '--convert',
                dict(choices=sorted(CONVERSIONS), help='convert all images to this kind'),
            ),
            ('--skip-bad', dict(action='store_true', help='leave out files that cannot be used')),
            _FORCE,
        ],
    ),
    (
        create_from_crops,
        'Make a data set of random square crops of photographs.',
        ['tfrecord_dir', 'image_dir'],
        [
            ('--resolution', dict(type=int, default=32, help='side of the images, a power of two')),
            ('--num-images', dict(type=int, default=5000, help='number of crops')),
            ('--seed', dict(type=int, default=0, help='determines the crops')),
            (
                '--min-scale',
                dict(
                    type=float,
                    default=0.25,
                    help='smallest crop, as part of the shorter side of a photograph',
                ),
            ),
            ('--max-scale', dict(type=float, default=1.0, help='largest crop, likewise')),
            _FORCE,
        ],
    ),
    (create_mnist, 'Make a data set of MNIST.', ['tfrecord_dir', 'mnist_dir'], [_FORCE]),
    (
        create_mnistrgb,
        'Make a data set of stacked MNIST.',
        ['tfrecord_dir', 'mnist_dir'],
        [
            ('--num-images', dict(type=int, default=1000000, help='number of images')),
            ('--random-seed', dict(type=int, default=123, help='determines the digits')),
            _FORCE,
        ],
    ),
    (create_cifar10, 'Make a data set of CIFAR-10.', ['tfrecord_dir', 'cifar10_dir'], [_FORCE]),
    (create_cifar100, 'Make a data set of CIFAR-100.', ['tfrecord_dir', 'cifar100_dir'], [_FORCE]),
    (create_svhn, 'Make a data set of SVHN.', ['tfrecord_dir', 'svhn_dir'], [_FORCE]),
    (
        create_lsun,
        'Make a data set of one LSUN category.',
        ['tfrecord_dir', 'lmdb_dir'],
        [
            ('--resolution', dict(type=int, default=256, help='side of the images')),
            _MAX_IMAGES,
            _FORCE,
        ],
    ),
    (
        create_lsun_wide,
        'Make a data set of one LSUN category, wide images between black bars.',
        ['tfrecord_dir', 'lmdb_dir'],
        [
            ('--width', dict(type=int, default=512, help='side of the images')),
            ('--height', dict(type=int, default=384, help='rows between the bars')),
            _MAX_IMAGES,
            _FORCE,
        ],
    ),
    (
        create_celeba,
        'Make a data set of 128x128 crops of CelebA.',
        ['tfrecord_dir', 'celeba_dir'],
        [
            ('--cx', dict(type=int, default=89, help='middle of the crops')),
            ('--cy', dict(type=int, default=121, help='middle of the crops')),
            _FORCE,
        ],
    ),
    (
        create_from_hdf5,
        'Make a data set of an HDF5 file.',
        ['tfrecord_dir', 'hdf5_filename'],
        [_SHUFFLE, _FORCE],
    ),
    (
        select_by_pagerank,
        'Make a data set of the most typical images of another one, by PageRank.',
        ['source', 'tfrecord_dir'],
        [
            ('--num', dict(type=int, default=100000, help='number of images to choose')),
            (
                '--features',
                dict(
                    choices=FEATURES,
                    default='pixels',
                    help='what images are compared by: 16x16 pixels, or VGG16',
                ),
            ),
            ('--k', dict(type=int, default=20, help='nearest neighbours that an image links to')),
            ('--a', dict(type=float, default=0.95, help='weight of a link of mean squared length')),
            ('--damping', dict(type=float, default=0.85, help='part of a score that links bring')),
            (
                '--vgg16',
                dict(
                    metavar='FILE',
                    help="Keras' weights of VGG16 without the dense layers, "
                    'None = look for them, or download them',
                ),
            ),
            _FORCE,
        ],
    ),
]


def _make_parser():
    parser = ArgumentParser(
        prog='dataset_tool.py',
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(metavar='<command>')
    for function, summary, positionals, options in _COMMANDS:
        command = subparsers.add_parser(
            function.__name__,
            help=summary,
            description=summary,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        command.set_defaults(function=function)
        for name in positionals:
            command.add_argument(name, help=_POSITIONALS[name])
        for flag, settings in options:
            command.add_argument(flag, **settings)
    return parser


def main(argv=None):
    """Run the command that the arguments name; without any, print the help."""
    argv = sys.argv[1:] if argv is None else argv
    parser = _make_parser()
    args = vars(parser.parse_args([_with_dashes(arg) for arg in argv]))
    function = args.pop('function', None)
    if function is None:
        parser.print_help()
        return None
    return function(**args)


def _with_dashes(argument):
    """Upstream's spelling of a flag, --num_images, as --num-images."""
    flag, equals, value = argument.partition('=')
    return (flag.replace('_', '-') if flag.startswith('--') else flag) + equals + value


if __name__ == '__main__':
    sys.exit(run_cli(main))
