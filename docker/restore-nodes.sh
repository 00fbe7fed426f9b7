#!/bin/sh
# Installs the custom nodes of a snapshot into /comfyui/custom_nodes: restore-nodes.sh NAME, a file of /build/snapshots.
# Removes what only builds need. A step of the image's build.
set -eu

snapshot=$1
if [ -n "$snapshot" ]; then
    if [ ! -f "/build/snapshots/$snapshot" ]; then
        echo "SNAPSHOT=$snapshot: there is no such file in snapshots/, which has:" >&2
        ls /build/snapshots >&2
        exit 1
    fi
    if [ ! -f /comfyui/manager_requirements.txt ]; then
        echo "SNAPSHOT=$snapshot: this version of ComfyUI does not say which ComfyUI-Manager it goes with; choose a later one" >&2
        exit 1
    fi
    # The Manager is what reads a snapshot; comfy-cli calls it. It is taken away again.
    uv pip install --python /opt/venv --requirement /comfyui/manager_requirements.txt
    VIRTUAL_ENV=/opt/venv comfy --skip-prompt --workspace /comfyui node restore-snapshot "/build/snapshots/$snapshot"
    uv pip uninstall --python /opt/venv comfyui-manager
    /opt/venv/bin/python -m compileall -q /comfyui/custom_nodes || true # a node may bring files for other Pythons
fi

# ComfyUI's and the nodes' history: hundreds of megabytes that nothing reads.
find /comfyui -name .git -prune -exec rm -rf {} +
