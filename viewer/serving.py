"""A page of Gradio on this machine alone: nothing is asked of any other."""

import os
import socket
from typing import Any, Callable, Dict

from dnnlib import program
from dnnlib.files import temporary_folder
from dnnlib.util import UserError

MOST_BYTES = 32 << 20  # of an upload; its pixels are bounded by `training.data.decoding`
# Scripts, fonts and all else come from this server; a browser asks no other.
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
_ANYWHERE = ('0.0.0.0', '::')


def check() -> None:
    """Raise UserError where Gradio is missing."""
    if program.is_missing('gradio'):
        text = 'the viewer takes Gradio (with Python 3.11 or newer and TensorFlow 2); '
        raise UserError(text + 'run `pip install -r requirements/viewer.txt`')


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine; port 0: any that is free.

    Raises:
        UserError: there is no such address, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(128)
        return found
    except OSError as error:
        text = 'cannot listen at %s, port %d (%s); choose another --host or --port'
        raise UserError(text % (host, port, error.strerror))


def serve(make_page: Callable, host: str, listening: socket.socket) -> None:
    """Serve a page until a signal ends it.

    Args:
        make_page: returns Gradio's Blocks and arguments of `gr.mount_gradio_app`; called when
            Gradio can be imported.
    """
    with temporary_folder('stylegan2-viewer') as folder:
        os.environ.update(GRADIO_ANALYTICS_ENABLED='False', HF_HUB_OFFLINE='1')
        os.environ.update(GRADIO_TEMP_DIR=folder, DO_NOT_TRACK='1')
        import uvicorn

        app = _app(host, *make_page())
        options: Dict[str, Any] = dict(log_level='warning', timeout_graceful_shutdown=1)
        url = 'http://%s:%d' % (host, listening.getsockname()[1])
        print('The viewer is at %s; Ctrl-C ends it.' % url, flush=True)
        uvicorn.Server(uvicorn.Config(app, **options)).run(sockets=[listening])


def _app(host, page, options):
    import fastapi
    import gradio
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Policy)
    # A page of a stranger whose name leads to this machine is not served.
    allowed = ['*'] if host in _ANYWHERE else [host, '127.0.0.1', 'localhost']
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed)
    page.queue(default_concurrency_limit=None, api_open=False)
    options.update(max_file_size=MOST_BYTES, ssr_mode=False, pwa=False, mcp_server=False)
    options.update(footer_links=[], run_history=False, show_error=False)
    return gradio.mount_gradio_app(app, page, '/', **options)


class _Policy:
    """What adds the policy to all answers."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def send_with_policy(message):
            if message['type'] == 'http.response.start':
                message['headers'].append((b'content-security-policy', _POLICY.encode()))
            await send(message)

        await self._app(scope, receive, send_with_policy)
