"""Reads Dockerfiles, as far as tests look into them."""

import re
from fnmatch import fnmatch
from typing import NamedTuple

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Stage(NamedTuple):
    """What stands between one FROM and the next: its name, what it starts from, and `(instruction, words)`."""

    name: str
    base: str
    steps: list


class Dockerfile:
    """A Dockerfile.

    Attributes:
        arguments: the defaults of the arguments above the first stage, by name.
        stages: by name, in their order.
    """

    def __init__(self, path):
        self.text = path.read_text()
        self.arguments, self.stages = {}, {}
        joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", self.text, flags=re.MULTILINE))
        stage = None
        for line in filter(str.strip, joined.splitlines()):
            instruction, words = line.split(None, 1)
            words = " ".join(words.split())
            if instruction == "FROM":
                base, name = re.fullmatch(r"(\S+) AS (\S+)", words).groups()
                stage = self.stages[name] = Stage(name, base, [])
            elif stage is not None:
                stage.steps.append((instruction, words))
            else:
                name, _, default = words.partition("=")
                self.arguments[name] = default.strip('"')

    def steps(self, instruction):
        """`(stage, words)` of every such instruction."""
        return [
            (stage, words) for stage in self.stages.values() for found, words in stage.steps if found == instruction
        ]

    def made_of(self, name):
        """A stage, and those that it starts from, one upon the other."""
        while name in self.stages:
            yield self.stages[name]
            name = self.stages[name].base

    def filled(self, text, **given):
        """A text with the arguments' values in place of their names."""
        values = self.arguments | given
        while _VARIABLE.search(text):
            text = _VARIABLE.sub(lambda found: values[found[1]], text)
        return text


class Ignored:
    """What a .dockerignore keeps from a build; of its language, what ours uses."""

    def __init__(self, path):
        self._rules = [line.strip() for line in path.read_text().splitlines() if line.strip() and line[0] != "#"]

    def __contains__(self, name):
        """Whether a path, relative to the repository, is kept away."""
        ignored = False
        parts = name.strip("/").split("/")
        places = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        for rule in self._rules:
            pattern = rule.removeprefix("!").rstrip("/")
            if any(_matches(place, pattern) for place in places):
                ignored = not rule.startswith("!")
        return ignored


def _matches(place, pattern):
    if pattern.startswith("**/"):
        return fnmatch(place.rpartition("/")[2], pattern[3:])
    return place.count("/") == pattern.count("/") and fnmatch(place, pattern)
