"""How the kernels of dnnlib/tflib/kernels become ops of this engine; see dnnlib/native_build.py."""

import os
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
    targets = ['-gencode=arch=compute_%s,code=sm_%s' % (a, a) for a in architectures]
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
