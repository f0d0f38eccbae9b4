# SPDX-License-Identifier: GPL-2.0-or-later
# The soft engine: an interpreter of x86-64 and its interrupt controllers.
noinst_LIBRARIES += libenginesoft.a
# Handlers end in tail calls at every level of optimisation; nothing unwinds through them.
libenginesoft_a_CFLAGS = $(AM_CFLAGS) -foptimize-sibling-calls -fno-asynchronous-unwind-tables -fno-unwind-tables
libenginesoft_a_SOURCES = \
	hvcore/engine_soft/soft_apic.c hvcore/engine_soft/soft_apic.h \
	hvcore/engine_soft/soft_ioapic.c hvcore/engine_soft/soft_ioapic.h \
	hvcore/engine_soft/soft_irqchip.c hvcore/engine_soft/soft_irqchip.h
# vectors and floating point
libenginesoft_a_SOURCES += \
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
# decoder, integer core, system
libenginesoft_a_SOURCES += \
	hvcore/engine_soft/soft_op.h hvcore/engine_soft/soft_ops.h hvcore/engine_soft/soft_cpu.h \
	hvcore/engine_soft/soft_mem.h hvcore/engine_soft/soft_flags.h hvcore/engine_soft/soft_reg.h \
	hvcore/engine_soft/soft_vm.h \
	hvcore/engine_soft/soft_decode.c hvcore/engine_soft/soft_decode.h \
	hvcore/engine_soft/soft_decode_map1.c hvcore/engine_soft/soft_decode_int.h \
	hvcore/engine_soft/soft_decode_map0f.c \
	hvcore/engine_soft/soft_alu.c \
	hvcore/engine_soft/soft_shift.c \
	hvcore/engine_soft/soft_move.c \
	hvcore/engine_soft/soft_muldiv.c \
	hvcore/engine_soft/soft_bits.c \
	hvcore/engine_soft/soft_atomic.c \
	hvcore/engine_soft/soft_string.c \
	hvcore/engine_soft/soft_branch.c \
	hvcore/engine_soft/soft_legacy.c \
	hvcore/engine_soft/soft_segment.c hvcore/engine_soft/soft_segment.h \
	hvcore/engine_soft/soft_system.c \
	hvcore/engine_soft/soft_port.c \
	hvcore/engine_soft/soft_msr.c hvcore/engine_soft/soft_msr.h \
	hvcore/engine_soft/soft_cpuid.c hvcore/engine_soft/soft_cpuid.h \
	hvcore/engine_soft/soft_random.c \
	hvcore/engine_soft/soft_break.c hvcore/engine_soft/soft_break.h \
	hvcore/engine_soft/soft_exc.c hvcore/engine_soft/soft_exc.h \
	hvcore/engine_soft/soft_mmu.c hvcore/engine_soft/soft_mmu.h \
	hvcore/engine_soft/soft_block.c hvcore/engine_soft/soft_block.h \
	hvcore/engine_soft/soft_clock.c hvcore/engine_soft/soft_clock.h \
	hvcore/engine_soft/soft_state.c hvcore/engine_soft/soft_state.h \
	hvcore/engine_soft/soft_run.c hvcore/engine_soft/soft_run.h \
	hvcore/engine_soft/soft_tally.c \
	hvcore/engine_soft/soft_watch.c hvcore/engine_soft/soft_watch.h \
	hvcore/engine_soft/soft_engine.c
