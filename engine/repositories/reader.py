"""Reads the workflows of one Git repository: a script that `fetching.py` starts, which imports nothing of the engine.

On its stdin comes one JSON object: `url`, `ref`, `folder`, `known` (the commit that is there already, or null), `into`
(an empty folder), `user` and `token` (or null), `timeout_seconds` (of each wait for the host) and the bounds
`most_bytes`, `most_file_bytes`, `most_files`. It prints one as well: `commit`, with the JSON files of `templates/` and
`schemas/` then in `into`, unless it is the known one, and `skipped`, what was left out and why; or `problem`.

A process of its own, so that a host that trickles, a pack that unfolds to gigabytes or a flaw in reading it is ended
from outside, and takes nothing of the worker along. No program of a repository is run, and no link in it followed: what
is no plain file is not written.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import urllib3
from dulwich.client import HTTPUnauthorized, Urllib3HttpGitClient, default_urllib3_manager
from dulwich.config import ConfigDict
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.object_store import BaseObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree
from dulwich.repo import Repo

_KINDS = (b"templates", b"schemas")
_MOST_MEMORY = 512 * 1024**2
_MOST_NAMED = 10
_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]{1,200}\.json")
_PART_OF_COMMIT = re.compile(r"[0-9a-fA-F]{7,40}")
_STATUS = re.compile(r"unexpected http resp (\d+)")  # dulwich's words
_FILTER = b"blob:limit=%d"
_TREE = stat.S_IFDIR


class Refused(Exception):
    """The repository can't be had, for people."""


class _SameHost(urllib3.Retry):
    """Follows a redirect within the host alone; another one, which may be a private address, is not even asked."""

    def increment(
        self, method: str | None = None, url: str | None = None, response: Any = None, *arguments: Any, **more: Any
    ) -> Self:
        """As urllib3 has it, which calls this before it follows.

        Raises:
            Refused: the host leads on to another.
        """
        location = response.get_redirect_location() if response is not None else None
        if url and location and _origin(meant := urljoin(url, location)) != _origin(url):
            raise Refused(f"its host leads on to another, {_named(meant)}: name that one")
        return super().increment(method, url, response, *arguments, **more)


def main() -> None:
    """See the module."""
    wanted = json.load(sys.stdin)
    _bound(wanted["most_bytes"], wanted["timeout_seconds"])
    try:
        answer = _read(wanted)
    except Refused as error:
        answer = {"problem": str(error)}
    except HTTPUnauthorized:
        answer = {"problem": _unauthorized(wanted)}
    except NotGitRepository:
        known = ", or the token may not read it" if wanted["token"] else ", or it is private and needs WORKFLOWS_TOKEN"
        answer = {"problem": f"there is no such repository{known}"}
    except (GitProtocolError, HangupException, urllib3.exceptions.HTTPError) as error:
        answer = {"problem": _of_host(error, wanted)}
    except MemoryError:
        answer = {"problem": "it is too large to be read"}
    except UnicodeEncodeError:  # of all that is sent only the token can be anything
        answer = {"problem": "WORKFLOWS_TOKEN holds characters that no token has"}
    except OSError as error:
        most = f"{wanted['most_bytes'] // 10**6} MB"
        large = error.errno == errno.EFBIG
        answer = {"problem": f"it is larger than {most}" if large else f"it can't be kept: {error.strerror}"}
    except Exception as error:  # noqa: BLE001 - whatever a host sends, as a page for people
        what = f"what it sends can't be read ({type(error).__name__})"
        answer = {"problem": f"its host does not answer as one of Git: {what}"}
    sys.stdout.write(json.dumps(answer))


def _read(wanted: dict[str, Any]) -> dict[str, Any]:
    client, path = _client(wanted)
    commit = _commit(client, path, wanted["ref"])
    if commit.decode() == wanted["known"]:
        return {"commit": commit.decode(), "skipped": []}
    with tempfile.TemporaryDirectory() as folder, Repo.init_bare(folder) as repository:
        try:
            client.fetch(
                path,
                repository,
                determine_wants=lambda _refs, depth=None: [commit],  # noqa: ARG005 - dulwich passes it by name
                depth=1,
                # Where the host can: files of that size are no workflows. (Others send them, up to the bound of all.)
                filter_spec=_FILTER % (wanted["most_file_bytes"] + 1),
            )
        except (GitProtocolError, HangupException) as error:
            if wanted["ref"] == commit.decode() and (isinstance(error, HangupException) or "not our ref" in str(error)):
                raise Refused(f"its host does not give the commit {wanted['ref']}: is it pushed?") from error
            raise
        store = repository.object_store
        found = _peeled(store, commit)
        skipped = _write(store, _folder(store, found, wanted["folder"]), wanted)
    return {"commit": commit.decode(), "skipped": skipped[:_MOST_NAMED]}


def _client(wanted: dict[str, Any]) -> tuple[Urllib3HttpGitClient, str]:
    parts = urlsplit(wanted["url"])
    base = f"{parts.scheme}://{parts.netloc}"
    settings = ConfigDict()  # and nothing of what git is told on this machine
    pool = default_urllib3_manager(settings, base_url=wanted["url"])
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    if bundle and parts.scheme == "https":
        pool.connection_pool_kw["ca_certs"] = bundle
    pool.connection_pool_kw["retries"] = _SameHost(1, redirect=3)
    user = wanted["user"] if wanted["token"] else None
    client = Urllib3HttpGitClient(
        base,
        pool_manager=pool,
        config=settings,
        username=user,
        password=wanted["token"],
        timeout=wanted["timeout_seconds"],
        quiet=True,
    )
    return client, parts.path


def _commit(client: Urllib3HttpGitClient, path: str, ref: str) -> ObjectID:
    """What the ref stands for now; a whole commit for itself."""
    if re.fullmatch(r"[0-9a-f]{40}", ref):
        return ObjectID(ref.encode())
    plain = ref.encode()
    names = [plain] if plain.startswith(b"refs/") else [b"refs/heads/" + plain, b"refs/tags/" + plain]
    names = names if ref else [b"HEAD"]
    refs = client.get_refs(path, ref_prefix=names).refs
    for name in names:
        if found := refs.get(name):  # type: ignore[call-overload]
            return ObjectID(found)
    if not ref:
        raise Refused("it has no commit yet")
    whole = "; a commit is written whole, with its 40 characters" if _PART_OF_COMMIT.fullmatch(ref) else ""
    raise Refused(f"it has no branch and no tag {ref}{whole}")


def _peeled(store: BaseObjectStore, name: ObjectID) -> Commit:
    found = store[name]
    while isinstance(found, Tag):  # an annotated one
        found = store[found.object[1]]
    if not isinstance(found, Commit):
        raise Refused("what is named is no commit")
    return found


def _folder(store: BaseObjectStore, commit: Commit, folder: str) -> Tree:
    tree = store[commit.tree]
    for part in folder.split("/") if folder else ():
        entry = dict(_entries(tree)).get(part.encode())
        if entry is None or entry[0] != _TREE:
            raise Refused(f"it has no folder {folder}")
        tree = store[entry[1]]
    if not isinstance(tree, Tree):
        raise Refused("it can't be read")
    return tree


def _entries(tree: Any) -> Iterator[tuple[bytes, tuple[int, ObjectID]]]:
    if isinstance(tree, Tree):
        for entry in tree.iteritems():
            if entry.path is not None and entry.mode is not None and entry.sha is not None:
                yield entry.path, (entry.mode, entry.sha)


def _write(store: BaseObjectStore, tree: Tree, wanted: dict[str, Any]) -> list[str]:
    """Write the files, and say what was left out."""
    folders = {name: entry[1] for name, entry in _entries(tree) if name in _KINDS and entry[0] == _TREE}
    if not folders:
        place = f"its folder {wanted['folder']}" if wanted["folder"] else "it"
        raise Refused(f"{place} has no templates/ and no schemas/; #FOLDER behind the address names one that has")
    skipped: list[str] = []
    files, left = 0, wanted["most_bytes"]
    for kind, name in folders.items():
        target = Path(wanted["into"]) / kind.decode()
        target.mkdir()
        for path, (mode, sha) in _entries(store[name]):
            text = path.decode("utf-8", "replace")
            if not _NAME.fullmatch(text):
                continue
            if why := _no_file(store, mode, sha, wanted["most_file_bytes"]):
                skipped.append(f"{kind.decode()}/{text} {why}")
                continue
            content = store[sha].as_raw_string()
            files, left = files + 1, left - len(content)
            if files > wanted["most_files"] or left < 0:
                raise Refused(f"it has more than {wanted['most_files']} files, or too large ones")
            with (target / text).open("wb") as file:
                file.write(content)
                os.fsync(file.fileno())
    return skipped


def _no_file(store: BaseObjectStore, mode: int, sha: ObjectID, most_bytes: int) -> str:
    if stat.S_ISLNK(mode):
        return "is a link"
    if not stat.S_ISREG(mode):
        return "is no file"
    if sha not in store:
        return "is too large"
    found = store[sha]
    return "" if isinstance(found, Blob) and len(found.as_raw_string()) <= most_bytes else "is too large"


def _unauthorized(wanted: dict[str, Any]) -> str:
    if wanted["token"]:
        return "its host does not take WORKFLOWS_TOKEN for it"
    return "there is no such repository, or it is private and needs WORKFLOWS_TOKEN"


def _of_host(error: Exception, wanted: dict[str, Any]) -> str:
    """Why the host was of no use; of what urllib3 says the reason, without the address and the names of classes."""
    cause = error.__cause__ if isinstance(error.__cause__, urllib3.exceptions.HTTPError) else error
    reason = cause.reason if isinstance(cause, urllib3.exceptions.MaxRetryError) else cause
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "there is no host of that name, or no way to ask for it"
    if isinstance(reason, urllib3.exceptions.SSLError):
        inner = reason.args[0] if reason.args else reason
        return f"no secure connection to its host is possible: {getattr(inner, 'verify_message', '') or _short(inner)}"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return f"its host does not answer: {_short(reason).rpartition(': ')[2]}"
    if status := _STATUS.search(str(error)):
        if status[1] == "403":
            return _unauthorized(wanted)
        return f"its host does not answer as one of Git: it answers with status {status[1]}"
    return f"its host does not answer as one of Git: {_short(reason or error)}"


def _named(url: str) -> str:
    """Its host, without what may be a password before it."""
    return urlsplit(url).netloc.rpartition("@")[2] or "which is none"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _short(error: BaseException) -> str:
    text = " ".join((str(error) or type(error).__name__).split())
    return text[:200]


def _bound(most_bytes: int, seconds: float) -> None:
    """Bound what a repository can take of the machine."""
    if hasattr(signal, "alarm"):
        signal.alarm(math.ceil(seconds) + 1)  # whoever started this may be gone by then
    try:
        import resource
    except ImportError:  # Windows has no such bounds
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    if sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


if __name__ == "__main__":
    main()
