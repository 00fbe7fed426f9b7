# The worker's image: ComfyUI, the engine, and the workflows that were chosen. docs/image.md tells of every argument.
#
#     docker build --platform=linux/amd64 --tag worker .
#
# No stage that builds is kept: the last one takes from the others what runs.

# The workflows that go in, separated by commas; all of them where it is empty, whose models are hundreds of gigabytes.
ARG WORKFLOWS="txt2img,img2img,resize"
# baked: the models that those require are put into the image. volume: they are on a network volume.
ARG MODELS=baked
# The name of a snapshot of snapshots/, with the custom nodes; none where it is empty.
ARG SNAPSHOT=""
ARG COMFYUI_VERSION=0.8.0
ARG COMFYUI_URL=https://github.com/comfyanonymous/ComfyUI
ARG CUDA=12.8.1
ARG BASE_IMAGE=nvidia/cuda:${CUDA}-runtime-ubuntu24.04
# PyTorch brings libraries of CUDA of its own: let the index be that of the same CUDA, or of an earlier one.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu128
# What is installed from there; a version can be given. Nothing where it is empty.
ARG TORCH="torch torchvision torchaudio"
# The package of the distribution that brings Python.
ARG PYTHON=python3.12
# More packages of the distribution, which custom nodes need: ffmpeg.
ARG APT_PACKAGES=""


# What everything runs on, and nothing that builds.
FROM ${BASE_IMAGE} AS system
ARG PYTHON
ARG APT_PACKAGES
# No versions: distributions keep only the last one of each, so that a pinned one could not be installed for long.
# libgl1 and libglib2.0-0 are for OpenCV, which many custom nodes bring. ComfyUI's own nodes need no ffmpeg: PyAV has it.
# The link gives the library one path on every kind of machine. The build fails where it leads nowhere, since a missing
# LD_PRELOAD would only be a warning, at every start of every process.
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates libgl1 libglib2.0-0 libtcmalloc-minimal4 tini ${PYTHON} ${APT_PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && find /usr/lib -name libtcmalloc_minimal.so.4 -exec ln -s {} /usr/local/lib/libtcmalloc.so ';' \
    && test -e /usr/local/lib/libtcmalloc.so


FROM system AS base
ARG PYTHON
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends git "${PYTHON}-venv" \
    && rm -rf /var/lib/apt/lists/*

# comfy-cli and uv. They stay here: the image needs neither.
COPY docker/tools.lock /build/
RUN "/usr/bin/${PYTHON}" -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --require-hashes --requirement /build/tools.lock
# Compiled here and not at every start of a container, where what Python compiles is lost again.
ENV PATH=/opt/tools/bin:${PATH} \
    DO_NOT_TRACK=1 \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1

# PyTorch before ComfyUI: it is by far the largest, and another version of ComfyUI does not change it.
ARG TORCH_INDEX
ARG TORCH
# hadolint ignore=SC2086
RUN "/usr/bin/${PYTHON}" -m venv /opt/venv \
    && if [ -n "${TORCH}" ]; then uv pip install --python /opt/venv --index-url "${TORCH_INDEX}" ${TORCH}; fi

ARG COMFYUI_URL
ARG COMFYUI_VERSION
COPY docker/install-comfyui.sh /build/
RUN /build/install-comfyui.sh

# The engine's packages, in an environment of their own: they and those of custom nodes can't break each other.
COPY docker/engine.lock /build/
RUN uv venv --python "/usr/bin/${PYTHON}" /opt/engine \
    && uv pip install --python /opt/engine --require-hashes --requirement /build/engine.lock


FROM base AS nodes
ARG SNAPSHOT
COPY docker/restore-nodes.sh docker/clone-packs.py /build/
COPY snapshots/ /build/snapshots/
RUN /build/restore-nodes.sh "${SNAPSHOT}"


# What ComfyUI runs in: without git and all else that builds, so that a pack which needs it fails in the next stage.
FROM system AS runtime
COPY --from=nodes /opt/venv /opt/venv
COPY --from=nodes /comfyui /comfyui


# By the engine, whose changes must not install the nodes again. ComfyUI is started, and what that leaves stays here.
FROM runtime AS verified-nodes
ARG SNAPSHOT
COPY --from=base /opt/engine /opt/engine
COPY snapshots/ /build/snapshots/
COPY docker/verify-nodes.sh /build/
COPY engine/ /build/engine/
RUN /build/verify-nodes.sh "${SNAPSHOT}" /build/chosen


FROM base AS workflows
WORKDIR /app
COPY handler.py pyproject.toml README.md ./
COPY engine/ engine/
COPY snapshots/node-catalogue.json.gz snapshots/
COPY --from=verified-nodes /build/chosen/ snapshots/
RUN uv pip install --python /opt/engine --no-deps --no-build-isolation --editable . \
    && /opt/engine/bin/python -m compileall -q engine \
    && rm pyproject.toml README.md
ARG SNAPSHOT
ARG WORKFLOWS
COPY schemas/ /build/schemas/
COPY templates/ /build/templates/
# Those that are chosen are copied by the engine, which refuses what it does not know or what does not load. (The argument
# is a variable here, and the engine has a setting of that name.)
RUN chosen="${WORKFLOWS}" && unset WORKFLOWS \
    && /opt/engine/bin/engine bundle /app/workflows "${chosen}" --folder /build \
    && /opt/engine/bin/engine check --folder /app/workflows


FROM workflows AS models
ARG MODELS
ARG WORKFLOWS
COPY docker/fetch-models.sh /build/
# The tokens are files of this step alone, and in no layer.
RUN --mount=type=secret,id=hf_token --mount=type=secret,id=civitai_token \
    /build/fetch-models.sh "${MODELS}" /app/workflows /models


FROM runtime AS final-baked
WORKDIR /app
COPY --from=models /models /comfyui/models
COPY --from=workflows /opt/engine /opt/engine
COPY --from=workflows /app /app
RUN ln -s /opt/engine/bin/engine /usr/local/bin/engine

# All of them can be set to something else when a container is started. ComfyUI adds its own choice to PyTorch's.
ENV LD_PRELOAD=/usr/local/lib/libtcmalloc.so \
    MALLOC_ARENA_MAX=2 \
    PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True \
    PYTHONUNBUFFERED=1

# tini hands on the signals, and buries the processes that nobody waits for; -s: also where it is not the first of them.
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/opt/engine/bin/python", "-u", "/app/handler.py"]
CMD []


FROM final-baked AS final-volume
ENV VOLUME_REQUIRED=true


# A stage above, and no image that could have a tag.
# hadolint ignore=DL3006
FROM final-${MODELS} AS final
