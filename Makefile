# Needs nothing but python3 (3.11 or newer, with venv) and make; everything else comes from the lock.
PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
UV := .tools/bin/uv
MODULES := node_modules/.complete
VIEWER := LICENSE NOTICE swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css
VENDORED := engine/server/viewer/vendored
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --quiet
# What goes into the image, and what it is built with: parts of the lock, since every hash is to be checked there too.
ENGINE_LOCK := docker/engine.lock
TOOLS_LOCK := docker/tools.lock

.PHONY: run serve setup test lint viewer lock generated rendered bench authoring outage verify image-test reliability soak levels screenshots

run: setup
	$(BIN)/engine run txt2img -p prompt="a lighthouse at dusk, oil painting" -p seed=7
	@echo "now try: make serve, then open http://127.0.0.1:8000"

serve: setup
	$(BIN)/engine serve

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
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: setup $(MODULES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/node node_modules/eslint/bin/eslint.js engine/server
	$(BIN)/node node_modules/typescript/bin/tsc
	@for file in $(VIEWER); do cmp node_modules/swagger-ui-dist/$$file $(VENDORED)/$$file || exit 1; done

# What the JavaScript of the local server's pages is checked with; only `make lint` needs it.
$(MODULES): package.json package-lock.json .npmrc | $(VENV)/.complete
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm ci --loglevel=error
	@touch $@

# The viewer of the API's reference, as package.json says.
viewer: $(MODULES)
	cd node_modules/swagger-ui-dist && cp $(VIEWER) $(abspath $(VENDORED))

# The locks again, after a change of pyproject.toml. (That of JavaScript: .venv/bin/npm install, after one of package.json.)
lock: | $(UV)
	$(COMPILE) --extra gcs --extra mcp --extra ui --group test --group lint --group bench --group build --group image --output-file $(LOCK) pyproject.toml
	$(COMPILE) --extra gcs --extra mcp --group build --constraints $(LOCK) --output-file $(ENGINE_LOCK) pyproject.toml
	$(COMPILE) --group image --constraints $(LOCK) --output-file $(TOOLS_LOCK)

# What is made from the code: the editors' schema, the tables of errors, of settings, of checks and of a map's keys; and
# from the workflows: the pages about the library, with the pictures of their graphs.
generated: setup
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/library.py

# The rendered graph of every example, where review sees what changed.
rendered: setup
	$(BIN)/engine check --save --folder .

# The pictures in the documentation of the playground, taken anew by the tests, on the simulator.
screenshots: setup
	$(BIN)/python -m pytest --screenshots=docs/pictures tests/test_playground_pictures.py

# Every measurement, into docs/performance.md: make bench [COMFY_URL=… or COMFY_HOME=…, with COMFY_PYTHON and COMFY_ARGS],
# on the simulator without; BENCH_REPORT=… keeps the numbers in another folder. It says how long it takes, and fails in
# the end where a bound is not kept.
BENCH_REPORT ?= benchmarks/results
bench: setup
	COMFY_URL="$(COMFY_URL)" COMFY_HOME="$(COMFY_HOME)" COMFY_PYTHON="$(COMFY_PYTHON)" COMFY_ARGS="$(COMFY_ARGS)" \
		$(BIN)/python benchmarks/all.py --report "$(BENCH_REPORT)"

# What `engine add` makes of ComfyUI's official workflows, some hundred of them: minutes the first time.
authoring: setup
	$(BIN)/python benchmarks/authoring.py convert
	$(BIN)/python benchmarks/authoring.py draft
	$(BIN)/python benchmarks/authoring.py score

# Fifty jobs whose bucket is away for a minute: what their callers see, and what is in the bucket afterwards.
outage: setup
	$(BIN)/python benchmarks/outage.py

# Every test that touches ComfyUI, against a real one: make verify COMFY_URL=… or COMFY_HOME=…, with
# COMFY_PYTHON and COMFY_ARGS=--cpu where it needs them. Leaves the outcome in docs/verified.md. (With the `=`:
# pytest would take a bare path that exists for a place of tests, and not see the option.)
verify: setup
	@test -n "$(COMFY_URL)$(COMFY_HOME)" || { echo "say which: make verify COMFY_URL=… or COMFY_HOME=…"; exit 2; }
	COMFY_URL="$(COMFY_URL)" COMFY_HOME="$(COMFY_HOME)" COMFY_PYTHON="$(COMFY_PYTHON)" COMFY_ARGS="$(COMFY_ARGS)" \
		$(BIN)/python -m pytest --verified=docs/verified.md
	$(BIN)/python docs/library.py

# How far each workflow of the library gets on a real ComfyUI, into docs/levels.json and the page about the library. It
# is a part of `make verify`.
levels: setup
	@test -n "$(COMFY_HOME)" || { echo "say which: make levels COMFY_HOME=…"; exit 2; }
	COMFY_HOME="$(COMFY_HOME)" COMFY_PYTHON="$(COMFY_PYTHON)" COMFY_ARGS="$(COMFY_ARGS)" \
		$(BIN)/python -m pytest --levels=docs/levels.json tests/test_library.py
	$(BIN)/python docs/library.py

# Both images, really built and run, on a machine with buildah and debootstrap, as root; COMFY_HOME names a ComfyUI
# whose source goes in. Minutes, and some gigabytes while it runs. Leaves the outcome in docs/verified.md.
image-test: setup
	COMFY_HOME="$(COMFY_HOME)" $(BIN)/python -m pytest --image-verified=docs/verified.md tests/image

# The fault suite, on the simulator and, with COMFY_HOME, on a real ComfyUI. Leaves the outcome in docs/reliability.md.
reliability: setup
	COMFY_HOME="$(COMFY_HOME)" COMFY_PYTHON="$(COMFY_PYTHON)" COMFY_ARGS="$(COMFY_ARGS)" \
		$(BIN)/python -m pytest --reliability=docs/reliability.md tests/test_faults.py tests/test_faults_real.py

# Hundreds of jobs through the RunPod SDK, with random faults and cancels: make soak [SEED=…] [JOBS=…].
SEED ?= 1
JOBS ?= 500
soak: setup
	$(BIN)/python benchmarks/soak.py --seed $(SEED) --jobs $(JOBS)
