#!/usr/bin/env python3
"""Generate images: `python run_generator.py generate-images --seeds=0-9` (see --help)."""
import argparse
import os
import sys
from typing import Any, Dict, List, Optional

import numpy as np
from tqdm import tqdm

import dnnlib
import pretrained_networks
from dnnlib import cli
from dnnlib.util import UserError
from training import misc, runs, video
from training.generate import NOISE_HELP, Generator, parse_noise, walk

_EXAMPLES = '''examples:
  # Images of the newest training run:
  python run_generator.py generate-images --seeds=0-15

  # Uncurated faces of the published network, and curated ones:
  python run_generator.py generate-images --seeds=6600-6625 --truncation-psi=1.0 \\
      --network=gdrive:networks/stylegan2-ffhq-config-f.pkl
  python run_generator.py generate-images --seeds=66,230,389,1518 --truncation-psi=0.5 \\
      --network=gdrive:networks/stylegan2-ffhq-config-f.pkl

  # Styles of some images on others:
  python run_generator.py style-mixing-example --row-seeds=85,100,75 --col-seeds=55,821,1789

  # A walk from image to image, two seconds each:
  python run_generator.py generate-video --seeds=0-5 --frames=60 --format=gif
'''


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(description='Generate images of a trained generator.',
                                epilog=_EXAMPLES, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(metavar='<command>', dest='command')

    add = _add_command(commands, 'generate-images', 'images of seeds', noise='random')
    add('--seeds', type=cli.parse_int_list, required=True, metavar='LIST',
        help='seeds, such as 0-9 or 1,5,7')

    add = _add_command(commands, 'style-mixing-example', 'a table of mixed styles', noise='const')
    add('--row-seeds', type=cli.parse_int_list, required=True, metavar='LIST',
        help='seeds of the images to change')
    add('--col-seeds', type=cli.parse_int_list, required=True, metavar='LIST',
        help='seeds of the images to take styles from')
    add('--col-styles', type=cli.parse_int_list, metavar='LIST',
        help='styles to take, counted from 0 at 4x4 (default: 0-6)')

    add = _add_command(commands, 'generate-video', 'a walk between images', noise='const')
    add('--seeds', type=cli.parse_int_list, required=True, metavar='LIST',
        help='seeds of the images that the walk passes')
    add('--frames', type=int, default=60, metavar='N',
        help='frames from one seed to the next (default: %(default)s)')
    add('--fps', type=float, default=30, metavar='X',
        help='frames per second (default: %(default)s)')
    add('--space', choices=['z', 'w'], default='z',
        help='walk on arcs between latents z, or on straight lines\nbetween styles w '
        '(default: %(default)s)')
    add('--format', choices=video.FORMATS, default='mp4',
        help='format of the file (default: %(default)s)')

    args = parser.parse_args(argv)
    if args.command is None:
        raise UserError('missing sub-command; choose from %s (see --help)'
                        % ', '.join(commands.choices))
    return args


def _add_command(commands, name, summary, noise):
    """A sub-command with the flags that all have; returns its `add_argument`."""
    add = commands.add_parser(
        name, help=summary, formatter_class=argparse.RawTextHelpFormatter).add_argument
    add('--network', metavar='PKL', help='network pickle, URL, published network, or folder of a '
        'run\n(default: last snapshot of the newest run)')
    add('--truncation-psi', type=float, default=0.5, metavar='X',
        help='strength of truncation, 1 for none (default: %(default)s)')
    add('--noise', type=parse_noise, default=noise, metavar='KIND',
        help=NOISE_HELP + '\n(default: %(default)s)')
    add('--class', type=int, metavar='N', dest='class_index',
        help='class of the images, for networks trained with --cond')
    add('--minibatch-size', type=int, default=4, metavar='N',
        help='images at a time; with --noise=random it is 1 (default: %(default)s)')
    add('--trust-network-code', action='store_true',
        help='run code that is embedded in --network, if you trust its source')
    add('--result-dir', default='results', metavar='DIR',
        help='folder of all runs (default: %(default)s)')
    return add


def find_network(args: argparse.Namespace) -> str:
    """The network that the flags name, by default the newest one."""
    if args.network is None:
        return runs.last_snapshot(runs.newest_run(args.result_dir))
    if os.path.isdir(os.path.expanduser(args.network)):
        return runs.last_snapshot(args.network)
    return args.network


def _load(network: str, trust_network_code: bool, **options) -> Generator:
    Gs = pretrained_networks.load_generator(network, trust_network_code)
    return Generator(Gs, **options)


def generate_images(network: str, trust_network_code: bool, seeds: List[int],
                    **options) -> None:
    """Write the image of each seed into the current run folder."""
    print('Loading networks from "%s"...' % network)
    images = _load(network, trust_network_code, **options).images_of_seeds(seeds)
    for index, seed in enumerate(seeds):
        print('Generating image for seed %d (%d/%d) ...' % (seed, index, len(seeds)))
        _save(next(images), 'seed%04d.png' % seed)
    images.close()


def style_mixing_example(network: str, trust_network_code: bool, row_seeds: List[int],
                         col_seeds: List[int], col_styles: Optional[List[int]],
                         **options) -> None:
    """Write images, each with some styles of another, and a grid of them."""
    print('Loading networks from "%s"...' % network)
    generator = _load(network, trust_network_code, **options)
    if col_styles is None:
        col_styles = list(range(min(7, generator.num_layers)))
    print('Generating W vectors...')
    seeds = sorted(set(row_seeds + col_seeds))
    z = generator.latents(seeds)
    w = generator.dlatents(z)

    print('Generating images...')
    pictures = dict(zip([(seed, seed) for seed in seeds], generator.images_of_seeds(seeds)))

    print('Generating style-mixed images...')
    pairs = [(row, col) for row in row_seeds for col in col_seeds]
    rows, cols = [[seeds.index(pair[i]) for pair in pairs] for i in (0, 1)]
    mixed = w[rows]
    mixed[:, col_styles] = w[cols][:, col_styles]
    images = generator.images(z[rows], mixed, (generator.noise_of(row) for row, _ in pairs))
    sources = dict(pictures)
    pictures.update(zip(pairs, tqdm(images, total=len(pairs), disable=None, leave=False)))

    print('Saving images...')
    for (row, col), image in pictures.items():
        _save(image, '%d-%d.png' % (row, col))

    print('Saving image grid...')
    cells = [np.zeros_like(pictures[pairs[0]])] + [sources[col, col] for col in col_seeds]
    for row in row_seeds:
        cells += [sources[row, row]] + [pictures[row, col] for col in col_seeds]
    misc.save_image_grid(np.stack(cells), dnnlib.make_run_dir_path('grid.png'), [0, 255],
                         (len(col_seeds) + 1, len(row_seeds) + 1))


def generate_video(network: str, trust_network_code: bool, seeds: List[int], frames: int,
                   fps: float, space: str, format: str, **options) -> None:
    """Write a video that walks from seed to seed and back to the first."""
    print('Loading networks from "%s"...' % network)
    generator = _load(network, trust_network_code, **options)
    path = dnnlib.make_run_dir_path('video.' + format)
    print('Generating %d frames...' % (frames * len(seeds)))
    images = tqdm(walk(generator, seeds, frames, space), total=frames * len(seeds), disable=None,
                  leave=False)
    video.write_video(path, images, fps)
    print('Wrote "%s".' % path)


def _save(image, name):
    misc.save_image_grid(image[np.newaxis], dnnlib.make_run_dir_path(name), [0, 255], (1, 1))


_COMMANDS = {'generate-images': 'generate_images', 'style-mixing-example': 'style_mixing_example',
             'generate-video': 'generate_video'}


def check_options(command: str, network: str, options: Dict[str, Any]) -> None:
    """Find what would stop the command, before it makes a folder."""
    for name, low in [('minibatch_size', 1), ('frames', 1)]:
        if options.get(name, low) < low:
            raise UserError('--%s is %d; it must be at least %d'
                            % (name.replace('_', '-'), options[name], low))
    seeds = [seed for name in ['seeds', 'row_seeds', 'col_seeds'] for seed in options.get(name, [])]
    if max(seeds) >= 1 << 32:
        raise UserError('%d is no seed; seeds are from 0 to %d' % (max(seeds), (1 << 32) - 1))
    if not options.get('fps', 1) > 0:
        raise UserError('--fps is %g; it must be greater than 0' % options['fps'])
    if command == 'generate-video':
        video.check_format(options['format'])
    common = {name: options[name] for name in [
        'trust_network_code', 'truncation_psi', 'noise', 'class_index', 'minibatch_size']}
    num_layers = _load(network, **common).num_layers
    if num_layers is None and (command == 'style-mixing-example' or options.get('space') == 'w'):
        raise UserError('the generator of %s has no styles w, which %s needs' % (
            network, '--space=w' if 'space' in options else command))
    for style in options.get('col_styles') or []:
        if style >= num_layers:
            raise UserError('--col-styles names style %d; the network has %d, from 0 to %d'
                            % (style, num_layers, num_layers - 1))


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and generate."""
    args = parse_args(argv)
    network = find_network(args)
    options = dict(vars(args))
    for name in ['command', 'network', 'result_dir']:
        del options[name]
    cli.check_writable_dir(args.result_dir)
    check_options(args.command, network, options)

    submit_config = dnnlib.SubmitConfig()
    submit_config.run_dir_root = dnnlib.submission.submit.get_template_from_path(args.result_dir)
    submit_config.run_desc = args.command
    dnnlib.submit_run(submit_config, 'run_generator.' + _COMMANDS[args.command], network=network,
                      **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
