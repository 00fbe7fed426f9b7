"""A real browser for tests, driven by Playwright: chromium. Its pages fail their test when something is wrong in them.

Playwright's synchronous calls keep an event loop running in their thread, in which no test could then run one of its
own: so each module of tests has its own browser, which takes half a second, and ends it.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NO_CHROMIUM = "needs chromium, chromium-browser or google-chrome in the PATH"

_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # nothing leaves this machine, whatever a page asks for
)
# Chromium writes each answer of 400 and above to the console. These are answers to what a person typed or to when
# they came, which a page shows them in its own way.
_ANSWERS = re.compile(r"Failed to load resource: the server responded with a status of (401|409|422|429) ")
_PHONE = {"width": 360, "height": 740}


class WatchedPages:
    """Makes pages, each in a context of its own, and keeps what went wrong in them.

    `complaints` holds it: errors in the console, exceptions that nothing caught, requests that leave 127.0.0.1. A test
    that provokes one takes it out.
    """

    def __init__(self, browser: Any) -> None:
        self.complaints: list[str] = []
        self._browser = browser
        self._contexts: list[Any] = []

    def __call__(self, *, phone: bool = False, **options: Any) -> Any:
        """A new page, without cookies and without anything in its storage.

        Args:
            phone: as narrow as a small phone, with a touch screen.
            options: of Playwright's `Browser.new_context`: `color_scheme="dark"`, `reduced_motion="reduce"`,
                `permissions=["clipboard-read", "clipboard-write"]`, ….
        """
        if phone:
            options = {"viewport": _PHONE, "has_touch": True, "is_mobile": True} | options
        context = self._browser.new_context(**options)
        context.set_default_timeout(10_000)
        self._contexts.append(context)
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        return context.new_page()

    def close(self) -> None:
        """Close all pages."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.complaints.append(f"asked for {request.url}")

    def _said(self, message: Any) -> None:
        if message.type == "error" and not _ANSWERS.match(message.text):
            self.complaints.append(f"in the console: {message.text} ({message.location.get('url')})")


@contextlib.contextmanager
def running_browser() -> Iterator[Any]:
    """Chromium without a window, until the block ends; a Playwright `Browser`."""
    if not CHROMIUM:
        pytest.skip(NO_CHROMIUM)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def problems_of(page: Any, *, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """What axe-core finds wrong on a page as it stands, for those who can't see or point: one line each.

    Args:
        page: a Playwright `Page`.
        impacts: how bad it must be to count; axe's words, from `minor` and `moderate` to `critical`.
    """
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {violation['help']}: {node['html'][:200]}"
        for violation in violations
        if violation["impact"] in impacts
        for node in violation["nodes"]
    ]
