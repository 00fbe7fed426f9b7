"""What holds for the code as a whole: imports go one way, modules stay small, generated files are current."""

import ast
import importlib.util
import json
import subprocess
import sys

import pytest
from support.workflows import ROOT

from engine.errors import EngineError, error_classes
from engine.map_file import json_schema
from engine.settings import variables

ENGINE = ROOT / "engine"

# From the top down. A module may import what stands in a lower line, or in its own package.
LAYERS = [
    {"cli"},
    {"commands"},
    {"starting"},
    {"worker", "server"},
    {"mcp"},
    {"local_queue"},
    {"draining", "reporting", "fitness", "warming", "journal"},
    {"envelope"},
    {"health", "job_account", "replies"},
    {"request", "request_schemas"},
    {"dialects"},
    {"jobs", "backend"},
    {"attempts"},
    {"making"},
    {"opened", "turns", "job_run"},
    {"plans", "graph_plan", "tries", "comfy_contract", "job"},
    {"readiness"},
    {"live_nodes", "callers_words", "bundling", "judging", "workflow_folders"},
    {"comfyui", "media", "storage", "models", "simulator", "authoring", "repositories"},
    {"s3"},
    {"name_templates"},
    {"job_names"},
    {"names"},
    {"catalog"},
    {"workflow"},
    {"rendering", "needs"},
    {"operator_rendering"},
    {"compilation", "raw_graph", "attribution"},
    {"operator_compilation", "item_inputs", "gate_compilation"},
    {"compiled"},
    {"operators", "gates"},
    {"bindings", "fitting", "expressions", "payload_schema", "ui_format"},
    {"value_checks"},
    {"rewiring", "graph_copies", "expression_sandbox"},
    {"payload", "expression_filters", "graph", "text_values"},
    {"map_file", "value_schemas"},
    {"media_values", "media_forms"},
    {"model_folders"},
    {"node_packs", "known_nodes"},
    {"environments"},
    {"installations"},
    {"snapshots"},
    {"kept_replies"},
    {"ending"},
    {"logs"},
    {"schema", "nodes", "settings"},
    {"map_parts", "quality"},
    {"transfers", "row", "scratch"},
    {
        "command_options",
        "results",
        "delivery",
        "documents",
        "volume",
        "cancellation",
        "aspect_ratio",
        "order",
        "tally",
        "machine",
        "model_entries",
    },
    {"timings"},
    {"intake"},
    {"verdicts"},
    {"wording", "errors", "dialing", "plain_sessions", "runpod_sdk"},
    {"addresses", "containers", "workflows_path"},
]


def modules():
    return sorted(path for path in ENGINE.rglob("*.py"))


def part_of(module):
    """`engine.storage.s3` -> `storage`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            if node.module == "engine":
                yield from (f"engine.{alias.name}" for alias in node.names)


def test_imports_go_one_way():
    level = {part: depth for depth, layer in enumerate(LAYERS) for part in layer}
    wrong = []
    for path in modules():
        part = path.relative_to(ENGINE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        assert part in level, f"say in LAYERS where {part} stands"
        for module in imports_of(path):
            other = part_of(module) if module.startswith("engine.") else ""
            if other in level and other != part and level[other] <= level[part]:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


@pytest.mark.parametrize("heavy", ["runpod", "boto3", "fastapi", "PIL", "pydantic", "jinja2", "aiohttp", "requests"])
def test_import_engine_is_light(heavy):
    code = f"import engine, sys; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_schema_for_editors_is_current():
    kept = json.loads((ROOT / "schemas" / "parameter-map.schema.json").read_text())
    assert kept == json.loads(json.dumps(json_schema())), "make generated"


def test_every_error_has_a_code_of_its_own_and_a_meaning():
    classes = error_classes()
    assert len({each.code for each in classes}) == len(classes)
    assert all(each.meaning and (each is EngineError or each.meaning != EngineError.meaning) for each in classes)


def test_the_errors_are_documented():
    text = (ROOT / "docs" / "errors.md").read_text()
    for each in error_classes():
        assert f"| `{each.code}` | {'yes' if each.retryable else 'no'} | {each.meaning} |" in text, "make generated"


def test_the_settings_are_documented():
    text = (ROOT / "docs" / "settings.md").read_text()
    for each in variables():
        default = f"`{each.default}`" if each.default else ""
        assert f"| `{each.names[0]}` | {default} | {each.description}" in text, "make generated"


def test_the_reference_of_maps_is_current():
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    text = (ROOT / "docs" / "workflows.md").read_text()
    assert text.count("<!-- generated: ") > 9
    assert generate.workflows_page(text) == text, "make generated"


def test_every_key_of_a_map_says_what_it_is_for():
    models = json_schema()["$defs"] | {"map": json_schema()}
    keys = [(name, key, each) for name, model in models.items() for key, each in model["properties"].items()]
    assert not [(name, key) for name, key, each in keys if key != "type" and not each.get("description")]


def test_modules_stay_small():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert not {path: lines for path, lines in long.items() if lines > 380}
