#!/bin/sh
# Installs ComfyUI of COMFYUI_VERSION into /comfyui, and what it needs into /opt/venv. A step of the image's build.
set -eu

# comfy-cli clones, and checks the version out. It would install PyTorch from an index that it chooses, and the rest
# with pip: both are done here, from the index that the build was given. "--cpu" then chooses nothing any more; without
# it comfy-cli asks. The Manager is left out: started without a person, it does nothing but ask the network for lists.
VIRTUAL_ENV=/opt/venv comfy --skip-prompt --workspace /comfyui install \
    --url "$COMFYUI_URL" --version "$COMFYUI_VERSION" \
    --skip-manager --cpu --skip-torch-or-directml --skip-requirement
test -f /comfyui/main.py

# PyTorch is there already, or is not wanted, also where another package asks for it.
without=$(mktemp)
if [ -z "$TORCH" ]; then
    printf '%s\n' torch torchvision torchaudio >"$without"
fi
uv pip install --python /opt/venv --excludes "$without" --requirement /comfyui/requirements.txt
rm "$without"
/opt/venv/bin/python -m compileall -q /comfyui
