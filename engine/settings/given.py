"""What an environment says of each setting, under all names that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.settings.fields import Aliases


class Given(NamedTuple):
    """A variable that is set.

    Attributes:
        variable: its name, as it is spelt there.
        text: its value.
        generic: whether other programs read it as well.
    """

    variable: str
    text: str
    generic: bool


GivenValues = dict[str, list[Given]]
"""By field, all that is given for it, what counts first; none of the lists is empty."""


def given_values(names: Mapping[str, Aliases], environment: Mapping[str, str]) -> GivenValues:
    """What is set of each setting. An empty variable counts as not set.

    A name is read in any case, since some workers spell theirs in small letters (`civitai_token`): first as we spell
    it, then as the others do.

    Args:
        names: of the variables, by field.
        environment: the variables.
    """
    spelt: dict[str, list[str]] = {}
    for name, text in sorted(environment.items()):
        if text:
            spelt.setdefault(name.lower(), []).append(name)
    return {
        field: values
        for field, aliases in names.items()
        if (values := [each for name in aliases.in_order for each in _spellings(name, aliases, spelt, environment)])
    }


def _spellings(
    name: str, aliases: Aliases, spelt: Mapping[str, list[str]], environment: Mapping[str, str]
) -> list[Given]:
    found = sorted(spelt.get(name.lower(), ()), key=lambda each: each != name)
    return [Given(each, environment[each], name in aliases.generic) for each in found]
