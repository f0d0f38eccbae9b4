# SPDX-License-Identifier: GPL-2.0-or-later
# The soft engine: an interpreter of x86-64 and its interrupt controllers.
libhvcore_a_SOURCES += \
	hvcore/engine_soft/soft_apic.c hvcore/engine_soft/soft_apic.h \
	hvcore/engine_soft/soft_ioapic.c hvcore/engine_soft/soft_ioapic.h \
	hvcore/engine_soft/soft_irqchip.c hvcore/engine_soft/soft_irqchip.h
# vectors and floating point
libhvcore_a_SOURCES += \
	hvcore/engine_soft/soft_sse.c hvcore/engine_soft/soft_sse.h \
	hvcore/engine_soft/soft_sse_move.c \
	hvcore/engine_soft/soft_sse_int.c \
	hvcore/engine_soft/soft_sse_shuffle.c \
	hvcore/engine_soft/soft_sse_float.c \
	hvcore/engine_soft/soft_sse4.c hvcore/engine_soft/soft_sse_string.c \
	hvcore/engine_soft/soft_fp.c hvcore/engine_soft/soft_fp.h \
	hvcore/engine_soft/soft_fxsave.c hvcore/engine_soft/soft_fxsave.h \
	hvcore/engine_soft/soft_x87.c hvcore/engine_soft/soft_x87.h \
	hvcore/engine_soft/soft_x87_env.c \
	hvcore/engine_soft/soft_x87_host.c hvcore/engine_soft/soft_x87_host.h
