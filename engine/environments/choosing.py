"""The environments of a worker: which there are, and what the one that is asked for takes to be started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.environments.reading import read_environment
from engine.environments.verifying import differences_of_running, differences_on_disk, lock_of_environment
from engine.errors import EnvironmentUnverified, InvalidRequest, Problem, SettingsError
from engine.settings import Settings
from engine.volume import version_ids
from engine.wording import did_you_mean, listed, shown

_ANOTHER = "send the request with another version_id, or without one; the operator finds in the log what is wrong"


class Start(NamedTuple):
    """What it takes to start a ComfyUI.

    Attributes:
        version_id: the environment's name; None for a ComfyUI that is none.
        settings: with the environment's ComfyUI, Python, models and arguments.
        verify: given what `/object_info` and `/system_stats` say once it runs, raises EnvironmentUnverified where that
            is not what its lock says.
    """

    version_id: str | None
    settings: Settings
    verify: Callable[[Mapping[str, Any], Mapping[str, Any]], None] | None = None


class Environments:
    """The environments on the volume of a worker. Everything is read anew when it is asked for.

    Args:
        settings: VERSION_ID among them is the worker's own.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.own = settings.version_id

    def names(self) -> list[str]:
        """What a request may name; none where the worker's ComfyUI is one that others started."""
        return [] if self._settings.comfy_url else version_ids(self._settings.volume_path)

    def known(self, version_id: str) -> str:
        """The name that a request brought, if there is an environment of it.

        Raises:
            InvalidRequest: there is none; with the names there are.
        """
        names = self.names()
        if version_id in names:
            return version_id
        if not names:
            why = "its ComfyUI is one that runs elsewhere" if self._settings.comfy_url else "it has one ComfyUI"
            problem = f"this worker has no environments to choose from: {why}"
            raise InvalidRequest(problems=[Problem("version_id", problem)], hint="send the request without version_id")
        near = did_you_mean(version_id, names)
        raise InvalidRequest(
            problems=[Problem("version_id", f"{shown(version_id)} is no environment of this worker{near}")],
            hint=f"the environments are: {listed(names)}",
        )

    def unverified(self) -> dict[str, EnvironmentUnverified]:
        """Those that a request may name and would be refused, with what is wrong: what the disk tells of it."""
        found = {}
        for name in self.names():
            try:
                self.start_of(name)
            except EnvironmentUnverified as error:
                found[name] = error
        return found

    def start_of(self, version_id: str | None) -> Start:
        """What it takes to start an environment that is on the disk as its lock says.

        Args:
            version_id: its name; None for the ComfyUI of the settings.

        Raises:
            EnvironmentUnverified: it can't be read, or is not as its lock says.
        """
        if version_id is None:
            return Start(None, self._settings)
        try:
            environment = read_environment(self._settings.volume_path, version_id)
            settings = environment.settings(self._settings)
            lock = lock_of_environment(environment)
            found = differences_on_disk(environment, lock, settings.comfy_args)
        except (SettingsError, ValueError, OSError) as error:
            raise _unverified(version_id, [str(error)]) from error
        if found:
            raise _unverified(version_id, found)

        def verify(object_info: Mapping[str, Any], system_stats: Mapping[str, Any]) -> None:
            if found := differences_of_running(environment, lock, object_info, system_stats):
                raise _unverified(version_id, found)

        return Start(version_id, settings, verify)


def settings_of_own(settings: Settings) -> Settings:
    """The settings, with what the environment that VERSION_ID names puts in their places; as they are without one.

    Raises:
        SettingsError: there is no such environment, or its file is wrong; with every problem.
    """
    if settings.version_id is None:
        return settings
    return read_environment(settings.volume_path, settings.version_id).settings(settings)


def verify_own(settings: Settings) -> None:
    """See that the environment that VERSION_ID names is on the disk as its lock says.

    Raises:
        SettingsError: it is not; with everything that differs.
    """
    try:
        Environments(settings).start_of(settings.version_id)
    except EnvironmentUnverified as error:
        found = (error.detail or error.message).splitlines()
        name = f"the environment {settings.version_id}"
        problems = [Problem("VERSION_ID", f"{name}: {each}") for each in found]
        raise SettingsError(problems=problems, hint="make it as its lock says, or make the lock anew") from error


def _unverified(version_id: str, found: list[str]) -> EnvironmentUnverified:
    return EnvironmentUnverified(
        f'the environment "{version_id}" can\'t be used: it is not verified', hint=_ANOTHER, detail="\n".join(found)
    )
