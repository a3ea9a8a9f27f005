SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(PATH)

UV := $(or $(shell command -v uv),.uv/bin/uv)
READY := .venv/.ready

# The demo's world as a mirror, and the pipeline on it with the world's web beside it.
define WORLD
	python workflow/scripts/make_demo.py --output .mirror
	python workflow/scripts/make_demo_clips.py --encoder demo-clip --output .mirror
endef
# Raw files come from that web, the shards of the corpus from the folder.
PIPELINE := MMSREC_MIRROR=http://127.0.0.1:8765,.mirror python workflow/scripts/serve_demo.py --mirror .mirror -- snakemake --cores all

.PHONY: help setup demo truth test lint format lock plan schema
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install the packages of requirements.lock and this project into .venv

demo: $(READY) ## make a small world, run the whole pipeline on it and show its main table
	$(WORLD)
	$(PIPELINE) demo
	dvc commit --quiet --force --with-deps report@demo
	snakemake --cores 1 --quiet all --touch --forceall demo
	@printf '\n%s\n\n' '$(CURDIR)/results/reports/demo/report.html'
	@cat results/reports/demo/retrieval.md results/reports/demo/comparison.md

truth: $(READY) ## run the demo's models over three seeds and test that they show what its world holds
	$(WORLD)
	$(PIPELINE) demo-truth
	pytest tests/truth
	@cat results/reports/demo-truth/retrieval.md results/reports/demo-truth/comparison.md

test: $(READY) ## run the tests
	pytest -n auto

lint: $(READY) ## check style, prose, names, layers, the rules and the generated files
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow/rules
	snakemake --lint
	pytest -q tests/house
	diff <(python workflow/scripts/plan.py) workflow/plan.yaml || { echo 'Run: make plan' >&2; exit 1; }
	diff <(python workflow/scripts/schema.py) params.schema.json || { echo 'Run: make schema' >&2; exit 1; }

format: $(READY) ## rewrite the code in the common style
	ruff check --fix
	ruff format
	snakefmt Snakefile workflow/rules

plan: $(READY) ## rewrite workflow/plan.yaml, the rows of dvc.yaml
	python workflow/scripts/plan.py --output workflow/plan.yaml

schema: $(READY) ## rewrite params.schema.json from mmsrec/settings/
	python workflow/scripts/schema.py --output params.schema.json

lock: $(UV) ## rewrite requirements.lock from pyproject.toml
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--group dev --output-file requirements.lock pyproject.toml

$(READY): requirements.lock | $(UV)
	test -x .venv/bin/python || $(UV) venv --python '>=3.11' .venv
	VIRTUAL_ENV=.venv $(UV) pip sync --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(UV) pip install --no-deps --no-build-isolation --editable .
	touch $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
