"""Parts of a request as JSON Schema, for documents of the API."""

from __future__ import annotations

import re
from typing import Any

from engine.storage import DeliveryRequest


def delivery_properties() -> dict[str, dict[str, Any]]:
    """The wishes of a delivery by name, with their texts; absent where they are null."""
    attributes = (DeliveryRequest.__doc__ or "").partition("Attributes:")[2]
    texts = dict(re.findall(r"^ +(\w+): (.+)$", attributes, re.MULTILINE))
    # Each is `anyOf` what it takes and null.
    found = DeliveryRequest.model_json_schema()["properties"].items()
    return {name: {"description": texts[name], **schema["anyOf"][0]} for name, schema in found}
