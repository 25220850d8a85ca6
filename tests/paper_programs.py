"""Stands in for the programs that run_paper.py starts: leaves what they do, in no time.

Started as PROGRAM.py in a folder; each start adds a line to `starts.txt` there, and those whose
result folder is named in `failing.txt` fail. Training can be interrupted and goes on.
"""

import glob
import hashlib
import json
import os
import sys
import time


def flag(name):
    values = [word.partition('=')[2] for word in sys.argv if word.startswith('--%s=' % name)]
    return values[-1] if values else ''


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ''


def write(folder, name, text):
    with open(os.path.join(folder, name), 'w') as file:
        file.write(text)


def be_slow(result_dir):
    """Tasks whose names begin so do not come to their end before they are stopped."""
    slow = os.environ.get('PAPER_TEST_SLOW')
    if slow and os.path.basename(result_dir).startswith(slow):
        time.sleep(600)


def fraction(*facts):
    """A number in [0, 1) that depends on all that is given."""
    return int(hashlib.sha256(repr(facts).encode()).hexdigest()[:8], 16) / 2**32


def runs_in(result_dir):
    return sorted(glob.glob(os.path.join(glob.escape(result_dir), '[0-9]*-*')))


def new_run(result_dir, name):
    os.makedirs(result_dir, exist_ok=True)
    path = os.path.join(result_dir, '%05d-%s' % (len(runs_in(result_dir)), name))
    os.mkdir(path)
    return path


def train(result_dir):
    begun = runs_in(result_dir)
    path = begun[0] if begun else new_run(result_dir, 'a-1gpu-b')
    for step in range(int(read(os.path.join(path, 'state')) or 0), 5):
        write(path, 'state', str(step + 1))
        be_slow(result_dir)
    write(path, 'network-final.pkl', flag('config') + flag('seed'))
    return path


def evaluate(result_dir):
    path = new_run(result_dir, 'run-metrics')
    (metric,) = [flag('metrics')]
    network = flag('network')
    content = read(network if network.endswith('.pkl') else network + '/network-final.pkl')
    name = metric + ('_n' + flag('num-samples') if flag('num-samples') else '')
    suffixes = dict(cond=['_mc', '_ttmc'], swd16k=['_16', '_avg']).get(metric, [''])
    results = {name + suffix: fraction(content, metric, suffix) for suffix in suffixes}
    record = dict(results=results, version='1', code='2', engine='3', network=network)
    write(path, 'metric-%s.jsonl' % name, json.dumps(record) + '\n')
    be_slow(result_dir)
    return path


def project(result_dir):
    path = new_run(result_dir, sys.argv[1])
    if sys.argv[1] == 'compare':
        write(path, 'grid.' + flag('format'), flag('format'))
        return path
    means = dict(mse=fraction(read(flag('network')), flag('optimize-alpha')))
    write(path, 'summary.json', json.dumps(dict(overall=means, hard=means, version='1')))
    return path


def draw(result_dir):
    path = new_run(result_dir, sys.argv[1])
    write(path, '%s.%s' % (sys.argv[1], flag('format')), flag('format'))
    return path


PROGRAMS = {
    'run_training.py': train,
    'run_metrics.py': evaluate,
    'run_projector.py': project,
    'run_generator.py': draw,
}


def main():
    folder, program = os.path.split(os.path.abspath(sys.argv[0]))
    result_dir = flag('result-dir')
    name = os.path.basename(result_dir)
    with open(os.path.join(folder, 'starts.txt'), 'a') as file:
        file.write(name + '\n')
    if name in read(os.path.join(folder, 'failing.txt')).split():
        sys.exit('Error: it is to fail')
    write(PROGRAMS[program](result_dir), '_finished.txt', '')


if __name__ == '__main__':
    main()
