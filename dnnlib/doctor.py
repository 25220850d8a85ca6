"""`python -m dnnlib.doctor`: the report of `doctor.py`, by its earlier name."""

import sys

from dnnlib.cli import run_cli
from doctor import main

if __name__ == '__main__':
    sys.exit(run_cli(main))
