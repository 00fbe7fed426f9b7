"""The schemas of a workflow that every OpenAPI document has: its payload, values, outputs and result."""

from __future__ import annotations

from typing import Any

from engine.authoring.component_names import ComponentNames
from engine.authoring.describing import with_short_files
from engine.authoring.openapi_payloads import payload_component, values_component
from engine.authoring.openapi_replies import output_components, result_schema
from engine.workflow import Workflow


def add_components(
    workflow: Workflow, payload: str, values: str, result: str, names: ComponentNames, schemas: dict[str, Any]
) -> dict[str, Any]:
    """Add them.

    Args:
        workflow: whose.
        payload: the name of the payload's schema.
        values: that of the values'.
        result: that of the result's.
        names: of components that are taken.
        schemas: the components, which these are added to.

    Returns:
        The payload's JSON Schema, as the workflow gives it.
    """
    schema = workflow.payload_schema()
    if "examples" in schema:
        schema["examples"] = [with_short_files(workflow, each) for each in schema["examples"]]
    payload_component(schema, payload, names, schemas)
    values_component(schema, values, names, schemas)
    schemas[result] = result_schema(workflow, values, output_components(workflow, names, schemas))
    return schema
