# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libhvcore.a
libhvcore_a_SOURCES = \
	hvcore/hv_bus.c hvcore/hv_bus.h hvcore/hv_char.c hvcore/hv_char.h \
	hvcore/hv_dev.h hvcore/hv_devices.h hvcore/hv_engine.h \
	hvcore/hv_irq.h hvcore/hv_lock.h hvcore/hv_machine.h hvcore/hv_mem.c hvcore/hv_mem.h \
	hvcore/hv_state.c hvcore/hv_state.h hvcore/hv_tables.c hvcore/hv_tables.h \
	hvcore/hv_vcpu_state.h hvcore/hv_vm.h

include hvcore/devices/local.mk
include hvcore/engine_kvm/local.mk
include hvcore/engine_soft/local.mk
