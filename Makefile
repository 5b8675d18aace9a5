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

PACKAGES := libmodbus libcjson libcurl sqlite3 libmicrohttpd libsodium yaml-0.1
# Answered only once the packages are there: the first `make deps` runs without them.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES) 2>/dev/null) -lpaho-mqtt3as

CPPFLAGS += -D_GNU_SOURCE -Icollector -I.
CFLAGS   += -std=c17 $(OPT) $(WARN) $(HARDEN) -pthread
LDFLAGS  += -pie -Wl,-z,relro,-z,now -pthread $(if $(SAN),-fsanitize=$(SAN))
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
BENCH_SOURCES := $(wildcard tests/bench/*.c)

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all
all: build

include $(wildcard *.mk)

.PHONY: build
build: deps-build ## build the programs and the web application
	$(Q)$(MAKE) --no-print-directory compile

.PHONY: compile
compile: $(BINARIES) web

.PHONY: web
WEB_FILES := $(wildcard dashboards/web/*)
web: $(WEB_FILES:dashboards/web/%=$(BUILD)/web/%.gz)

$(BUILD)/web/%.gz: dashboards/web/%
	@mkdir -p $(@D)
	$(Q)cp $< $(BUILD)/web/$* && gzip -9 -n -c $< > $@

$(OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $<")
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(ARCHIVE): $(SOURCES:%.c=$(OBJ)/%.o)
	$(if $(Q),@echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define program_rule
$(BIN)/$1: $(OBJ)/$(basename $(MAIN_$1)).o $(ARCHIVE)
	@mkdir -p $$(@D)
	$$(if $$(Q),@echo "  LINK  $$@")
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$^ $$(PKG_LIBS) $$(LDLIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$p)))

$(OBJ)/tests/unit/%: $(OBJ)/tests/unit/%.o $(UNIT_SUPPORT) $(ARCHIVE)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS) $(LDLIBS)
.PRECIOUS: $(OBJ)/%.o

.PHONY: unit-bins
unit-bins: $(UNIT_BINS)

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
