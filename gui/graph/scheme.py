"""The `dualscope:` URL scheme: Netron's own files, our overlay, and one model file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QFile, QIODevice, QObject
from PySide6.QtWebEngineCore import (
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
    QWebEngineUrlRequestJob,
    QWebEngineUrlScheme,
    QWebEngineUrlSchemeHandler,
)

NAME = b"dualscope"
HOST = "netron"
INDEX = "index.html"
OVERLAY = Path(__file__).resolve().parents[2] / "resources" / "netron"
OVERLAY_FILES = ("overlay.js", "overlay.css")
CHANNEL = "qwebchannel.js"
CONTENT_TYPES = {
    ".html": b"text/html",
    ".js": b"text/javascript",
    ".css": b"text/css",
    ".json": b"application/json",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
}
# Netron is started by its own page; ours is added behind it.
ADDED = (
    '<link rel="stylesheet" type="text/css" href="overlay.css">\n'
    f'<script type="text/javascript" src="{CHANNEL}"></script>\n'
    '<script type="text/javascript" src="overlay.js"></script>\n'
)
# Netron's dark colours stand behind this query; the window's theme answers it.
DARK_QUERY = "(prefers-color-scheme: dark)"
VIEW = "view.js"
# Netron writes shapes in CJK brackets, which many systems' fonts lack.
BRACKETS = {"\\u3008": "\\u27e8", "\\u3009": "\\u27e9"}
SCRIPT_TAG = '<script type="text/javascript" src="index.js"></script>\n'


def register() -> None:
    """Make the scheme known. Must be called before the application object exists."""
    scheme = QWebEngineUrlScheme(NAME)
    scheme.setSyntax(QWebEngineUrlScheme.Syntax.Host)
    flags = QWebEngineUrlScheme.Flag
    scheme.setFlags(flags.SecureScheme | flags.CorsEnabled | flags.FetchApiAllowed)
    QWebEngineUrlScheme.registerScheme(scheme)


def netron_folder() -> Path:
    """Where the package's files lie; its Python code is not imported."""
    spec = importlib.util.find_spec("netron")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the netron package is not installed")
    return Path(spec.origin).parent


class SchemeHandler(QWebEngineUrlSchemeHandler):
    """Answers requests by exact file name; anything else is not found."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        folder = netron_folder()
        self._files = {path.name: path for path in folder.iterdir() if path.suffix in CONTENT_TYPES}
        self._files |= {name: OVERLAY / name for name in OVERLAY_FILES}
        self._model: tuple[str, Path] | None = None
        self.dark = False

    def offer_model(self, name: str, path: Path) -> None:
        """Serve this file, and no other model, under `name`."""
        self._model = (name, path)

    # Qt overrides

    def requestStarted(self, job: QWebEngineUrlRequestJob) -> None:
        url = job.requestUrl()
        name = url.path().removeprefix("/")
        if url.host() != HOST or bytes(job.requestMethod().data()) != b"GET":
            job.fail(QWebEngineUrlRequestJob.Error.RequestDenied)
        elif name == INDEX:
            self._reply_bytes(job, b"text/html", self._index())
        elif name == CHANNEL:
            self._reply_file(job, b"text/javascript", ":/qtwebchannel/qwebchannel.js")
        elif name.endswith(".css") and name in self._files:
            text = self._files[name].read_text(encoding="utf-8")
            self._reply_bytes(job, CONTENT_TYPES[".css"], self._in_theme(text))
        elif name == VIEW and name in self._files:
            text = self._files[name].read_text(encoding="utf-8")
            for rare, common in BRACKETS.items():
                text = text.replace(rare, common)
            self._reply_bytes(job, CONTENT_TYPES[".js"], text.encode())
        elif name in self._files:
            path = self._files[name]
            self._reply_file(job, CONTENT_TYPES[path.suffix], str(path))
        elif self._model is not None and name == self._model[0]:
            self._reply_file(job, b"application/octet-stream", str(self._model[1]))
        else:
            job.fail(QWebEngineUrlRequestJob.Error.UrlNotFound)

    def _index(self) -> bytes:
        text = self._files[INDEX].read_text(encoding="utf-8")
        if SCRIPT_TAG not in text:
            raise ValueError("this version of Netron starts in a way that isn't known")
        text = text.replace(SCRIPT_TAG, SCRIPT_TAG + ADDED)
        # Style sheets are cached by their address: each theme has its own.
        theme = "dark" if self.dark else "light"
        return self._in_theme(text.replace('.css"', f'.css?{theme}"'))

    def _in_theme(self, text: str) -> bytes:
        return text.replace(DARK_QUERY, "all" if self.dark else "not all").encode()

    def _reply_bytes(self, job: QWebEngineUrlRequestJob, kind: bytes, content: bytes) -> None:
        buffer = QBuffer(job)
        buffer.setData(QByteArray(content))
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        job.reply(QByteArray(kind), buffer)

    def _reply_file(self, job: QWebEngineUrlRequestJob, kind: bytes, path: str) -> None:
        file = QFile(path, job)
        if file.open(QIODevice.OpenModeFlag.ReadOnly):
            job.reply(QByteArray(kind), file)
        else:
            job.fail(QWebEngineUrlRequestJob.Error.UrlNotFound)


class Interceptor(QWebEngineUrlRequestInterceptor):
    """Blocks every request that would leave our scheme, and remembers it."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.allowed: list[str] = []
        self.blocked: list[str] = []

    # Qt overrides

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        url = info.requestUrl()
        inside = url.scheme().encode() == NAME or url.scheme() in ("blob", "data")
        (self.allowed if inside else self.blocked).append(url.toString())
        if not inside:
            info.block(True)
