"""Fixtures of the tests that look at the playground: a real browser, and the local server in a process of its own."""

import contextlib
import itertools

import pytest
from support.browser import WatchedPages, running_browser
from support.playground import serving, workflows_of_the_tests
from support.workflows import ROOT


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    with running_browser() as browser:
        yield browser


@pytest.fixture
def pages(browser):
    """Makes pages (`pages()`, `pages(phone=True)`); the test fails with what went wrong in any of them."""
    pages = WatchedPages(browser)
    yield pages
    pages.close()
    assert not pages.complaints


@pytest.fixture
def page(pages):
    """A page of a window as wide as a laptop's."""
    return pages()


@pytest.fixture(scope="module")
def playground(request, tmp_path_factory):
    """Starts `engine serve`; gives its URL, its process and its folder.

    `playground()` is on the ComfyUI of the tests, a real one or the simulator, with workflows whose checkpoint it has.
    `playground(step_seconds=0.2)` is on a simulator of its own, whose sampling steps take that long, with all workflows
    of this repository; it has the model files that they name, or those of `choices`. `port`, the arguments of the
    command and its environment can be given: `API_TOKEN="…"`. A `folder` too: that of an earlier one, to see what a
    restart keeps.
    """
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:

        def start(*arguments, step_seconds=None, choices=None, folder=None, port=None, **environment):
            folder = folder or tmp_path_factory.mktemp(f"playground{next(numbers)}")
            if "COMFY_URL" not in environment:
                if step_seconds is None:
                    own = {"COMFY_URL": request.getfixturevalue("comfy_url")}
                    own["WORKFLOWS_PATH"] = str(workflows_of_the_tests(folder / "workflows"))
                else:
                    own = {"COMFY_URL": stack.enter_context(_slow(step_seconds, choices))}
                environment = own | environment
            return stack.enter_context(serving(folder, *arguments, port=port, **environment))

        yield start


@contextlib.contextmanager
def _slow(step_seconds, choices):
    from engine.documents import read_json
    from engine.known_nodes import nodes_with
    from engine.simulator import Simulator, choices_from

    graphs = [read_json(path, label=path.stem) for path in sorted((ROOT / "templates").glob("*.json"))]
    nodes = nodes_with({node["class_type"] for graph in graphs for node in graph.values()})
    with Simulator(nodes, choices=choices or choices_from(graphs, nodes), step_seconds=step_seconds) as simulator:
        yield simulator.url
