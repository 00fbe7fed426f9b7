# docker buildx bake            the worker for GPUs, with its models
# docker buildx bake volume     without: they are on a network volume
# docker buildx bake cpu        for a machine without a GPU
# docker buildx bake overlay    the engine on RunPod's own ComfyUI image
#
# IMAGE=registry.example/me/worker TAG=1.4.0 docker buildx bake --push
# docs/image.md tells of every argument; WORKFLOWS=resize,txt2img in the environment sets one.

variable "IMAGE" {
  default = "worker"
}

variable "TAG" {
  default = "latest"
}

variable "WORKFLOWS" {
  default = "txt2img,img2img,resize"
}

variable "SNAPSHOT" {
  default = ""
}

variable "COMFYUI_VERSION" {
  default = "0.8.0"
}

variable "WORKER_COMFYUI_VERSION" {
  default = "5.8.5"
}

group "default" {
  targets = ["gpu"]
}

# RunPod's machines are of this platform, and a Mac is not.
target "common" {
  context = "."
  dockerfile = "Dockerfile"
  target = "final"
  platforms = ["linux/amd64"]
  args = {
    WORKFLOWS = "${WORKFLOWS}"
    SNAPSHOT = "${SNAPSHOT}"
    COMFYUI_VERSION = "${COMFYUI_VERSION}"
  }
}

target "gpu" {
  inherits = ["common"]
  args = {
    MODELS = "baked"
  }
  secret = ["id=hf_token,env=HF_TOKEN", "id=civitai_token,env=CIVITAI_TOKEN"]
  tags = ["${IMAGE}:${TAG}"]
}

target "volume" {
  inherits = ["common"]
  args = {
    MODELS = "volume"
  }
  tags = ["${IMAGE}:${TAG}-volume"]
}

target "cpu" {
  inherits = ["common"]
  args = {
    MODELS = "volume"
    BASE_IMAGE = "ubuntu:24.04"
    TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
  }
  tags = ["${IMAGE}:${TAG}-cpu"]
}

target "overlay" {
  context = "."
  dockerfile = "Dockerfile.overlay"
  target = "final"
  platforms = ["linux/amd64"]
  args = {
    WORKFLOWS = "${WORKFLOWS}"
    WORKER_COMFYUI_VERSION = "${WORKER_COMFYUI_VERSION}"
  }
  tags = ["${IMAGE}:${TAG}-overlay"]
}
