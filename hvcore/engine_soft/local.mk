# SPDX-License-Identifier: GPL-2.0-or-later
# The soft engine: an interpreter of x86-64 and its interrupt controllers.
libhvcore_a_SOURCES += \
	hvcore/engine_soft/soft_apic.c hvcore/engine_soft/soft_apic.h \
	hvcore/engine_soft/soft_ioapic.c hvcore/engine_soft/soft_ioapic.h \
	hvcore/engine_soft/soft_irqchip.c hvcore/engine_soft/soft_irqchip.h
