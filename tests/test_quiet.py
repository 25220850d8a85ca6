"""What stands on stderr: all that is ours or an error's, nothing that TensorFlow says of itself."""

import os
import re
import subprocess
import sys
from multiprocessing.pool import ThreadPool

import numpy as np
import pytest

from dnnlib import quiet
from tests.network_files import SNAPSHOT
from training.data.tfrecord_exporter import TFRecordExporter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
I_LINE = b'I0000 00:00:1795671998.997619   13195 port.cc:153] oneDNN custom operations are on.\n'
E_LINE = b'E0000 00:00:1795672222.755805   17337 util.cc:131] out of memory\n'
NO_GPU = (
    b'2026-11-26 05:45:04.149831: E tensorflow/stream_executor/cuda/cuda_driver.cc:318] '
    b'failed call to cuInit: UNKNOWN ERROR (303)\n'
)
BROKEN_GPU = NO_GPU.replace(b'UNKNOWN ERROR (303)', b'CUDA_ERROR_SYSTEM_NOT_READY')
# Runs some text as the main function of a program, with `os` and `sys`.
PROGRAM = (
    'import os, sys, time, ctypes\n'
    'from dnnlib.cli import run_cli\n'
    'sys.exit(run_cli(lambda: exec(sys.argv[1])))'
)


def environment(**variables):
    """That of a user's shell, without what the variables of these tests hide or show."""
    kept = {name: value for name, value in os.environ.items() if name != 'TF_CPP_MIN_LOG_LEVEL'}
    return dict(kept, PYTHONPATH=ROOT, **variables)


def run(*argv, **variables):
    """Exit status and stderr of a Python process."""
    done = subprocess.run(
        [sys.executable] + list(argv),
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return done.returncode, done.stderr


def sieved(data, tmp_path):
    """What the sieve leaves of data."""
    source, sink = os.pipe()
    os.write(sink, data)
    os.close(sink)
    with open(str(tmp_path / 'out'), 'wb') as out:
        quiet.sieve(source, out.fileno())
    os.close(source)
    return (tmp_path / 'out').read_bytes()


def test_only_known_lines_and_blank_ones_are_left_out(tmp_path):
    assert sieved(I_LINE + NO_GPU + b'\n' + I_LINE, tmp_path) == b''
    kept = E_LINE + BROKEN_GPU + b'  File "x.py", line 1\nno end of line'
    assert sieved(I_LINE + kept, tmp_path) == kept
    assert sieved(E_LINE + b'\n' + I_LINE[:-1], tmp_path) == E_LINE
    assert sieved(b'x' * 60000, tmp_path) == b'x' * 60000


@pytest.mark.parametrize(
    'end, status',
    [
        ('os.write(2, b"last words"); ctypes.CDLL(None).abort()', -6),
        ('os.write(2, b"last words"); os._exit(5)', 5),
        ('os.write(2, b"last words"); os.kill(os.getpid(), 9)', -9),
        ('os.system("printf \'last words\' >&2"); sys.exit(4)', 4),
        ('os.write(2, b"last "); time.sleep(0.3); os.write(2, b"words")', 0),
    ],
)
def test_the_last_words_of_a_program_are_shown_however_it_ends(end, status):
    noise = 'os.write(2, %r); ' % I_LINE
    assert run('-c', PROGRAM, noise + end) == (status, b'last words')


def test_tracebacks_and_what_python_prints_are_shown():
    status, err = run('-c', PROGRAM, 'print("ours", file=sys.stderr); 1 / 0')
    assert status == 1
    assert err.startswith(b'ours\nTraceback') and err.endswith(
        b'ZeroDivisionError: division by zero\n'
    )


def test_all_is_shown_to_those_who_ask():
    code = 'os.write(2, %r)' % I_LINE
    assert run('-c', PROGRAM, code, STYLEGAN2_VERBOSE='1') == (0, I_LINE)
    assert run('-c', PROGRAM, code, STYLEGAN2_VERBOSE='0') == (0, b'')


def test_a_program_whose_stderr_is_closed_works(tmp_path):
    path = str(tmp_path / 'done')
    command = '"$@" 2>&-; echo $?'
    code = 'open(%r, "w").close()' % path
    shell = ['sh', '-c', command, 'sh', sys.executable, '-c', PROGRAM, code]
    assert subprocess.check_output(shell, env=environment()) == b'0\n'
    assert os.path.exists(path)


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with a data set of 32 images of 8x8."""
    path = tmp_path_factory.mktemp('place')
    with TFRecordExporter(str(path / 'datasets' / 'tiny'), 32) as exporter:
        for index in range(32):
            exporter.add_image(np.full([3, 8, 8], index * 8, np.uint8))
    return path


TINY = (
    '--config=config-e-bald --dataset=tiny --metrics=none --fmap-base=64 --fmap-max=8'
    ' --minibatch-size=8 --minibatch-gpu=4 --set=total_kimg=0.032 --set=grid_args.size=one'
    ' --set=G_args.mapping_layers=2'
)
COMMANDS = [
    'run_training.py ' + TINY,
    'run_generator.py generate-images --seeds=0 --network=' + SNAPSHOT,
    'run_metrics.py --metrics=cond --num-samples=8 --network=' + SNAPSHOT,
    'dataset_tool.py verify datasets/tiny',
    'pretrained_networks.py info ' + SNAPSHOT,
]


def test_commands_write_nothing_to_stderr_but_what_is_ours(place):
    def run_command(line):
        program, *flags = line.split()
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, program)] + flags,
            cwd=str(place),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        # Where kernels are new, the first command that uses them compiles them.
        return done.returncode, re.sub(rb'^Compiling the \w+ ops; .*\n', b'', done.stderr)

    with ThreadPool(2) as pool:
        ended = dict(zip(COMMANDS, pool.map(run_command, COMMANDS, 1)))
    assert ended == dict.fromkeys(COMMANDS, (0, b''))


def test_tensorflow_has_something_to_say():
    """Else the test before this one would prove nothing."""
    code = (
        'import tensorflow.compat.v1 as tf\n'
        'with tf.Session() as session: session.run(tf.constant(1))'
    )
    _, err = run('-c', PROGRAM, code, STYLEGAN2_VERBOSE='1')
    assert re.search(rb'^\S.*\.cc:\d+\] ', err, re.MULTILINE)
