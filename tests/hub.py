"""A stand-in for the Hugging Face hub on the loopback interface, for the genuine clients to download from.

The files of a repository lie in ``root/datasets/OWNER/NAME`` or ``root/models/OWNER/NAME``; those of another
revision in a folder beside it, ``NAME@REVISION``, with each ``/`` of the revision written as ``%2F``. A revision that
is a commit hash is its own commit; any other has the hash of its contents.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

API = re.compile(r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.+))?)?")
RESOLVE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
HASH = re.compile(r"[0-9a-f]{40}")
ANSWERS = """
import json, sys
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
"""


class HubServer:
    """Serves a folder of repositories while its context is entered.

    Attributes:
        root: The folder with ``datasets`` and ``models``.
        broken: Requests whose path contains this text are refused; None for no such requests.
        status: What they are refused with.
        gated: Repositories whose files nobody may have.
        requests: Method and path of every request so far.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken: str | None = None
        self.status = 500
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self  # type: ignore[attr-defined]

    @property
    def url(self) -> str:
        """What ``HF_ENDPOINT`` has to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, cache: Path) -> dict[str, str]:
        """Environment of a process whose hub is this server and whose caches lie in a folder of their own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "NTPS_"))}
        return kept | {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def folder(self, kind: str, repo: str, revision: str = "main") -> Path:
        """Where the files of a repository at a revision lie, whether or not they are there yet."""
        return self.root / kind / (repo if revision == "main" else f"{repo}@{quote(revision, safe='')}")

    def revisions(self, kind: str, repo: str) -> dict[str, Path]:
        """The folders of a repository by branch name and by commit."""
        main = self.folder(kind, repo)
        found: dict[str, Path] = {}
        for folder in [main, *sorted(main.parent.glob(f"{main.name}@*"))]:
            if folder.is_dir():
                name = unquote(folder.name.partition("@")[2]) or "main"
                found[name] = found[self.commit(folder)] = folder
        return found

    def commit(self, folder: Path) -> str:
        """The commit hash of a folder."""
        revision = folder.name.partition("@")[2]
        if HASH.fullmatch(revision):
            return revision
        digest = hashlib.sha1(folder.name.encode())
        for file in _files(folder):
            digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
        return digest.hexdigest()


class HubClient:
    """A process whose hub is the stand-in, for the hub's clients read their settings only once.

    The code defines ``answer``, which makes of each request, a JSON value, another JSON value.
    """

    def __init__(self, hub: HubServer, folder: Path, code: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", code + ANSWERS],
            env=hub.environment(folder / "cache") | environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("w"),
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, *requests: Any) -> list[Any]:
        """Sends requests and returns the answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answers = []
        watch = Timer(120, self._process.kill)
        watch.start()
        for request in requests:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answers.append(json.loads(self._process.stdout.readline()))
        watch.cancel()
        return answers


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    @property
    def hub(self) -> HubServer:
        hub: HubServer = self.server.hub  # type: ignore[attr-defined]
        return hub

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged: the tests look at ``HubServer.requests``."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes = b"") -> None:
        address = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {unquote(address.path)}")
        if self.hub.broken is not None and self.hub.broken in unquote(address.path):
            self._send(self.hub.status, b"broken on purpose")
        elif found := API.fullmatch(address.path):
            kind, repo, what, revision, path = found.groups()
            self._api(kind, repo, what, unquote(revision or "main"), unquote(path or ""), body)
        elif found := RESOLVE.fullmatch(address.path):
            kind, repo, revision, path = found.groups()
            self._file("datasets" if kind else "models", repo, unquote(revision), unquote(path))
        else:
            self._send(404, b"no such page")

    def _find(self, kind: str, repo: str, revision: str) -> Path | None:
        revisions = self.hub.revisions(kind, repo)
        if revision in revisions:
            return revisions[revision]
        code = "RevisionNotFound" if revisions else "RepoNotFound"
        self._send(404, b"not found", {"X-Error-Code": code, "X-Error-Message": code})
        return None

    def _api(self, kind: str, repo: str, what: str | None, revision: str, path: str, body: bytes) -> None:
        folder = self._find(kind, repo, revision)
        if folder is None:
            return
        entries = _entries(folder)
        if what == "tree":
            self._tree(entries, path)
        elif what == "paths-info":
            paths = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            self._json([entries[name] for name in paths if name in entries])
        else:
            commit = self.hub.commit(folder)
            siblings = [{"rfilename": name} for name, entry in entries.items() if entry["type"] == "file"]
            info = {"_id": commit[:24], "id": repo, "modelId": repo, "sha": commit, "siblings": siblings}
            self._json(info | {"private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0})

    def _tree(self, entries: dict[str, dict[str, Any]], path: str) -> None:
        if path and path not in entries:
            self._send(404, b"not found", {"X-Error-Code": "EntryNotFound"})
            return
        deep = "recursive=true" in self.path.lower()
        under = f"{path}/" if path else ""
        inside = {name: entry for name, entry in entries.items() if name.startswith(under)}
        self._json([entry for name, entry in inside.items() if deep or "/" not in name[len(under) :]])

    def _file(self, kind: str, repo: str, revision: str, path: str) -> None:
        folder = self._find(kind, repo, revision)
        if folder is None:
            return
        if repo in self.hub.gated:
            self._send(403, b"gated", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."})
            return
        headers = {"X-Repo-Commit": self.hub.commit(folder)}
        file = folder / path
        if not file.is_file():
            self._send(404, b"not found", headers | {"X-Error-Code": "EntryNotFound"})
            return
        content = file.read_bytes()
        headers |= {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            self._send(200, content, headers)
            return
        start = int(wanted[1])
        stop = min(int(wanted[2]) + 1, len(content)) if wanted[2] else len(content)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._send(206, content[start:stop], headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    """Files and folders as the hub lists them, by path."""
    entries: dict[str, dict[str, Any]] = {}
    for item in sorted(folder.rglob("*")):
        name = item.relative_to(folder).as_posix()
        if item.is_dir():
            entries[name] = {"type": "directory", "path": name, "size": 0, "oid": "0" * 40}
        else:
            content = item.read_bytes()
            entries[name] = {
                "type": "file",
                "path": name,
                "size": len(content),
                "oid": hashlib.sha1(content).hexdigest(),
            }
    return entries
