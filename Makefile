# One word per thing a person wants. Everything can be repeated; ARGS='…' is handed on to the program.
.PHONY: help setup kungfu test test-slow test-window test-cuda soak install fmt lint bench peers fuzz sanitize ci
.DEFAULT_GOAL := help
CARGO ?= cargo

help:
	@echo "make kungfu     set up, build, and train DQN on Kung Fu Master   (ARGS='--frames 40000')"
	@echo "make test       set up and run every test but the slow ones      (ARGS='-- name')"
	@echo "make test-slow  the slow tests: learning runs and long parity    (ARGS='name')"
	@echo "make test-window  the real windows, on a display of their own (Xvfb)"
	@echo "make test-cuda  trains agents on an NVIDIA GPU; needs the CUDA toolkit"
	@echo "make soak       watches the memory of long runs: 35 minutes      (ARGS='--only kungfu --minutes 60')"
	@echo "make install    put rl-run on the PATH (cargo's bin directory)"
	@echo "make peers      ours against PyTorch, EnvPool and others, in turns   (ARGS='--only nature,envs --quick')"
	@echo "make fuzz       every parser under hostile input                 (SECONDS=300 ARGS='preset run')"
	@echo "make sanitize   AddressSanitizer, loom and helgrind              (ARGS='address loom helgrind')"
	@echo "make fmt | lint | bench | ci"

setup:
	@scripts/setup

kungfu: setup
	$(CARGO) run --release --locked -p rl-runner --bin rl-run -- --env kungfu --agent dqn $(ARGS)

test:
	@scripts/setup test
	python3 -B benches/peers/test_table.py
	$(CARGO) test --workspace --locked --no-fail-fast $(ARGS)

# Xvfb is the display, and the tests start it.
test-window:
	@scripts/setup window
	$(CARGO) test --workspace --locked --no-fail-fast --test window -- --ignored $(ARGS)

# Only tests marked ignored. Targets are named because --ignored would also run doc examples that are not meant to run.
test-slow:
	@scripts/setup test
	@scripts/setup window
	$(CARGO) test --workspace --locked --no-fail-fast --release --lib --bins --tests -- --ignored $(ARGS)

# Needs the CUDA toolkit and an NVIDIA GPU.
test-cuda:
	@scripts/setup test
	$(CARGO) test --locked --no-fail-fast --release -p rl-runner --features cuda --test cuda -- --ignored $(ARGS)

# Memory, descriptors and threads of a million steps of CartPole and of half an hour of Atari.
soak: setup
	$(CARGO) build --release --locked -p rl-runner --bin rl-run
	python3 -B scripts/soak.py --program "$${CARGO_TARGET_DIR:-target}/release/rl-run" $(ARGS)

install: setup
	$(CARGO) install --locked --path runner

fmt:
	$(CARGO) fmt --all

lint:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench: setup
	$(CARGO) bench --locked -p rl-benches $(ARGS)

# Writes benches/RESULTS.md; needs some 7 GB for the peers' Python environment and an otherwise idle machine.
peers: setup
	$(CARGO) build --release --locked -p rl-runner --bin rl-run
	python3 -B benches/peers --rl-run "$${CARGO_TARGET_DIR:-target}/release/rl-run" $(ARGS)

# See CONTRIBUTING.md.
SECONDS ?= 60
fuzz: setup
	scripts/fuzz $(SECONDS) $(ARGS)

sanitize: setup
	scripts/sanitize $(ARGS)

ci:
	.ci/run
