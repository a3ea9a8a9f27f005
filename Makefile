SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(PATH)

UV := $(or $(shell command -v uv),.uv/bin/uv)
READY := .venv/.ready
ORACLE_READY := .oracle/.ready
REMOTES_READY := .remotes/.ready

BUILDER = $(firstword $(foreach tool,buildah podman docker,$(shell command -v $(tool))))
BASE = debian:bookworm-slim

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

# One job more than cores, because crawls mostly wait.
DEMO_JOBS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# The demo's world as a mirror, then the pipeline on it with the world's web beside it. Raw files come from that web, the
# shards of the corpus from the folder. All stages start in forks of one process that has imported their packages.
define DEMO
	MMSREC_MIRROR=http://127.0.0.1:8765,.mirror python workflow/scripts/warm_stages.py -- bash -euc ' \
		python workflow/scripts/make_demo.py --output .mirror; \
		python workflow/scripts/make_demo_clips.py --encoder demo-clip --output .mirror; \
		python workflow/scripts/serve_demo.py --mirror .mirror -- snakemake --profile profiles/demo --cores $(DEMO_JOBS) $(1)'
endef

.PHONY: help setup cluster demo truth test test-slurm test-remotes oracle s3 image lint format lock plan schema
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install the packages of requirements.lock and this project into .venv

cluster: $(READY) ## install Snakemake's plugin for Slurm, too, which profiles/slurm needs
	VIRTUAL_ENV=.venv $(UV) pip install --require-hashes --requirement profiles/slurm/requirements.lock

demo: $(READY) ## make a small world, run the whole pipeline on it and show its main table
	$(call DEMO,demo)
	@printf '\n%s\n\n' '$(CURDIR)/results/reports/demo/report.html'
	@cat results/reports/demo/retrieval.md results/reports/demo/comparison.md results/reports/demo/rare.md
	@printf '\n%s\n' 'Look at demo-both: pictures and texts together recommend better than either alone, and far better than pop.'
	@printf '%s\n' 'Items that training has at most 5 times, or never: features find them more often than item ids do.'

truth: $(READY) ## run the demo's models with three seeds and test that they find the structure of the demo world
	$(call DEMO,demo-truth)
	pytest tests/truth
	@cat results/reports/demo-truth/retrieval.md results/reports/demo-truth/comparison.md results/reports/demo-truth/rare.md

test: $(READY) ## run the tests
	pytest -n auto

test-slurm: $(READY) ## run the demo on a Slurm cluster of this machine; it installs nothing, and says what is missing
	MMSREC_SLURM=1 OMP_NUM_THREADS=1 pytest -s tests/slurm

oracle: $(READY) $(ORACLE_READY) ## compare the models with RecBole, which is installed into .oracle
	MMSREC_ORACLE=1 OMP_NUM_THREADS=1 pytest tests/oracle

test-remotes: $(READY) $(REMOTES_READY) ## push and pull through DVC's remotes, with a server of S3, installed into .remotes
	MMSREC_REMOTES=1 pytest tests/remotes

s3: $(READY) ## add DVC's S3 support to .venv
	VIRTUAL_ENV=.venv $(UV) pip install --constraint tests/remotes/requirements.lock --no-build-isolation --editable '.[s3]'

image: ## build the container image mmsrec from the image BASE
	$(or $(BUILDER),$(error Install buildah, podman or docker)) build --file Containerfile --build-arg BASE=$(BASE) --tag mmsrec .

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

schema: $(READY) ## rewrite params.schema.json from mmsrec/settings
	python workflow/scripts/schema.py --output params.schema.json

lock: $(UV) ## rewrite requirements.lock from pyproject.toml, and the other locks from their lists
	$(COMPILE) --group dev --output-file requirements.lock pyproject.toml
	$(COMPILE) --group cluster --constraints requirements.lock --output-file profiles/slurm/requirements.lock
	$(COMPILE) --output-file tests/oracle/requirements.lock tests/oracle/requirements.in
	$(COMPILE) --output-file tests/remotes/requirements.lock tests/remotes/requirements.in

$(READY): requirements.lock | $(UV)
	test -x .venv/bin/python || $(UV) venv --python '>=3.11' .venv
	VIRTUAL_ENV=.venv $(UV) pip sync --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(UV) pip install --no-deps --no-build-isolation --editable .
	touch $@

$(REMOTES_READY): tests/remotes/requirements.lock | $(UV)
	test -x .remotes/bin/python || $(UV) venv --python 3.11 .remotes
	VIRTUAL_ENV=.remotes $(UV) pip sync --require-hashes tests/remotes/requirements.lock
	touch $@

$(ORACLE_READY): tests/oracle/requirements.lock | $(UV)
	test -x .oracle/bin/python || $(UV) venv --python 3.11 .oracle
	VIRTUAL_ENV=.oracle $(UV) pip sync --require-hashes tests/oracle/requirements.lock
	touch $@

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv
