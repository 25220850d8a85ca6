"""Which implementation an op uses, decided in one place.

There are no native kernels yet: every op is its plain-TensorFlow reference, which runs on any
device.
"""
from typing import Tuple

from dnnlib.util import UserError

OP_NAMES = ('FusedBiasAct', 'UpFirDn2D')
IMPLEMENTATIONS = ('auto', 'ref', 'cuda', 'native')


def implementation_of(op_name: str) -> Tuple[str, str]:
    """The implementation that impl='auto' chooses for an op, and the reason in one sentence."""
    assert op_name in OP_NAMES, op_name
    return 'ref', 'this version has no native kernel for %s; plain TensorFlow is used' % op_name


def resolve_impl(impl: str, op_name: str) -> str:
    """Turn an `impl` argument into the implementation to use.

    impl: 'auto' (the best there is), 'ref' (plain TensorFlow), 'cuda' or 'native' (a compiled
    kernel).
    Raises UserError for any other name, and where the wanted implementation does not exist.
    """
    if impl not in IMPLEMENTATIONS:
        raise UserError('unknown impl=%r for %s; use one of: %s'
                        % (impl, op_name, ', '.join(IMPLEMENTATIONS)))
    available, reason = implementation_of(op_name)
    if impl not in ('auto', 'ref', available):
        raise UserError("impl='%s' cannot be used: %s; use impl='auto' or 'ref'" % (impl, reason))
    return available if impl == 'auto' else impl
