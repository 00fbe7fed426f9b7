"""A host of Git repositories on 127.0.0.1: git's server behind HTTP, which can ask for a token, hang and lead on."""

import base64
import contextlib
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.repositories import git


class GitHost:
    """Repositories by name, served from a folder.

    Attributes:
        url: where it answers.
        token: asked for, if it is set.
        asked: every request's path with its `Authorization`.
        hangs: whether it takes a request and says nothing.
        leads_to: the URL of another host that every request is sent on to.
        says: the status, the headers and the page that every request is answered with.
    """

    def __init__(self, folder):
        self.folder = folder
        self.token = None
        self.asked = []
        self.hangs = False
        self.leads_to = None
        self.says = None
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def repository(self, name="me/flows", files=None, message="first"):
        """Commit these files, by path, all others gone; gives the commit."""
        work = self.folder / name
        if not work.exists():
            work.mkdir(parents=True)
            git(work, "init", "-q")
            git(work, "config", "uploadpack.allowFilter", "true")
        git(work, "rm", "-rqf", "--ignore-unmatch", ".")  # its folders too
        work.mkdir(parents=True, exist_ok=True)
        for path, content in (files or {}).items():
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(work, "add", "--all")
        git(work, "commit", "-qm", message, "--allow-empty")
        return git(work, "rev-parse", "HEAD")

    def git(self, *arguments, name="me/flows"):
        return git(self.folder / name, *arguments)

    def _handler(host):  # noqa: N805 - `self` is the request
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self._answer(b"")

            def do_POST(self):
                self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

            def _answer(self, body):
                host.asked.append((self.path, self.headers.get("Authorization")))
                if host.hangs:
                    host._released.wait(60)
                    return
                leads_on = host.leads_to and (302, [("Location", host.leads_to + self.path)])
                if said := host.says or leads_on:
                    self._say(*said)
                elif host.token and self._token() != host.token:
                    self._say(401, [("WWW-Authenticate", "Basic realm=x")])
                else:
                    self._serve(body)

            def _token(self):
                kind, _, text = (self.headers.get("Authorization") or "").partition(" ")
                return base64.b64decode(text).decode().partition(":")[2] if kind == "Basic" else None

            def _serve(self, body):
                path, _, query = self.path.partition("?")
                environment = {
                    "PATH": os.environ["PATH"],
                    "GIT_PROJECT_ROOT": str(host.folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "safe.directory",
                    "GIT_CONFIG_VALUE_0": "*",
                    "PATH_INFO": path.replace("/info/refs", "/.git/info/refs").replace(
                        "/git-upload-pack", "/.git/git-upload-pack"
                    ),
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                }
                done = subprocess.run(
                    [shutil.which("git"), "http-backend"], input=body, env=environment, capture_output=True, check=False
                )
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                headers = [line.split(": ", 1) for line in head.decode().splitlines() if ": " in line]
                status = next((int(text.split()[0]) for name, text in headers if name == "Status"), 200)
                self._say(status, [each for each in headers if each[0] != "Status"], content)

            def _say(self, status, headers, content=b""):
                with contextlib.suppress(OSError):  # whoever asked may be gone
                    self.send_response(status)
                    for name, text in headers:
                        self.send_header(name, text)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

        return Handler


@contextlib.contextmanager
def git_host(folder):
    """A host, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    host = GitHost(folder)
    try:
        yield host
    finally:
        host.close()
