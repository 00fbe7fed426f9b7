"""A workflow: a template and its parameter map under one name, ready to validate and render. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from engine.attribution import is_computed, original_of, parameters_at
from engine.compilation import compile_workflow
from engine.compiled import Compiled, DeclaredOutput
from engine.errors import InvalidMap, InvalidPayload, Problem, RenderFailed
from engine.expression_filters import ExpressionFailed
from engine.expressions import context_of
from engine.gates import Gate, Gates
from engine.graph import Graph
from engine.map_parts import Example, Requires
from engine.media_values import MediaValue, holds_media, media_in, with_media
from engine.needs import Needs, needs_of
from engine.nodes import NodeCatalogue
from engine.payload_schema import payload_schema
from engine.rendering import Renderer
from engine.schema import Parameter, ParameterMap

# What stands for a file in a graph that was rendered without uploading any.
_PLACEHOLDER_SUFFIX = {"image": ".png", "mask": ".png", "video": ".mp4", "audio": ".wav", "file": ".bin"}


class Workflow:
    """A named workflow. Immutable, and safe to use from several threads.

    Args:
        name: what callers ask for.
        template: the graph, as `engine.graph.parse_graph` gave it.
        parameter_map: as `engine.map_file.parse_map` gave it.
        nodes: the node catalogue to check against.
        label: how messages call the map's file.

    Raises:
        InvalidMap: the map does not fit the template; with every problem.
        BindingNotFound: its paths don't.

    Attributes:
        name: what callers ask for.
        title: for people.
        version: of the map, reported with every result.
        outputs: what a run returns.
        warnings: what may be wrong with it, for its author.
    """

    def __init__(
        self, name: str, template: Graph, parameter_map: ParameterMap, nodes: NodeCatalogue, *, label: str = ""
    ) -> None:
        self.name = name
        self._map = parameter_map
        self._template = template
        self._nodes = nodes
        self._compiled: Compiled = compile_workflow(parameter_map, template, nodes, label=label)
        self._media = {key: each for key, each in self.parameters.items() if holds_media(each)}
        declared = self.declares_outputs
        self._renderer = Renderer(name, template, self._compiled, nodes, declared=declared)
        self._try_examples(label)

    @property
    def title(self) -> str:
        """For people; the name where the map has none."""
        return self._map.title or self.name

    @property
    def description(self) -> str:
        """What it does, for people."""
        return self._map.description or ""

    @property
    def version(self) -> str:
        """Of the map."""
        return self._map.version

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name, their ranges narrowed to what their inputs take."""
        return self._compiled.parameters

    @property
    def template(self) -> Graph:
        """The graph as it was exported; not to be changed."""
        return self._template

    @property
    def outputs(self) -> tuple[DeclaredOutput, ...]:
        """What a run returns: the declared outputs, or every output node of the template."""
        return self._compiled.outputs

    @property
    def declares_outputs(self) -> bool:
        """Whether the map says what a run returns."""
        return bool(self._map.outputs)

    @property
    def parameter_map(self) -> ParameterMap:
        """As its file has it."""
        return self._map

    @property
    def examples(self) -> tuple[Example, ...]:
        """Payloads that work."""
        return tuple(self._map.examples)

    @property
    def requires(self) -> Requires:
        """The models and node packs it needs."""
        return self._map.requires

    @cached_property
    def needs(self) -> Needs:
        """The models and node classes that it runs with, and which of them only some payloads need."""
        return needs_of(self._compiled, self._template, self._map)

    @property
    def rules(self) -> tuple[str, ...]:
        """What must hold between parameters, as a caller reads it when it does not."""
        return tuple(message for _, message in self._compiled.rules)

    @property
    def gates(self) -> Gates:
        """What a result must be like."""
        return self._compiled.gates

    @property
    def timeout_seconds(self) -> float | None:
        """How long a run may take, where the map says so."""
        return self._map.timeout_seconds

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be wrong, though it loads."""
        return tuple(self._compiled.warnings)

    def validate(self, payload: Any, live: NodeCatalogue | None = None) -> dict[str, Any]:
        """The values of a payload: defaults filled in, seeds drawn.

        Args:
            payload: what the caller sent.
            live: the node catalogue of the running ComfyUI; its lists of files are then enforced as well.

        Raises:
            InvalidPayload: with every problem.
            RenderFailed: a rule could not be computed from these values; the author's mistake.
        """
        from_files = (live or self._nodes).from_files
        values = self._compiled.validator.validate(payload, self._choices(live), from_files)
        if self._compiled.rules:
            self._check_rules(values)
        return values

    def with_seeds_drawn(self, values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
        """Values as `validate` gave them, with these seeds drawn anew; raises as `validate` does."""
        drawn = self._compiled.validator.with_seeds_drawn(values, names)
        self._check_rules(drawn)
        return drawn

    def applying_gates(self, values: Mapping[str, Any], *, job_id: str = "") -> tuple[Gate, ...]:
        """The checks that a result of these values must pass.

        Raises:
            RenderFailed: what decides on one can't be computed.
        """
        names = self._with_file_names(values, {})
        return self.gates.applying({**names, "workflow": self.name, "job_id": job_id})

    def media_values(self, values: Mapping[str, Any]) -> list[MediaValue]:
        """The files among the values, in the order of the map and of their lists; what is null is none.

        Args:
            values: what `validate` gave.
        """
        return [found for name, each in self._media.items() for found in media_in(each, name, values[name])]

    def without_media(self, values: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
        """The values as results show them: of files their names alone.

        Args:
            values: what `validate` gave.
            files: the name of each of `media_values`, by its `where`; one that is missing here is told by its type,
                `(image)`.
        """
        return self._with_media(values, lambda media: files.get(media.where) or f"({media.parameter.type})")

    def render(
        self,
        values: Mapping[str, Any],
        files: Mapping[str, str] | None = None,
        *,
        job_id: str = "",
        previews: bool = False,
    ) -> Graph:
        """The graph to queue.

        The template never changes, and no two results share anything that one could change.

        Args:
            values: what `validate` gave.
            files: for each of `media_values`, by its `where`, the name ComfyUI knows the file by; one that is missing
                here gets a stand-in (`image.png`).
            job_id: for expressions that use it.
            previews: keep the nodes that show or save something and are no declared output, but for those that an
                operator left without an input that they need.

        Raises:
            RenderFailed: expressions failed or do not fit their places; with every problem.
        """
        named = self._with_file_names(values, files or {})
        return self._renderer.render(named, job_id=job_id, previews=previews)

    def original_of(self, node_id: str) -> str:
        """The node of the template that a node of a rendered graph stands for: itself, unless a repeat copied it."""
        return original_of(self._template, node_id)

    def payload_schema(self, live: NodeCatalogue | None = None) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the payload; see `validate` for `live`."""
        return payload_schema(
            self.parameters,
            self._compiled.defaults,
            title=self.title,
            description=self.description,
            choice_lists=self._compiled.choice_lists,
            choices=self._choices(live),
            examples=[example.payload for example in self.examples],
        )

    def describe(self, live: NodeCatalogue | None = None) -> dict[str, Any]:
        """All a caller needs to know, in JSON's types."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "version": self.version,
            "payload": self.payload_schema(live),
            "outputs": [_told(each) for each in self.outputs],
            "rules": list(self.rules),
            "requires": self.requires.model_dump(mode="json"),
            "quality": self.gates.as_dict(),
            "timeout_seconds": self.timeout_seconds,
            "examples": [example.model_dump(mode="json", exclude_none=True) for example in self.examples],
        }

    def parameters_at(self, node_id: str, input_name: str) -> tuple[str, ...]:
        """The parameters that decide what stands in an input of a rendered graph.

        Its own, or those its expression uses; of a repeated node the item of the list: `loras[1].name`.
        """
        return parameters_at(self._compiled, self._template, node_id, input_name)

    def is_computed(self, node_id: str, input_name: str) -> bool:
        """Whether an expression gives what stands in an input, so that it need be no value of the payload."""
        return is_computed(self._compiled, self._template, node_id, input_name)

    def _try_examples(self, label: str) -> None:
        problems: list[Problem] = []
        for index, example in enumerate(self.examples):
            try:
                values = self.validate(example.payload)
                self.render(values)
                self.applying_gates(values)
            except (InvalidPayload, RenderFailed) as error:
                found = [str(problem) for problem in error.problems] or [error.message]
                problems += [Problem(f"examples[{index}].payload", text, file=label) for text in found]
        if problems:
            raise InvalidMap(problems=problems)

    def _choices(self, live: NodeCatalogue | None) -> Mapping[str, Any]:
        if live is None:
            return self._compiled.choices
        found = {each.reference: live.choices(each.reference) for each in self._compiled.choice_lists}
        return {reference: choices for reference, choices in found.items() if choices is not None}

    def _check_rules(self, values: Mapping[str, Any]) -> None:
        named = self._with_file_names(values, {})
        names = context_of(named, workflow=self.name, job_id="")
        broken = []
        for expression, message in self._compiled.rules:
            try:
                holds = expression.evaluate(names)
            except ExpressionFailed as error:
                raise RenderFailed(f"a rule could not be computed: {error}; the rule: {expression.source}") from error
            if not isinstance(holds, bool):
                raise RenderFailed(f"a rule must give true or false; the rule: {expression.source}")
            if not holds:
                about = sorted(name for name in expression.names if name in self.parameters)
                broken.append(Problem(", ".join(about), message))
        if broken:
            raise InvalidPayload(problems=broken)

    def _with_file_names(self, values: Mapping[str, Any], files: Mapping[str, str]) -> Mapping[str, Any]:
        if not self._media:
            return values
        return self._with_media(values, lambda media: files.get(media.where) or _stand_in(media))

    def _with_media(self, values: Mapping[str, Any], become: Callable[[MediaValue], str]) -> dict[str, Any]:
        replaced = {name: with_media(each, name, values[name], become) for name, each in self._media.items()}
        return {**values, **replaced}


def _told(output: DeclaredOutput) -> dict[str, Any]:
    """An output as callers read it, without the texts that its author left out."""
    texts = {"title": output.title, "description": output.description}
    return {"name": output.name, "kind": output.kind} | {word: text for word, text in texts.items() if text}


def _stand_in(media: MediaValue) -> str:
    """A file name for what is in no ComfyUI: `image.png`, `images_0_picture.png`."""
    name = media.where.replace("]", "").replace("[", "_").replace(".", "_")
    return f"{name}{_PLACEHOLDER_SUFFIX[media.parameter.type]}"
