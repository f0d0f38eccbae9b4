# SPDX-License-Identifier: GPL-2.0-or-later
# hvcore without its engines; rooms from the ground up. The engines are libraries of their own: a program links those that it has.
noinst_LIBRARIES += libhvcore.a
libhvcore_a_SOURCES =
# state/: the state of objects, as bytes and as JSON
libhvcore_a_SOURCES += \
	hvcore/state/hv_json.c hvcore/state/hv_json.h \
	hvcore/state/hv_state.c hvcore/state/hv_state.h
# cpu/: vCPUs: their state, their threads, and the interface of engines
libhvcore_a_SOURCES += \
	hvcore/cpu/hv_cpuid.c hvcore/cpu/hv_cpuid.h \
	hvcore/cpu/hv_dump_cpu.c hvcore/cpu/hv_dump_cpu.h \
	hvcore/cpu/hv_dump_fpu.c \
	hvcore/cpu/hv_engine.h \
	hvcore/cpu/hv_engine_choice.c hvcore/cpu/hv_engine_choice.h \
	hvcore/cpu/hv_tables.c hvcore/cpu/hv_tables.h \
	hvcore/cpu/hv_tally.c hvcore/cpu/hv_tally.h \
	hvcore/cpu/hv_vcpu_state.h \
	hvcore/cpu/hv_vcpus.c hvcore/cpu/hv_vcpus.h
# machine/: memory, bus, interrupt lines, the host ends of consoles; the addresses of hv-1
libhvcore_a_SOURCES += \
	hvcore/machine/hv_bus.c hvcore/machine/hv_bus.h \
	hvcore/machine/hv_char.c hvcore/machine/hv_char.h \
	hvcore/machine/hv_dev.h \
	hvcore/machine/hv_irq.h \
	hvcore/machine/hv_lock.h \
	hvcore/machine/hv_machine.h \
	hvcore/machine/hv_mem.c hvcore/machine/hv_mem.h \
	hvcore/machine/hv_port.h
# boot/: the loader
libhvcore_a_SOURCES += \
	hvcore/boot/hv_acpi.c hvcore/boot/hv_acpi.h \
	hvcore/boot/hv_aml.c hvcore/boot/hv_aml.h \
	hvcore/boot/hv_boot.c hvcore/boot/hv_boot.h \
	hvcore/boot/hv_boot_vcpu.c \
	hvcore/boot/hv_elf.c hvcore/boot/hv_elf.h \
	hvcore/boot/hv_unpack.c hvcore/boot/hv_unpack.h
# vm/: one VM: its devices by the list of its machine, built, run, saved
libhvcore_a_SOURCES += \
	hvcore/vm/hv_devset.c hvcore/vm/hv_devset.h \
	hvcore/vm/hv_machine_list.c hvcore/vm/hv_machine_list.h \
	hvcore/vm/hv_vm.c hvcore/vm/hv_vm.h \
	hvcore/vm/hv_vm_act.c \
	hvcore/vm/hv_vm_build.c \
	hvcore/vm/hv_vm_dump.c \
	hvcore/vm/hv_vm_flush.c hvcore/vm/hv_vm_flush.h \
	hvcore/vm/hv_vm_fsm.c hvcore/vm/hv_vm_fsm.h \
	hvcore/vm/hv_vm_info.c \
	hvcore/vm/hv_vm_int.h \
	hvcore/vm/hv_vm_note.c \
	hvcore/vm/hv_vm_save.c
# the process
libhvcore_a_SOURCES += \
	hvcore/hv_core.c hvcore/hv_core.h \
	hvcore/hv_core_answer.c \
	hvcore/hv_core_build.c \
	hvcore/hv_core_conf.c \
	hvcore/hv_core_end.c \
	hvcore/hv_core_int.h \
	hvcore/hv_core_state.c \
	hvcore/hv_core_status.c \
	hvcore/hv_disks.c hvcore/hv_disks.h \
	hvcore/hv_disks_claim.c hvcore/hv_disks_close.c \
	hvcore/hv_disks_int.h \
	hvcore/hv_disks_open.c \
	hvcore/hv_disks_stores.c \
	hvcore/hv_owner.c hvcore/hv_owner.h \
	hvcore/hv_qga.c hvcore/hv_qga.h \
	hvcore/hv_qga_parse.c hvcore/hv_qga_parse.h
# control/: the control socket
libhvcore_a_SOURCES += \
	hvcore/control/hv_ctl.c hvcore/control/hv_ctl.h \
	hvcore/control/hv_ctl_console.c \
	hvcore/control/hv_ctl_counters.c \
	hvcore/control/hv_ctl_debug.c hvcore/control/hv_ctl_debug.h \
	hvcore/control/hv_ctl_int.h \
	hvcore/control/hv_ctl_resized.c \
	hvcore/control/hv_ctl_stop.c \
	hvcore/control/hv_ctl_trace.c \
	hvcore/control/hv_ctl_verbs.c \
	hvcore/control/hv_ctl_vm.c
libhvcore_a_CFLAGS = $(AM_CFLAGS) $(LZ4_CFLAGS) $(LZMA_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS) $(PROTOBUFC_CFLAGS)
HVCORE_LIBS = $(LZ4_LIBS) $(LZMA_LIBS) $(ZLIB_LIBS) $(ZSTD_LIBS)

include hvcore/devices/local.mk
include hvcore/engine_kvm/local.mk
include hvcore/engine_soft/local.mk
