# What a developer of lbtest types. `make help` lists it; CI calls the same targets.
#
# Nothing has to be installed but Go, make and a POSIX shell: tools are modules of a pinned version, fetched and run
# in place. The race detector needs a C compiler as well; without one the tests run without it, unless
# LBTEST_REQUIRE_RACE=1 makes that a failure.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What goes to every `go test` besides, such as TESTFLAGS=-v or TESTFLAGS='-run Stall'.
TESTFLAGS ?=

# What goes to the matrix of `make smoke` and `make regression` besides, such as MATRIXFLAGS='--report json=found.json', or --write-baseline.
MATRIXFLAGS ?=

# Go stamps a version from the repository, which fails where git refuses to answer (no git, no repository, or one that
# belongs to somebody else).
VCS := $(shell git status --porcelain >/dev/null 2>&1 && echo true || echo false)
ifeq ($(VCS),false)
export GOFLAGS := $(GOFLAGS) -buildvcs=false
endif

RACE := $(shell test "$$($(GO) env CGO_ENABLED)" = 1 && echo -race)

# The packages whose tests have more to do where LBTEST_LONG is set.
LONG ?= $(shell grep -rl --include='*_test.go' LBTEST_LONG . | xargs -n1 dirname | sort -u)

FUZZTIME ?= 10s
ROUNDS   ?= 9

.NOTPARALLEL: # tests and benchmarks measure time
.PHONY: all build test smoke regression integration nightly docker-sweep fidelity lint fmt fuzz bench clean help

all: build lint test ## build, lint and test (what `make` alone does)

build: ## the program, ./lbtest, static and with its version in it
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS) -o lbtest ./cmd/lbtest

test: ## all tests, with real nats-servers and the race detector: three to five minutes on two cores
ifeq ($(RACE),)
	@test -z "$(LBTEST_REQUIRE_RACE)" || { echo "the race detector is asked for and needs a C compiler" >&2; exit 1; }
	@echo "no C compiler: testing without the race detector" >&2
endif
	$(GO) test $(RACE) -count=1 -timeout 10m $(TESTFLAGS) ./...

smoke: build ## the smoke matrix against what it found before, .ci/smoke.baseline.yaml: about a minute on two cores
	./lbtest matrix --suite smoke --baseline .ci/smoke.baseline.yaml --retries 1 --seed 1 $(MATRIXFLAGS)

regression: build ## every load balancer of the catalogue against what it was found to be, .ci/regression.baseline.yaml: some five minutes
	./lbtest matrix --suite regression --baseline .ci/regression.baseline.yaml --seed 1 $(MATRIXFLAGS)

# Without the race detector: what is judged here is the program as it is used. One package after the other, since each wants
# the processors, and without what make test has run in the same way.
integration: ## the long suites: each verdict of each promise on real NATS, containers, real HAProxy and nginx
	LBTEST_LONG=1 $(GO) test -p 1 -skip '^TestEndToEnd$$' -count=1 -timeout 20m $(TESTFLAGS) $(LONG)

# What integration leaves out because it differs little from something there, and the boundaries of timers in real time.
nightly: ## integration, and every calibration point in every manner and next to its boundary in real time: two hours
	LBTEST_LONG=1 LBTEST_NIGHTLY=1 $(GO) test -p 1 -count=1 -timeout 3h $(TESTFLAGS) $(LONG)

docker-sweep: ## every sweep in both runtimes, whose verdicts must be the same: most of an hour
	LBTEST_LONG=1 LBTEST_SWEEPS=1 LBTEST_REQUIRE_DOCKER=1 $(GO) test -count=1 -timeout 3h -run TestSweepsInContainers -v $(TESTFLAGS) ./cmd/lbtest

fidelity: ## the simulated balancer held against real HAProxy and nginx, as a table of what they agree on, and NATS behind both
	@table=$$(mktemp); trap 'rm -f "$$table"' EXIT; \
	LBTEST_REQUIRE_REAL_LB=1 LBTEST_AGREEMENTS="$$table" $(GO) test -count=1 -run TheSimulationAgrees $(TESTFLAGS) ./proxies/fidelity && cat "$$table"
	LBTEST_REQUIRE_REAL_LB=1 LBTEST_NIGHTLY=1 $(GO) test -count=1 -run TestRealBalancersGetTheSameVerdicts $(TESTFLAGS) ./cmd/internal/suite

lint: ## gofmt, go vet (for macOS, too), staticcheck, and go.mod
	@unformatted="$$(gofmt -l .)"; test -z "$$unformatted" || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	CGO_ENABLED=0 GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) -checks all ./...
	$(GO) mod tidy -diff

fmt: ## format all Go files
	gofmt -w .

fuzz: ## each fuzz test for FUZZTIME (10s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | while read -r file; do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' "$$file"); do \
			echo "$$name $$(dirname "$$file")"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
		done; \
	done

bench: ## lbtest against HAProxy, toxiproxy and nothing, ROUNDS (9) times in turn: six minutes, needs haproxy
	@GO='$(GO)' .ci/bench $(ROUNDS)

clean: ## remove what was built
	rm -f lbtest

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
