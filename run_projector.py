#!/usr/bin/env python3
"""Project images: `python run_projector.py project-real-images` (see --help)."""

import argparse
import os
import sys
from typing import Any, Dict, List, Optional, Tuple

import dnnlib
import pretrained_networks
from dnnlib import cli, util
from dnnlib.tflib import custom_ops
from dnnlib.util import UserError, atomic_write
from metrics import inversion_table
from projector import METHODS
from training import runs
from training.inversion import arithmetic, grid, results
from training.inversion.loop import make_projector
from training.inversion.targets import find_targets, read_hard_cases
from training.perception import feature_nets, vgg16

_EXAMPLES = """examples:
  # The first images of the newest run's data set, into W+ with the alpha reparameterization:
  python run_projector.py project-real-images

  # Photographs, one of which is known to be hard, with and without alpha:
  python run_projector.py project-real-images --images=photos --fit --hard-cases=hard.txt
  python run_projector.py project-real-images --images=photos --fit --hard-cases=hard.txt \\
      --optimize-alpha=false

  # The official method:
  python run_projector.py project-generated-images --seeds=0,1,5 --method=w-lpips

  # Several networks side by side:
  python run_projector.py compare results/00003-project-real-images \\
      results/00004-project-real-images
"""
_NUM_IMAGES = 3
# Flags that set an attribute of the projector of the same name.
_ATTRIBUTES = dict(
    space='space',
    num_steps='num_steps',
    learning_rate='initial_learning_rate',
    alpha_learning_rate='alpha_learning_rate',
    optimize_noise='optimize_noise',
    optimize_alpha='optimize_alpha',
    lambda_mse='lambda_mse',
    lambda_perceptual='lambda_perceptual',
    class_index='class_index',
    feature_nets='feature_nets_dir',
)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description='Find the latents of images.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(metavar='<command>', dest='command')

    add = _add_command(commands, 'project-generated-images', 'images that the network makes')
    add(
        '--seeds',
        type=cli.parse_int_list,
        default=[0, 1, 2],
        metavar='LIST',
        help='seeds of the images (default: 0,1,2)',
    )
    add(
        '--truncation-psi',
        type=float,
        default=1.0,
        metavar='X',
        help='strength of truncation of the images, 1 for none (default: %(default)s)',
    )

    add = _add_command(commands, 'project-real-images', 'images of a data set or a folder')
    add('--dataset', metavar='NAME', help="data set in --data-dir (default: the run's)")
    add('--data-dir', metavar='DIR', help="folder of data sets (default: the run's, or datasets)")
    add('--images', metavar='DIR', help='folder or .zip of images in place of a data set')
    add(
        '--fit',
        action='store_true',
        help='cut out the middle square of --images, resize it and\nconvert its colours',
    )
    add(
        '--num-images',
        type=int,
        metavar='N',
        help='number of images (default: %d of a data set, all of --images)' % _NUM_IMAGES,
    )

    command = commands.add_parser(
        'compare',
        help='a picture and a table of several runs',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    command.add_argument('run_dirs', nargs='+', metavar='RUN', help='folders of projection runs')
    _add_result_dir(command.add_argument)

    args = parser.parse_args(argv)
    if args.command is None:
        raise UserError(
            'missing sub-command; choose from %s (see --help)' % ', '.join(commands.choices)
        )
    return args


def _add_result_dir(add):
    add(
        '--result-dir',
        default='results',
        metavar='DIR',
        help='folder of all runs (default: %(default)s)',
    )


def _add_command(commands, name, summary):
    """A sub-command with the flags of all projections; returns its `add_argument`."""
    add = commands.add_parser(
        name, help=summary, formatter_class=argparse.RawTextHelpFormatter
    ).add_argument
    add(
        '--network',
        metavar='PKL',
        help='network pickle, URL, published network, or folder of a '
        'run\n(default: last snapshot of the newest run)',
    )
    add(
        '--num-snapshots',
        type=int,
        default=5,
        metavar='N',
        help='pictures on the way (default: %(default)s)',
    )
    _add_result_dir(add)
    add(
        '--method',
        choices=list(METHODS),
        default='wplus-alpha',
        help='w-lpips: that of official StyleGAN2; wplus-alpha:\n'
        "Image2StyleGAN with the paper's alpha reparameterization (default: %(default)s)",
    )
    add(
        '--space',
        choices=arithmetic.SPACES,
        help='w: one w for all layers; wplus: one for each;\n'
        'z: of networks without w (default: by --method)',
    )
    add('--num-steps', type=int, metavar='N', help='steps (default: 1000)')
    add(
        '--optimize-alpha',
        type=cli.str_to_bool,
        metavar='BOOL',
        help='search an exponent of each '
        "layer's alpha\n(default: with wplus-alpha, for networks that have it)",
    )
    add(
        '--optimize-noise',
        type=cli.str_to_bool,
        metavar='BOOL',
        help='search noise inputs (default: by --method)',
    )
    add(
        '--learning-rate',
        type=float,
        metavar='X',
        help='for latents and noise (default: %s)'
        % ', '.join(
            '%s %g' % (name, values['initial_learning_rate']) for name, values in METHODS.items()
        ),
    )
    add('--alpha-learning-rate', type=float, metavar='X', help='for exponents (default: 0.002)')
    add(
        '--lambda-mse',
        type=float,
        metavar='X',
        help='weight of the mean squared error (default: by --method)',
    )
    add(
        '--lambda-perceptual',
        type=float,
        metavar='X',
        help='weight of the perceptual loss (default: by --method)',
    )
    add(
        '--vgg16',
        metavar='FILE',
        help="Keras' weights of VGG16 for the perceptual loss; "
        'download: get them;\nnone: without (default: if they are in --feature-nets or '
        'were\ndownloaded before)',
    )
    add(
        '--feature-nets',
        type=cli.existing_dir,
        metavar='DIR',
        help='folder of pretrained networks, for machines without\n'
        'internet; code in their files runs (default: %s)' % feature_nets.FOLDER_VARIABLE,
    )
    add(
        '--hard-cases',
        metavar='FILE',
        help='text file of names of images, one a line, that also get a mean of\ntheir own',
    )
    add(
        '--class',
        type=int,
        metavar='N',
        dest='class_index',
        help='class of the images, for networks trained with --cond',
    )
    add(
        '--minibatch-size',
        type=int,
        default=4,
        metavar='N',
        help='images at a time (default: %(default)s)',
    )
    add(
        '--seed',
        type=int,
        default=0,
        metavar='N',
        help='of all that is random (default: %(default)s)',
    )
    add(
        '--trust-network-code',
        action='store_true',
        help='run code that is embedded in --network, if you trust its source',
    )
    add(
        '--require-native-ops',
        action='store_true',
        help='end with an error where compiled ops cannot be had',
    )
    return add


def find_source(args: argparse.Namespace) -> Tuple[str, Dict[str, Any]]:
    """Path or URL of the network, and arguments of `find_targets`, by flags and its run."""
    run_dir, network = None, args.network
    if network is None:
        run_dir = runs.newest_run(args.result_dir)
    elif os.path.isdir(os.path.expanduser(network)):
        run_dir = os.path.expanduser(network)
    if run_dir:
        network = runs.last_snapshot(run_dir)
    network = pretrained_networks.get_path_or_url(network)
    if not util.is_url(network):
        network = os.path.abspath(os.path.expanduser(network))
        if not os.path.isfile(network):
            raise UserError('there is no file %r; name a network by --network' % network)
        run_dir = os.path.dirname(network)
    if args.command == 'project-generated-images':
        return network, dict(
            kind='generated',
            seeds=args.seeds,
            class_index=args.class_index,
            truncation_psi=args.truncation_psi,
        )
    if args.images is not None:
        if args.dataset is not None:
            raise UserError('--images and --dataset are both given; choose one')
        return network, dict(
            kind='folder', path=args.images, num_images=args.num_images, fit=args.fit
        )
    if args.fit:
        raise UserError('--fit is for --images, which is not given')
    options = (runs.training_options(run_dir) if run_dir else None) or {}
    dataset_args = options.get('dataset_args')
    if args.dataset is not None:
        dataset_args = dict(tfrecord_dir=args.dataset)
    if dataset_args is None:
        raise UserError(
            'no training run tells which images %s was trained on; name the data set '
            'by --dataset, or image files by --images' % network
        )
    return network, dict(
        kind='dataset',
        dataset_args=dict(dataset_args),
        data_dir=args.data_dir or options.get('data_dir') or 'datasets',
        num_images=args.num_images or _NUM_IMAGES,
    )


def find_vgg16(args: argparse.Namespace) -> Optional[str]:
    """File of VGG16's weights, None to go without."""
    if args.vgg16 == 'none':
        return None
    if args.vgg16 == 'download':
        return vgg16.find_weights(folder=args.feature_nets)
    path = vgg16.find_weights(args.vgg16, download=False, folder=args.feature_nets)
    if path is not None:
        vgg16.load_weights(path)
    elif args.lambda_perceptual:
        raise UserError(
            "--lambda-perceptual needs VGG16's weights; name their file by --vgg16, or "
            'get them by --vgg16=download'
        )
    elif args.method == 'wplus-alpha':
        print(
            "VGG16's weights are not there: the loss is the mean squared error alone "
            '(--vgg16=download gets them).'
        )
    return path


def check_options(
    args: argparse.Namespace,
    network: str,
    source: Dict[str, Any],
    attributes: Dict[str, Any],
    vgg16_weights: Optional[str],
) -> List[str]:
    """Find what would stop the run, before it makes a folder or optimizes for hours.

    Returns: names of the hard cases.
    """
    for name, low in [
        ('num_steps', 1),
        ('num_snapshots', 1),
        ('num_images', 1),
        ('seed', 0),
        ('minibatch_size', 1),
        ('lambda_mse', 0),
        ('lambda_perceptual', 0),
    ]:
        value = getattr(args, name, None)
        if value is not None and not low <= value < 1 << 32:
            raise UserError(
                '--%s is %s; it must be at least %s' % (name.replace('_', '-'), value, low)
            )
    for name in ['learning_rate', 'alpha_learning_rate']:
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise UserError(
                '--%s is %g; it must be greater than 0' % (name.replace('_', '-'), value)
            )
    for seed in source.get('seeds', []):
        if seed >= 1 << 32:
            raise UserError('%d is no seed; seeds are from 0 to %d' % (seed, (1 << 32) - 1))
    Gs = pretrained_networks.load_generator(network, args.trust_network_code)
    make_projector(args.method, attributes, vgg16_weights).check_network(Gs)
    only_check = dict(only_check=True) if source['kind'] == 'generated' else {}
    targets = find_targets(Gs, **dict(source, **only_check))
    hard_cases = [] if args.hard_cases is None else read_hard_cases(args.hard_cases, targets)
    if METHODS[args.method]['lambda_lpips']:
        feature_nets.ensure([feature_nets.LPIPS], args.feature_nets)
    return hard_cases


def compare(run_dirs: List[str]) -> None:
    """Write a picture with a column for each run into the current run folder, and print a table."""
    found_by_run = [(folder, results.load_run(folder)) for folder in run_dirs]
    names = grid.common_names(found_by_run)
    rows, columns = [], []
    for folder, found in found_by_run:
        found = [result for result in found if result.name in names]
        label = inversion_table.label(found[0].settings)
        run_name = os.path.basename(os.path.abspath(folder))
        rows.append(
            (
                '%s (%s)' % (label, run_name),
                inversion_table.summarize(found, results.hard_cases(folder)),
            )
        )
        columns.append((label, [results.load_picture(folder, name) for name in names]))
    origin = [result.target for result in found_by_run[0][1] if result.name in names]
    with atomic_write(dnnlib.make_run_dir_path('grid.png')) as file:
        grid.make_grid([('Origin', origin)] + columns).save(file, 'PNG')
    print('Wrote "%s".' % dnnlib.make_run_dir_path('grid.png'))
    print('\n'.join([''] + inversion_table.table(rows)))


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and project."""
    args = parse_args(argv)
    cli.check_writable_dir(args.result_dir)
    submit_config = dnnlib.SubmitConfig()
    submit_config.run_dir_root = dnnlib.submission.submit.get_template_from_path(args.result_dir)
    submit_config.run_desc = args.command
    if args.command == 'compare':
        grid.common_names([(folder, results.load_run(folder)) for folder in args.run_dirs])
        dnnlib.submit_run(submit_config, 'run_projector.compare', run_dirs=args.run_dirs)
        return
    custom_ops.require_native_ops(args.require_native_ops)
    network, source = find_source(args)
    attributes = {
        _ATTRIBUTES[name]: value
        for name, value in vars(args).items()
        if name in _ATTRIBUTES and value is not None
    }
    vgg16_weights = find_vgg16(args)
    hard_cases = check_options(args, network, source, attributes, vgg16_weights)
    dnnlib.submit_run(
        submit_config,
        'training.inversion.loop.projection_loop',
        network=network,
        source=source,
        method=args.method,
        attributes=attributes,
        num_snapshots=args.num_snapshots,
        minibatch_size=args.minibatch_size,
        hard_cases=hard_cases,
        seed=args.seed,
        vgg16_weights=vgg16_weights,
        trust_network_code=args.trust_network_code,
        result_dir=args.result_dir,
        run_desc=args.command,
    )


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
