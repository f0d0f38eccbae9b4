# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libhvcore.a
libhvcore_a_SOURCES = \
	hvcore/hv_acpi.c hvcore/hv_acpi.h \
	hvcore/hv_aml.c hvcore/hv_aml.h \
	hvcore/hv_boot.c hvcore/hv_boot.h hvcore/hv_boot_vcpu.c \
	hvcore/hv_bus.c hvcore/hv_bus.h \
	hvcore/hv_char.c hvcore/hv_char.h \
	hvcore/hv_core.c hvcore/hv_core.h hvcore/hv_core_int.h \
	hvcore/hv_core_conf.c hvcore/hv_core_end.c hvcore/hv_core_status.c \
	hvcore/hv_cpuid.c hvcore/hv_cpuid.h \
	hvcore/hv_ctl.c hvcore/hv_ctl.h hvcore/hv_ctl_int.h \
	hvcore/hv_ctl_console.c hvcore/hv_ctl_counters.c \
	hvcore/hv_ctl_debug.c hvcore/hv_ctl_debug.h hvcore/hv_ctl_trace.c hvcore/hv_ctl_verbs.c \
	hvcore/hv_disks.c hvcore/hv_disks.h \
	hvcore/hv_json.c hvcore/hv_json.h \
	hvcore/hv_port.h hvcore/hv_qga.c hvcore/hv_qga.h \
	hvcore/hv_qga_parse.c hvcore/hv_qga_parse.h \
	hvcore/hv_owner.c hvcore/hv_owner.h \
	hvcore/hv_dev.h hvcore/hv_devices.h \
	hvcore/hv_devset.c hvcore/hv_devset.h \
	hvcore/hv_dump_cpu.c hvcore/hv_dump_cpu.h hvcore/hv_dump_fpu.c \
	hvcore/hv_elf.c hvcore/hv_elf.h \
	hvcore/hv_engine.h hvcore/hv_irq.h hvcore/hv_lock.h \
	hvcore/hv_machine.c hvcore/hv_machine.h \
	hvcore/hv_mem.c hvcore/hv_mem.h \
	hvcore/hv_state.c hvcore/hv_state.h \
	hvcore/hv_tables.c hvcore/hv_tables.h \
	hvcore/hv_tally.c hvcore/hv_tally.h \
	hvcore/hv_unpack.c hvcore/hv_unpack.h \
	hvcore/hv_vcpu_state.h \
	hvcore/hv_vcpus.c hvcore/hv_vcpus.h \
	hvcore/hv_vm.c hvcore/hv_vm.h hvcore/hv_vm_int.h \
	hvcore/hv_vm_act.c hvcore/hv_vm_build.c hvcore/hv_vm_dump.c hvcore/hv_vm_fsm.c hvcore/hv_vm_info.c \
	hvcore/hv_vm_save.c
libhvcore_a_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(LZMA_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS) \
	$(PROTOBUFC_CFLAGS) -foptimize-sibling-calls
HVCORE_LIBS = $(LZ4_LIBS) $(LZMA_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)

include hvcore/devices/local.mk
include hvcore/engine_kvm/local.mk
include hvcore/engine_soft/local.mk
