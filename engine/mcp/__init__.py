"""Every workflow as a tool of an MCP server (https://modelcontextprotocol.io), for agents.

`tools.py` makes tools of the catalog's workflows, `arguments.py` their arguments; `calls.py` says what runs a call,
`running.py` does it in this process and `queueing.py` through the local server's queue; `answers.py` makes of a reply
what an agent gets, `pictures.py` the pictures in it. `protocol.py` is the server, which `stdio.py` and `web.py` carry:
those three alone need the library `mcp`, an extra.
"""

from __future__ import annotations

from importlib.util import find_spec

NOT_INSTALLED = "the MCP library is not installed here"
INSTALL = (
    "install it with pip install 'mcp>=2.3' beside the engine, or install the engine with its extra:"
    " comfyui-workflow-engine[mcp]"
)


def is_installed() -> bool:
    """Whether the library is there; it is not loaded for that."""
    try:
        return find_spec("mcp") is not None
    except (ImportError, ValueError):  # somebody keeps it from being imported
        return False
