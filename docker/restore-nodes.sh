#!/bin/sh
# Installs the node packs of a snapshot into /comfyui/custom_nodes: restore-nodes.sh NAME, one of /build/snapshots.
# Removes what only builds need. A step of the image's build.
set -eu

# comfy-cli calls its module cm_cli, which there is from 4.1 on; the one that ComfyUI 0.8.0 names, 4.0.4, has none.
manager=comfyui-manager==4.3

asked=$1
if [ -n "$asked" ]; then
    for file in "/build/snapshots/$asked" "/build/snapshots/$asked.json" "/build/snapshots/${asked}_snapshot.json"; do
        if [ -f "$file" ]; then
            break
        fi
    done
    if [ ! -f "$file" ]; then
        echo "SNAPSHOT=$asked: there is no such file in snapshots/, which has:" >&2
        ls /build/snapshots >&2
        exit 1
    fi

    # What is of git, at its commits; then what is of the registry; then what all of them need.
    rest=/build/registry.json
    failed="SNAPSHOT=$asked: not every pack can be restored; the reasons are above"
    if ! /opt/tools/bin/python /build/clone-packs.py "$file" /comfyui/custom_nodes "$rest"; then
        echo "$failed" >&2
        exit 1
    fi
    export VIRTUAL_ENV=/opt/venv PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
    before=$(mktemp)
    uv pip freeze --python /opt/venv >"$before"
    uv pip install --python /opt/venv "$manager"
    if [ -f "$rest" ]; then
        # It disables the packs that are not in what it is given: they wait elsewhere.
        mkdir /build/aside
        find /comfyui/custom_nodes -mindepth 1 -maxdepth 1 -type d -exec mv {} /build/aside/ ';'
        comfy --skip-prompt --workspace /comfyui node restore-snapshot "$rest"
        # Its status says nothing.
        if ! /opt/tools/bin/python /build/clone-packs.py "$rest" /comfyui/custom_nodes; then
            echo "$failed" >&2
            exit 1
        fi
        # With + its status counts: two packs may want one folder. What was compiled is compiled again below.
        rm -rf /build/aside/__pycache__
        find /build/aside -mindepth 1 -maxdepth 1 -exec mv --target-directory=/comfyui/custom_nodes {} +
    fi
    comfy --skip-prompt --workspace /comfyui node restore-dependencies
    uv pip uninstall --python /opt/venv comfyui-manager
    rm -rf /comfyui/user
    echo "the packages that came with the snapshot:"
    uv pip freeze --python /opt/venv | grep --invert-match --line-regexp --fixed-strings --file="$before" || true
    /opt/venv/bin/python -m compileall -q /comfyui/custom_nodes || true # a node may bring files for other Pythons
fi

# ComfyUI's and the nodes' history: hundreds of megabytes that nothing reads.
find /comfyui -name .git -prune -exec rm -rf {} +
