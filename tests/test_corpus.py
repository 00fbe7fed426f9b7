"""Real graphs by other people: each loads as a template, or is refused with the reason."""

import pytest
from support.workflows import SHARED, write_workflow

from engine import Catalog
from engine.errors import InvalidMap
from engine.graph import as_link

CORPUS = {path.stem: path for path in sorted((SHARED / "corpus" / "api_workflows").glob("*.json"))}
REFUSED = {"sd15_text2img_not_api_version": "this is a UI-format export"}

pytestmark = pytest.mark.skipif(not CORPUS, reason="the corpus of graphs is not beside the repository")


def load(tmp_path, name):
    return Catalog([write_workflow(tmp_path, "theirs", CORPUS[name].read_text(), {"parameters": {}})])["theirs"]


@pytest.mark.parametrize("name", sorted(CORPUS.keys() - REFUSED.keys()))
def test_a_real_graph_loads_and_renders_to_what_its_outputs_need(tmp_path, name):
    workflow = load(tmp_path, name)
    graph = workflow.render(workflow.validate({}))
    assert graph
    for node_id, node in graph.items():
        assert node == {"inputs": {}, **workflow.template[node_id]}
        links = [as_link(value) for value in node["inputs"].values()]
        assert all(link[0] in graph for link in links if link)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_no_api_graph_is_refused_with_the_reason(tmp_path, name):
    with pytest.raises(InvalidMap, match=REFUSED[name]):
        load(tmp_path, name)
