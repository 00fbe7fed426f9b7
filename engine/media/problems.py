"""What can be wrong with one media value, before it is known for which parameters it was read."""

from __future__ import annotations

FORMS_HINT = "send the file as a URL, as base64 or as a data URI"


class MediaProblem(Exception):
    """Something is wrong with a media value.

    One value may serve several parameters, so a problem names none; whoever reads a payload adds the names.

    Args:
        message: what is wrong and what is allowed, to be read after the parameter's name. It holds neither the
            value nor anything secret.
        hint: what to do about it.
        detail: for the log alone.
    """

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        self.message = message
        self.hint = hint
        self.detail = detail
        super().__init__(message)


class Rejected(MediaProblem):
    """The value, or the file it leads to, is not what is taken."""


class Unavailable(MediaProblem):
    """The file can't be had."""


class Passing(Unavailable):
    """The file can't be had just now: the same job may go well later."""


class Broken(Passing):
    """It broke off: a second try, at once, may well work."""


class TooLarge(Rejected):
    """The file has more bytes than are allowed.

    Args:
        max_bytes: how many are.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"is larger than the {max_bytes} bytes that are allowed")
