# Everything here needs Go and git only: Postgres is found on the machine or downloaded.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec

VERSION_FLAGS := -X main.gitSHA=$(shell git rev-parse --short HEAD 2>/dev/null || echo dev) \
                 -X main.buildTime=$(shell date -u +%Y-%m-%dT%H:%M:%SZ)
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
PACKAGES ?= ./...
# Most packages wait for Postgres, processes and time more than they compute: one more than the cores.
TEST_PACKAGES_AT_ONCE ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
# Tests make and drop a database each, which is cheaper in memory; where that is short, on the disk.
TEST_DATA ?= $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -1)" -ge 8000000 ] 2>/dev/null && echo /dev/shm)
BENCH ?= .
ROUNDS ?= 3
# Nothing here needs C; without it the binary is static, and tests and build share their objects.
export CGO_ENABLED := 0

.PHONY: scalar columns ratios growth image arm64 judge evidence build dev demo test chaos scale bench pine lint check format fmt

build: ## bin/millrace
	go build -ldflags '$(VERSION_FLAGS)' -o bin/millrace ./cmd/millrace

dev: build ## everything in one process, data in .millrace
	bin/millrace dev

demo: build ## dev, the sample, and a tune of 20,000 trials; DEMO_EXIT=1 exits at the end
	bin/millrace demo

test: build ## all tests, beside a throwaway Postgres; as root on Debian it installs what they run beside it, and what the tests of the clients need
	-@.ci/packages
	-@.ci/python
	-@.ci/typescript
	TMPDIR="$(or $(TEST_DATA),$${TMPDIR:-/tmp})" bin/millrace postgres -- env TMPDIR="$${TMPDIR:-/tmp}" $(GOTESTSUM) --format pkgname $(AGAIN) --packages="$(PACKAGES)" -- -p $(TEST_PACKAGES_AT_ONCE) -timeout 25m $(TEST_FLAGS)

chaos: build ## kill, stop and cut everything while it works, fill its disk and skew its clocks, for a quarter of an hour, and print what held; then a worker's memory under hostile files, and who gets at what. As root; MILLRACE_DRILLS=50 holds more drills, MILLRACE_DELIVERIES=100000 sends so many messages to webhooks
	go test -tags chaos -count=1 -v -timeout 40m ./cmd/millrace/chaos
	bin/millrace postgres -- go test -tags chaos -count=1 -v -timeout 40m -run UnderFaults ./jobs/worker/webhook
	bin/millrace postgres -- go test -count=1 -v -run AWorkerStaysSmall ./cmd/millrace
	bin/millrace postgres -- go test -count=1 -v -run 'IsClosed|RowLevelSecurityAlone' ./api ./migrations

scale: ## tunes of 1,000,000 trials, of a strategy and of a script: time, bytes, memory, pages, cancel
	go test -tags scale -count=1 -v -timeout 60m -run TestAMillionTrials ./cmd/millrace

fleet: ## what idle workers cost Postgres, held to a model at 50 and extended to 1,000, and tunes of 10,000 workspaces; four minutes
	go test -tags scale -count=1 -v -timeout 60m -run TestAThousandWorkers ./cmd/millrace

growth: build ## five years of a team's work with the clock of the database moved: the rows of every table that grows, and their bounds
	MILLRACE_GROWTH_STEP=$${MILLRACE_GROWTH_STEP:-30} bin/millrace postgres -- go test -count=1 -v -timeout 20m -run NoTableGrows ./store/upkeep

bench: build ## speed and memory, in rounds, with medians and spread; BENCH='Noop|Stream' picks some, PACKAGES=./cmd/millrace where, ROUNDS=3 how often
	for round in $$(seq $(ROUNDS)); do bin/millrace postgres -- go test -run '^$$' -bench "$(BENCH)" -benchmem $(PACKAGES) || exit 1; done | tee /dev/stderr | .ci/medians

columns: build ## the trials of a tune of 1,000,000 into tables of pandas and polars, and each form's seconds and bytes; MILLRACE_TRIALS of them, in the environment of .ci/python
	@.ci/python
	MILLRACE_BIN=$(CURDIR)/bin/millrace api/python/.venv/bin/python api/python/bench_columns.py

ratios: build ## a short `millrace bench`, whose ratios must not be below those of a file; the database in memory where there is enough of it
	TMPDIR="$(or $(TEST_DATA),$${TMPDIR:-/tmp})" bin/millrace bench --rounds 3 --bars 5000 --trials 2000 --submissions 240 --jobs 2000 --against cmd/millrace/testdata/ratios.json

pine: ## trades and indicator values beside the platform's: MILLRACE_PINE_CASES, _SECOND and _VALUES name folders of its lists
	go test -count=1 -v -run 'Platform' ./jobs/pine ./jobs/pine/ta

judge: build ## how well the knowledge base answers the committed judged questions, and what it misses
	bin/millrace postgres -- go test -count=1 -v -run 'TestJudgedSet' ./store/vector

evidence: ## how often verdicts are wrong on noise, and how often they find planted edges: MILLRACE_EVIDENCE_SEEDS a row, from MILLRACE_EVIDENCE_FIRST on
	MILLRACE_EVIDENCE_SEEDS=$${MILLRACE_EVIDENCE_SEEDS:-1000} go test -count=1 -v -timeout 60m -run 'CalledRobust|PlantedEdges' ./jobs/sweep

scalar: build ## what computes in vectors, and the golden results, as on a processor that has none
	export GODEBUG=cpu.avx=off,cpu.avx2=off,cpu.fma=off,cpu.avx512f=off,cpu.avx512bw=off,cpu.avx512dq=off,cpu.avx512vl=off && \
	go test -count=1 ./jobs/backtest/... ./jobs/sweep/... ./jobs/golden ./jobs/knowledge/bert && \
	bin/millrace postgres -- go test -count=1 -run 'Search|Set|Bound' ./store/vector

image: ## the image of the Dockerfile, built by buildah without a daemon or a registry, and run once
	.ci/image

arm64: build ## a hundred results made here and reproduced by a program for arm64, which qemu-user runs
	MILLRACE_ARM64=1 MILLRACE_REQUIRE=1 bin/millrace postgres -- go test -count=1 -v -timeout 30m -run AHundredResults ./cmd/millrace

manifest: build ## what a migrated database has, for `migrate up` to verify: run it after a new migration
	MILLRACE_WRITE_MANIFEST=1 bin/millrace postgres -- go test -count=1 ./migrations -run TestTheManifest

lint: ## import rules and static checks
	$(GOLANGCI) run

fmt:
	gofmt -w $$(git ls-files '*.go')

check: format ## what has to hold before a commit
	go vet ./...

format: ## names what gofmt would change
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); exit 1; }
