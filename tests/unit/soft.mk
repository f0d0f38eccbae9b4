# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of soft.
check_PROGRAMS += test_soft_irqchip
TESTS += test_soft_irqchip
test_soft_irqchip_SOURCES = tests/unit/test_soft_irqchip.c
test_soft_irqchip_LDADD = libhvcore.a $(CMOCKA_LIBS)
