# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of soft.
check_PROGRAMS += test_soft_irqchip
TESTS += test_soft_irqchip
test_soft_irqchip_SOURCES = tests/unit/test_soft_irqchip.c
test_soft_irqchip_LDADD = libenginesoft.a $(CMOCKA_LIBS)
# in a bare machine
soft_machine_sources = tests/unit/softkit.c tests/unit/softkit.h
soft_machine_libs = libhvcore.a libenginesoft.a libproto.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HVCORE_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += test_soft_engine test_soft_break
TESTS += test_soft_engine test_soft_break
test_soft_engine_SOURCES = $(soft_machine_sources) tests/unit/test_soft_engine.c tests/unit/soft_guest.S tests/unit/soft_guest.h
test_soft_engine_CCASFLAGS = $(CFLAGS)
test_soft_engine_LDADD = $(soft_machine_libs)
test_soft_break_SOURCES = $(soft_machine_sources) tests/unit/test_soft_break.c tests/unit/soft_guest_break.S tests/unit/soft_guest.h
test_soft_break_CCASFLAGS = $(CFLAGS)
test_soft_break_LDADD = $(soft_machine_libs)
# what the engine claims to have
check_PROGRAMS += test_soft_cpuid
TESTS += test_soft_cpuid
test_soft_cpuid_SOURCES = tests/unit/test_soft_cpuid.c \
	tests/engine/insn_form.c tests/engine/insn_form.h tests/engine/insn_form_sse.inc tests/engine/insn_form_x87.inc
test_soft_cpuid_LDADD = $(soft_machine_libs)
