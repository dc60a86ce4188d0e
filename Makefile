# SPDX-License-Identifier: GPL-2.0
# kmqtt: the module, the daemon, the tools, and the commands on them.
#   make                 everything for the kernel that KDIR names
#   make module KERNEL=K the module for a kernel of the VM harness
#   make run|stop|ctl|sh the gateway in a VM        (see README.md)
#   make check|soak      the tests                  (see README.md)
#   make bench|bench-compare  what a message costs  (see selftests/perf/README.md)
#   make install|uninstall  on a gateway, as root

VERSION := 0.1.0

# Caches and everything that is made for a VM; may be shared between clones.
CACHE ?= $(CURDIR)/.cache
export CACHE

CC ?= gcc
PKG_CONFIG ?= pkg-config
INSTALL ?= install
DESTDIR ?=
PREFIX ?= /usr
BUILD := build

# ---- kernels ---------------------------------------------------------------
# Without KERNEL: the running kernel's headers, else the newest installed.
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	$(shell ls -d /lib/modules/*/build /usr/src/linux-headers-*-*64 2>/dev/null | sort -rV))
KERNEL ?=

all: module user tools tests

ifeq ($(KERNEL),)
MODULE_DIR = $(CACHE)/build/$(subst /,_,$(patsubst /%,%,$(realpath $(KDIR))))
MODULE_KDIR = $(KDIR)
else
MODULE_DIR = $(CACHE)/build/$(KERNEL)
MODULE_KDIR = $(shell selftests/vm/kernel $(KERNEL))/build
endif

# Where debugging is the purpose, the module holds tests of itself.
DEBUG_FLAGS = $(if $(filter kasan kcsan,$(KERNEL)),KMQTT_DEBUG=y)

# The tree of links that kbuild works in: objects of different kernels never
# meet, and none is left in kmod/.
KSRC = $(sort $(shell find Kbuild kmod -name '*.[ch]' -o -name Kbuild))

module:
	@[ -e "$(MODULE_KDIR)/Makefile" ] || { \
		echo "make: no kernel headers in '$(MODULE_KDIR)': install" \
		     "linux-headers-$$(uname -r), or name a folder by KDIR=" >&2; exit 1; }
	@mkdir -p $(MODULE_DIR)/kmod/compat
	@find $(MODULE_DIR) -xtype l -delete
	@for f in $(KSRC); do \
		[ $(MODULE_DIR)/$$f -ef $$f ] || { \
		mkdir -p $$(dirname $(MODULE_DIR)/$$f); \
		ln -sf $(CURDIR)/$$f $(MODULE_DIR)/$$f; }; \
	done
	+flock $(MODULE_DIR)/.lock $(MAKE) -C $(MODULE_KDIR) M=$(MODULE_DIR) W=1 $(DEBUG_FLAGS) $(MODULE_FLAGS) modules

# ---- userspace -------------------------------------------------------------
CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wvla
CPPFLAGS += -D_GNU_SOURCE -DKMQTT_VERSION='"$(VERSION)"' -Ikmod -Ikmod/uapi
LIBS := libevent libmnl libcjson libssl libcrypto sqlite3
PKG_LIBS = $(shell $(PKG_CONFIG) --libs $(LIBS)) -lpthread -lm
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LIBS))
ifneq ($(shell $(PKG_CONFIG) --exists libsystemd 2>/dev/null && echo y),)
LIBS += libsystemd
CPPFLAGS += -DHAVE_SYSTEMD
endif
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

codec := $(wildcard kmod/frame.c kmod/topic.c)
daemon := $(wildcard user/*.c)
unit := $(patsubst %.c,$(BUILD)/%,$(wildcard selftests/unit/*-test.c))

# Two builds of what the tests link: as shipped, and with sanitizers.
obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
san = $(patsubst %.c,$(BUILD)/san/%.o,$(1))

user: $(if $(daemon),$(BUILD)/mqttd)
tools: $(foreach t,mqttctl mqttbench,$(if $(wildcard tools/$(t)/*.c),$(BUILD)/$(t)))
tests: crash $(BUILD)/selftests/mqttd-test $(BUILD)/selftests/mqttd-acl $(if $(shell $(PKG_CONFIG) --exists cmocka 2>/dev/null && echo y),$(unit))
crash: $(BUILD)/mqttd-crash

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(WARN) -I$(<D) -MMD -MP -c -o $@ $<

$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(PKG_CFLAGS) -O1 -g $(SANITIZE) $(WARN) -I$(<D) -Iuser -MMD -MP -c -o $@ $<

$(BUILD)/mqttd: $(call obj,$(daemon) $(codec))
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# The same one that dies where it is told to.
$(BUILD)/mqttd-crash: $(call obj,$(daemon) $(codec) selftests/crash/crash-points.c)
	$(CC) $(LDFLAGS) -Wl,--wrap=sendto,--wrap=store_db_commit -o $@ $^ $(PKG_LIBS)

# The daemon with what only tests may ask of it; never installed.
mqttd_test := $(patsubst selftests/mqttd/%,user/%,$(wildcard selftests/mqttd/*.c))

$(BUILD)/selftests/mqttd-test: $(call obj,$(filter-out $(mqttd_test),$(daemon)) \
		$(wildcard selftests/mqttd/*.c) $(codec))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# The same one that gives each client the rules of a file.
$(BUILD)/selftests/mqttd-acl: $(call obj,$(daemon) $(codec) selftests/perf/acl-rules.c)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -Wl,--wrap=nl_begin -o $@ $^ $(PKG_LIBS)

$(BUILD)/obj/selftests/%.o: CPPFLAGS += -Iuser

$(BUILD)/libcodec.a: $(call obj,$(codec))
	@rm -f $@
	$(AR) rcs $@ $^

.SECONDEXPANSION:
$(BUILD)/mqttctl $(BUILD)/mqttbench: $(BUILD)/%: \
		$$(call obj,$$(wildcard tools/$$*/*.c)) $(BUILD)/libcodec.a
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/libtest.a: $(call san,$(codec) $(filter-out user/main.c,$(daemon)))
	@rm -f $@
	$(AR) rcs $@ $^

$(unit): $(BUILD)/%: $(BUILD)/san/%.o $(BUILD)/libtest.a
	@mkdir -p $(@D)
	$(CC) $(SANITIZE) -o $@ $^ -lcmocka $(PKG_LIBS)

# What measures a part of the daemon, as it is shipped.
$(BUILD)/selftests/perf/%: $(call obj,selftests/perf/%.c) \
		$(call obj,$(codec) $(filter-out user/main.c,$(daemon)))
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(BUILD)/obj/selftests/perf/%.o: CPPFLAGS += -Iuser

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- the gateway in a VM ---------------------------------------------------
VM := selftests/vm/vm
PORT ?= 1883
CONF ?=
DETACH ?=
ARGS ?=
CMD ?=
VM_KERNEL = $(or $(KERNEL),6.1)

run:
	@selftests/install-packages run
	@$(VM) build --kernel $(VM_KERNEL)
	@$(VM) up --kernel $(VM_KERNEL) --port $(PORT) $(if $(CONF),--conf '$(CONF)') \
		$(if $(filter-out 0,$(DETACH)),--detach)

stop:
	@$(VM) stop

# Through the environment and as it was typed: neither make nor a shell of this
# machine reads it, only the guest's shell does.
ctl: export VM_CMD = mqttctl $(value ARGS)
ctl:
	@$(VM) exec

sh: export VM_CMD = $(value CMD)
sh:
	@$(VM) exec

debug-kernel:
	@selftests/install-packages run
	@selftests/vm/build-debug-kernel $(if $(KERNEL),$(KERNEL),kasan kcsan)

# ---- tests -----------------------------------------------------------------
check:
	@selftests/check $(if $(KERNEL),vm $(KERNEL),all)

soak:
	@selftests/check soak

# ---- benchmark -------------------------------------------------------------
bench:
	@selftests/install-packages run
	@selftests/vm/vm build
	@selftests/perf/bench $(if $(JSON),--json '$(JSON)') \
		$(addprefix --protocol ,$(PROTOCOL)) $(SCENARIOS)

bench-compare:
	@selftests/install-packages run
	@selftests/perf/compare $(or $(BASE),$(error BASE=REVISION is needed)) \
		$(addprefix --protocol ,$(PROTOCOL)) $(SCENARIOS)

# ---- installation on a gateway ---------------------------------------------
DKMS_DIR = $(DESTDIR)/usr/src/kmqtt-$(VERSION)
UNIT_DIR = $(DESTDIR)/lib/systemd/system
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man
COMPLETION_DIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
MAN_PAGES = $(wildcard tools/*/*.[1-8] user/*.[1-8])
COMPLETIONS = $(wildcard tools/*/*.bash-completion)
# Each kernel of this machine that has its headers gets the module.
DKMS_KERNELS = $(patsubst /lib/modules/%/build,%,$(wildcard /lib/modules/*/build))

install: user tools
ifeq ($(DESTDIR),)
	@[ "$$(id -u)" = 0 ] || { echo "make install: needs root: sudo make install" >&2; exit 1; }
	@command -v dkms >/dev/null || { \
		echo "make install: dkms is missing: apt-get install dkms" >&2; exit 1; }
	@[ -n '$(DKMS_KERNELS)' ] || { echo "make install: no kernel headers here:" \
		"apt-get install linux-headers-$$(uname -r)" >&2; exit 1; }
endif
	$(INSTALL) -d $(DKMS_DIR) $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin \
		$(UNIT_DIR) $(DESTDIR)/etc/modules-load.d $(DESTDIR)/etc/mqttd
	for f in $(KSRC); do $(INSTALL) -D -m 644 $$f $(DKMS_DIR)/$$f || exit; done
	sed 's/@VERSION@/$(VERSION)/' install/dkms.conf >$(DKMS_DIR)/dkms.conf
	$(INSTALL) -m 755 $(BUILD)/mqttd $(DESTDIR)$(PREFIX)/sbin/
	$(INSTALL) -m 755 $(BUILD)/mqttctl $(BUILD)/mqttbench $(DESTDIR)$(PREFIX)/bin/
	$(INSTALL) -m 644 install/mqttd.service $(UNIT_DIR)/
	$(INSTALL) -m 644 install/kmqtt.modules-load $(DESTDIR)/etc/modules-load.d/kmqtt.conf
	[ -e $(DESTDIR)/etc/mqttd/mqttd.conf ] || \
		$(INSTALL) -m 644 install/mqttd.conf $(DESTDIR)/etc/mqttd/
	for m in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$m $(MAN_DIR)/man$${m##*.}/$${m##*/} || exit; done
	for c in $(COMPLETIONS); do n=$${c##*/}; \
		$(INSTALL) -D -m 644 $$c $(COMPLETION_DIR)/$${n%.bash-completion} || exit; done
ifeq ($(DESTDIR),)
	getent group mqttd >/dev/null || groupadd --system mqttd
	[ -z "$$(dkms status -m kmqtt -v $(VERSION))" ] || dkms remove -m kmqtt -v $(VERSION) --all
	dkms add -m kmqtt -v $(VERSION)
	for k in $(DKMS_KERNELS); do dkms install -m kmqtt -v $(VERSION) -k $$k || exit; done
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif

# The configuration stays, and so do the group and /var/lib/mqttd.
uninstall:
ifeq ($(DESTDIR),)
	[ ! -d /run/systemd/system ] || systemctl disable --now mqttd
	[ ! -d /sys/module/kmqtt ] || modprobe -r kmqtt
	! command -v dkms >/dev/null || [ -z "$$(dkms status -m kmqtt -v $(VERSION))" ] || \
		dkms remove -m kmqtt -v $(VERSION) --all
endif
	rm -rf $(DKMS_DIR)
	rm -f $(DESTDIR)$(PREFIX)/sbin/mqttd $(UNIT_DIR)/mqttd.service \
		$(DESTDIR)$(PREFIX)/bin/mqttctl $(DESTDIR)$(PREFIX)/bin/mqttbench \
		$(DESTDIR)/etc/modules-load.d/kmqtt.conf \
		$(foreach m,$(MAN_PAGES),$(MAN_DIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m))) \
		$(foreach c,$(COMPLETIONS),$(COMPLETION_DIR)/$(notdir $(basename $(c))))
ifeq ($(DESTDIR),)
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif

clean:
	rm -rf $(BUILD) $(CACHE)/build

.PHONY: all module user tools tests crash run stop ctl sh debug-kernel check soak bench bench-compare install uninstall clean
.DELETE_ON_ERROR:
