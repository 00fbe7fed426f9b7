"""Prompts: the texts that feed encoders, samplers and services, by the role they feed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from engine.authoring.discovery.wiring import Wiring, base_name
from engine.bindings import Place
from engine.graph import links

POSITIVE, NEGATIVE, INSTRUCTION, TEXT, ZEROED = "positive", "negative", "instruction", "text", "zeroed"
OWN_NAMES = ("lyrics",)
"""Texts that the field calls otherwise than prompts; the tags of a song are its prompt."""

_TEXTUAL = re.compile(
    r"(\w+_)?(text|prompt)s?(_?[a-z0-9]{1,2})?|((text|prompt)_)?(positive|negative)(_(prompt|text)s?)?(_[gl])?|captions?|string(_?\w)?|t5xxl|clip_[lg]"
    r"|llama|bert|mt5xl|tags|lyrics|instructions?|query|question|description|value"
)
_NO_PROMPT = re.compile(
    r"system|template|delim|separ|file|path|font|colou?r|language|(^|_)mode|find|replace|pattern|regex|type|name|url"
    r"|format|api_key|token|prefix_only|strength|weight|length|negative_prompt_strength|header|output|upsampling|enhance|populated"
)
_SHOWS = re.compile(r"show|preview|display", re.IGNORECASE)
_FINDS = re.compile(r"segment|detect|ground|clipseg|mask", re.IGNORECASE)
_FORMULA = re.compile(r"math|expression|formula|calculat", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a text ends up.

    Attributes:
        place: the input.
        role: what it is there.
        distance: nodes on the way; what a language model writes anew is far off.
    """

    place: Place
    role: str
    distance: int


_REWRITTEN = 10


def _role_by_name(name: str) -> str | None:
    """The role that an input says by its name; a node that hands on both texts gives each to any input."""
    return next((role for role in (NEGATIVE, POSITIVE) if role in name), None)


class TextFlow:
    """The texts of a graph, and what they are for."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self._roles: dict[str, dict[int, frozenset[str]]] = {}

    def sinks(self, place: Place) -> list[Sink]:
        """Where a literal text ends up; nothing where it is no prompt."""
        value = self.wiring.value(place)
        if not isinstance(value, str) or not self._is_textual(place):
            return []
        found: dict[tuple[Place, str], Sink] = {}
        waiting = [(place, 0)]
        seen: dict[Place, int] = {}
        while waiting:
            here, distance = waiting.pop(0)
            if seen.get(here, distance + 1) <= distance:
                continue
            seen[here] = distance
            node_id = here.node_id
            if here.input_name == self.wiring.off_branch(node_id):
                continue
            if self._hands_on_text(node_id):
                step = 0 if len(self.wiring.inputs(node_id)) == 1 else 1
                waiting += [
                    (user, distance + step)
                    for user, index in self.wiring.users.get(node_id, ())
                    if self.wiring.output_type(node_id, index) in {"STRING", "", "*", "COMBO"}
                ]
                continue
            for role in self._roles_at(here):
                known = found.get((here, role))
                if known is None or distance < known.distance:
                    far = distance + (_REWRITTEN if role == INSTRUCTION else 0)
                    found[here, role] = Sink(here, role, far)
        own = _role_by_name(base_name(place))
        sinks = [
            replace(sink, role=own) if own and sink.role in {POSITIVE, NEGATIVE} else sink for sink in found.values()
        ]
        return sorted(dict.fromkeys(sinks), key=lambda sink: sink.distance)

    def _is_textual(self, place: Place) -> bool:
        spec = self.wiring.spec(place)
        if spec is not None and spec.type not in {"STRING", "*"}:
            return False
        name, class_type = base_name(place), self.wiring.class_of(place.node_id)
        if _NO_PROMPT.search(name) or _FORMULA.search(class_type):
            return False
        if _SHOWS.search(class_type) and any(links(self.wiring.graph[place.node_id])):
            return False  # what it showed last, of the text that it is linked to
        return bool(_TEXTUAL.fullmatch(name)) or bool(spec and spec.multiline)

    def _hands_on_text(self, node_id: str) -> bool:
        """Whether a node gives the texts it gets, whole or joined; a language model does not."""
        wiring = self.wiring
        if not wiring.makes_values(node_id) or not wiring.used_types(node_id) & {"STRING", "", "*"}:
            return False
        if wiring.linked_types(node_id) - {"STRING", "INT", "FLOAT", "BOOLEAN", "COMBO", "NUMBER", "", "*"}:
            return False
        names = {base_name(Place(node_id, name)) for name in wiring.inputs(node_id)}
        return not names & {"model", "max_tokens", "max_length", "temperature", "top_p", "system_prompt"}

    def _roles_at(self, place: Place) -> set[str]:
        """What a text is at an input that does not hand it on."""
        wiring, name = self.wiring, base_name(place)
        if _NO_PROMPT.search(name):
            return set()
        if not _TEXTUAL.fullmatch(name) and not ((spec := wiring.spec(place)) and spec.multiline):
            return {TEXT} if self._is_written_at_length(place) else set()
        roles = self.conditioning_roles(place.node_id)
        if "negative" in name:
            return {NEGATIVE}
        if roles:
            found = {role for each in roles.values() for role in each}
            other = any("negative" in base_name(Place(place.node_id, each)) for each in wiring.inputs(place.node_id))
            return {POSITIVE} if other or "positive" in name or name in OWN_NAMES else found
        if self._encodes(place.node_id):
            return set()  # its conditioning is zeroed, or used for nothing that has a role
        if wiring.makes_values(place.node_id):
            return {INSTRUCTION}
        if _FINDS.search(wiring.class_of(place.node_id)):
            return {TEXT}  # what to look for in a picture
        return {POSITIVE} if re.search(r"prompt|positive|^tags", name) or name in OWN_NAMES else {TEXT}

    def _is_written_at_length(self, place: Place) -> bool:
        """Whether an input gets the text of a node that is made for long ones."""
        link, spec = self.wiring.link(place), self.wiring.spec(place)
        if link is None or (spec is not None and spec.type != "STRING"):
            return False
        inputs = [self.wiring.spec(Place(link[0], name)) for name in self.wiring.inputs(link[0])]
        return len(inputs) == 1 and inputs[0] is not None and inputs[0].multiline

    def _encodes(self, node_id: str) -> bool:
        spec = self.wiring.known(node_id)
        types = self.wiring.used_types(node_id)
        return types == {"CONDITIONING"} or (spec is not None and set(spec.outputs) == {"CONDITIONING"})

    def conditioning_roles(self, node_id: str) -> dict[int, frozenset[str]]:
        """The roles that the outputs of a node play in samplers and guiders, by output."""
        if node_id not in self._roles:
            self._roles[node_id] = {}
            found: dict[int, set[str]] = {}
            for place, index in self.wiring.users.get(node_id, ()):
                if self.wiring.output_type(node_id, index) not in {"CONDITIONING", "", "*"}:
                    continue
                if roles := self._role_of_user(place):
                    found.setdefault(index, set()).update(roles)
            self._roles[node_id] = {index: frozenset(roles) for index, roles in found.items()}
        return self._roles[node_id]

    def _role_of_user(self, place: Place) -> set[str]:
        wiring, name = self.wiring, base_name(place)
        class_type = wiring.class_of(place.node_id)
        if place.input_name == wiring.off_branch(place.node_id):
            return set()
        if "zeroout" in class_type.lower().replace("_", ""):
            return {ZEROED} if self.conditioning_roles(place.node_id) else set()
        if re.search(r"(^|_)neg(ative)?(_|\d|$)", name):
            return {NEGATIVE}
        if re.search(r"(^|_)pos(itive)?(_|\d|$)", name):
            return {POSITIVE}
        if not self._takes_conditioning(place):
            return set()
        further = {role for each in self.conditioning_roles(place.node_id).values() for role in each}
        if further:
            return further
        ends = not wiring.used_types(place.node_id) & {"CONDITIONING"}
        return {POSITIVE} if ends and re.search(r"cond", name) else set()

    def _takes_conditioning(self, place: Place) -> bool:
        spec = self.wiring.spec(place)
        if spec is not None:
            return spec.type in {"CONDITIONING", "*"} or "CONDITIONING" in spec.type or "MATCHTYPE" in spec.type
        return True
