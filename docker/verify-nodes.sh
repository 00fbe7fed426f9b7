#!/bin/sh
# Proves that the packs of a snapshot are imported and give what its lock says, and keeps the snapshot's files for the
# image: verify-nodes.sh NAME INTO. A step of the image's build.
set -eu

asked=$1 into=$2
mkdir -p "$into"
if [ -z "$asked" ]; then
    exit 0
fi
name=${asked%.json}
name=${name%_snapshot}
for suffix in .json _snapshot.json .lock.json .nodes.json.gz; do
    if [ -f "/build/snapshots/$name$suffix" ]; then
        cp "/build/snapshots/$name$suffix" "$into"
    fi
done
if ! /opt/venv/bin/python -c 'import torch' 2>/dev/null; then
    echo "SNAPSHOT=$asked: not verified, since PyTorch is not installed and ComfyUI can't start without it"
    exit 0
fi
if ! PYTHONPATH=/build /opt/engine/bin/python -m engine.cli snapshot verify "$name" \
    --folder /build/snapshots --home /comfyui --python /opt/venv/bin/python; then
    {
        echo
        echo "SNAPSHOT=$asked: what was built is not what the snapshot says; the reasons are above. Where a pack can't be"
        echo "imported, a package of the distribution may be missing (APT_PACKAGES), or another version of ComfyUI is"
        echo "meant (COMFYUI_VERSION)."
    } >&2
    exit 1
fi
