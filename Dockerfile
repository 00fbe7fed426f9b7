# The worker's image. What is not the engine (CUDA, PyTorch, ComfyUI, its Manager) comes from RunPod's own:
# ComfyUI lies in /comfyui there, its Python in /opt/venv, and uv is installed.
# https://github.com/runpod-workers/worker-comfyui/releases
ARG WORKER_COMFYUI_VERSION=5.8.5
FROM runpod/worker-comfyui:${WORKER_COMFYUI_VERSION}-base

WORKDIR /app

# The engine has its own environment: its packages and those of custom nodes can't break each other.
# Dependencies come before the code, so that a change of the code does not install them again.
COPY pyproject.toml requirements.lock ./
RUN uv venv --python /usr/bin/python3.12 /opt/engine \
    && uv pip install --no-cache --python /opt/engine/bin/python \
        --constraints requirements.lock --requirements pyproject.toml --extra gcs

COPY README.md handler.py ./
COPY engine/ engine/
RUN uv pip install --no-cache --python /opt/engine/bin/python \
        --no-deps --build-constraints requirements.lock --editable .

COPY snapshots/ snapshots/
COPY schemas/ schemas/
COPY templates/ templates/

# The Manager would ask the network for its lists at every cold start.
RUN comfy-manager-set-mode offline

ENV COMFY_HOME=/comfyui \
    COMFY_PYTHON=/opt/venv/bin/python \
    WORKFLOWS_PATH=/app \
    PYTHONUNBUFFERED=1

# Instead of the base image's /start.sh, which would start a ComfyUI of its own beside the engine's.
CMD ["/opt/engine/bin/python", "-u", "handler.py"]
