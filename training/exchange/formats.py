"""The formats that networks are exported in. TensorFlow is not imported."""

import os
import sys
from typing import Any, Callable, Dict, NamedTuple, Optional

from dnnlib import program
from dnnlib.names import get_obj_by_name
from dnnlib.options import check_choice
from dnnlib.util import UserError


class Format(NamedTuple):
    """A format.

    suffix: of the file; '' for a folder. save: dotted name of a function of (records, path), or if
        `evaluate` is given of (generator, path). evaluate: of a function of (path, [inputs by
        name]) that gives images; '': what was written is read as records. takes_seed: of the noise.
    tolerance: largest difference of images, of their largest value.
    package: that takes part, in requirements/export.txt.
    """

    suffix: str
    save: str
    evaluate: str = ''
    tolerance: float = 1e-5
    package: str = ''
    takes_seed: bool = False

    def function(self, name: str) -> Callable[..., Any]:
        """`save` or `evaluate` itself."""
        return get_obj_by_name(getattr(self, name))


# Of several with a suffix the first one is that of the suffix.
FORMATS: Dict[str, Format] = {
    'npz': Format('.npz', 'dnnlib.tflib.weights.export_npz'),
    'safetensors': Format('.safetensors', 'dnnlib.tflib.weights.export_safetensors'),
    'saved-model': Format(
        '',
        'training.exchange.saved_model.save',
        'training.exchange.saved_model.evaluate',
        takes_seed=True,
    ),
    'onnx': Format(
        '.onnx',
        'training.exchange.onnx_model.save',
        'training.exchange.onnx_model.evaluate',
        1e-4,
        'onnx',
    ),
    'stylegan2-ada-pytorch': Format('.safetensors', 'training.exchange.pytorch_weights.save_ada'),
    'rosinality': Format('.safetensors', 'training.exchange.pytorch_weights.save_rosinality'),
}


def choose(path: str, name: Optional[str] = None) -> Format:
    """The format of a name, else the one that a path's suffix stands for.

    Raises:
        UserError: none, or the package that it takes is missing.
    """
    suffix = os.path.splitext(path.rstrip('/'))[1]
    if name is None:
        found = [each for each in FORMATS if FORMATS[each].suffix == suffix]
        if not found:
            known = ', '.join(sorted({each.suffix for each in FORMATS.values()} - {''}))
            text = '%r has the suffix of no format: %s, or none for the folder of a SavedModel'
            raise UserError(text % (path, known))
        name = found[0]
    check_choice('--format', name, FORMATS)
    chosen = FORMATS[name]
    if chosen.suffix and chosen.suffix != suffix:
        raise UserError('%r does not end with %s, as files of %s do' % (path, chosen.suffix, name))
    check_package(chosen.package)
    return chosen


def check_package(package: str) -> None:
    """Raise UserError if a package of requirements/export.txt is missing."""
    if package and program.is_missing(package):
        text = 'this takes the package %s; run `%s -m pip install -r requirements/export.txt`'
        raise UserError(text % (package, sys.executable))
