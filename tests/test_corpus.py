"""Real graphs by other people: each loads as a template, or is refused with the reason."""

import pytest
from support.workflows import SHARED, write_workflow

from engine import Catalog
from engine.errors import InvalidMap
from engine.graph import as_link

CORPUS = sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))


def load(tmp_path, path):
    return Catalog([write_workflow(tmp_path, "theirs", path.read_text(), {"parameters": {}})])["theirs"]


@pytest.mark.skipif(not CORPUS, reason="the corpus of graphs is not beside the repository")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_real_graph_loads_and_renders_to_itself_or_is_refused_with_the_reason(tmp_path, path):
    try:
        workflow = load(tmp_path, path)
    except InvalidMap as error:
        assert path.stem in REFUSED, str(error)
        assert REFUSED[path.stem] in str(error)
        return
    assert path.stem not in REFUSED
    graph = workflow.render(workflow.validate({}))
    assert graph
    for node_id, node in graph.items():
        assert node == {"inputs": {}, **workflow.template[node_id]}
        links = [as_link(value) for value in node["inputs"].values()]
        assert all(link[0] in graph for link in links if link)


REFUSED = {"sd15_text2img_not_api_version": "this is a UI-format export"}
