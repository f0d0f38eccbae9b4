# SPDX-License-Identifier: GPL-2.0-or-later
# The CPU engines by themselves: make check-engine.
#  check_insn   random instructions natively on the host CPU against the interpreter
#  check_works  a small guest on every engine against the same C code natively
#  check_same   the small guest on two engines: the same registers, memory, accesses and dirty pages
#  check_saves  the small guest, its state moved between engines thousands of times
#  check_fuzz   guests and states made of random bytes
EXTRA_PROGRAMS += check_insn check_works check_same check_saves check_fuzz
engine_gen_sources = \
	tests/engine/insn_case.h \
	tests/engine/insn_form.c tests/engine/insn_form.h \
	tests/engine/insn_form_sse.inc tests/engine/insn_form_x87.inc \
	tests/engine/insn_gen.c tests/engine/insn_gen.h
engine_rig_sources = tests/engine/rig.c tests/engine/rig.h tests/engine/rig_abi.h
engine_native_sources = tests/engine/rig_native.c tests/engine/rig_native.h tests/engine/rig_work.c tests/engine/rig_work.h
engine_libs = libhvcore.a libenginekvm.a libenginesoft.a libproto.a libsharedstorage.a libcommon.a $(HVCORE_LIBS) $(HV_SYS_LIBS)

check_insn_SOURCES = $(engine_gen_sources) \
	tests/engine/check_insn.c \
	tests/engine/insn_compare.c tests/engine/insn_compare.h \
	tests/engine/insn_host.c tests/engine/insn_host.h \
	tests/engine/insn_native.c tests/engine/insn_native.h \
	tests/engine/insn_plant.c tests/engine/insn_plant.h \
	tests/engine/insn_soft.c tests/engine/insn_soft.h
check_insn_LDADD = $(engine_libs)
check_works_SOURCES = $(engine_rig_sources) $(engine_native_sources) tests/engine/check_works.c
check_works_LDADD = $(engine_libs)
check_same_SOURCES = $(engine_rig_sources) tests/engine/check_same.c
check_same_LDADD = $(engine_libs)
check_saves_SOURCES = $(engine_rig_sources) $(engine_native_sources) tests/engine/check_saves.c
check_saves_LDADD = $(engine_libs)
check_fuzz_SOURCES = $(engine_gen_sources) $(engine_rig_sources) tests/engine/check_fuzz.c
check_fuzz_LDADD = $(engine_libs)

# The payload is code for another machine: freestanding, with its own flags.
rig_dir = $(top_srcdir)/tests/engine
rig_cflags = -m64 -std=gnu11 -O2 -g0 -ffreestanding -fno-builtin -fno-pic -fno-pie -mno-red-zone -mcmodel=small \
	-fno-stack-protector -fcf-protection=none -fno-strict-aliasing -fno-asynchronous-unwind-tables \
	-fno-tree-vectorize -fno-stack-clash-protection -Wall -Wextra -Werror -Wmissing-prototypes -I$(rig_dir)
rig_parts = $(rig_dir)/rig_payload.c $(rig_dir)/rig_work.c $(rig_dir)/rig_entry.S $(rig_dir)/rig_abi.h \
	$(rig_dir)/rig_work.h $(rig_dir)/rig.ld
tests/engine/rig.elf: $(rig_parts)
	$(AM_V_CCLD)$(MKDIR_P) tests/engine && $(CC) $(rig_cflags) -nostdlib -static -no-pie -Wl,--build-id=none \
		-Wl,-T,$(rig_dir)/rig.ld -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o $@ \
		$(rig_dir)/rig_entry.S $(rig_dir)/rig_payload.c $(rig_dir)/rig_work.c
CLEANFILES += check_insn check_works check_same check_saves check_fuzz tests/engine/rig.elf
EXTRA_DIST += tests/engine/rig_payload.c tests/engine/rig_entry.S tests/engine/rig.ld

# New seeds every time (or CHECK_ENGINE_SEED), printed; and the proof that errors would be seen, and whose they are.
CHECK_ENGINE_COUNT = 10000000
CHECK_ENGINE_SAVES = 2000
CHECK_ENGINE_SECONDS = 60
CHECK_ENGINE_SEED =
CHECK_ENGINE_ONLY =
check-engine: check_insn check_works check_same check_saves check_fuzz tests/engine/rig.elf
	$(top_srcdir)/tests/engine/run_engine . $(CHECK_ENGINE_COUNT) $(CHECK_ENGINE_SAVES) $(CHECK_ENGINE_SECONDS) \
		'$(CHECK_ENGINE_SEED)' $(CHECK_ENGINE_ONLY)
.PHONY: check-engine

# A whole userland; needs root and a Debian mirror.
check-debian: tests/soft/soft_boot tests/guest/recordd tests/guest/beatd
	$(top_srcdir)/tests/engine/check-debian $(builddir)
.PHONY: check-debian
EXTRA_DIST += tests/engine/check-debian tests/engine/run_engine tests/engine/userland.sh
