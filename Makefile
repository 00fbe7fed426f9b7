# Needs nothing but python3 (3.11 or newer, with venv) and make; everything else comes from the lock.
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/bin/uv
COMPILE := $(UV) pip compile --universal --python-version 3.11 --group test --group lint --group build \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --quiet

.PHONY: run setup test lint lock rendered verify catalogue bench clean

run: setup
	$(BIN)/engine run txt2img -p prompt="a lighthouse at dusk, oil painting" -p seed=7

setup: $(VENV)/.complete

$(UV):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.complete: requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The lock again, after a change of pyproject.toml.
lock: | $(UV)
	$(COMPILE) --output-file requirements.lock pyproject.toml

# Every test that touches ComfyUI, against a real one: make verify COMFY_URL=… or COMFY_HOME=…, with
# COMFY_PYTHON and COMFY_ARGS=--cpu where it needs them. Leaves the outcome in docs/verified.md.
verify: setup
	@test -n "$(COMFY_URL)$(COMFY_HOME)" || { echo "say which: make verify COMFY_URL=… or COMFY_HOME=…"; exit 2; }
	COMFY_URL="$(COMFY_URL)" COMFY_HOME="$(COMFY_HOME)" COMFY_PYTHON="$(COMFY_PYTHON)" COMFY_ARGS="$(COMFY_ARGS)" \
		$(BIN)/python -m pytest --verified docs/verified.md
