"""Which node packs were not imported, read off what ComfyUI prints."""

from engine.comfyui.import_failures import ImportFailure, import_failures

# What ComfyUI 0.8.0 printed with four packs; 0.3.64 prints the same.
PRINTED = """Starting server
Traceback (most recent call last):
  File "/c/nodes.py", line 2155, in load_custom_node
    module_spec.loader.exec_module(module)
  File "/c/custom_nodes/broken/__init__.py", line 1, in <module>
    import cv9
ModuleNotFoundError: No module named 'cv9'

Cannot import /c/custom_nodes/broken module for custom nodes: No module named 'cv9'
Skip /c/custom_nodes/skip.py module for custom nodes due to the lack of NODE_CLASS_MAPPINGS or NODES_LIST (need one).
Error while calling comfy_entrypoint in /c/custom_nodes/broken-too: no such thing

Import times for custom nodes:
   0.0 seconds (IMPORT FAILED): /c/custom_nodes/skip.py
   0.0 seconds: /c/custom_nodes/fine
   0.0 seconds (IMPORT FAILED): /c/custom_nodes/broken
   0.1 seconds (IMPORT FAILED): /c/custom_nodes/broken-too

To see the GUI go to: http://127.0.0.1:8188
"""


def test_each_is_told_with_comfyuis_own_error():
    skipped, broken, too = import_failures(PRINTED)

    assert skipped == ImportFailure(
        "skip",
        "Skip /c/custom_nodes/skip.py module for custom nodes due to the lack of NODE_CLASS_MAPPINGS or NODES_LIST "
        "(need one).",
    )
    assert (broken.pack, broken.error) == ("broken", "No module named 'cv9'")
    assert broken.traceback.startswith("Traceback (most recent call last):\n")
    assert broken.traceback.endswith("ModuleNotFoundError: No module named 'cv9'")
    assert too.error == "Error while calling comfy_entrypoint in /c/custom_nodes/broken-too: no such thing"
    assert too.traceback == ""


def test_where_all_went_well_there_is_none():
    assert import_failures("Import times for custom nodes:\n   0.0 seconds: /c/custom_nodes/fine\n") == []
    assert import_failures("") == []
