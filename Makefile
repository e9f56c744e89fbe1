# Two commands: make demo, make test. Everything they need is set up inside the clone, once.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
NOTEBOOKS = $(wildcard notebooks/*.ipynb tutorials/*.ipynb tutorials/exercises/solutions/*.ipynb)
MASTERS = $(wildcard notebooks/src/*.md tutorials/src/*.md tutorials/exercises/src/*.md)
PYTHON := .venv/bin/python
export GOEXPERIMENT ?= simd

.PHONY: help setup demo lab build check test pocket notebooks reports trust golden bench bench-cells bench-peers gpu-check setup-cuda clean clean-kernels

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

setup: ## everything for notebooks, in .venv and bin
	@scripts/setup.sh lab

demo: ## set up, run notebooks/quickstart.ipynb, write out/quickstart.html
	@scripts/demo.sh

lab: ## open JupyterLab with the kernel ready (LAB_FLAGS=--no-browser for a remote machine)
	@scripts/setup.sh lab
	@scripts/lab.sh $(LAB_FLAGS)

build: ## bin/clt; needs only Go
	@scripts/build.sh

check: ## the one-minute part of the tests
	@scripts/check.sh

test: ## every test
	@scripts/test.sh

pocket: build ## train the pocket model and its transcoders again, from their seeds
	@scripts/pocket.sh

notebooks: ## make notebooks of their masters, execute all and save their outputs
	@scripts/setup.sh demo
	@bin/clt nb make $(MASTERS)
	@$(PYTHON) scripts/notebook.py run --in-place $(NOTEBOOKS)

reports: ## a self-contained page for each notebook, in out
	@scripts/setup.sh demo
	@$(PYTHON) scripts/notebook.py report $(NOTEBOOKS)

trust: ## mark all notebooks as trusted, so that JupyterLab shows the interactive pictures
	@source scripts/env.sh && "$$venv/bin/jupyter-trust" $(NOTEBOOKS)

golden: ## parity with the reference outputs, when they lie beside the clone
	@scripts/golden.sh

bench-cells: ## how long cells of notebooks take, against their budgets (CELLS_FLAGS; on a quiet machine)
	@scripts/setup.sh demo
	@scripts/build.sh
	@$(PYTHON) scripts/cell_times.py $(CELLS_FLAGS)

bench: build ## time everything
	@bin/clt bench

bench-peers: ## time clt beside transformers, transformer-lens, tiktoken, tokenizers, PyTorch (installs them into out, 2 GB; PEERS_FLAGS, TEXT)
	@scripts/bench-peers.sh $(PEERS_FLAGS)

gpu-check: build ## forward, training and attribution on the accelerator against its roofline, into out/gpu-check.json (GPU_CHECK_FLAGS)
	@scripts/gpu-check.sh $(GPU_CHECK_FLAGS)

setup-cuda: ## the CUDA plugin and its libraries (several GB)
	@scripts/setup.sh lab cuda

clean: ## what was built; the downloads stay (rm -rf .venv for those)
	rm -rf bin out

clean-kernels: ## what killed kernels left in the temporary folder, when older than a day
	find "$${TMPDIR:-/tmp}" -maxdepth 1 -user "$$(id -u)" -name 'gonb_*' -mtime +1 -exec rm -rf {} +
