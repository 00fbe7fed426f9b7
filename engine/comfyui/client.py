"""ComfyUI's HTTP interface, one method per thing asked of it.

The interface was read off and measured on ComfyUI 0.3.64 and 0.8.0.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from urllib3.exceptions import HTTPError

from engine.cancellation import CancellationToken
from engine.comfyui.complaints import rejection
from engine.comfyui.connection import NONE_THERE, Connection, Response
from engine.comfyui.uploads import FormWithFile
from engine.errors import ComfyUnavailable, InputRejected, NoOutputs, StorageError
from engine.nodes import NodeCatalogue

_CHUNK_BYTES = 1 << 20
_MANAGER_SECONDS = 120.0
_KINDS = ("running", "pending")


class ResultGone(NoOutputs):
    """ComfyUI names a file as a result and does not have it: it took a run for cached whose files were deleted."""


class ComfyClient(Connection):
    """Talks to one ComfyUI over kept-alive connections. Any number of threads may use it at once.

    Args:
        url: where ComfyUI listens, `http://127.0.0.1:8188`; a user and password in it are sent, never shown.
        connect_timeout: seconds to wait for a connection.
        read_timeout: seconds to wait for each part of an answer.
    """

    def system_stats(self) -> dict[str, Any]:
        """`/system_stats`: versions, memory and devices.

        Raises:
            ComfyUnavailable: nothing answers there, or what does is no ComfyUI. So do all methods here.
        """
        stats = self._json("GET", "/system_stats")
        if not isinstance(stats, dict) or "system" not in stats:
            raise ComfyUnavailable(f"what answers at {self.url} is not a ComfyUI", hint=NONE_THERE)
        return stats

    def object_info(self) -> dict[str, Any]:
        """`/object_info`: every node class with its inputs and outputs. About 2 MB."""
        answer: dict[str, Any] = self._json("GET", "/object_info")
        return answer

    def managers_snapshot(self) -> dict[str, Any] | None:
        """The snapshot that its ComfyUI-Manager gives; None where none runs, or where it can't give one.

        `/v2/snapshot/get_current` is the route of the package comfyui-manager (4.0.4 and 4.3), which ComfyUI starts
        with `--enable-manager`; the one without `/v2` that of the Manager as a node pack, before.
        """
        for path in ("/v2/snapshot/get_current", "/snapshot/get_current"):
            # It may look for news of its lists first.
            response = self._send("GET", path, read_timeout=_MANAGER_SECONDS, accept=range(200, 600))
            if response.status == HTTPStatus.OK and "json" in response.headers.get("Content-Type", ""):
                document = self._parsed(response)
                return document if isinstance(document, dict) else None
        return None

    def node_catalogue(self) -> NodeCatalogue:
        """The node catalogue of this ComfyUI, true to its files.

        Raises:
            ComfyUnavailable: it does not answer, or tells of its classes in no form that is known.
        """
        files: set[str] = set()
        for folder in self._json("GET", "/models"):
            files.update(self._json("GET", f"/models/{quote(folder, safe='')}"))
        version = str(self.system_stats()["system"].get("comfyui_version", "unknown"))
        object_info = self.object_info()
        try:
            return NodeCatalogue.from_object_info(object_info, version=version, model_files=files, live=True)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._odd("/object_info") from error

    def model_files(self, kind: str, *, read_timeout: float | None = None) -> list[str] | None:
        """`/models/KIND`: the files of a kind of model, below its folders; None for a kind that it does not know."""
        path = f"/models/{quote(kind, safe='')}"
        response = self._send("GET", path, read_timeout=read_timeout, accept=range(200, 405))
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        files = self._parsed(response) if response.status == HTTPStatus.OK else None
        if not isinstance(files, list):
            raise self._odd(path)
        return [each for each in files if isinstance(each, str)]

    def has_class(self, class_type: str, *, read_timeout: float | None = None) -> bool:
        """`/object_info/CLASS`: whether it has a node class."""
        answer = self._json("GET", f"/object_info/{quote(class_type, safe='')}", read_timeout=read_timeout)
        return isinstance(answer, dict) and class_type in answer

    def queue_prompt(
        self,
        graph: Mapping[str, Any],
        prompt_id: str,
        client_id: str,
        extra_data: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue a graph.

        Args:
            graph: in API format.
            prompt_id: a canonical lowercase UUID, new (ComfyUI's later versions refuse others).
            client_id: of the websocket that is to hear of it.
            extra_data: kept in history, but for `api_key_comfy_org` and `auth_token_comfy_org`.

        Returns:
            `node_errors`: where it holds some, ComfyUI dropped the outputs that depend on those nodes
            and runs the rest.

        Raises:
            GraphRejected: ComfyUI runs nothing of it.
            NoAnswer: it may be queued or not; `queue` and `history` know.
        """
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        if extra_data:
            body["extra_data"] = dict(extra_data)
        response = self._send("POST", "/prompt", document=body, accept=range(200, 600))
        if response.status == HTTPStatus.OK:
            try:
                taken = response.json()
            except ValueError as error:
                raise self._garbled(response, "POST", "/prompt") from error
            node_errors = taken.get("node_errors") if isinstance(taken, dict) else None
            return node_errors if isinstance(node_errors, dict) else {}
        try:
            answer = response.json()
        except ValueError:
            if response.status > HTTPStatus.INTERNAL_SERVER_ERROR:
                raise self._garbled(response, "POST", "/prompt") from None
            if response.status not in {400, 500}:
                raise self._unexpected(response, "POST", "/prompt") from None
            answer = None
        raise rejection(answer, graph)

    def history(self, prompt_id: str, *, read_timeout: float | None = None) -> dict[str, Any] | None:
        """What came of a prompt: `{outputs, status: {status_str, messages}, …}`; None until it has ended."""
        entries = self._json("GET", f"/history/{quote(prompt_id, safe='')}", read_timeout=read_timeout)
        entry = entries.get(prompt_id) if isinstance(entries, dict) else entries
        if entries != {} and not _is_entry(entry):
            raise self._odd("/history")
        return dict(entry) if entry else None

    def queue(self, *, read_timeout: float | None = None) -> tuple[frozenset[str], frozenset[str]]:
        """The prompt ids that run, and those that wait."""
        answer = self._json("GET", "/queue", read_timeout=read_timeout)
        try:
            running, pending = (frozenset(str(item[1]) for item in answer[f"queue_{kind}"]) for kind in _KINDS)
        except (TypeError, LookupError):
            raise self._odd("/queue") from None
        return running, pending

    def interrupt(self, prompt_id: str, *, read_timeout: float | None = None) -> None:
        """Ask the prompt to stop at its next step; nothing happens if it is not the one that runs."""
        self._send("POST", "/interrupt", document={"prompt_id": prompt_id}, read_timeout=read_timeout)

    def delete_pending(self, prompt_id: str, *, read_timeout: float | None = None) -> None:
        """Take the prompt out of the queue; nothing happens if it runs already. It leaves no history."""
        self._send("POST", "/queue", document={"delete": [prompt_id]}, read_timeout=read_timeout)

    def delete_history(self, prompt_ids: Sequence[str], *, read_timeout: float | None = None) -> None:
        """Forget what came of the prompts; nothing happens to those that are not known."""
        self._send("POST", "/history", document={"delete": [*prompt_ids]}, read_timeout=read_timeout)

    def upload(self, path: Path, *, filename: str, subfolder: str = "") -> str:
        """Put a file into ComfyUI's input folder; it is read from the disk as it is sent.

        Args:
            path: the file.
            filename: the name it is to have there; ComfyUI changes it where other bytes have that name.
            subfolder: below the input folder.

        Returns:
            What a loader node (`LoadImage.image`) takes: `subfolder/name`.

        Raises:
            InputRejected: it is larger than this ComfyUI takes (100 MiB, if not told otherwise).
        """
        with path.open("rb") as file:
            body = FormWithFile({"type": "input", "subfolder": subfolder}, "image", filename, file)
            response = self._send(
                "POST",
                "/upload/image",
                body=body,
                headers={"Content-Type": body.content_type, "Content-Length": str(len(body))},
                accept=range(200, 414),
            )
        if response.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise InputRejected(
                f"{filename} is larger than what this ComfyUI takes",
                hint="send a smaller file, or start ComfyUI with a larger --max-upload-size",
            )
        if response.status != HTTPStatus.OK:
            raise self._unexpected(response, "POST", "/upload/image")
        answer = self._parsed(response)
        return "/".join(part for part in (answer.get("subfolder"), answer["name"]) if part)

    def download(
        self,
        filename: str,
        subfolder: str,
        type: str,  # noqa: A002 (ComfyUI's word)
        target: Path,
        *,
        cancel: CancellationToken | None = None,
    ) -> None:
        """Fetch a file of ComfyUI's; `target` holds all of it or does not change.

        Args:
            filename: as history has it.
            subfolder: as history has it.
            type: ComfyUI's folder: `output`, `temp` or `input`.
            target: where to put it.
            cancel: looked at between the parts that arrive.

        Raises:
            Cancelled: the job was cancelled.
            ResultGone: ComfyUI has no such file, as when it was deleted after its node was cached.
            StorageError: this machine's disk does not take it.
        """
        query = urlencode({"filename": filename, "subfolder": subfolder, "type": type}, errors="replace")
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        headers = {"Accept-Encoding": "identity"}  # so that the length that was announced is the file's
        try:
            response = self._send("GET", f"/view?{query}", headers=headers, stream=True, accept=range(200, 405))
            with contextlib.closing(response):
                if response.status in {400, 403, 404}:
                    raise ResultGone(
                        f"ComfyUI names the file {filename} as a result, but does not give it",
                        hint="if it was deleted there, ComfyUI may still take the run for cached: "
                        "change an input, such as the seed, or restart ComfyUI",
                    )
                if response.status != HTTPStatus.OK:
                    raise self._unexpected(response, "GET", "/view")
                self._save(response, part, cancel or CancellationToken())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def _save(self, response: Response, part: Path, cancel: CancellationToken) -> None:
        try:
            with part.open("wb") as file:
                for chunk in response.stream(_CHUNK_BYTES):
                    cancel.raise_if_cancelled()
                    file.write(chunk)
                size = file.tell()
        except HTTPError as error:
            raise self._broken("GET", "/view") from error
        except OSError as error:
            raise StorageError(
                f"a result could not be written to the worker's disk: {error.strerror}",
                hint="the operator makes room in the worker's temporary folder",
                detail=str(error),
            ) from error
        announced = response.headers.get("Content-Length")
        if announced is not None and announced.strip() != str(size):
            raise self._broken("GET", "/view")


def _is_entry(entry: Any) -> bool:
    """Whether it has the shape of an entry of `/history`: `{outputs: {ID: {…}}, status: {messages: [[TYPE, {…}]]}}`."""
    if not isinstance(entry, dict) or not isinstance(entry.get("outputs"), dict):
        return False
    status = entry.get("status") or {}
    messages = (status.get("messages") or []) if isinstance(status, dict) else None
    return (
        isinstance(messages, list)
        and all(isinstance(each, list) and len(each) == 2 and isinstance(each[1], dict) for each in messages)
        and all(isinstance(made, dict | None) for made in entry["outputs"].values())
    )


def new_prompt_id() -> str:
    """An id for `queue_prompt`: a random UUID in the one form that every version of ComfyUI takes."""
    return str(uuid.uuid4())
