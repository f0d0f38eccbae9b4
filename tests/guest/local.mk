# SPDX-License-Identifier: GPL-2.0-or-later
# Guests that the tests run. The bare-metal one is freestanding code for another machine, so it has its own
# compiler flags (no PIE, no stack protector, no SSE) and its own rules instead of automake's.
guest_bare_dir = $(top_srcdir)/tests/guest/bare
guest_bare_headers = tests/guest/bare/guest.h tests/guest/bare/guest_abi.h tests/guest/record_proto.h hvcore/machine/hv_machine.h
guest_bare_sources = \
	tests/guest/bare/guest_beat.c \
	tests/guest/bare/guest_blk.c \
	tests/guest/bare/guest_boot.c \
	tests/guest/bare/guest_clock.c \
	tests/guest/bare/guest_dirty.c \
	tests/guest/bare/guest_irq.c \
	tests/guest/bare/guest_lib.c \
	tests/guest/bare/guest_main.c \
	tests/guest/bare/guest_net.c \
	tests/guest/bare/guest_record.c \
	tests/guest/bare/guest_step.c \
	tests/guest/bare/guest_store.c \
	tests/guest/bare/guest_tcp.c \
	tests/guest/bare/guest_time.c \
	tests/guest/bare/guest_virtio.c \
	tests/guest/bare/guest_writer.c
guest_bare_objects = tests/guest/bare/guest_entry.o tests/guest/bare/record_proto.o $(guest_bare_sources:.c=.o)
guest_cflags = -m64 -std=gnu11 -O2 -g0 -ffreestanding -fno-builtin -fno-pic -fno-pie -mno-red-zone \
	-mgeneral-regs-only -mcmodel=small -fno-stack-protector -fcf-protection=none -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-stack-clash-protection -ffile-prefix-map=$(top_srcdir)=. \
	-Wall -Wextra -Werror -Wshadow -Wundef -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith
guest_cppflags = -I$(top_srcdir) -I$(top_srcdir)/tests/guest -I$(guest_bare_dir)
guest_link_flags = -m64 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	-Wl,--no-warn-rwx-segments

$(guest_bare_sources:.c=.o): tests/guest/bare/%.o: tests/guest/bare/%.c $(guest_bare_headers)
	$(AM_V_CC)$(MKDIR_P) tests/guest/bare && $(CC) $(guest_cflags) $(guest_cppflags) -c -o $@ $<

tests/guest/bare/guest_entry.o: tests/guest/bare/guest_entry.S tests/guest/bare/guest_abi.h
	$(AM_V_CC)$(MKDIR_P) tests/guest/bare && $(CC) -m64 -fno-pic $(guest_cppflags) -c -o $@ $<

tests/guest/bare/record_proto.o: tests/guest/record_proto.c tests/guest/record_proto.h
	$(AM_V_CC)$(MKDIR_P) tests/guest/bare && $(CC) $(guest_cflags) $(guest_cppflags) -c -o $@ $<

tests/guest/bare.elf: $(guest_bare_objects) tests/guest/bare/guest.ld
	$(AM_V_CCLD)$(CC) $(guest_link_flags) -Wl,-T,$(guest_bare_dir)/guest.ld -o $@ $(guest_bare_objects)

noinst_DATA = tests/guest/bare.elf
CLEANFILES += tests/guest/bare.elf $(guest_bare_objects)
EXTRA_DIST += $(guest_bare_sources) tests/guest/bare/guest_entry.S tests/guest/bare/guest.h \
	tests/guest/bare/guest_abi.h tests/guest/bare/guest.ld

# What runs inside the Linux guest: static, so that the initramfs needs no libraries for it.
tests/guest/recordd: tests/guest/linux/recordd.c tests/guest/record_proto.c tests/guest/record_proto.h
	$(AM_V_CCLD)$(MKDIR_P) tests/guest && $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g0 -static -Wall -Wextra -Werror \
		-ffile-prefix-map=$(top_srcdir)=. -I$(top_srcdir)/tests/guest -o $@ \
		$(top_srcdir)/tests/guest/linux/recordd.c $(top_srcdir)/tests/guest/record_proto.c

tests/guest/beatd: tests/guest/linux/beatd.c
	$(AM_V_CCLD)$(MKDIR_P) tests/guest && $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g0 -static -Wall -Wextra -Werror \
		-ffile-prefix-map=$(top_srcdir)=. -o $@ $(top_srcdir)/tests/guest/linux/beatd.c

tests/guest/contend: tests/guest/linux/contend.c
	$(AM_V_CCLD)$(MKDIR_P) tests/guest && $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g0 -static -pthread -Wall -Wextra -Werror \
		-ffile-prefix-map=$(top_srcdir)=. -o $@ $(top_srcdir)/tests/guest/linux/contend.c

tests/guest/traced: tests/guest/linux/traced.c
	$(AM_V_CCLD)$(MKDIR_P) tests/guest && $(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g0 -static -Wall -Wextra -Werror \
		-ffile-prefix-map=$(top_srcdir)=. -o $@ $(top_srcdir)/tests/guest/linux/traced.c

noinst_DATA += tests/guest/recordd tests/guest/beatd tests/guest/contend tests/guest/traced
CLEANFILES += tests/guest/recordd tests/guest/beatd tests/guest/contend tests/guest/traced
EXTRA_DIST += tests/guest/linux/recordd.c tests/guest/linux/beatd.c tests/guest/linux/contend.c tests/guest/linux/traced.c

noinst_PROGRAMS += tests/guest/recordc
tests_guest_recordc_SOURCES = tests/guest/recordc.c tests/guest/record_proto.c tests/guest/record_proto.h

check_PROGRAMS += tests/guest/guestrun
tests_guest_guestrun_SOURCES = tests/guest/guestrun.c
check_PROGRAMS += tests/guest/test_record
tests_guest_test_record_SOURCES = tests/guest/test_record.c tests/guest/record_proto.c
tests_guest_test_record_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_guest_test_record_LDADD = $(CMOCKA_LIBS)
TESTS += tests/guest/test_record tests/guest/check-record tests/guest/check-beatwatch

EXTRA_DIST += tests/guest/README.md tests/guest/check-bare tests/guest/check-record tests/guest/linux/init \
	tests/guest/linux/power-off tests/guest/record_disk.py \
	tests/guest/agentguest.py tests/guest/beatwatch.py tests/guest/check-beatwatch scripts/guest-image
