"""The version and dependencies of `pip install .`, from where they are kept; see setup.cfg."""

import os
import re

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*path):
    with open(os.path.join(HERE, *path), encoding='utf-8') as file:
        return file.read()


def pins(name, python):
    """Lines of a file of requirements/, for the Pythons of its engine."""
    for line in read('requirements', name).splitlines():
        if '==' in line:
            pin, _, marker = line.partition('; ')
            yield '%s; %s' % (pin, ' and '.join(filter(None, [python, marker])))


ANY = 'python_version >= "3.6"'
TF1 = 'python_version < "3.8"'
TF2 = 'python_version >= "3.10"'
cuda = list(pins('tf2-cuda.txt', TF2))

setup(
    version=re.findall(r"^__version__ = '(.+)'$", read('dnnlib', '__init__.py'), re.MULTILINE)[0],
    install_requires=[
        *pins('tf1.txt', TF1),
        *pins('tf2-common.txt', TF2),
        *[pin for pin in cuda if pin.startswith('tensorflow==')],
    ],
    extras_require={
        'cuda': [pin for pin in cuda if pin.startswith('nvidia-')],
        'features': list(pins('features.txt', ANY)),
        'export': list(pins('export.txt', TF2)),
        'tracking': list(pins('tracking.txt', TF2)),
        'notebook': list(pins('notebook.txt', TF2)),
        'viewer': list(pins('viewer.txt', TF2)),
    },
)
