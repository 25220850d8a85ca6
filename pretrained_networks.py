#!/usr/bin/env python3
"""Published networks by name, and what is in network files (see --help)."""

import argparse
import difflib
import itertools
import os
import sys
from typing import Any, List, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import cli, tflib
from dnnlib.tflib import engine, network_code, pickles, weights
from dnnlib.tflib.network import Network
from dnnlib.util import UserError
from training import misc

_URL = 'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/'
_PREFIX = 'gdrive:networks/'


def _published_paths():
    """File names of official StyleGAN2: systems by data set, and table 2 of the paper."""
    for data, systems in [
        ('car', 'abcdef'),
        ('cat', 'af'),
        ('church', 'af'),
        ('ffhq', 'abcdef'),
        ('horse', 'af'),
    ]:
        for system in systems:
            yield 'stylegan2-%s-config-%s.pkl' % (data, system)
    architectures = ['orig', 'resnet', 'skip']
    for names in itertools.product(['car', 'ffhq'], architectures, architectures):
        yield 'table2/stylegan2-%s-config-e-G%s-D%s.pkl' % names


gdrive_urls = {_PREFIX + path: _URL + path for path in _published_paths()}

_loaded = {}  # (path or URL, trusted, graph) -> content of the file

_EXAMPLES = """examples:
  # What is inside of a file, without running anything of it:
  python pretrained_networks.py info gdrive:networks/stylegan2-ffhq-config-f.pkl

  # Weights as plain numbers, and back:
  python pretrained_networks.py export network-final.pkl weights.npz
  python pretrained_networks.py import weights.npz network.pkl

published networks:
  %s
""" % '\n  '.join(gdrive_urls)


def get_path_or_url(path_or_gdrive_path: str) -> str:
    """URL of a published network's name; anything else is returned unchanged."""
    return gdrive_urls.get(path_or_gdrive_path, path_or_gdrive_path)


def open_network_file(path_or_gdrive_path: str):
    """Open a published network, a URL or a file for binary reading.

    Raises:
        UserError: there is no such file, or no published network of that name.
    """
    if path_or_gdrive_path.startswith('gdrive:') and path_or_gdrive_path not in gdrive_urls:
        similar = difflib.get_close_matches(path_or_gdrive_path, gdrive_urls, cutoff=0)
        raise UserError(
            '%r is not a published network; did you mean %s? (pretrained_networks.py '
            '--help lists all)' % (path_or_gdrive_path, ' or '.join(similar))
        )
    return misc.open_file_or_url(get_path_or_url(path_or_gdrive_path))


def load_networks(
    path_or_gdrive_path: str, trust_network_code: bool = False
) -> Tuple[Network, Network, Network]:
    """Load (G, D, Gs) of a published network, a URL or a file, once for each graph.

    Args:
        trust_network_code: run the code that is embedded in the file.

    Raises:
        UserError: see `dnnlib.tflib.pickles.load`; or the file holds something else.
    """
    loaded = _load(path_or_gdrive_path, trust_network_code)
    if isinstance(loaded, (tuple, list)) and len(weights.by_role(loaded)) == 3:
        return tuple(loaded)
    raise UserError('%s does not hold (G, D, Gs)' % path_or_gdrive_path)


def load_generator(path_or_gdrive_path: str, trust_network_code: bool = False) -> Network:
    """Load the generator to make images with: Gs of (G, D, Gs), or a file's only network."""
    return list(weights.by_role(_load(path_or_gdrive_path, trust_network_code)).values())[-1]


def _load(path_or_gdrive_path, trust_network_code):
    tflib.init_tf()
    key = (get_path_or_url(path_or_gdrive_path), trust_network_code, tf.get_default_graph())
    if key not in _loaded:
        with open_network_file(path_or_gdrive_path) as file, tf.device(engine.device(0)):
            _loaded[key] = pickles.load(file, trust_network_code)
    return _loaded[key]


def info(file: str, build: bool = False) -> None:
    """Print what is inside of a network file; nothing of it is run."""
    with open_network_file(file) as stream:
        networks = weights.by_role(pickles.load_records(stream))
    for key, record in networks.items():
        print('\n'.join(_lines(key, record)), end='\n\n')
    if build:
        with tf.Graph().as_default(), tflib.create_session().as_default():
            with open_network_file(file) as stream:
                pickles.load(stream)
        print('All variables fit the local code.')


def _lines(key, record):
    """A network's description, its components' below it."""
    module = network_code.local_namesake(record.source, record.build_func_name)
    if network_code.is_known(record.source):
        code = 'that in the file, which is known'
    elif module is not None:
        code = 'local, %s.%s' % (module.__name__, record.build_func_name)
    else:
        code = 'only in the file; loads with --trust-network-code'
    lines = [
        '%s: network %r, format version %d' % (key, record.name, record.version),
        '  build function: %s' % record.build_func_name,
        '  code: ' + code,
        '  embedded source: %d lines' % len(record.source.splitlines()),
        '  static kwargs:%s' % ('' if record.static_kwargs else ' none'),
    ]
    lines += ['    %s = %r' % item for item in sorted(record.static_kwargs.items())]
    width = max([len(name) for name in record.variables] or [0])
    total = sum(value.size for value in record.variables.values())
    lines.append('  variables: %d with %d numbers' % (len(record.variables), total))
    lines += [
        '    %-*s  %-8s %s' % (width, name, value.dtype, list(value.shape))
        for name, value in record.variables.items()
    ]
    for name, component in record.components.items():
        lines += _lines('%s.%s' % (key, name), component)
    if record.components:
        lines.append('%s in total: %d numbers' % (key, _total(record)))
    return lines


def _total(record):
    return int(
        sum(np.size(value) for value in record.variables.values())
        + sum(_total(component) for component in record.components.values())
    )


def export_weights(network: str, file: str) -> None:
    """Write the networks of a pickle to an .npz file; nothing of it is run."""
    with open_network_file(network) as stream:
        weights.export_npz(pickles.load_records(stream), os.path.expanduser(file))
    print('Wrote "%s".' % file)


def import_weights(file: str, network: str) -> None:
    """Build the networks of an .npz file by local code and save them as a pickle."""
    with misc.open_file_or_url(
        file
    ) as stream, tf.Graph().as_default(), tflib.create_session().as_default():
        misc.save_pkl(weights.import_npz(stream), os.path.expanduser(network))
    print('Wrote "%s".' % network)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = cli.ArgumentParser(
        description='Look into and convert network files.',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(metavar='<command>')
    command = commands.add_parser('info', help='print what is inside of a file')
    command.set_defaults(function=info)
    command.add_argument('file', help='network pickle, URL or published network')
    command.add_argument(
        '--build',
        action='store_true',
        help='also build the networks by the local code, to see whether all variables fit it',
    )
    command = commands.add_parser('export', help='write the weights of a pickle to an .npz file')
    command.set_defaults(function=export_weights)
    command.add_argument('network', help='network pickle, URL or published network')
    command.add_argument('file', help='.npz file to write')
    command = commands.add_parser('import', help='make a network pickle from an .npz file')
    command.set_defaults(function=import_weights)
    command.add_argument('file', help='.npz file made by export')
    command.add_argument('network', help='network pickle to write')
    args = parser.parse_args(argv)
    if 'function' not in args:
        raise UserError(
            'missing sub-command; choose from %s (see --help)' % ', '.join(commands.choices)
        )
    return args


def main(argv: Optional[List[str]] = None) -> Any:
    """Parse and run the sub-command."""
    args = vars(parse_args(argv))
    return args.pop('function')(**args)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
