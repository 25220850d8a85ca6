#!/usr/bin/env python3
"""Time from a click in run_viewer.py to the image, in Chromium, and memory of its process.

Opens the page of a result folder, changes the seed, truncation and a layer, and chooses other
snapshots. Needs requirements/viewer.txt and browser.txt.
"""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import dnnlib  # noqa: F401  first, see dnnlib/startup.py

# isort: split

import numpy as np
import psutil

from bench import measure
from dnnlib.cli import existing_dir, run_cli

_CHROMIUM = '/usr/bin/chromium'
# The command comes with the image, which may be the same as before.
_IS_NEW = """old => {
    const image = document.querySelector('#image img');
    const command = document.querySelector('.command textarea');
    return image && image.complete && image.naturalWidth > 0 && command.value != old;
}"""
_MILLISECONDS = 30000


def main(argv=None):
    """Measure and print."""
    parser = measure.arguments(__doc__.splitlines()[0], 10, 'the median of so many clicks counts')
    parser.add_argument('--result-dir', type=existing_dir, default='results')
    parser.add_argument('--clicks', type=measure.positive_int, default=200, help='for the memory')
    args = parser.parse_args(argv)
    program = os.path.join(os.path.dirname(os.path.dirname(__file__)), 'run_viewer.py')
    command = [sys.executable, os.path.abspath(program), '--port=0']
    command += ['--result-dir=' + args.result_dir]
    with subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True) as server:
        try:
            url = re.search(r'http://\S+\d', server.stdout.readline()).group()
            figures = _measure(url, psutil.Process(server.pid), args.repeats, args.clicks)
        finally:
            server.terminate()
    measure.write_json(args.json, [figures])


def _measure(url, process, repeats, clicks):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ['--no-sandbox', '--headless']
        with playwright.chromium.launch(executable_path=_CHROMIUM, args=flags) as browser:
            page = browser.new_page()
            page.set_default_timeout(_MILLISECONDS)
            figures = {'open the page': [_seconds(page, lambda: page.goto(url), False)]}
            page.locator('#layers button').first.click()
            for what, numbers in _clicks(page, repeats).items():
                figures[what] = [_seconds(page, click) for click in numbers]
            for what, seconds in figures.items():
                text = '%-22s median %6.3f s, from %.3f to %.3f, of %d'
                print(text % (what, np.median(seconds), min(seconds), max(seconds), len(seconds)))
            figures['megabytes'] = list(_memory(page, process, clicks))
            return figures


def _clicks(page, repeats):
    """{what: functions of a click each}."""
    layer = page.locator('#switched-on input').first

    def choose(number):
        page.locator('#snapshot input').click()
        page.get_by_role('option').nth(number).click()

    numbers = range(repeats)
    return {
        'another seed': [lambda n=n: _seed(page, n + 1) for n in numbers],
        'another truncation': [lambda n=n: _psi(page, n) for n in numbers],
        'a layer off and on': [lambda n=n: layer.set_checked(bool(n % 2)) for n in numbers],
        'a snapshot, first time': [lambda n=n: choose(n) for n in range(1, 4)],
        'a snapshot again': [lambda n=n: choose(n) for n in (2, 3, 2, 3)],
    }


def _seed(page, seed):
    page.locator('#seed input').fill(str(seed))


def _psi(page, number):
    page.locator('#psi input[type=number]').fill('%.2f' % (0.55 + number % 20 * 0.05))


def _seconds(page, click, is_open=True):
    old = page.locator('.command textarea').first.input_value() if is_open else ''
    start = time.perf_counter()
    click()
    page.wait_for_function(_IS_NEW, arg=old, polling='raf')
    return time.perf_counter() - start


def _memory(page, process, clicks):
    """Megabytes of the server after every twentieth click."""
    for number in range(1, clicks + 1):
        _seconds(page, lambda n=number: _seed(page, 1000 + n) if n % 2 else _psi(page, n // 2))
        if number % 20 == 0 or number == clicks:
            yield process.memory_info().rss / 1e6
            print('click %-4d %7.1f MB' % (number, process.memory_info().rss / 1e6))


if __name__ == '__main__':
    sys.exit(run_cli(main))
