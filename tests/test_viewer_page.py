"""The viewer's page in a real Chromium: what a user does, and that no other machine is asked."""

import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

import run_generator
from dnnlib import program, tflib
from tests import toy_networks
from training import misc

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = '/usr/bin/chromium'
SECONDS = 60  # until something is there, on a busy machine

for package in ['gradio', 'playwright']:
    if program.is_missing(package):
        reason = '%s is missing (requirements/viewer.txt, browser.txt)' % package
        pytest.skip(reason, allow_module_level=True)
if not os.path.exists(CHROMIUM):
    pytest.skip('there is no %s' % CHROMIUM, allow_module_level=True)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with results/ of three runs, the last one with a broken network."""
    path = tmp_path_factory.mktemp('page')
    with tf.Graph().as_default(), tflib.create_session({'rnd.tf_random_seed': 1}).as_default():
        for number, form in enumerate(['additive', 'fr-noise', 'broken']):
            run = path / 'results' / ('%05d-stylegan2-toys-1gpu-%s' % (number, form))
            run.mkdir(parents=True)
            network = str(run / 'network-final.pkl')
            if form == 'broken':
                Path(network).write_bytes(b'\x80\x04broken')
                continue
            Gs = toy_networks.noisy_generator(form)
            misc.save_pkl(Gs, network)
            PIL.Image.new('RGB', (32, 32), 'red').save(str(run / 'fakes000000.png'))
            (run / 'stats.jsonl').write_text('{"Progress/kimg": 0.0, "Loss/D": 2.0}\n')
    return path


@pytest.fixture(scope='module')
def asked():
    """What stands for the internet: (its address, list of what was asked of it)."""
    lines = []
    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        listening.listen(8)

        def answer():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    lines.append(connection.recv(1000).split(b'\r\n')[0])

        threading.Thread(target=answer, daemon=True).start()
        yield 'http://127.0.0.1:%d' % listening.getsockname()[1], lines
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope='module')
def server(folder, asked):
    """Address of a viewer of the folder, and the file that it writes to."""
    proxies = dict.fromkeys(['http_proxy', 'https_proxy', 'all_proxy'], asked[0])
    proxies.update({name.upper(): url for name, url in proxies.items()}, no_proxy='127.0.0.1')
    log = folder / 'log.txt'
    with open(str(log), 'wb') as file:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / 'run_viewer.py'), '--port=0'],
            cwd=str(folder),
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, **proxies),
        )
    try:
        found = wait_for(lambda: re.search(r'http://127\.0\.0\.1:\d+', log.read_text()))
        yield found.group(), log
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 143, log.read_text()
    finally:
        process.kill()


@pytest.fixture(scope='module')
def chromium():
    from playwright.sync_api import sync_playwright

    rules = '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1'
    flags = ['--no-sandbox', '--headless', rules, '--disable-component-update']
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=CHROMIUM, args=flags) as browser:
            yield browser


@pytest.fixture
def open_page(chromium, server, asked):
    """Function that opens a tab; afterwards nothing but the server has been asked for anything."""
    context = chromium.new_context()
    context.set_default_timeout(1000 * SECONDS)
    urls, errors = [], []
    context.on('request', lambda request: urls.append(request.url))
    context.on('weberror', lambda error: errors.append(str(error.error)))

    def opened():
        page = context.new_page()
        page.goto(server[0])
        page.wait_for_selector('#run input')
        return page

    yield opened
    context.close()
    own = (server[0] + '/', 'data:', 'blob:' + server[0])
    assert [url for url in urls if not url.startswith(own)] == []
    assert len(urls) > 10 and not errors and not asked[1]
    assert 'Traceback' not in server[1].read_text()


def wait_for(condition):
    """What a condition gives as soon as that is true."""
    end = time.time() + SECONDS
    while time.time() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError('nothing after %d seconds' % SECONDS)


def choose(page, where, name):
    page.locator(where + ' input').click()
    page.get_by_role('option', name=name).click()


def command_with(page, *words):
    """The command of the image, as soon as it has these words."""
    box = page.locator('.command textarea').first
    return wait_for(lambda: all(word in box.input_value() for word in words) and box.input_value())


def shown(page, where):
    """Pixels of a picture of the page."""
    source = page.locator(where + ' img').first.get_attribute('src')
    picture = PIL.Image.open(io.BytesIO(page.request.get(source).body()))
    return np.asarray(picture.convert('RGB'))


def made_by(command, name):
    """Pixels of what a command of run_generator.py writes."""
    before = set(os.listdir('results'))
    with tf.Graph().as_default(), tflib.create_session().as_default():
        run_generator.main(shlex.split(command)[2:])
    (new,) = set(os.listdir('results')) - before
    return np.asarray(PIL.Image.open('results/%s/%s' % (new, name)).convert('RGB'))


def assert_shows(page, where, want):
    wait_for(lambda: np.array_equal(shown(page, where), want))


def upload(page, path):
    """Choose a picture, again where a busy page has missed it."""
    from playwright.sync_api import TimeoutError

    field = page.locator('#upload input[type=file]')
    for _ in range(SECONDS // 10):
        if field.count():
            field.set_input_files(str(path))
        try:
            page.locator('#upload', has_text=path.name).wait_for(timeout=10000)
            return
        except TimeoutError:
            continue
    raise AssertionError('no %s in: %s' % (path.name, page.locator('#upload').inner_text()))


def open_network(open_page, form):
    page = open_page()
    choose(page, '#run', form)
    command_with(page, form)
    return page


def test_moved_sliders_show_the_pixels_of_run_generator(open_page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    page = open_network(open_page, 'fr-noise')
    page.locator('#seed input').fill('7')
    slider = page.locator('#psi input[type=range]')
    slider.focus()
    for _ in range(4):
        slider.press('ArrowRight')
    command = command_with(page, '--seeds=7 ', '--truncation-psi=0.7 ')
    assert_shows(page, '#image', made_by(command, 'seed0007.png'))
    assert np.all(shown(page, '#difference') == 128)

    page.locator('#layers button').first.click()
    page.locator('#switched-on input').nth(1).uncheck()
    choose(page, '#layer', '8x8b')
    page.locator('#strength', has_text='noise in 8x8b').wait_for()
    page.locator('#strength input[type=number]').fill('3')
    page.locator('#alpha input[type=range]').fill('0.9')
    page.locator('#layer-seed input').fill('5')
    command = command_with(page, '8x8a:noise=0', '8x8b:noise=3,seed=5,t=')
    assert_shows(page, '#image', made_by(command, 'seed0007.png'))
    assert np.any(shown(page, '#difference') != 128)

    page.locator('#mixing button').first.click()
    page.locator('#mix input').check()
    page.locator('#last input[type=number]').fill('2')
    command = command_with(page, '--col-styles=0-2', '8x8a:noise=0')
    assert_shows(page, '#image', made_by(command, '7-1.png'))


def test_figures_and_walks_are_shown(open_page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    page = open_network(open_page, 'fr-noise')
    page.locator('#maps').click()
    command = page.locator('.command textarea').nth(1)
    wait_for(command.input_value)
    assert_shows(page, '#figure', made_by(command.input_value(), 'fr-maps.png'))
    page.locator('#draws input').fill('3')
    page.locator('#stddev').click()
    wait_for(lambda: '--num-draws=3' in command.input_value())
    assert_shows(page, '#figure', made_by(command.input_value(), 'noise-stddev.png'))
    page.get_by_role('tab', name='Walk').click()
    page.locator('#walk').click()
    source = page.locator('#video img').get_attribute('src')
    video = PIL.Image.open(io.BytesIO(page.request.get(source).body()))
    assert video.format == 'GIF' and video.n_frames > 10
    choose(page, '#run', 'additive')
    page.get_by_role('tab', name='Image').click()
    page.locator('#maps').wait_for(state='hidden')


def test_two_tabs_at_once_do_not_mix(open_page, folder, monkeypatch):
    monkeypatch.chdir(folder)
    forms = ['additive', 'fr-noise']
    pages = [open_network(open_page, form) for form in forms]
    pages[0].locator('#layers button').first.click()
    pages[0].locator('#switched-on input').nth(2).uncheck()
    for seed in range(1, 6):
        for page, offset in zip(pages, (0, 10)):
            page.locator('#seed input').fill(str(seed + offset))
    for page, form, seed in zip(pages, forms, (5, 15)):
        command = command_with(page, form, '--seeds=%d ' % seed)
        assert ('--layer' in command) == (form == 'additive')
        assert_shows(page, '#image', made_by(command, 'seed%04d.png' % seed))


def test_a_broken_network_is_a_message(open_page):
    page = open_network(open_page, 'additive')
    choose(page, '#run', 'broken')
    page.locator('.toast-body', has_text='network-final.pkl').wait_for()
    choose(page, '#run', 'fr-noise')
    command_with(page, 'fr-noise')


def test_an_uploaded_picture_is_projected_and_others_are_refused(open_page, tmp_path):
    page = open_network(open_page, 'fr-noise')
    page.get_by_role('tab', name='Projection').click()
    page.locator('#steps input[type=number]').fill('10')
    (tmp_path / 'none.png').write_bytes(b'no picture')
    upload(page, tmp_path / 'none.png')
    page.locator('#project').click()
    page.locator('.toast-body', has_text='cannot be read as an image').wait_for()
    page.locator('#upload').get_by_label('Clear').click()
    pixels = np.random.RandomState(0).randint(256, size=[8, 8, 3], dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(str(tmp_path / 'mine.png'))
    upload(page, tmp_path / 'mine.png')
    page.locator('#project').click()
    page.locator('#projected', has_text='Step 10 of 10').wait_for()
    assert_shows(page, '#target', pixels)
    page.locator('#projection img').wait_for()


def test_uploads_are_bounded_and_strangers_not_served(server):
    import httpx

    with httpx.Client(base_url=server[0], trust_env=False) as client:
        files = dict(files=('a.png', b'\0' * (33 << 20)))
        assert client.post('/gradio_api/upload', files=files).status_code == 413
        assert client.get('/', headers=dict(host='evil.example')).status_code == 400
        page = client.get('/')
        assert "default-src 'self'" in page.headers['content-security-policy']
        assert client.get('/gradio_api/file=' + str(ROOT / 'setup.py')).status_code == 403
    port = int(server[0].rpartition(':')[2])
    listening = [line.split() for line in open('/proc/net/tcp').readlines()[1:]]
    own = [words[1] for words in listening if words[3] == '0A' and words[1].endswith('%04X' % port)]
    assert own == ['0100007F:%04X' % port]


def test_runs_side_by_side(open_page):
    page = open_page()
    page.get_by_role('tab', name='Runs').click()
    choose(page, '#runs', 'additive')
    choose(page, '#runs', 'fr-noise')
    page.locator('#grids img').nth(1).wait_for()
    assert np.mean(shown(page, '#curves')) > 200
    assert np.any(shown(page, '#curves') != 255)
