"""What of a graph a caller may want to set: a parameter map drafted from its links and types. Pure.

Nothing goes by the titles of nodes, and nothing by one graph: what an input is for is told by its name, its type and
by what its value flows into. Custom nodes and API nodes are unknown to most catalogues, so that every rule works
without a node's specification, and better with it.
"""

from engine.authoring.discovery.drafting import draft_map

__all__ = ["draft_map"]
