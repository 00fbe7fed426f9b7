"""Names of an OpenAPI document that stay apart in the client that is made from it. Pure."""

from __future__ import annotations

import re


class ComponentNames:
    """Gives out names. Two that a generator could spell alike (`A1B` and `A1b`, `a-b` and `a_b`) count as one."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def component(self, *parts: str) -> str:
        """A name for a schema, `TxtToImgPayload`, made of words in any spelling."""
        words = [word for part in parts for word in re.findall(r"[A-Za-z0-9]+", part)]
        return self._free("".join(word[0].upper() + word[1:] for word in words) or "Schema", "")

    def operation(self, *parts: str) -> str:
        """A name for an operation: `run_txt_to_img`."""
        return self._free("_".join(re.sub(r"[^A-Za-z0-9]+", "_", part).strip("_") for part in parts), "_")

    def _free(self, wanted: str, joint: str) -> str:
        name, number = wanted, 1
        while (key := re.sub(r"[^a-z0-9]", "", name.lower())) in self._taken:
            number += 1
            name = f"{wanted}{joint}{number}"
        self._taken.add(key)
        return name
