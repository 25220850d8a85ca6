#!/usr/bin/env python3
"""Generate images: `python run_generator.py generate-images --seeds=0-9` (see --help)."""

import argparse
import os
import sys
from typing import Any, Dict, List, Optional

import dnnlib
import pretrained_networks
from dnnlib import cli, flags
from dnnlib.cli import number, parse_int_list, parse_name_list
from dnnlib.flags import Command, flag
from dnnlib.options import taken_by
from dnnlib.util import UserError
from training import runs
from training.pictures import layer_noise

_COUNT = number(int, 1, 1000000)
_SHEET = [flags.SCALE, *flags.FIGURE]
_SAMPLING = ('truncation_psi', 'noise', 'class_index', 'minibatch_size', 'layer_changes')
_NOISE_HELP = (
    "noise of the images: random (that of each image's own seed), const (as stored in\n"
    'the network), none, or seed:N (that of seed N for all)'
)


def _noise(text):
    """Flag type: 'random', 'const', 'none' or 'seed:N'."""
    kind, _, seed = text.partition(':')
    if text in ('random', 'const', 'none') or (
        kind == 'seed' and seed.isdecimal() and int(seed) <= cli.MAX_SEED
    ):
        return text
    raise argparse.ArgumentTypeError('%r is none of random, const, none, seed:N' % text)


def _layer(text):
    """Flag type: text that `layer_noise.parse` takes."""
    layer_noise.parse(text)
    return text


_LAYER = flag(
    '--layer',
    _layer,
    'changes of a layer with noise, such as 8x8a:noise=0 or 8x8a:noise=2,seed=3,t=0.5: factor\n'
    'and seed of its noise, exponent of its alpha in FR; may be given for several layers',
    action='append',
    metavar='LAYER:CHANGES',
    dest='layer_changes',
)


def _with_network(*what, noise=None, network=flags.network(), output=()):
    """Flags of a sub-command that makes images; those in `what` are its own."""
    sampling = [flags.truncation_psi(0.5), flags.CLASS, _LAYER]
    if noise is not None:
        sampling.append(flag('--noise', _noise, _NOISE_HELP, noise, metavar='KIND'))
    return (
        flags.group('what', *what)
        + flags.group('network', network, flags.TRUST_NETWORK_CODE)
        + flags.group('sampling', *sampling)
        + flags.group('speed', flags.MINIBATCH_SIZE, flags.REQUIRE_NATIVE_OPS)
        + flags.group('output', flags.RESULT_DIR, *output)
    )


def sample_grid(path, networks, generators, seeds, columns, scale, dpi):
    """Write the images of the same seeds by several networks, side by side (Fig. 3 and 5)."""
    from metrics import run_titles
    from training.pictures import figures

    titled = list(zip(run_titles.titles(networks), generators))
    figures.save_sample_grid(path, titled, seeds, columns, scale, dpi)


def check_projection(file, moved_network, trust_network_code):
    """Find out whether a projection and its network are there and fit together."""
    from training.inversion import results

    results.shapes_in(*_projection(file, moved_network, trust_network_code))


def _projection(file, moved_network, trust_network_code):
    from dnnlib.tflib import precision
    from training.inversion import results

    result = results.load_projection(file)
    network = results.network_of(result, moved_network)
    Gs = pretrained_networks.load_generator(network, trust_network_code)
    precision.use(Gs, 'float32')  # as run_projector.py did
    return Gs, result


def render_projection(folder, file, moved_network, trust_network_code, scale):
    """Write the image that was found for a target, the same to the last bit."""
    from training.inversion import results

    Gs, result = _projection(file, moved_network, trust_network_code)
    image = results.Renderer(Gs, result).render(result)
    results.save_picture([image], os.path.join(folder, result.name + '.png'), scale)


# A function gets by name what it takes of: the values of the flags, what _load returns, the folder
# of the run, and a path in it. A check gets the same, with result_dir for folder and path.
COMMANDS = [
    Command(
        'generate-images',
        'training.pictures.images.save_images',
        'images of seeds',
        _with_network(flags.seeds(None), noise='random', output=[flags.SCALE]),
        '--seeds=66,230,389,1518 --network=gdrive:networks/stylegan2-ffhq-config-f.pkl',
        'training.pictures.images.check_images',
    ),
    Command(
        'style-mixing-example',
        'training.pictures.images.save_style_mixing',
        'styles of some images on others',
        _with_network(
            flags.seeds(None, 'seeds of the images to change', '--row-seeds'),
            flags.seeds(None, 'seeds of the images to take styles from', '--col-seeds'),
            flag(
                '--col-styles',
                parse_int_list,
                'styles to take, from 0 at 4x4 (default: 0-6 of 18, as many of fewer)',
            ),
            noise='const',
            output=_SHEET,
        ),
        '--row-seeds=85,100,75 --col-seeds=55,821,1789',
        'training.pictures.images.check_style_mixing',
    ),
    Command(
        'generate-video',
        'training.pictures.video.save_walk',
        'a walk from image to image',
        _with_network(
            flags.seeds(None, 'seeds of the images that the walk passes'),
            flag('--frames', _COUNT, 'frames from one seed to the next', 60),
            flag('--fps', number(float, 0.01, 1000), 'frames per second', 30.0),
            flag('--space', ['z', 'w'], 'walk on arcs between z, or on lines between w', 'z'),
            noise='const',
            output=[flags.SCALE, flag('--format', ['mp4', 'gif'], 'format of the file', 'mp4')],
        ),
        '--seeds=0-5 --frames=60 --format=gif',
        'training.pictures.video.check_walk',
    ),
    Command(
        'directions',
        'training.pictures.directions.save_directions',
        'what changes images most, found in the weights (Shen and Zhou 2021)',
        _with_network(
            flags.seeds('0-3'),
            flag(
                '--layers',
                parse_int_list,
                'layers, from 0 at 4x4, whose styles move (default: all)',
            ),
            flag('--num-directions', number(int, 1, 512), 'directions, the strongest first', 5),
            flag('--extent', number(float, 1e-3, 1e3), 'largest step to both sides, in W', 3.0),
            flag('--steps', number(int, 2, 101), 'images of each seed, from side to side', 7),
            flag('--video', ['mp4', 'gif'], 'write a video of each direction, too'),
            noise='const',
            output=_SHEET,
        ),
        '--seeds=0-3 --layers=0-3 --video=gif',
        'training.pictures.directions.check_directions',
    ),
    Command(
        'noise-layers',
        'training.pictures.figures.save_noise_layers',
        'noise switched on layer by layer (Fig. 1, left)',
        _with_network(flags.seeds('0-3'), output=_SHEET),
        '--seeds=0-3',
        'training.pictures.figures.check_noise',
    ),
    Command(
        'noise-stddev',
        'training.pictures.figures.save_noise_stddev',
        'what noise changes in an image (Fig. 1, right)',
        _with_network(
            flags.seeds('0-3'),
            flag('--num-draws', _COUNT, 'draws of the noise', 100),
            output=flags.FIGURE,
        ),
        '--num-draws=100',
        'training.pictures.figures.check_noise',
    ),
    Command(
        'sample-grid',
        'run_generator.sample_grid',
        'several networks side by side (Fig. 3, 5)',
        _with_network(
            flags.seeds('0-15'),
            flag('--columns', _COUNT, 'images in a row of each (default: about square)'),
            noise='random',
            network=flag(
                '--networks', parse_name_list, 'pickles, URLs, names or runs', required=True
            ),
            output=_SHEET,
        ),
        '--networks=results/00000-A,results/00001-B --seeds=0-15',
        'training.pictures.figures.check_sample_grid',
    ),
    Command(
        'fr-maps',
        'training.pictures.fr_maps.save_fr_maps',
        'maps of fuzzy reparameterization in every layer',
        _with_network(flags.seeds('0,1'), noise='random', output=flags.FIGURE),
        '--seeds=0,1',
        'training.pictures.fr_maps.check_fr',
    ),
    Command(
        'plot-metric',
        'metrics.metric_plot.plot',
        'a metric against images seen (Fig. 4)',
        [
            flag('run_dirs', 'RUN', 'training runs: folders or numbers (default: all)', nargs='*'),
            flag(
                '--metric',
                'NAME',
                'recorded figure, such as swd16k_avg, or one of stats.jsonl, such as Loss/D',
                'fid50k',
            ),
            flags.RESULT_DIR,
            *flags.FIGURE,
        ],
        'results/00000-A results/00001-B --metric=fid50k',
        'metrics.metric_plot.read_runs',
    ),
    Command(
        'render-projection',
        'run_generator.render_projection',
        'the image that run_projector.py found',
        [
            flag('file', str, '.npz file of a projected image'),
            flag('--network', 'PKL', 'its network (default: as it was)', dest='moved_network'),
            flags.TRUST_NETWORK_CODE,
            flags.REQUIRE_NATIVE_OPS,
            flags.RESULT_DIR,
            flags.SCALE,
        ],
        'results/00003-project-real-images/image0000.npz',
        'run_generator.check_projection',
    ),
]


def _load(networks, trust_network_code, sampling):
    """Networks, and the first one, in all forms that a sub-command may take."""
    from training.pictures.generate import Generator

    loaded = [pretrained_networks.load_generator(name, trust_network_code) for name in networks]
    sampling = dict(sampling)
    changes = dict(map(layer_noise.parse, sampling.pop('layer_changes', None) or []))
    generators = [Generator(Gs, layers=changes, **sampling) for Gs in loaded]
    first = dict(network=networks[0], Gs=loaded[0], generator=generators[0])
    return dict(first, networks=networks, generators=generators)


def run(command: str, loading: Optional[Dict[str, Any]], **options) -> None:
    """Run a sub-command in the current run folder.

    Args:
        loading: arguments of `_load`; None: it takes no network.
    """
    ((function, _),) = [each.loaded() for each in COMMANDS if each.name == command]
    if loading is not None:
        print('Loading networks from "%s"...' % '", "'.join(loading['networks']))
        options.update(_load(**loading))
    folder = dnnlib.make_run_dir_path()
    path = os.path.join(folder, '%s.%s' % (command, options.get('format', 'png')))
    options.update(folder=folder, path=path)
    function(**taken_by(function, options))
    print('Wrote "%s".' % folder)


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and generate."""
    description = 'Generate images of a trained generator.'
    command, options = flags.parse_command('run_generator.py', description, COMMANDS, argv)
    result_dir = options.pop('result_dir')
    cli.check_writable_dir(result_dir)
    if 'run_dirs' in options:
        named = [runs.folder(run, result_dir) for run in options['run_dirs']]
        options['run_dirs'] = named or runs.training_runs(result_dir)
    loading, loaded = None, {}
    if 'network' in options or 'networks' in options:
        names = options.pop('networks') if 'networks' in options else [options.pop('network')]
        if not names:
            raise UserError('--networks names no network')
        loading = dict(
            networks=[pretrained_networks.find(name, result_dir).paths[-1] for name in names],
            trust_network_code=options.pop('trust_network_code'),
            sampling={name: options.pop(name) for name in _SAMPLING if name in options},
        )
    if 'require_native_ops' in options:
        from dnnlib.tflib import custom_ops

        custom_ops.require_native_ops(options.pop('require_native_ops'))
    if loading is not None:
        loaded = _load(**loading)
    _, check = command.loaded()
    if check is not None:
        check(**taken_by(check, dict(options, result_dir=result_dir, **loaded)))
    options.update(command=command.name, loading=loading)
    cli.submit(result_dir, command.name, 'run_generator.run', **options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
