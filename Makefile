# Dead Streaming, from a clean clone: `make run` starts it, `make test` tests it. `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TOOLS := .build/tools
UI_SOURCES := $(shell find ui/src ui/public ui/index.html ui/vite.config.ts ui/svelte.config.js -type f 2>/dev/null)
# The desktop app is built where it can be shown.
HAS_DISPLAY := $(if $(DISPLAY)$(WAYLAND_DISPLAY),yes,)
RUN_PACKAGES := build $(if $(HAS_DISPLAY),app,)
SERVERS := -p directory -p relay -p broadcaster
TAURI_DRIVER_VERSION := 2.1.0
NEXTEST_VERSION := 0.9.143

.PHONY: help run demo build app package check test e2e format bench bench-quick chaos api-test compose-test clean

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

## Running

run: build ## Directory on port 5000, two relays, and the desktop app where there is a display
	@scripts/run

demo: build ## The same, and a live stream of a moving test picture
	@scripts/run --demo

build: ui/dist/index.html ## The pages and the binaries (and the desktop app where there is a display)
	@$(call packages,$(RUN_PACKAGES))
	cargo build --release $(SERVERS) $(if $(HAS_DISPLAY),-p dead-streaming,)

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	npm --prefix ui ci --no-audit --no-fund
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	npm --prefix ui run build
	@touch $@

package: ui/dist/index.html ## The desktop app as a .deb, under target/release/bundle/deb
	@$(call packages,build app)
	cd src-tauri && npx --yes @tauri-apps/cli@2.12.5 build --bundles deb --ci

## Testing

check: ui/dist/index.html $(TOOLS)/nextest ## The quick part: formats, lints, unit and black-box tests, attacks, fuzzing, generated files
	@$(call packages,build app test)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo nextest run --workspace --locked
	@git diff --exit-code --stat -- ui/src/protocol/generated && [ -z "$$(git status --porcelain -- ui/src/protocol/generated)" ] \
	  || { echo "The generated TypeScript was stale and has been written anew: commit ui/src/protocol/generated."; exit 1; }
	npm --prefix ui run check
	npm --prefix ui test
	npm --prefix e2e run check
	scripts/fuzz 5
	scripts/check_image

test: check e2e ## Everything: the quick part, then browsers and the desktop app end to end

e2e: ui/dist/index.html e2e/node_modules/.package-lock.json $(TOOLS)/bin/tauri-driver
	@$(call packages,build app test)
	cargo build --workspace --locked
	BIN=target/debug scripts/api_test 30
	npm --prefix e2e test

e2e/node_modules/.package-lock.json: e2e/package.json e2e/package-lock.json
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm --prefix e2e ci --no-audit --no-fund
	@touch $@

check: e2e/node_modules/.package-lock.json

$(TOOLS)/nextest:
	@mkdir -p $(TOOLS)
	cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --version $(NEXTEST_VERSION) --locked
	@touch $@

$(TOOLS)/bin/tauri-driver:
	cargo install tauri-driver --version $(TAURI_DRIVER_VERSION) --locked --root $(TOOLS)

compose-test: ## Brings compose.yml up with a Docker engine of its own and streams through it
	scripts/compose_test

bench: ui/dist/index.html e2e/node_modules/.package-lock.json $(TOOLS)/bin/tauri-driver ## Measures, and writes docs/performance.md
	@$(call packages,build app test)
	cargo build --release --workspace --locked
	npm --prefix e2e run bench

bench-quick: ui/dist/index.html e2e/node_modules/.package-lock.json ## Measures fan-out against the floor in less than 3 minutes, and prints a table
	@$(call packages,build)
	cargo build --release -p directory -p relay -p bench --locked
	@npm --silent --prefix e2e run bench -- --quick --table --to $(CURDIR)/.build/bench-quick fan_out

chaos: ui/dist/index.html e2e/node_modules/.package-lock.json ## Kills, drains and cuts off servers under live streams, and writes docs/resilience.md
	@$(call packages,build app test)
	cargo build --release $(SERVERS) -p chaos --locked
	target/release/chaos

api-test: build ## Drives every call of /openapi.json with schemathesis
	scripts/api_test

format: ## Formats everything
	cargo fmt --all
	npm --prefix ui run format
	npm --prefix e2e run format

clean: ## Removes what was built
	rm -rf target .build ui/dist ui/node_modules e2e/node_modules

# Installs system packages, unless SKIP_SYSTEM_PACKAGES says that they are there.
packages = [ -n "$${SKIP_SYSTEM_PACKAGES:-}" ] || scripts/system_packages $(1)
