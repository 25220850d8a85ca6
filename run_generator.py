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
from dnnlib.tflib import custom_ops
from dnnlib.util import UserError
from metrics import metric_plot
from training import misc, runs
from training.inversion import results
from training.pictures import figures, fr_maps, video
from training.pictures.generate import NOISE_HELP, Generator, parse_noise, walk

_EXAMPLES = """examples:
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

  # Figures 1, 3 and 4 of "On Noise Injection in GANs", and the maps of its equations:
  python run_generator.py noise-layers
  python run_generator.py noise-stddev --num-draws=100
  python run_generator.py sample-grid --networks=results/00000-A,results/00001-B --seeds=0-15
  python run_generator.py plot-metric results/00000-A results/00001-B --metric=fid50k
  python run_generator.py fr-maps --seeds=0,1
"""


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description='Generate images of a trained generator.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(metavar='<command>', dest='command')

    add = _add_command(commands, 'generate-images', 'images of seeds', noise='random')
    add(
        '--seeds',
        type=cli.parse_int_list,
        required=True,
        metavar='LIST',
        help='seeds, such as 0-9 or 1,5,7',
    )

    add = _add_command(commands, 'style-mixing-example', 'a table of mixed styles', noise='const')
    add(
        '--row-seeds',
        type=cli.parse_int_list,
        required=True,
        metavar='LIST',
        help='seeds of the images to change',
    )
    add(
        '--col-seeds',
        type=cli.parse_int_list,
        required=True,
        metavar='LIST',
        help='seeds of the images to take styles from',
    )
    add(
        '--col-styles',
        type=cli.parse_int_list,
        metavar='LIST',
        help='styles to take, counted from 0 at 4x4 (default: 0-6)',
    )

    add = _add_command(commands, 'generate-video', 'a walk between images', noise='const')
    add(
        '--seeds',
        type=cli.parse_int_list,
        required=True,
        metavar='LIST',
        help='seeds of the images that the walk passes',
    )
    add(
        '--frames',
        type=int,
        default=60,
        metavar='N',
        help='frames from one seed to the next (default: %(default)s)',
    )
    add(
        '--fps',
        type=float,
        default=30,
        metavar='X',
        help='frames per second (default: %(default)s)',
    )
    add(
        '--space',
        choices=['z', 'w'],
        default='z',
        help='walk on arcs between latents z, or on straight lines\nbetween styles w '
        '(default: %(default)s)',
    )
    add(
        '--format',
        choices=video.FORMATS,
        default='mp4',
        help='format of the file (default: %(default)s)',
    )

    _add_figures(commands)
    add = commands.add_parser(
        'render-projection',
        help='the image that run_projector.py found',
        formatter_class=argparse.RawTextHelpFormatter,
    ).add_argument
    add('file', metavar='FILE', help='.npz file of a projected image')
    add(
        '--network',
        metavar='PKL',
        dest='moved_network',
        help='its network (default: where it was then)',
    )
    add(
        '--trust-network-code',
        action='store_true',
        help='run code that is embedded in the network, if you trust its source',
    )
    _add_require_native_ops(add)
    _add_result_dir(add)
    args = parser.parse_args(argv)
    if args.command is None:
        raise UserError(
            'missing sub-command; choose from %s (see --help)' % ', '.join(commands.choices)
        )
    return args


def _add_figures(commands):
    """The sub-commands that make figures of the noise injection paper."""
    add = _add_command(commands, 'noise-layers', 'noise switched on layer by layer (Fig. 1, left)')
    _add_seeds(add, '0-3')

    add = _add_command(commands, 'noise-stddev', 'what noise changes in an image (Fig. 1, right)')
    _add_seeds(add, '0-3')
    add(
        '--num-draws',
        type=int,
        default=100,
        metavar='N',
        help='draws of the noise (default: %(default)s)',
    )

    add = _add_command(
        commands,
        'sample-grid',
        'several networks side by side (Fig. 3, 5)',
        noise='random',
        network=False,
    )
    add(
        '--networks',
        type=cli.parse_name_list,
        required=True,
        metavar='LIST',
        help='network pickles, URLs, published networks, or folders of runs',
    )
    _add_seeds(add, '0-15')
    add('--columns', type=int, metavar='N', help='images in a row of each (default: about square)')

    add = _add_command(
        commands, 'fr-maps', 'maps of fuzzy reparameterization in every layer', noise='random'
    )
    _add_seeds(add, '0,1')

    add = commands.add_parser(
        'plot-metric',
        help='a metric against images seen (Fig. 4)',
        formatter_class=argparse.RawTextHelpFormatter,
    ).add_argument
    add(
        'runs',
        nargs='*',
        metavar='RUN',
        help='folders of training runs (default: all in --result-dir)',
    )
    add(
        '--metric',
        default='fid50k',
        metavar='NAME',
        help='recorded figure, such as fid50k or swd16k_avg (default: %(default)s)',
    )
    _add_result_dir(add)


def _add_command(commands, name, summary, noise=None, network=True):
    """A sub-command with the flags that all with networks have; returns its `add_argument`."""
    add = commands.add_parser(
        name, help=summary, formatter_class=argparse.RawTextHelpFormatter
    ).add_argument
    if network:
        add(
            '--network',
            metavar='PKL',
            help='network pickle, URL, published network, or folder '
            'of a run\n(default: last snapshot of the newest run)',
        )
    add(
        '--truncation-psi',
        type=float,
        default=0.5,
        metavar='X',
        help='strength of truncation, 1 for none (default: %(default)s)',
    )
    if noise is not None:
        add(
            '--noise',
            type=parse_noise,
            default=noise,
            metavar='KIND',
            help=NOISE_HELP + '\n(default: %(default)s)',
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
        '--trust-network-code',
        action='store_true',
        help='run code that is embedded in --network, if you trust its source',
    )
    _add_require_native_ops(add)
    _add_result_dir(add)
    return add


def _add_seeds(add, default):
    add(
        '--seeds',
        type=cli.parse_int_list,
        default=default,
        metavar='LIST',
        help='seeds of the images (default: %(default)s)',
    )


def _add_require_native_ops(add):
    add(
        '--require-native-ops',
        action='store_true',
        help='end with an error where compiled ops cannot be had',
    )


def _add_result_dir(add):
    add(
        '--result-dir',
        default='results',
        metavar='DIR',
        help='folder of all runs (default: %(default)s)',
    )


def find_network(network: Optional[str], result_dir: str) -> str:
    """The network that a flag names, by default the newest one."""
    if network is None:
        return runs.last_snapshot(runs.newest_run(result_dir))
    if os.path.isdir(os.path.expanduser(network)):
        return runs.last_snapshot(network)
    return network


def _load(network: str, trust_network_code: bool, **options) -> Generator:
    Gs = pretrained_networks.load_generator(network, trust_network_code)
    return Generator(Gs, **options)


def generate_images(network: str, trust_network_code: bool, seeds: List[int], **options) -> None:
    """Write the image of each seed into the current run folder."""
    print('Loading networks from "%s"...' % network)
    images = _load(network, trust_network_code, **options).images_of_seeds(seeds)
    for index, seed in enumerate(seeds):
        print('Generating image for seed %d (%d/%d) ...' % (seed, index, len(seeds)))
        _save(next(images), 'seed%04d.png' % seed)


def style_mixing_example(
    network: str,
    trust_network_code: bool,
    row_seeds: List[int],
    col_seeds: List[int],
    col_styles: Optional[List[int]],
    **options,
) -> None:
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
    images = generator.images(z[rows], mixed, generator.noises(row for row, _ in pairs))
    sources = dict(pictures)
    pictures.update(zip(pairs, tqdm(images, total=len(pairs), disable=None, leave=False)))

    print('Saving images...')
    for (row, col), image in pictures.items():
        _save(image, '%d-%d.png' % (row, col))

    print('Saving image grid...')
    cells = [np.zeros_like(pictures[pairs[0]])] + [sources[col, col] for col in col_seeds]
    for row in row_seeds:
        cells += [sources[row, row]] + [pictures[row, col] for col in col_seeds]
    misc.save_image_grid(
        np.stack(cells),
        dnnlib.make_run_dir_path('grid.png'),
        [0, 255],
        (len(col_seeds) + 1, len(row_seeds) + 1),
    )


def generate_video(
    network: str,
    trust_network_code: bool,
    seeds: List[int],
    frames: int,
    fps: float,
    space: str,
    format: str,
    **options,
) -> None:
    """Write a video that walks from seed to seed and back to the first."""
    print('Loading networks from "%s"...' % network)
    generator = _load(network, trust_network_code, **options)
    path = dnnlib.make_run_dir_path('video.' + format)
    print('Generating %d frames...' % (frames * len(seeds)))
    images = tqdm(
        walk(generator, seeds, frames, space), total=frames * len(seeds), disable=None, leave=False
    )
    video.write_video(path, images, fps)
    print('Wrote "%s".' % path)


def noise_layers(network: str, trust_network_code: bool, seeds: List[int], **options) -> None:
    """Write a row of images with noise in more and more layers for each seed (Fig. 1, left)."""
    _make(
        figures.save_noise_layers,
        'noise-layers.png',
        network,
        _load(network, trust_network_code, **options),
        seeds,
    )


def noise_stddev(
    network: str, trust_network_code: bool, seeds: List[int], num_draws: int, **options
) -> None:
    """Write maps of what noise changes in the image of each seed (Fig. 1, right)."""
    _make(
        figures.save_noise_stddev,
        'noise-stddev.png',
        network,
        _load(network, trust_network_code, **options),
        seeds,
        num_draws,
    )


def fr_maps_of_layers(network: str, trust_network_code: bool, seeds: List[int], **options) -> None:
    """Write the maps of fuzzy reparameterization of all layers, for each seed."""
    Gs = pretrained_networks.load_generator(network, trust_network_code)
    _make(fr_maps.save_fr_maps, 'fr-maps.png', network, Gs, Generator(Gs, **options), seeds)


def sample_grid(
    networks: List[str],
    trust_network_code: bool,
    seeds: List[int],
    columns: Optional[int],
    **options,
) -> None:
    """Write the images of the same seeds by several networks, side by side (Fig. 3 and 5)."""
    generators = [_load(network, trust_network_code, **options) for network in networks]
    _make(
        figures.save_sample_grid,
        'sample-grid.png',
        '", "'.join(networks),
        list(zip(metric_plot.titles(networks), generators)),
        seeds,
        columns,
    )


def plot_metric(run_dirs: List[str], metric: str) -> None:
    """Write a metric against the images seen for several runs (Fig. 4)."""
    series, without = metric_plot.read_runs(run_dirs, metric)
    if without:
        print('Without a record of %s: %s' % (metric, ', '.join(without)))
    warning = metric_plot.comparability_warning(series)
    if warning:
        print(warning)
    _make(metric_plot.save_metric_plot, 'metric.png', '", "'.join(run_dirs), series, metric)


def render_projection(file: str, moved_network: Optional[str], trust_network_code: bool) -> None:
    """Write the image that was found for a target, the same to the last bit."""
    result = results.load_projection(file)
    Gs = pretrained_networks.load_generator(
        results.network_of(result, moved_network), trust_network_code
    )
    image = results.Renderer(Gs, result).render(result)
    path = dnnlib.make_run_dir_path(result.name + '.png')
    results.save_picture([image], path)
    print('Wrote "%s".' % path)


def _make(save, name, sources, *args):
    """Write a figure into the current run folder."""
    path = dnnlib.make_run_dir_path(name)
    print('Reading "%s"...' % sources)
    save(path, *args)
    print('Wrote "%s".' % path)


def _save(image, name):
    misc.save_image_grid(image[np.newaxis], dnnlib.make_run_dir_path(name), [0, 255], (1, 1))


_COMMANDS = {
    'generate-images': generate_images,
    'style-mixing-example': style_mixing_example,
    'generate-video': generate_video,
    'noise-layers': noise_layers,
    'noise-stddev': noise_stddev,
    'sample-grid': sample_grid,
    'plot-metric': plot_metric,
    'fr-maps': fr_maps_of_layers,
    'render-projection': render_projection,
}


def check_options(command: str, options: Dict[str, Any]) -> None:
    """Find what would stop the command, before it makes a folder."""
    for name in ['minibatch_size', 'frames', 'num_draws', 'columns']:
        if options.get(name) is not None and options[name] < 1:
            raise UserError(
                '--%s is %d; it must be at least 1' % (name.replace('_', '-'), options[name])
            )
    seeds = [seed for name in ['seeds', 'row_seeds', 'col_seeds'] for seed in options.get(name, [])]
    if seeds and max(seeds) >= 1 << 32:
        raise UserError('%d is no seed; seeds are from 0 to %d' % (max(seeds), (1 << 32) - 1))
    if not options.get('fps', 1) > 0:
        raise UserError('--fps is %g; it must be greater than 0' % options['fps'])
    if command == 'generate-video':
        video.check_format(options['format'])
    if command == 'plot-metric':
        metric_plot.read_runs(**options)
    if command == 'render-projection':
        results.network_of(results.load_projection(options['file']), options['moved_network'])
    for network in options.get('networks', [options.get('network')]):
        if network is not None:
            _check_network(command, network, options)


def _check_network(command, network, options):
    """Find out whether a network can be loaded and has what the command needs."""
    common = {
        name: options[name]
        for name in [
            'trust_network_code',
            'truncation_psi',
            'noise',
            'class_index',
            'minibatch_size',
        ]
        if name in options
    }
    generator = _load(network, **common)
    if command in ('noise-layers', 'noise-stddev'):
        figures.check_noise(generator, network)
    if command == 'fr-maps':
        fr_maps.check_fr(
            pretrained_networks.load_generator(network, common['trust_network_code']), network
        )
    if generator.num_layers is None and (
        command == 'style-mixing-example' or options.get('space') == 'w'
    ):
        raise UserError(
            'the generator of %s has no styles w, which %s needs'
            % (network, '--space=w' if 'space' in options else command)
        )
    for style in options.get('col_styles') or []:
        if style >= generator.num_layers:
            raise UserError(
                '--col-styles names style %d; the network has %d, from 0 to %d'
                % (style, generator.num_layers, generator.num_layers - 1)
            )


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and generate."""
    options = vars(parse_args(argv))
    command, result_dir = options.pop('command'), options.pop('result_dir')
    if 'require_native_ops' in options:
        custom_ops.require_native_ops(options.pop('require_native_ops'))
    if 'network' in options:
        options['network'] = find_network(options['network'], result_dir)
    if 'networks' in options:
        options['networks'] = [find_network(network, result_dir) for network in options['networks']]
    if 'runs' in options:
        options['run_dirs'] = options.pop('runs') or runs.training_runs(result_dir)
    cli.check_writable_dir(result_dir)
    check_options(command, options)

    submit_config = dnnlib.SubmitConfig()
    submit_config.run_dir_root = dnnlib.submission.submit.get_template_from_path(result_dir)
    submit_config.run_desc = command
    dnnlib.submit_run(submit_config, 'run_generator.' + _COMMANDS[command].__name__, **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
