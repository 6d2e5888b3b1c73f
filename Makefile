# minicloud: build, run, check. `make help` lists what a person calls.
#
# Every variant of the build (compiler, sanitizer) has a folder of its own under
# build/, so that switching between them rebuilds nothing.

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
SAN ?=
VARIANT := $(notdir $(firstword $(CC)))$(if $(SAN),-$(SAN))
B := build/$(VARIANT)
VERSION := 0.1.0
# `make V=1` shows the commands.
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wcast-qual \
        -Wwrite-strings -Wvla -Wformat=2 -Werror
OPT := -O2 -g -fno-omit-frame-pointer
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ifneq ($(SAN),)
OPT := -O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all
HARDEN := -fPIE
LDFLAGS += -fsanitize=$(SAN)
endif
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -DMINICLOUD_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(HARDEN) \
             -I. -include api/base/banned.h -pthread -MMD -MP $(CFLAGS)
LDFLAGS_ALL = -pie -pthread -Wl,-z,relro,-z,now $(LDFLAGS)

pc = $(shell pkg-config --$(1) $(2) 2>/dev/null)
API_LIBS := -lmicrohttpd -lcurl -lcjson -lgnutls -lm
CONTROLLER_LIBS := -lsqlite3 $(API_LIBS)
AGENT_CFLAGS := $(call pc,cflags,libxml-2.0)
AGENT_LIBS := -lvirt -lvirt-qemu -lxml2 -larchive -lnftables $(API_LIBS)
CLI_LIBS := -lsmartcols $(API_LIBS)

src = $(sort $(shell find $(1) -name '*.c'))
obj = $(patsubst %.c,$(B)/%.o,$(1))
API_OBJ := $(call obj,$(call src,api))
CONTROLLER_OBJ := $(call obj,$(filter-out controller/main.c,$(call src,controller))) \
                  $(B)/controller/system/openapi.o
AGENT_OBJ := $(call obj,$(filter-out node-agent/main.c node-agent/hook_main.c,$(call src,node-agent)))
CLI_OBJ := $(call obj,$(filter-out cli/main.c,$(call src,cli)))
TESTLIB_OBJ := $(call obj,$(call src,tests/lib))

PROGRAMS := $(B)/cloud-controller $(B)/cloud-node-agent $(B)/cloud-node-hook $(B)/cloudctl

.PHONY: all help deps clean
## make              build the three programs, and libvirt's hook, into build/gcc/
all: $(PROGRAMS)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(B)/node-agent/%.o: CFLAGS_ALL += $(AGENT_CFLAGS)
$(B)/tests/unit/test_agent_%.o: CFLAGS_ALL += $(AGENT_CFLAGS)
$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

# The API's description is part of the program.
$(B)/controller/system/openapi.o: controller/system/openapi.S api/openapi.yaml
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

$(B)/libapi.a: $(API_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/libcontroller.a: $(CONTROLLER_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/libagent.a: $(AGENT_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/libcli.a: $(CLI_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/libtest.a: $(TESTLIB_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/cloud-controller: $(B)/controller/main.o $(B)/libcontroller.a $(B)/libapi.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CONTROLLER_LIBS)
$(B)/cloud-node-agent: $(B)/node-agent/main.o $(B)/libagent.a $(B)/libapi.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(AGENT_LIBS)
# libvirtd waits for it: what it does not need is not loaded.
$(B)/cloud-node-hook: $(B)/node-agent/hook_main.o $(B)/libagent.a $(B)/libapi.a
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,--as-needed -o $@ $^ $(AGENT_LIBS)
$(B)/cloudctl: $(B)/cli/main.o $(B)/libcli.a $(B)/libapi.a
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CLI_LIBS)

# A unit test is one file tests/unit/test_<part>_<what>.c; <part> says what it links.
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
$(B)/unit/test_api_%: $(B)/tests/unit/test_api_%.o $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(API_LIBS) -lcmocka
$(B)/unit/test_controller_%: $(B)/tests/unit/test_controller_%.o $(B)/libcontroller.a $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CONTROLLER_LIBS) -lcmocka
$(B)/unit/test_agent_%: $(B)/tests/unit/test_agent_%.o $(B)/libagent.a $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(AGENT_LIBS) -lcmocka
$(B)/unit/test_cli_%: $(B)/tests/unit/test_cli_%.o $(B)/libcli.a $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(CLI_LIBS) -lcmocka

# Integration and end-to-end tests and benches drive the programs from outside; tests/lib
# and libapi are all they link (benches also what they measure against).
OUTSIDE := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/integration/test_*.c tests/e2e/test_*.c tests/faults/test_*.c))
define outside_rule
$(B)/$(1)/%: $(B)/tests/$(1)/%.o $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $$(@D)
	$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $(API_LIBS) -lsqlite3 -lcmocka
endef
$(foreach d,integration e2e,$(eval $(call outside_rule,$(d))))

# Fault tests share a library of their own and a shim that they preload into the programs;
# no sanitizer's runtime goes into that one, it must come first in whatever it is loaded into.
FAULTS_OBJ := $(call obj,$(filter-out tests/faults/test_%.c tests/faults/cutshim%.c,$(wildcard tests/faults/*.c)))
$(B)/libfaults.a: $(FAULTS_OBJ)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/cutshim.so: $(wildcard tests/faults/cutshim*.c) tests/faults/cutshim.h tests/faults/trace.h
	@mkdir -p $(@D)
	@echo "  SO $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g $(WARN) -I. -include api/base/banned.h -pthread -fPIC -shared -o $@ $(filter %.c,$^)
$(B)/faults/%: $(B)/tests/faults/%.o $(B)/libfaults.a $(B)/libtest.a $(B)/libapi.a $(B)/cutshim.so
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter-out %.so,$^) $(API_LIBS) -lsqlite3 -lcmocka

BENCH := $(B)/bench/minicloud-bench
$(BENCH): $(call obj,$(call src,tests/bench)) $(B)/libtest.a $(B)/libapi.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(API_LIBS) -lsqlite3 -lvirt -lcmocka -lm

.PHONY: unit tests-build
unit: $(UNIT)
tests-build: $(PROGRAMS) $(UNIT) $(OUTSIDE)

# What a person calls installs what is missing first, then builds: two makes, since what
# pkg-config says is read when make starts.
.PHONY: run stop clean-run check check-long bench lint
## make run          the whole cloud on this machine, with a first instance (HYPERVISOR=system:
##                   on the system's libvirt; see README.md)
run: deps
	@+$(MAKE) -s --no-print-directory -j$(shell nproc) all
	@packaging/local/minicloud up
## make stop         stop it; the data stays
stop:
	@packaging/local/minicloud down
## make clean-run    stop it and remove its data
clean-run:
	@packaging/local/minicloud clean
## make check        lint and all tests that fit into 25 minutes
check: deps
	@+tests/check
## make check-long   what takes longer: every kill, every power cut
check-long: deps
	@+tests/check long
## make bench        speed beside its limits; ONLY=name for one
bench: deps
	@+$(MAKE) -s --no-print-directory -j$(shell nproc) all $(BENCH)
	@$(BENCH)
## make lint         the rules of the house
lint:
	@tests/lint/lint
## make deps         install what packaging/apt-deps.txt names and is missing
deps:
	@packaging/apt-install

## make clean        remove build/
.SECONDARY:
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
