"""The doorway to the two TensorFlow engines: 1.14 and today's 2.x, the latter in v1 graph mode.

What differs between them stands here, behind questions with names, so that every other module is
written once. Others look at ENGINE only to say which it is (`doctor`), and for what was measured
with each (`ops/decisions.py`).
"""

import contextlib
import ctypes
import functools
import re
import warnings
from typing import Dict, Iterator, List

import tensorflow.compat.v1 as tf
from tensorflow.python.client import device_lib
from tensorflow.python.ops import nccl_ops

from dnnlib.util import TEXT, UserError

tf.logging.set_verbosity(tf.logging.ERROR)
tf.disable_v2_behavior()
tf.enable_resource_variables()  # reads and writes of one run happen in a defined order

ENGINE = 'tf1' if tf.__version__.startswith('1.') else 'tf2'

_LAST_OF_CUDA_10, _FIRST_WITH_TF32 = 75, 80  # compute capabilities of Turing and Ampere
_gpus = None
_gpu_bytes: List[int] = []


def _keep_freed_memory():
    """Let the C library use memory again instead of handing it back to the system.

    TensorFlow 1.14 asks it for every tensor on CPUs. Large ones would come from the system each
    time, page by page, which takes longer than to fill them. The price: what a process has used at
    most it keeps until its end.
    """
    trim_threshold, mmap_max, arena_max = -1, -4, -8  # parameters of glibc's mallopt
    with contextlib.suppress(OSError, AttributeError, TypeError):  # not Linux, not glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, -1)
        mallopt(arena_max, 1)  # since others than the first cannot hold large tensors


if ENGINE == 'tf1':
    _keep_freed_memory()


def _local_gpus() -> list:
    """Descriptions of this machine's GPUs; asked once, since asking takes hold of the devices."""
    global _gpus
    if _gpus is None:
        options = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))
        devices = [d for d in device_lib.list_local_devices(options) if d.device_type == 'GPU']
        _gpus = [d.physical_device_desc for d in devices]
        _gpu_bytes.extend(d.memory_limit for d in devices)
        if too_new_gpus():
            warnings.warn(too_new_gpus(), RuntimeWarning, stacklevel=2)
    return _gpus


def too_new_gpus() -> str:
    """What to say where there are GPUs that this engine's CUDA does not know, else ''."""
    newest = max(map(int, gpu_architectures()), default=0)
    if ENGINE == 'tf2' or newest <= _LAST_OF_CUDA_10:
        return ''
    text = (
        'CUDA 10, of TensorFlow 1.14, has no code for GPUs after Turing (compute capability 7.5), '
        'and this one has %.1f: it starts slowly, and may fail; use `make env ENGINE=tf2`'
    )
    return text % (newest / 10)


def gpu_devices() -> List[str]:
    """Device strings, such as '/gpu:0', of the GPUs that TensorFlow can use here, if any."""
    return ['/gpu:%d' % i for i in range(len(_local_gpus()))]


def gpu_names() -> List[str]:
    """What those GPUs are called, such as 'NVIDIA H100 80GB HBM3'."""
    return [re.sub(r'.*name: (.*?),.*', r'\1', text) for text in _local_gpus()]


def gpu_memory() -> int:
    """Bytes that TensorFlow may use of the smallest GPU; 0 where there is none."""
    return min(_gpu_bytes, default=0) if _local_gpus() else 0


def gpu_architectures() -> List[str]:
    """Compute capabilities of those GPUs without the point, such as '90', each once."""
    texts = ' '.join(_local_gpus())
    found = re.findall(r'compute capability: (\d+)\.(\d+)', texts)
    return sorted({major + minor for major, minor in found})


def gpu_description() -> str:
    """Names and capabilities of those GPUs, and the version of their driver."""
    names = [re.sub(r', pci bus id: [^,]*|device: \d+, ', '', text) for text in _local_gpus()]
    with contextlib.suppress(OSError), open('/proc/driver/nvidia/version', **TEXT) as file:
        names.append(file.readline().strip())
    return '; '.join(names)


def has_tf32() -> bool:
    """Whether all GPUs here can multiply in TF32, and this engine lets them."""
    architectures = gpu_architectures()
    return (
        ENGINE == 'tf2' and bool(architectures) and min(map(int, architectures)) >= _FIRST_WITH_TF32
    )


def allow_tf32(is_allowed: bool) -> None:
    """Let GPUs round the factors of products of float32 to TF32, 10 bits; or not, as at the start.

    It counts for the whole process, for what is run from now on. TensorFlow 1.14 knows no TF32.
    """
    if ENGINE == 'tf2':
        tf.config.experimental.enable_tensor_float_32_execution(is_allowed)


def allows_tf32() -> bool:
    """Whether GPUs may."""
    return ENGINE == 'tf2' and tf.config.experimental.tensor_float_32_execution_enabled()


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Float32 without TF32, whatever is allowed around it."""
    before = allows_tf32()
    allow_tf32(False)
    try:
        yield
    finally:
        allow_tf32(before)


allow_tf32(False)  # TensorFlow 2 would, without a word


def check_deterministic() -> None:
    """Raise UserError where ops cannot be made to give the same bits in each run."""
    if ENGINE == 'tf1' and _local_gpus():
        raise UserError(
            '--deterministic takes TensorFlow 2 on GPUs: %s can choose convolutions that are '
            '(TF_CUDNN_DETERMINISTIC=1), not sums; leave it out, use `make env ENGINE=tf2`, or a '
            'CPU by CUDA_VISIBLE_DEVICES=' % tf.__version__
        )


def make_deterministic(is_wanted: bool) -> None:
    """Have ops on GPUs give the same bits in each run, which is slower; or not, as at the start.

    It counts for the whole process, for what is run from now on; ops that have no such way end with
    an error. On CPUs nothing changes: with the same CPU and number of threads they always do.

    Raises:
        UserError: this engine cannot.
    """
    if is_wanted:
        check_deterministic()
    if ENGINE == 'tf2' and _local_gpus():
        from tensorflow.python.framework import config

        (config.enable_op_determinism if is_wanted else config.disable_op_determinism)()


def is_gpu_scope() -> bool:
    """Whether ops made in the current `tf.device` scope run on a GPU."""
    return bool(_local_gpus()) and 'cpu' not in tf.no_op(name='device_probe').device.lower()


def uses_bfloat16() -> bool:
    """Whether TensorFlow's convolutions on CPUs are faster in bfloat16, given instructions for it.

    Those of 1.14 take as long as in float32.
    """
    return ENGINE == 'tf2'


def has_explicit_padding() -> bool:
    """Whether `tf.nn.depthwise_conv2d` takes numbers of pixels as padding."""
    return ENGINE == 'tf2'


def runs_source_for_tf1() -> bool:
    """Whether source written for TensorFlow 1, such as that in old pickles, runs as it is."""
    return ENGINE == 'tf1'


def cpu_has_bfloat16() -> bool:
    """Whether convolutions in bfloat16 are fast on this CPU."""
    if uses_bfloat16():
        with contextlib.suppress(OSError), open('/proc/cpuinfo', **TEXT) as file:
            return bool(re.search(r'\b(avx512_bf16|amx_bf16|bf16)\b', file.read()))
    return False


def check_devices(number: int) -> None:
    """Raise UserError if there are GPUs, but fewer than wanted; CPUs stand in for any number."""
    if 0 < len(_local_gpus()) < number:
        raise UserError('--num-gpus is %d; there are %d GPUs' % (number, len(_local_gpus())))


def device(index: int) -> str:
    """Device string number `index` of data-parallel work: a GPU where there is any, else a CPU."""
    return '/%s:%d' % ('gpu' if _local_gpus() else 'cpu', index)


def logical_devices(number: int) -> Dict[str, int]:
    """Options of a session that let CPUs stand in for several GPUs where there is none."""
    return {} if gpu_devices() or number == 1 else {'device_count.CPU': number}


def session_config(options: dict) -> tf.ConfigProto:
    """Make a ConfigProto from {'dotted.path': value}; `device_count.CPU` asks for logical CPUs."""
    config = tf.ConfigProto()
    for path, value in options.items():
        *parents, field = path.split('.')
        if parents == ['device_count']:
            config.device_count[field] = value
        else:
            setattr(functools.reduce(getattr, parents, config), field, value)
    return config


def all_sum(values: List[tf.Tensor]) -> List[tf.Tensor]:
    """Sum one tensor per device; element i of the result lies on the device of `values[i]`."""
    if len(values) == 1:
        return list(values)
    return nccl_ops.all_sum(values) if are_gpus(values) else copies(tf.add_n(values), values)


def are_gpus(values: List[tf.Tensor]) -> bool:
    """Whether tensors lie on GPUs, each on one of its own, as NCCL wants them."""
    devices = {value.device.lower() for value in values}
    return len(devices) == len(values) and all('gpu' in device for device in devices)


def copies(total: tf.Tensor, values: List[tf.Tensor]) -> List[tf.Tensor]:
    """A tensor on the device of each value."""
    found = []
    for value in values:
        with tf.device(value.device):
            found.append(tf.identity(total))
    return found


def peak_gpu_memory(device_name: str) -> tf.Tensor:
    """Peak bytes in use on a device so far, int64 []; 0 where the engine cannot tell."""
    if 'gpu' not in device_name.lower():
        return tf.constant(0, tf.int64)
    if ENGINE == 'tf2':
        return tf.py_func(_memory_info_peak, [device_name], tf.int64)
    from tensorflow.contrib.memory_stats import MaxBytesInUse

    with tf.device(device_name):
        return MaxBytesInUse()


def _memory_info_peak(device_name):
    name = device_name.decode() if isinstance(device_name, bytes) else str(device_name)
    index = int(name.rsplit(':', 1)[1])
    from tensorflow.config.experimental import get_memory_info

    return get_memory_info('GPU:%d' % index)['peak']
