"""Hugging Face: what a URL of a file there names, and where that file lies in a cache of its hub.

The cache is laid out as huggingface_hub does it: `models--ORG--NAME/refs/REVISION` holds a commit, and
`models--ORG--NAME/snapshots/COMMIT/PATH` is the file, as a rule a link to `blobs/HASH`, where the hash of a large file
is its sha256 (https://huggingface.co/docs/huggingface_hub/guides/manage-cache).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

HOME_PAGE = "https://huggingface.co"
_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_KINDS = {"datasets": "datasets", "spaces": "spaces"}
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HuggingFaceFile(NamedTuple):
    """A file of a repository on Hugging Face.

    Attributes:
        repository: `ORG/NAME`, or the name alone of an old one.
        revision: a branch, a tag or a commit: `main`.
        path: of the file in the repository.
        kind: of the repository: `models`, `datasets` or `spaces`.
    """

    repository: str
    revision: str
    path: str
    kind: str = "models"

    @property
    def page(self) -> str:
        """Where a person reads of the repository, and accepts its terms."""
        return f"{HOME_PAGE}/{'' if self.kind == 'models' else f'{self.kind}/'}{self.repository}"

    def url(self, endpoint: str = HOME_PAGE) -> str:
        """Where the file is downloaded from.

        Args:
            endpoint: the site, or a mirror of it (HF_ENDPOINT), without a slash at its end.
        """
        kind = "" if self.kind == "models" else f"{self.kind}/"
        return f"{endpoint}/{kind}{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(self.path)}"


def parse(url: str) -> HuggingFaceFile | None:
    """What a URL names on Hugging Face: `https://huggingface.co/ORG/NAME/resolve/main/FILE`, or `/blob/`.

    None where it is of another site, or names no file.
    """
    try:
        parts = urlsplit(url)
        if (parts.hostname or "") not in _HOSTS or parts.scheme not in ("http", "https"):
            return None
    except ValueError:
        return None
    pieces = [unquote(piece) for piece in parts.path.split("/")[1:]]
    kind = _KINDS.get(pieces[0], "models")
    if kind != "models":
        pieces = pieces[1:]
    position = next((at for at, piece in enumerate(pieces) if piece in ("resolve", "blob") and at in (1, 2)), None)
    if position is None or len(pieces) < position + 3:
        return None
    repository, revision, path = pieces[:position], pieces[position + 1], pieces[position + 2 :]
    if not all(_is_plain(piece) for piece in (*repository, *revision.split("/"), *path)):
        return None
    return HuggingFaceFile("/".join(repository), revision, "/".join(path), kind)


def cached(url: str, cache: Path) -> Path | None:
    """The file that a URL names, in a cache of the hub; None where it is not there. Nothing is asked of the network.

    It is looked for in the commit that the revision is known to be at, then in the commit that the revision is, and
    for `main` in any, the newest first.

    Args:
        url: on Hugging Face; of another there is nothing in the cache.
        cache: the folder that holds `models--ORG--NAME`.
    """
    wanted = parse(url)
    if wanted is None:
        return None
    for repository in _repositories(wanted, cache):
        for snapshot in _snapshots(repository, wanted.revision):
            file = snapshot / wanted.path
            if file.is_file():
                return file
    return None


def cached_sha256(file: Path) -> str | None:
    """The sha256 of a file of a cache, as the cache itself tells it by the name of a blob; None where it does not."""
    name = file.resolve().name
    return name if file.is_symlink() and _SHA256.fullmatch(name) else None


def _is_plain(piece: str) -> bool:
    """Whether it can be one part of a path that leads nowhere else."""
    return piece not in ("", ".", "..") and not re.search(r"[/\\\x00-\x1f]", piece)


def _repositories(wanted: HuggingFaceFile, cache: Path) -> Iterator[Path]:
    """The repository's folders: of its very name, then of one that differs in capitals alone."""
    name = f"{wanted.kind}--{wanted.repository.replace('/', '--')}"
    yield cache / name
    try:
        others = sorted(each.name for each in cache.iterdir())
    except OSError:
        return
    yield from (cache / other for other in others if other != name and other.lower() == name.lower())


def _snapshots(repository: Path, revision: str) -> Iterator[Path]:
    snapshots = repository / "snapshots"
    try:
        commit = (repository / "refs" / revision).read_text().strip()
    except (OSError, UnicodeError):
        commit = ""
    if _is_plain(commit):
        yield snapshots / commit
    if _is_plain(revision):
        yield snapshots / revision
    if revision == "main":
        try:
            dated = [(each.stat().st_mtime_ns, each.name) for each in snapshots.iterdir()]
        except OSError:
            return
        yield from (snapshots / name for _, name in sorted(dated, reverse=True))
