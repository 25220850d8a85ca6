"""Any file of networks, by its content: pickles, files of other code bases, exported numbers.

Nothing in them is run, but for what `load` is told to trust.
"""

from typing import Any, BinaryIO, Callable, Optional

from dnnlib import safetensors, torch_file
from dnnlib.pickle_machine import PickleError
from dnnlib.tflib import network_state, pickles, weights
from dnnlib.util import UserError
from training.exchange import pytorch_weights, rosinality, stylegan2_ada

_CODE_BASES = (stylegan2_ada, rosinality)
_ZIP = b'PK\3\4'
_ADA = stylegan2_ada.PERSISTENT.rpartition('.')[2].encode('ascii')
_BEGINNING, _LONGEST_NAME = 1 << 16, 1024  # bytes


def load(file: BinaryIO, trust_network_code: bool = False) -> Any:
    """Networks of a file, built in the default graph.

    Args:
        trust_network_code: see `pickles.load`.

    Raises:
        UserError: see `load_records`; or they do not fit the local code.
    """
    read = _other_reader(file)
    if read is None:
        return pickles.load(file, trust_network_code)
    records = read(file)
    try:
        return network_state.build(records)
    except UserError as error:
        raise UserError('cannot load %s: %s' % (_name(file), error)) from error


def load_records(file: BinaryIO) -> Any:
    """Networks of a file as `NetworkRecord`s: (G, D, Gs), or one. It may be

    - a pickle of ours, or of official StyleGAN2
    - a pickle of stylegan2-ada-pytorch, or of a StyleGAN2 configuration of stylegan3
    - a checkpoint of rosinality's stylegan2-pytorch
    - an .npz or .safetensors file of ours, whatever its name.

    Raises:
        UserError: it is broken, or holds something else.
    """
    return (_other_reader(file) or pickles.load_records)(file)


def _name(file):
    return getattr(file, 'name', 'the file')


def _other_reader(file) -> Optional[Callable]:
    """Function of a file that reads it; None for a pickle of ours. The file is as it was."""
    begin = file.read(_BEGINNING)
    file.seek(0)
    if begin[:4] == _ZIP:
        # In that of torch.save the pickle comes first; in one of NumPy every file is an .npy.
        return _read_pytorch if b'/data.pkl' in begin[:_LONGEST_NAME] else weights.read_npz
    if safetensors.is_one(begin):
        return _read_safetensors
    if torch_file.is_legacy(begin) or _ADA in begin:
        return _read_pytorch
    return None


def _read_safetensors(file):
    with weights.reading_numbers(file):
        arrays, metadata = safetensors.read(file.read())
        if 'config' in metadata:
            return pytorch_weights.load(arrays, metadata)
        return weights.records_of(arrays, metadata)


def _read_pytorch(file):
    where = _name(file)
    try:
        content = torch_file.read(file.read())
    except PickleError as error:
        raise UserError(
            '%s is not a whole file of PyTorch (%s); download it again' % (where, error)
        )
    for code_base in _CODE_BASES:
        if code_base.holds_networks(content):
            try:
                return code_base.records_of(content)
            except UserError as error:
                raise UserError('cannot load %s: %s' % (where, error))
    found = type(content).__name__
    if isinstance(content, dict):
        found = ', '.join(map(str, content))[:100]
    raise UserError(
        '%s holds no networks of stylegan2-ada-pytorch, stylegan3 or rosinality, but %s'
        % (where, found)
    )
