# One command each; every target sets up what it needs in .venv.
# Another interpreter: make test PYTHON=python3.13, or a path to one.

PROFILE ?= quick
ifneq ($(PROFILE),quick)
ifneq ($(PROFILE),full)
bad_profile = $(error PROFILE is '$(PROFILE)'; say PROFILE=quick or PROFILE=full)
endif
endif

# Modules rather than the scripts in .venv/bin, so that .venv's own Python is used in any case.
py = .venv/bin/python

.PHONY: help run test test-long lab setup refresh lock clean
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1@/p' Makefile | awk -F@ '{ printf "%-17s %s\n", $$1, $$2 }'

run: ## measure everything and build the report (PROFILE=quick, or full)
	$(bad_profile)@.ci/setup run
	@$(py) -m lab_apps run --profile $(PROFILE)

test: ## style, types, import contracts, tests and notebooks
	@.ci/setup dev
	@echo "ruff: style" && $(py) -m ruff check .
	@echo "ruff: format" && $(py) -m ruff format --check .
	@echo "mypy: types" && $(py) -m mypy
	@echo "import-linter: who may import whom" && $(py) -c "from importlinter.cli import lint_imports_command as lint; lint(['--no-logo'])"
	@echo "pytest: tests" && $(py) -m pytest
	@echo "nbval: notebooks" && LAB_PROFILE=quick $(py) -m pytest -p no:cacheprovider \
		--nbval --nbval-current-env --nbval-cell-timeout=120 notebooks

test-long: ## the tests that take minutes
	@.ci/setup dev
	@$(py) -m pytest -m long

# .venv comes first on the PATH so that commands shown in the notebooks work in Lab's terminal.
lab: ## open the notebooks in JupyterLab (OPTIONS=--no-browser, for instance)
	@.ci/setup run
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(py) -m jupyterlab --ServerApp.ip=127.0.0.1 $(OPTIONS) notebooks/index.ipynb

setup: ## make .venv with everything, also what the tests need
	@.ci/setup dev

refresh: ## run the notebooks again and store their outputs
	@.ci/setup run
	@$(py) -m lab_apps run --refresh

# uv keeps the versions already locked; UPGRADE=--upgrade takes the newest instead.
# flit_core builds the package itself. argon2-cffi-bindings 26 has no wheel for Intel Macs.
lock_extra = printf '%s\n' flit_core 'argon2-cffi-bindings<26'
lock_with = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--extra db --extra queue --extra sdk --extra structure --no-header --no-annotate $(UPGRADE) pyproject.toml -
lock: ## resolve requirements.lock and requirements-dev.lock again
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv" >&2; exit 1; }
	@echo "requirements.lock" && $(lock_extra) | $(lock_with) --output-file requirements.lock
	@echo "requirements-dev.lock" && $(lock_extra) | $(lock_with) --extra dev \
		--constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove .venv, report/ and caches; your results in data/runs stay
	rm -rf .venv report .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -prune -exec rm -rf {} +
