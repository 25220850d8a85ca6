#!/usr/bin/env python3
"""Project images: `python run_projector.py project-real-images` (see --help)."""

import os
import sys
from argparse import Namespace
from typing import Any, Dict, List, Optional

import pretrained_networks
from dnnlib import cli, flags, util
from dnnlib.cli import number, str_to_bool
from dnnlib.flags import Command, flag
from dnnlib.options import taken_by
from training import misc, runs
from training.inversion.methods import METHODS, NUM_IMAGES, SPACES

_COUNT = number(int, 1, 1000000)
_RATE = number(float, 0, 1e6, above=True)
_WEIGHT = number(float, 0, 1e9)
_RATES = ', '.join('%s %g' % (name, METHODS[name]['initial_learning_rate']) for name in METHODS)
_SPACE_HELP = 'w: one for all layers; wplus: one each; z: if there is no w (default: by --method)'
_RATE_HELP = 'for latents and noise (default: %s)' % _RATES
# Flags that set attributes of the projector.
_ATTRIBUTES = [
    flag('--space', SPACES, _SPACE_HELP),
    flag('--num-steps', _COUNT, 'steps (default: 1000)'),
    flag('--optimize-alpha', str_to_bool, "exponents of layers' alpha (default: by --method)"),
    flag('--optimize-noise', str_to_bool, 'search noise inputs (default: by --method)'),
    flag('--learning-rate', _RATE, _RATE_HELP, dest='initial_learning_rate'),
    flag('--alpha-learning-rate', _RATE, 'for exponents (default: 0.002)'),
    flag('--lambda-mse', _WEIGHT, 'weight of the mean squared error (default: by --method)'),
    flag('--lambda-perceptual', _WEIGHT, 'weight of the perceptual loss (default: by --method)'),
    flags.CLASS,
]
_METHOD = [
    flag(
        '--method',
        list(METHODS),
        "w-lpips: that of official StyleGAN2; wplus-alpha: Image2StyleGAN with the paper's alpha "
        'reparameterization',
        'wplus-alpha',
    ),
    flags.seed('of all that is random', 0),
]
_PERCEPTION = [
    flag(
        '--vgg16',
        'FILE',
        "Keras' weights of VGG16 for the perceptual loss; download: get them; none: without "
        '(default: if they are in --feature-nets or were downloaded before)',
    ),
    flags.FEATURE_NETS,
]
_PROJECTION = (
    flags.group('network', flags.network(), flags.TRUST_NETWORK_CODE)
    + flags.group('method', *_METHOD, *_ATTRIBUTES)
    + flags.group('perceptual loss', *_PERCEPTION)
    + flags.group('speed', flags.MINIBATCH_SIZE, flags.REQUIRE_NATIVE_OPS)
    + flags.group(
        'output',
        flags.RESULT_DIR,
        flag('--num-snapshots', _COUNT, 'pictures on the way', 5),
        flag('--hard-cases', 'FILE', 'names of images, one a line, that also get their own mean'),
    )
)


def check(work: Dict[str, Any], hard_cases: Optional[str], result_dir: str) -> List[str]:
    """Find what would stop `project`, before it makes a folder or optimizes for hours.

    Returns: names of the hard cases, which stand in this file.
    """
    from projector import make_projector
    from training.inversion.targets import find_targets, read_hard_cases
    from training.perception import feature_nets

    Gs = _load(work['network'], work['trust_network_code'])
    make_projector(work['method'], work['attributes'], work['vgg16_weights']).check_network(Gs)
    only_check = dict(only_check=True) if work['source']['kind'] == 'generated' else {}
    targets = find_targets(Gs, **dict(work['source'], **only_check))
    image_bytes = 4 * util.tuple_product(Gs.output_shape[1:])
    cli.check_space(result_dir, len(targets), 2 * image_bytes * len(targets), 'projections')
    if METHODS[work['method']]['lambda_lpips']:
        feature_nets.ensure(feature_nets.LPIPS, work['attributes'].get('feature_nets_dir'))
    return [] if hard_cases is None else read_hard_cases(hard_cases, targets)


def _load(network, trust_network_code):
    """The generator, in float32 whatever it was trained in."""
    from dnnlib.tflib import precision

    Gs = pretrained_networks.load_generator(network, trust_network_code)
    precision.use(Gs, 'float32')
    return Gs


def project(
    network: str,
    trust_network_code: bool,
    source: Dict[str, Any],
    method: str,
    attributes: Dict[str, Any],
    vgg16_weights: Optional[str],
    seed: int,
    hard_cases: List[str],
    num_snapshots: int,
    minibatch_size: int,
) -> None:
    """Project images into the current run folder, with summary.json and a table.

    Args:
        source: arguments of `find_targets`. method, attributes: of the projector.
        hard_cases: names of images that also get a mean of their own.
        num_snapshots, minibatch_size: of `projection_loop`.
    """
    from metrics import inversion_table
    from projector import make_projector
    from training.inversion.loop import projection_loop
    from training.inversion.targets import find_targets

    print('Loading networks from "%s"...' % network)
    Gs = _load(network, trust_network_code)
    if source['kind'] == 'dataset':
        print('Loading images from "%s"...' % source['dataset_args']['tfrecord_dir'])
    targets = find_targets(Gs, **source)
    facts = dict(network=network, network_sha256=misc.file_sha256(network), seed=seed)
    facts['vgg16_sha256'] = vgg16_weights and misc.file_sha256(vgg16_weights)
    projector = make_projector(method, attributes, vgg16_weights)
    found = projection_loop(Gs, projector, targets, facts, num_snapshots, minibatch_size)
    if found:
        inversion_table.report(found, hard_cases)


COMMANDS = [
    Command(
        'project-generated-images',
        'run_projector.project',
        'project images that the network makes',
        flags.group('images', flags.seeds('0,1,2'), flags.truncation_psi(1.0)) + _PROJECTION,
        '--seeds=0,1,5 --method=w-lpips',
    ),
    Command(
        'project-real-images',
        'run_projector.project',
        'project images of a data set or a folder',
        flags.group(
            'images',
            flags.RUN_DATASET,
            flags.RUN_DATA_DIR,
            flag('--images', 'DIR', 'folder or .zip of images in place of a data set'),
            flag('--fit', bool, 'cut --images to the middle square, resize and convert them'),
            flag('--num-images', _COUNT, 'number (default: all, of a data set %d)' % NUM_IMAGES),
        )
        + _PROJECTION,
        '--images=photos --fit --hard-cases=hard.txt',
    ),
    Command(
        'compare',
        'metrics.inversion_table.compare',
        'a picture and a table of several runs',
        [
            flag('run_dirs', 'RUN', 'projection runs: folders or numbers', nargs='+'),
            flags.RESULT_DIR,
            *flags.FIGURE,
        ],
        'results/00003-project-real-images results/00004-project-real-images',
        'metrics.inversion_table.check_runs',
    ),
]


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and project."""
    description = 'Find the latents of images.'
    command, options = flags.parse_command('run_projector.py', description, COMMANDS, argv)
    args = Namespace(**options)
    cli.check_writable_dir(args.result_dir)
    _, check_runs = command.loaded()
    if check_runs is not None:
        run_dirs = [runs.folder(run, args.result_dir) for run in args.run_dirs]
        check_runs(run_dirs, args.dpi)
        function = 'metrics.inversion_table.compare'
        picture = dict(format=args.format, dpi=args.dpi)
        cli.submit(args.result_dir, command.name, function, run_dirs=run_dirs, **picture)
        return
    found = pretrained_networks.find(args.network, args.result_dir)

    from dnnlib.tflib import custom_ops
    from projector import find_vgg16
    from training.inversion.targets import real_images

    custom_ops.require_native_ops(args.require_native_ops)
    network = found.paths[-1]
    attributes = {each.dest: options[each.dest] for each in _ATTRIBUTES}
    attributes['feature_nets_dir'] = args.feature_nets_dir
    if command.name == 'project-generated-images':
        names = ('seeds', 'class_index', 'truncation_psi')
        source = dict({name: options[name] for name in names}, kind='generated')
    else:
        source = real_images(**taken_by(real_images, dict(options, run_dir=found.run_dir)))
    work = dict(
        network=network if util.is_url(network) else os.path.abspath(network),
        trust_network_code=args.trust_network_code,
        source=source,
        method=args.method,
        attributes={name: value for name, value in attributes.items() if value is not None},
        vgg16_weights=find_vgg16(args),
    )
    cli.submit(
        args.result_dir,
        command.name,
        'run_projector.project',
        hard_cases=check(work, args.hard_cases, args.result_dir),
        seed=args.seed,
        num_snapshots=args.num_snapshots,
        minibatch_size=args.minibatch_size,
        **work,
    )


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
