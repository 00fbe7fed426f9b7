"""The sites that models are downloaded from: how each is asked, and what it means when it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from engine.models.hugging_face import HOME_PAGE, parse
from engine.models.problems import ModelProblem

CIVITAI = "https://civitai.com"
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Site(NamedTuple):
    """A site that knows people by a token.

    Attributes:
        name: for people.
        variable: that holds the token.
        tokens_page: where one is made.
        token: of the operator; None where there is none.
    """

    name: str
    variable: str
    tokens_page: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where one file is downloaded from.

    Attributes:
        url: that is asked.
        page: where a person reads of the file, and accepts its terms; empty where none is known.
        site: whose token is sent to the URL's own host and port; None for none.
    """

    url: str
    page: str = ""
    site: Site | None = None

    @property
    def host(self) -> str:
        """Who is asked, for people."""
        return host_of(urlsplit(self.url))

    @property
    def headers(self) -> dict[str, str]:
        """What is sent to the URL's own host and port, and to no other."""
        token = self.site.token if self.site else None
        return {"Authorization": f"Bearer {token}"} if token else {}

    def refused(self, status: int, host: str) -> ModelProblem:
        """What to say where a host answers that the file is not to be had.

        Args:
            status: of its answer.
            host: that gave it.
        """
        name = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        answered = f"{host} answered {status} {name}".rstrip()
        look = f"look at {self.page}" if self.page else "correct the url in requires.models of the map"
        if status == HTTPStatus.NOT_FOUND:
            return ModelProblem(f"there is no such file: {answered}", look)
        if status not in _REFUSED:
            return ModelProblem(answered, look)
        return self.wants_token(answered)

    def wants_token(self, answered: str) -> ModelProblem:
        """What to say where a host gives the file to people alone whom it knows.

        Args:
            answered: what it did, for people.
        """
        if self.site is None:
            return ModelProblem(
                f"{answered}: it gives the file to nobody without a login",
                "name a url that needs none; tokens are sent to Hugging Face and Civitai alone",
            )
        name, variable, tokens_page, token = self.site
        terms = f"; where the model has terms, accept them at {self.page}" if self.page else ""
        if not token:
            missing = " (or there is no such repository)" if name == "Hugging Face" else ""
            return ModelProblem(
                f"{answered}: {name} gives it to nobody without a token{missing}",
                f"set {variable} to a token of yours ({tokens_page}){terms}",
            )
        return ModelProblem(
            f"{answered}: {name} does not give it to the account of {variable}",
            f"make a new token ({tokens_page}) and set {variable} to it, if this one is no longer valid or may not "
            f"read the repository{terms}",
        )


class Sites:
    """Finds the source of a URL.

    Args:
        hf_token: of a Hugging Face account.
        civitai_token: of a Civitai account.
        hf_endpoint: a mirror of Hugging Face, asked in its place, and given its token (HF_ENDPOINT).
        civitai: the site itself.
    """

    def __init__(
        self,
        hf_token: str | None = None,
        civitai_token: str | None = None,
        *,
        hf_endpoint: str = HOME_PAGE,
        civitai: str = CIVITAI,
    ) -> None:
        self._hugging_face = Site("Hugging Face", "HF_TOKEN", "https://huggingface.co/settings/tokens", hf_token)
        self._civitai = Site("Civitai", "CIVITAI_TOKEN", "https://civitai.com/user/account", civitai_token)
        self._endpoint = hf_endpoint.rstrip("/")
        self._civitai_origin = origin(urlsplit(civitai))

    def source_of(self, url: str) -> Source:
        """How a URL of a map is asked for; a page of a file on Hugging Face (`/blob/`) stands for the file."""
        if file := parse(url):
            return Source(file.url(self._endpoint), file.page, self._hugging_face)
        if origin(urlsplit(url)) == self._civitai_origin:
            return Source(url, "", self._civitai)
        return Source(url)


def host_of(parts: SplitResult) -> str:
    """Host and port, for people: a name and password before them are for nobody's log."""
    return parts.netloc.rpartition("@")[2]


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port: what a token is meant for.

    Raises:
        ValueError: what stands for a port is none.
    """
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port
