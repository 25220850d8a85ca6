#!/usr/bin/env python3
"""Look at networks and runs in a browser: `python run_viewer.py` (see --help)."""

import sys
from typing import List, Optional

import pretrained_networks
from dnnlib import cli, flags
from dnnlib.cli import number
from dnnlib.flags import flag
from viewer import serving

_FLAGS = flags.group(
    'what',
    flag(
        '--network',
        'PKL',
        'network file, or a run (its folder or number), to begin with (default: the newest run)',
    ),
    flags.RESULT_DIR,
    flags.REQUIRE_NATIVE_OPS,
) + flags.group(
    'where',
    flag('--host', 'NAME', 'address to listen at; another lets other machines in', '127.0.0.1'),
    flag('--port', number(int, 0, 65535), 'port to listen at, 0 for any that is free', 7860),
)
_EXAMPLES = [
    ('the runs in results/', ''),
    ('a network', '--network=network-final.pkl'),
]


def main(argv: Optional[List[str]] = None) -> None:
    """Parse, check and serve."""
    description = 'Look at networks and runs in a browser.'
    args = flags.parse('run_viewer.py', description, _FLAGS, argv, _EXAMPLES)
    serving.check()
    pretrained_networks.find(args.network, args.result_dir)
    with serving.listen(args.host, args.port) as listening:
        from dnnlib.tflib import custom_ops

        custom_ops.require_native_ops(args.require_native_ops)

        def page():
            from viewer.networks import Networks
            from viewer.page import build

            return build(Networks(), args.result_dir, args.network)

        serving.serve(page, args.host, listening)


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
