"""How the kernels of dnnlib/tflib/kernels become ops of this engine; see dnnlib/native_build.py."""

import os
import re
from typing import Any, List

import tensorflow.compat.v1 as tf

from dnnlib import native_build
from dnnlib.native_build import BuildError, Recipe

SOURCE_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'kernels')


def cpu_recipe() -> Recipe:
    """How to build the ops and their CPU kernels with g++."""
    compiler = native_build.find_compiler('g++')
    # Kernels are made for this processor; what shares types with TensorFlow is made like it.
    kernel = [compiler, '-c', '-fPIC', '-O3', '-std=c++11', '-march=native']
    binding = [compiler, '-c', '-fPIC', '-O2', '-w'] + _engine_flags()
    sources = ['cpu/bias_act_cpu.cc', 'cpu/upfirdn_2d_cpu.cc', 'cpu/winograd_cpu.cc']
    return Recipe(
        name='cpu',
        folder=SOURCE_DIR,
        compile={'binding/tf_cpu_ops.cc': binding, **dict.fromkeys(sources, kernel)},
        link=[compiler, '-shared'],
        libraries=tf.sysconfig.get_link_flags(),
        depends_on=_engine() + native_build.processor_of(compiler),
    )


def cuda_recipe(architectures: List[str]) -> Recipe:
    """How to build the CUDA kernels with nvcc.

    architectures: compute capabilities such as '90'.
    """
    compiler = native_build.find_compiler('nvcc')
    common = [compiler, '-c', '-Xcompiler', '-fPIC,-w', '-O3']
    targets = targets_for(architectures, native_build.output_of([compiler, '--help']))
    kernel = common + ['-std=c++14'] + targets
    binding = common + ['-DGOOGLE_CUDA=1'] + _engine_flags()
    sources = ['cuda/bias_act_cuda.cu', 'cuda/upfirdn_2d_cuda.cu']
    return Recipe(
        name='cuda',
        folder=SOURCE_DIR,
        compile={'binding/tf_cuda_ops.cc': binding, **dict.fromkeys(sources, kernel)},
        link=[compiler, '-shared', '-cudart=static'] + targets,
        # nvcc has no -l:FILE, which TensorFlow's flags use.
        libraries=[t for flag in tf.sysconfig.get_link_flags() for t in ('-Xlinker', flag)],
        depends_on=_engine() + native_build.output_of([compiler, '--version']),
    )


def targets_for(architectures: List[str], help: str) -> List[str]:
    """nvcc's flags for code of these GPUs; for those that it does not know yet, PTX of its newest.

    The driver compiles PTX when a program starts.

    Args:
        help: what `nvcc --help` prints.

    Raises:
        BuildError: a GPU is older than all that nvcc knows.
    """
    known = sorted({int(number) for number in re.findall(r'\bcompute_(\d+)\b', help)})
    wanted = sorted({int(name) for name in architectures})
    if not known or wanted[0] < known[0]:
        text = 'this nvcc makes no code for GPUs of compute capability %.1f, its oldest is %.1f'
        raise BuildError(text % (wanted[0] / 10, (known or [0])[0] / 10))
    targets = []
    for number in wanted:
        nearest = max(k for k in known if k <= number)
        kind = 'sm' if nearest == number else 'compute'
        targets.append('-gencode=arch=compute_%d,code=%s_%d' % (nearest, kind, nearest))
    return sorted(set(targets))


def build_and_load(recipe: Recipe) -> Any:
    """The module of a recipe's ops, compiled first where need be; raises BuildError."""
    try:
        return tf.load_op_library(native_build.build(recipe))
    except tf.errors.OpError as error:
        text = native_build.first_lines(error.message)
        raise BuildError('the compiled ops cannot be loaded: %s' % text)


def _engine():
    return '%s %s ' % (tf.__version__, tf.version.GIT_VERSION)


def _engine_flags():
    flags = tf.sysconfig.get_compile_flags()
    return flags if any('-std=' in flag for flag in flags) else flags + ['-std=c++11']
