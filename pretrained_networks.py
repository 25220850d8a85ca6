#!/usr/bin/env python3
"""Published networks by name, and what is in network files (see --help)."""

import contextlib
import difflib
import itertools
import os
import sys
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Tuple

from dnnlib import cli, flags, util
from dnnlib.flags import Command, flag, parse_command
from dnnlib.util import UserError, check_not_same
from training import misc, runs
from training.exchange import formats

if TYPE_CHECKING:
    from dnnlib.tflib.network import Network
    from dnnlib.tflib.network_state import NetworkRecord

_URL = 'https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/'
_PREFIX = 'gdrive:networks/'


def _published_paths():
    """File names of official StyleGAN2: systems by data set, and table 2 of the paper."""
    for data in ['car', 'cat', 'church', 'ffhq', 'horse']:
        for system in 'abcdef' if data in ('car', 'ffhq') else 'af':
            yield 'stylegan2-%s-config-%s.pkl' % (data, system)
    architectures = ['orig', 'resnet', 'skip']
    for names in itertools.product(['car', 'ffhq'], architectures, architectures):
        yield 'table2/stylegan2-%s-config-e-G%s-D%s.pkl' % names


gdrive_urls = {_PREFIX + path: _URL + path for path in _published_paths()}

_LOADED = ('pretrained_networks',)  # a tuple, so that tf.train.export_meta_graph passes it over


class Found(NamedTuple):
    """What --network stands for."""

    paths: List[str]  # or URLs
    run_dir: Optional[str]  # the folder that they are in, None of a URL


def get_path_or_url(path_or_gdrive_path: str) -> str:
    """URL of a published network's name; anything else is returned unchanged."""
    return gdrive_urls.get(path_or_gdrive_path, path_or_gdrive_path)


def open_network_file(path_or_gdrive_path: str, is_trusted: bool = False):
    """Open a published network, a URL or a file for binary reading; see `misc.open_file_or_url`.

    Raises:
        UserError: there is no such file, or no published network of that name.
    """
    if path_or_gdrive_path.startswith('gdrive:') and path_or_gdrive_path not in gdrive_urls:
        similar = difflib.get_close_matches(path_or_gdrive_path, gdrive_urls, cutoff=0)
        text = '%r is not a published network; did you mean %s? (see pretrained_networks.py --help)'
        raise UserError(text % (path_or_gdrive_path, ' or '.join(similar)))
    return misc.open_file_or_url(get_path_or_url(path_or_gdrive_path), is_trusted)


def find(network: Optional[str], result_dir: str) -> Found:
    """The network files that --network names: one, or all snapshots of a run, the last one last.

    Args:
        network: file, URL, published name, folder of a run or its number in `result_dir`; None: the
            newest run's last one.

    Raises:
        UserError: there is no such thing.
    """
    if network is None:
        run_dir = runs.newest_run(result_dir)
        return Found([runs.last_snapshot(run_dir)], run_dir)
    path = runs.folder(network, result_dir)
    if os.path.isdir(path):
        return Found(runs.snapshots(path), path)
    path = get_path_or_url(path)
    if util.is_url(path):
        return Found([path], None)
    open_network_file(path).close()
    return Found([path], os.path.dirname(os.path.abspath(path)))


def load_networks(
    path_or_gdrive_path: str, trust_network_code: bool = False
) -> 'Tuple[Network, Network, Network]':
    """Load (G, D, Gs) of a published network, a URL or a file, once for each graph.

    Args:
        trust_network_code: run the code that is embedded in the file.

    Raises:
        UserError: see `dnnlib.tflib.pickles.load`; or the file holds something else.
    """
    from dnnlib.tflib import weights

    loaded = _load(path_or_gdrive_path, trust_network_code)
    if isinstance(loaded, (tuple, list)) and len(weights.by_role(loaded)) == 3:
        return tuple(loaded)
    raise UserError('%s does not hold (G, D, Gs)' % path_or_gdrive_path)


def check_generator(path_or_gdrive_path: str) -> None:
    """Raise UserError unless a file can be read and holds a generator; nothing of it is run."""
    read_generator(path_or_gdrive_path)


def load_generator(path_or_gdrive_path: str, trust_network_code: bool = False) -> 'Network':
    """Load the generator to make images with: Gs of (G, D, Gs), or a file's only network."""
    loaded = _load(path_or_gdrive_path, trust_network_code)
    return list(_by_role(loaded, path_or_gdrive_path).values())[-1]


def read_generator(path_or_gdrive_path: str) -> 'NetworkRecord':
    """Read the generator of `load_generator` as data, for `network_state.build`."""
    from training.exchange import reading

    with open_network_file(path_or_gdrive_path) as file:
        records = reading.load_records(file)
    return list(_by_role(records, path_or_gdrive_path).values())[-1]


def _by_role(loaded, path):
    from dnnlib.tflib import weights

    try:
        return weights.by_role(loaded)
    except UserError as error:
        raise UserError('%s: %s' % (path, error))


def _load(path_or_gdrive_path, trust_network_code):
    import tensorflow.compat.v1 as tf

    from dnnlib import tflib
    from dnnlib.tflib import engine
    from training.exchange import reading

    tflib.init_tf()
    loaded = _loaded_into(tf.get_default_graph())
    key = (get_path_or_url(path_or_gdrive_path), trust_network_code)
    if key not in loaded:
        opened = open_network_file(path_or_gdrive_path, trust_network_code)
        with opened as file, tf.device(engine.device(0)):
            loaded[key] = reading.load(file, trust_network_code)
    return loaded[key]


def _loaded_into(graph) -> Dict[Tuple, Any]:
    """(path or URL, trusted) -> content of the file; it goes with the graph."""
    holder = graph.get_collection_ref(_LOADED)
    if not holder:
        holder.append({})
    return holder[0]


def info(file: str, build: bool = False) -> None:
    """Print what is inside of a network file; nothing of it is run."""
    with open_network_file(file) as stream:
        from training.exchange import reading

        networks = _by_role(reading.load_records(stream), file)
    for key, record in networks.items():
        print('\n'.join(_lines(key, record)), end='\n\n')
    if build:
        with _fresh_graph(), open_network_file(file) as stream:
            reading.load(stream)
        print('All variables fit the local code.')


@contextlib.contextmanager
def _fresh_graph():
    """A graph of its own with a session."""
    import tensorflow.compat.v1 as tf

    from dnnlib import tflib

    with tf.Graph().as_default(), tflib.create_session().as_default():
        yield


def _lines(key, record):
    """A network's description, its components' below it."""
    from dnnlib.tflib import network_code

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
    for name, value in record.variables.items():
        lines.append('    %-*s  %-8s %s' % (width, name, value.dtype, list(value.shape)))
    for name, component in record.components.items():
        lines += _lines('%s.%s' % (key, name), component)
    if record.components:
        lines.append('%s in total: %d numbers' % (key, _total(record)))
    return lines


def _total(record):
    own = sum(value.size for value in record.variables.values())
    return int(own + sum(map(_total, record.components.values())))


def _records(network, result_dir):
    """What a file or the last snapshot of a run holds: (G, D, Gs) or one network, not built."""
    path = find(network, result_dir).paths[-1]
    with open_network_file(path) as stream:
        from training.exchange import reading

        records = reading.load_records(stream)
    _by_role(records, path)
    return records


def export(
    network: str, file: str, format: Optional[str] = None, result_dir: str = 'results'
) -> None:
    """Write networks in another format; nothing of them is run but local code."""
    file = os.path.expanduser(file)
    check_not_same(network, file)
    chosen = formats.choose(file, format)
    records = _records(network, result_dir)
    if chosen.evaluate:
        from training.exchange import verifying

        with verifying.generator(records) as Gs:
            chosen.function('save')(Gs, file)
    else:
        chosen.function('save')(records, file)
    print('Wrote "%s".' % file)


def verify(network: str, file: str, result_dir: str = 'results') -> None:
    """Compare the images of an export with those of its network."""
    file = os.path.expanduser(file)
    records = _records(network, result_dir)
    from training.exchange import verifying

    verifying.compare(records, file)
    print('The images are the same.')


def import_weights(file: str, network: str) -> None:
    """Build the networks of a file by local code and save them as a pickle of ours."""
    check_not_same(file, network)
    with open_network_file(file) as stream, _fresh_graph():
        from training.exchange import reading

        misc.save_pkl(reading.load(stream), os.path.expanduser(network))
    print('Wrote "%s".' % network)


_SOURCE = 'network pickle, URL or published network'
_COMMANDS = [
    Command(
        'info',
        info,
        'print what is inside of a file, without running anything of it',
        [flag('file', str, _SOURCE), flag('--build', bool, 'also build it, to test local code')],
        'gdrive:networks/stylegan2-ffhq-config-f.pkl',
    ),
    Command(
        'export',
        export,
        'write networks for other programs, or as numbers',
        [
            flag('network', str, _SOURCE + ', or a run, for its last snapshot'),
            flag('file', str, 'what to write: .npz, .safetensors, .onnx, or a folder (SavedModel)'),
            flag('--format', list(formats.FORMATS), 'format (default: that of the suffix)'),
            flags.RESULT_DIR,
        ],
        'network-final.pkl weights.npz',
    ),
    Command(
        'verify',
        verify,
        'compare the images of an export with those of its network',
        [
            flag('network', str, 'what was exported'),
            flag('file', str, 'what export wrote'),
            flags.RESULT_DIR,
        ],
        'network-final.pkl network.onnx',
    ),
    Command(
        'import',
        import_weights,
        'make a network pickle from exported numbers or a file of another code base',
        [
            flag('file', str, ".npz or .safetensors of export, stylegan2-ada-pytorch's .pkl, .pt"),
            flag('network', str, 'pickle to write'),
        ],
        'stylegan2-ada-pytorch.pkl network.pkl',
    ),
]


def main(argv: Optional[List[str]] = None) -> Any:
    """Parse and run the sub-command."""
    published = '\n\npublished networks:\n  ' + '\n  '.join(gdrive_urls)
    about = 'pretrained_networks.py', 'Look into and convert network files.'
    command, options = parse_command(*about, _COMMANDS, argv, published)
    function, _ = command.loaded()
    return function(**options)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
