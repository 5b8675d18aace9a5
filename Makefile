# Chengmai: one Makefile, out-of-tree objects, quiet unless V=1.
#   MODE=release|debug   SAN=address,undefined|thread   BUILD=folder   CC=gcc|clang

MODE  ?= release
SAN   ?=
BUILD ?= build
V     ?= 0

comma := ,
# Each kind of build has objects of its own, so that none is ever linked into another.
OBJ   := $(BUILD)/obj/$(MODE)$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(filter clang%,$(notdir $(CC))),-clang)
# Programs lie in build/bin; a sanitizer's in a folder of their own beside it.
BIN   := $(BUILD)/bin$(if $(SAN),-$(subst $(comma),-,$(SAN)))
Q     := $(if $(filter 1,$(V)),,@)

WARN := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
        -Wcast-qual -Wcast-align -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wswitch-enum \
        -Wimplicit-fallthrough -Wdouble-promotion -Wfloat-equal -Wnull-dereference
WARN_GCC   := -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init
WARN_CLANG := -Wcomma -Wunreachable-code -Wthread-safety
WARN += $(if $(filter clang%,$(notdir $(CC))),$(WARN_CLANG),$(WARN_GCC))

HARDEN   := -fstack-protector-strong -fstack-clash-protection -fPIE
OPT_release := -O2 -g -D_FORTIFY_SOURCE=3
OPT_debug   := -Og -g3
OPT      := $(if $(SAN),-O1 -g -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all,$(OPT_$(MODE)))

PACKAGES := libmodbus libcjson libcurl sqlite3 libmicrohttpd libsodium yaml-0.1 libzstd
# Answered only once the packages are there: the first `make deps` runs without them.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpaho-mqtt3as

CPPFLAGS += -D_GNU_SOURCE -Icollector -I.
# CFLAGS and LDFLAGS stay the user's; ours stand before them.
ALL_CFLAGS  = -std=c17 $(OPT) $(WARN) $(HARDEN) -pthread $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LDLIBS   += -lm

LAYERS   := base model alarm notify compliance store net service edge central ctl
SOURCES  := $(filter-out %/main.c,$(wildcard $(LAYERS:%=collector/%/*.c) drivers/*/*.c))
ARCHIVE  := $(OBJ)/libchengmai.a
PROGRAMS := chengmai-edge chengmai-central chengmai chengmai-sim
MAIN_chengmai-edge    := collector/edge/main.c
MAIN_chengmai-central := collector/central/main.c
MAIN_chengmai         := collector/ctl/main.c
MAIN_chengmai-sim     := drivers/simulator/main.c
BINARIES := $(foreach p,$(PROGRAMS),$(if $(wildcard $(MAIN_$p)),$(BIN)/$p))

UNIT_SOURCES := $(wildcard tests/unit/*/test_*.c)
UNIT_BINS    := $(UNIT_SOURCES:tests/%.c=$(OBJ)/tests/%)
UNIT_SUPPORT := $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/unit/support/*.c))
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_REPLAY  := $(FUZZ_SOURCES:tests/%.c=$(OBJ)/tests/%)
BENCH_SOURCES := $(wildcard tests/bench/*.c)
PACKAGES_SH  := config/demo/packages.sh
MAKE_QUIET   := $(MAKE) --no-print-directory
export BUILD OBJ BIN

.DELETE_ON_ERROR:
.SUFFIXES:
.PRECIOUS: $(OBJ)/%.o

.PHONY: all
all: build

# ---- what people type -----------------------------------------------------------------------

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

.PHONY: run
run: deps-run ## build and start a whole county: broker, simulated plants, three edges, centre (RUN_FOR=60s STORE=embedded|influxdb|victoriametrics)
	$(Q)$(MAKE_QUIET) compile
	$(Q)RUN_FOR='$(RUN_FOR)' STORE='$(or $(STORE),embedded)' config/demo/run.sh

.PHONY: test
test: deps-test ## everything, installed and built as needed; last line: N passed, N failed
	$(Q)$(MAKE_QUIET) compile unit-bins world-bin world-bugs fuzz-replay browser-deps foreign-deps
	$(Q)tests/run.sh lint unit fuzz world system browser

.PHONY: check
check: deps-check ## the fast loop: lint, unit tests, fuzz corpus
	$(Q)$(MAKE_QUIET) compile unit-bins fuzz-replay
	$(Q)tests/run.sh lint unit fuzz

.PHONY: deps deps-build deps-run deps-check deps-test
deps: deps-test ## install every Debian package that building, running and testing need
deps-build:
	$(Q)$(PACKAGES_SH) build
deps-run:
	$(Q)$(PACKAGES_SH) build run $(filter influxdb victoriametrics,$(STORE))
deps-check:
	$(Q)$(PACKAGES_SH) build lint unit
deps-test:
	$(Q)$(PACKAGES_SH) build run influxdb victoriametrics lint unit system browser

.PHONY: build
build: deps-build ## build the programs and the web application
	$(Q)$(MAKE_QUIET) compile

.PHONY: lint
lint: deps-check ## layers, headers alone, foreign libraries, banned calls, form
	$(Q)tests/lint/lint.sh

.PHONY: format
format: ## bring the sources into the form of .clang-format
	$(Q)find collector drivers tests -name '*.[ch]' | xargs clang-format -i

.PHONY: test-unit test-world test-system test-browser test-fault
test-unit: deps-check ## unit tests (cmocka)
	$(Q)$(MAKE_QUIET) compile unit-bins
	$(Q)tests/run.sh unit
SEEDS ?= 10000
test-world: deps-check ## the whole system on virtual time with faults: SEEDS=10000 hours; SEED=n one of them (SHRINK=1: made short)
	$(Q)$(MAKE_QUIET) world-bin
	$(Q)$(if $(SEED),$(WORLD) --seed $(SEED) $(if $(SHRINK),--shrink),$(WORLD) --seeds $(SEEDS) --jobs $$(nproc) --reached)
test-system: deps-test ## real processes on free ports (pytest)
	$(Q)$(MAKE_QUIET) compile foreign-deps
	$(Q)tests/run.sh system
test-browser: deps-test ## the pages in headless Chromium
	$(Q)$(MAKE_QUIET) compile browser-deps
	$(Q)tests/run.sh browser
GHOSTS_FOR ?= 1800
test-fault: deps-test ## the long fault runs: KILLS=20 rounds of SIGKILL to every process, GHOSTS_FOR=1800 seconds of late replies
	$(Q)$(MAKE_QUIET) compile
	$(Q)GHOSTS_FOR='$(GHOSTS_FOR)' tests/run.sh fault

.PHONY: asan tsan
asan: deps-test ## unit, system and fault tests under AddressSanitizer and UBSan
	$(Q)$(MAKE_QUIET) SAN=address,undefined compile unit-bins
	$(Q)$(MAKE_QUIET) SAN=address,undefined run-suites SUITES='unit system fault'
tsan: deps-test ## unit, system and fault tests under ThreadSanitizer
	$(Q)$(MAKE_QUIET) SAN=thread compile unit-bins
	$(Q)$(MAKE_QUIET) SAN=thread run-suites SUITES='unit system fault'

.PHONY: run-suites
run-suites:
	$(Q)ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	  TSAN_OPTIONS=halt_on_error=1 tests/run.sh $(SUITES)

.PHONY: fuzz
FUZZ_FOR ?= 60
fuzz: ## libFuzzer with sanitizers on every target, FUZZ_FOR seconds each
	$(Q)$(PACKAGES_SH) build fuzz
	$(Q)$(MAKE_QUIET) CC=clang SAN=address,undefined,fuzzer-no-link fuzzers
	$(Q)for f in $(FUZZ_SOURCES:tests/fuzz/%.c=%); do \
	  mkdir -p $(BUILD)/fuzz/$$f && echo "== $$f" && \
	  $(BUILD)/obj/release-address-undefined-fuzzer-no-link-clang/fuzzers/$$f -max_total_time=$(FUZZ_FOR) -max_len=65536 \
	    -print_final_stats=0 -verbosity=0 $(BUILD)/fuzz/$$f tests/fuzz/corpus/$${f#fuzz_} || exit 1; done

.PHONY: bench
bench: deps-test ## figures with their references in the same call (ONLY=edge|central|… QUICK=1)
	$(Q)$(MAKE_QUIET) compile bench-bins
	$(Q)ONLY='$(ONLY)' QUICK='$(QUICK)' tests/bench/run.sh

.PHONY: coverage
coverage: deps-check ## line and branch coverage of the unit tests
	$(Q)$(PACKAGES_SH) coverage
	$(Q)$(MAKE_QUIET) BUILD=$(BUILD)/coverage MODE=debug CFLAGS=--coverage LDFLAGS=--coverage unit-bins
	$(Q)BUILD=$(BUILD)/coverage OBJ=$(BUILD)/coverage/obj/debug tests/run.sh unit
	$(Q)gcovr -r . $(BUILD)/coverage/obj --exclude tests --branches --txt

.PHONY: soak
SOAK_FOR ?= 1h
soak: deps-test ## the demonstration with random kills for SOAK_FOR, its books checked at the end
	$(Q)$(MAKE_QUIET) compile
	$(Q)KILL_EVERY=5 RUN_FOR='$(SOAK_FOR)' config/demo/run.sh

.PHONY: install
PREFIX ?= /usr
install: compile ## install the programs, pages and examples below DESTDIR
	$(Q)for p in $(PROGRAMS); do install -D -m 755 $(BIN)/$$p $(DESTDIR)$(PREFIX)/bin/$$p || exit 1; done
	$(Q)for f in $(BUILD)/web/*; do install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/chengmai/web/$${f##*/} || exit 1; done
	$(Q)for f in config/*.yaml config/maps/* config/rules/*; do \
	  install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/chengmai/$${f#config/} || exit 1; done

.PHONY: deb
deb: build ## a Debian package in build/deb
	$(Q)$(PACKAGES_SH) deb
	$(Q)config/demo/package-deb.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD) tests/browser/node_modules tests/system/foreign/node_modules

# ---- how it is made -------------------------------------------------------------------------

.PHONY: compile web unit-bins world-bin world-bugs fuzz-replay fuzzers bench-bins browser-deps foreign-deps
compile: $(BINARIES) web

WEB_FILES := $(wildcard dashboards/web/* dashboards/api/*)
web: $(addprefix $(BUILD)/web/,$(addsuffix .gz,$(notdir $(WEB_FILES))))

define web_rule
$(BUILD)/web/$(notdir $1).gz: $1
	@mkdir -p $$(@D)
	$$(Q)cp $$< $(BUILD)/web/$(notdir $1) && gzip -9 -n -c $$< > $$@
endef
$(foreach f,$(WEB_FILES),$(eval $(call web_rule,$f)))

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(SOURCES:%.c=$(OBJ)/%.o)
	$(if $(Q),@echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Programs tell the commit they were built from; its object stands before the archive's own, so that
# a commit links the programs anew and nothing else.
RELEASE := 0.1
VERSION := $(RELEASE)+$(or $(patsubst v%,%,$(shell git describe --tags --always 2>/dev/null)),unknown)
.PHONY: version
$(OBJ)/version: version
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
$(OBJ)/collector/base/version.o: CPPFLAGS += -DCHENGMAI_VERSION='"$(RELEASE)"'
$(OBJ)/version.o: collector/base/version.c $(OBJ)/version
	$(Q)$(CC) $(CPPFLAGS) -DCHENGMAI_VERSION='"$(VERSION)"' $(ALL_CFLAGS) -c -o $@ $<

define program_rule
$(BIN)/$1: $(OBJ)/$(basename $(MAIN_$1)).o $(OBJ)/version.o $(ARCHIVE)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$p)))

unit-bins: $(UNIT_BINS)
$(OBJ)/tests/unit/%: $(OBJ)/tests/unit/%.o $(UNIT_SUPPORT) $(ARCHIVE)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS) $(LDLIBS)

# The simulated world: what it puts in the place of the machine stands before the archive.
WORLD_SOURCES := $(wildcard tests/world/*.c)
WORLD_OBJECTS := $(WORLD_SOURCES:%.c=$(OBJ)/%.o) $(OBJ)/tests/unit/support/sim_disk.o
WORLD         := $(OBJ)/tests/world/world
WORLD_WRAPS   := -Wl,--wrap=clock_real,--wrap=password_hash,--wrap=abort
world-bin: $(WORLD)
$(WORLD): $(WORLD_OBJECTS) $(ARCHIVE)
	$(Q)$(CC) $(ALL_LDFLAGS) $(WORLD_WRAPS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

# Each planted bug is a patch of one source, which stands before the archive's own.
WORLD_BUGS := $(patsubst tests/world/bugs/%.patch,$(OBJ)/tests/world/bug-%,$(wildcard tests/world/bugs/*.patch))
world-bugs: $(WORLD_BUGS)
$(OBJ)/tests/world/bug-%: tests/world/bugs/%.patch $(WORLD_OBJECTS) $(ARCHIVE)
	$(Q)patch -s -o $@.c "$$(sed -n 's,^--- a/,,p' $<)" $<
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(ALL_CFLAGS) -c -o $@.o $@.c
	$(Q)$(CC) $(ALL_LDFLAGS) $(WORLD_WRAPS) -o $@ $@.o $(WORLD_OBJECTS) $(ARCHIVE) $(PKG_LIBS) $(LDLIBS)

# The corpus is replayed through the same targets without a fuzzer: replay.c is their main.
fuzz-replay: $(FUZZ_REPLAY)
$(OBJ)/tests/fuzz/fuzz_%: $(OBJ)/tests/fuzz/fuzz_%.o $(OBJ)/tests/fuzz/replay.o $(ARCHIVE)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

fuzzers: $(FUZZ_SOURCES:tests/fuzz/%.c=$(OBJ)/fuzzers/%)
$(OBJ)/fuzzers/%: $(OBJ)/tests/fuzz/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(Q)$(CC) -pthread -pie -fsanitize=address,undefined,fuzzer -o $@ $^ $(PKG_LIBS) $(LDLIBS)

bench-bins: $(BENCH_SOURCES:tests/bench/%.c=$(BUILD)/bench/%)
$(BUILD)/bench/%: $(OBJ)/tests/bench/%.o $(ARCHIVE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcjson $(LDLIBS)

# npm may fail on a busy network: three tries, then say so.
browser-deps: $(BUILD)/browser-deps.stamp
foreign-deps: $(BUILD)/foreign-deps.stamp
$(BUILD)/browser-deps.stamp: NODE_FOLDER := tests/browser
$(BUILD)/foreign-deps.stamp: NODE_FOLDER := tests/system/foreign
$(BUILD)/browser-deps.stamp: tests/browser/package-lock.json
$(BUILD)/foreign-deps.stamp: tests/system/foreign/package-lock.json
$(BUILD)/browser-deps.stamp $(BUILD)/foreign-deps.stamp:
	@mkdir -p $(@D)
	$(Q)cd $(NODE_FOLDER) && for n in 1 2 3; do npm ci --silent && exit 0; done; \
	  echo "npm ci failed three times in $(NODE_FOLDER): is the network up?" >&2; exit 1
	$(Q)touch $@

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
