# jmld. `make run` builds and starts the demo; nothing has to be installed but Go.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.3.0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
DATE    := $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.date=$(DATE)

# What is passed to the demo: make run ARGS='--listen 127.0.0.1:9090 --data /tmp/demo'
ARGS ?=
# Which measurement: make bench NAME=scim (scim, ldap, ldap-group, ldap-memory or jml; without a name all but ldap-memory)
NAME ?=
# How long each fuzz target runs under `make fuzz`.
FUZZTIME ?= 20s

# How many runs `make soak` has on each kind of server, on which (openldap, 389ds, active_directory/samba or active_directory/windows; without: on
# all of them), and what its chances come from; 0: any.
RUNS ?= 500
SERVER ?=
SEED ?= 0

# make test RACE=1 adds the race detector, which needs a C compiler. SQLite, which is C turned into Go and most of the work of many tests, is left out
# of it: what reaches it goes through the locks of database/sql, which are seen.
RACE ?=
RACEFLAGS := -race -timeout 40m $(foreach m,sqlite libc memory mathutil,-gcflags=modernc.org/$(m)/...=-race=false)
# Many tests wait for servers, so more of them run side by side than there are cores.
TESTFLAGS := -parallel 4 $(if $(RACE),$(RACEFLAGS),-timeout 20m)

.PHONY: help run build test lint bench fuzz faults soak matrix kill clean

help: ## these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build and start the demo
	@exec bin/jmld serve --demo $(ARGS)

build: ## bin/jmld
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/jmld ./cmd/jmld

test: ## all tests that this machine can run; the others say which package to install
	$(if $(RACE),CGO_ENABLED=1 )go test $(TESTFLAGS) ./...

lint: ## gofmt, go vet, staticcheck, known vulnerabilities
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then \
		go run $(GOVULNCHECK) ./...; \
	else \
		echo "vuln.go.dev cannot be reached from here: known vulnerabilities were not looked up"; \
	fi

bench: ## measure, beside the floor; writes bench/latest.json
	go run ./internal/bench $(NAME)

fuzz: ## every fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list ./...); do \
		for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$name"; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

faults: ## a part of soak and matrix, without the race detector, which plays less of them
	CGO_ENABLED=0 go test -run 'FaultMatrix|Soak' -parallel 4 -timeout 20m ./ldapsync/

soak: ## RUNS reads of each kind of directory with random faults between real changes; SEED=… plays one again, SERVER=… one kind
	CGO_ENABLED=0 go test -run 'Soak/$(SERVER)' -v -timeout 0 ./ldapsync/ -soak.runs=$(RUNS) -soak.seed=$(SEED)

matrix: ## each fault at each search of a run, in each mode, on each kind of server
	CGO_ENABLED=0 go test -run FaultMatrix -timeout 0 ./ldapsync/ -matrix.all

kill: ## daemons and readers killed 55 times, and engines that die at each write
	go test -run 'Killed' -timeout 0 ./cmd/jmld/ -kill.rounds=55
	go test -run 'ACrash' -timeout 0 ./jml/engine/ -crash.all

clean: ## remove what build made
	rm -rf bin
