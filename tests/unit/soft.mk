# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of soft.
check_PROGRAMS += test_soft_irqchip
TESTS += test_soft_irqchip
test_soft_irqchip_SOURCES = tests/unit/test_soft_irqchip.c
test_soft_irqchip_LDADD = libhvcore.a $(CMOCKA_LIBS)
check_PROGRAMS += test_soft_core
TESTS += test_soft_core
test_soft_core_SOURCES = tests/unit/test_soft_core.c tests/unit/soft_guest.S
test_soft_core_CCASFLAGS = $(CFLAGS)
test_soft_core_LDADD = libhvcore.a libproto.a libsharedstorage.a libcommon.a $(CMOCKA_LIBS) $(HVCORE_LIBS) $(HV_SYS_LIBS)
