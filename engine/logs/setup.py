"""Where the lines go: stderr, and a file where LOG_PATH names one."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

from engine.logs.lines import Lines
from engine.logs.redaction import Redactor
from engine.settings import Settings, variables

_KEPT_FILES = 3
_SECONDS_BETWEEN_COMPLAINTS = 60.0
_SECRET_NAMES = ("SECRET", "TOKEN", "PASSWORD", "API_KEY", "PRIVATE_KEY")
_SHORTEST_OF_THE_ENVIRONMENT = 8
_SDK_LEVELS = {"DEBUG": "INFO", "WARNING": "WARN"}


def configure(settings: Settings) -> None:
    """Send every line of this process, whatever module writes it, to stderr and to the file of LOG_PATH.

    What was set up before is replaced. Warnings of Python and exceptions that end a thread become lines too. The
    RunPod SDK, which prints its own lines, is told a level at which it shows no results.

    Args:
        settings: the level, the form, the file, and the secrets that no line may hold.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    redactor = Redactor(secrets_of(settings, os.environ))
    as_json = settings.log_format == "json"
    to_stderr = Stderr(sys.stderr)
    to_stderr.setFormatter(Lines(redactor, as_json=as_json))
    root.addHandler(to_stderr)
    if settings.log_path is not None:
        # Several workers may share the file on a volume.
        constant = {"worker": pod} if (pod := os.environ.get("RUNPOD_POD_ID")) else {}
        to_file = LogFile(settings.log_path, settings.log_file_bytes)
        to_file.setFormatter(Lines(redactor, as_json=as_json, constant=constant))
        root.addHandler(to_file)
    root.setLevel(settings.log_level)
    # At DEBUG these two write whole headers and bodies, or a line for each chunk.
    for name in ("botocore", "boto3", "s3transfer", "urllib3", "asyncio", "PIL"):
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended
    # Its level is DEBUG by default, at which it prints whole results, base64 included; and it knows no WARNING.
    os.environ.setdefault("RUNPOD_DEBUG_LEVEL", _SDK_LEVELS.get(settings.log_level, settings.log_level))


def secrets_of(settings: Settings, environment: Mapping[str, str]) -> set[str]:
    """The values that no line may hold.

    They are the settings that are never shown, the passwords in URLs among the others, and what the environment holds
    under a name that says so, such as HF_TOKEN.
    """
    found: set[str] = set()
    for variable in variables():
        value = getattr(settings, variable.field)
        if variable.secret and value:
            found.add(str(value))
        elif isinstance(value, str) and "://" in value:
            found |= _passwords((value,))
    for name, value in environment.items():
        if len(value) >= _SHORTEST_OF_THE_ENVIRONMENT and any(word in name.upper() for word in _SECRET_NAMES):
            found.add(value)
    return found


def _passwords(urls: Iterable[str]) -> set[str]:
    found = set()
    for url in urls:
        with contextlib.suppress(ValueError):
            if password := urlsplit(url).password:
                found |= {password, unquote(password)}
    return found


class Stderr(logging.StreamHandler[TextIO]):
    """Writes to stderr; one that is closed or full costs a line, not a job."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Say nothing: the base class would print the arguments, unredacted, and there is no other place."""


class LogFile(RotatingFileHandler):
    """Writes to a file, opened with the first line and again where another process has moved it away.

    A file that can't be opened or written is complained of on stderr, at most once a minute; its lines are lost there.

    Args:
        path: the file; its folder is made. Those that were full are beside it: `.1` is the latest of three.
        longest_bytes: of one file.
    """

    def __init__(self, path: Path, longest_bytes: int) -> None:
        super().__init__(path, maxBytes=longest_bytes, backupCount=_KEPT_FILES, encoding="utf-8", delay=True)
        self._complained = -_SECONDS_BETWEEN_COMPLAINTS

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            self._let_go_of_a_moved_file()
        except (OSError, ValueError):
            self.handleError(record)
            return
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the base class's name
        """Complain on stderr, and open the file anew for the next line."""
        error = sys.exc_info()[1]
        stream, self.stream = self.stream, None  # what it could not write would fail each later line as well
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        now = time.monotonic()
        if now - self._complained >= _SECONDS_BETWEEN_COMPLAINTS and sys.stderr:
            self._complained = now
            reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
            with contextlib.suppress(OSError, ValueError):
                # Not by the log, which is what fails; and in one piece, since other threads write there, too.
                sys.stderr.write(f"warning: the log file {self.baseFilename} can't be written: {reason}\n")

    def _open(self) -> Any:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding, errors="backslashreplace")

    def _let_go_of_a_moved_file(self) -> None:
        """Another worker has rotated it, or a volume was mounted over its folder."""
        if self.stream is None:
            return
        ours = os.fstat(self.stream.fileno())
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            stream, self.stream = self.stream, None  # the base class opens it anew
            stream.close()


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        logging.getLogger("engine").error(
            "a thread ended by an exception",
            exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback),
            extra={"fields": {"thread": ended.thread.name if ended.thread else "?"}},
        )
