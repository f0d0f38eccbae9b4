# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of hvcore.
hv_test_libs = libhvcore.a libenginekvm.a libenginesoft.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
hv_tests = \
	tests/unit/test_hv_acpi \
	tests/unit/test_hv_bus \
	tests/unit/test_hv_cpuid \
	tests/unit/test_hv_dump_cpu \
	tests/unit/test_hv_elf \
	tests/unit/test_hv_json \
	tests/unit/test_hv_machine_list \
	tests/unit/test_hv_mem \
	tests/unit/test_hv_qga \
	tests/unit/test_hv_state \
	tests/unit/test_hv_tables \
	tests/unit/test_hv_tally \
	tests/unit/test_hv_unpack \
	tests/unit/test_hv_vm_fsm
check_PROGRAMS += $(hv_tests)
TESTS += $(hv_tests)
tests_unit_test_hv_acpi_SOURCES = tests/unit/test_hv_acpi.c
tests_unit_test_hv_acpi_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_acpi_LDADD = $(hv_test_libs)
tests_unit_test_hv_bus_SOURCES = tests/unit/test_hv_bus.c
tests_unit_test_hv_bus_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_bus_LDADD = $(hv_test_libs)
tests_unit_test_hv_cpuid_SOURCES = tests/unit/test_hv_cpuid.c
tests_unit_test_hv_cpuid_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_cpuid_LDADD = $(hv_test_libs)
tests_unit_test_hv_dump_cpu_SOURCES = tests/unit/test_hv_dump_cpu.c
tests_unit_test_hv_dump_cpu_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_dump_cpu_LDADD = $(hv_test_libs)
tests_unit_test_hv_elf_SOURCES = tests/unit/test_hv_elf.c
tests_unit_test_hv_elf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_elf_LDADD = $(hv_test_libs)
tests_unit_test_hv_json_SOURCES = tests/unit/test_hv_json.c
tests_unit_test_hv_json_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_json_LDADD = $(hv_test_libs)
tests_unit_test_hv_machine_list_SOURCES = tests/unit/test_hv_machine_list.c
tests_unit_test_hv_machine_list_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_machine_list_LDADD = $(hv_test_libs)
tests_unit_test_hv_mem_SOURCES = tests/unit/test_hv_mem.c
tests_unit_test_hv_mem_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_mem_LDADD = $(hv_test_libs)
tests_unit_test_hv_qga_SOURCES = tests/unit/test_hv_qga.c
tests_unit_test_hv_qga_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_qga_LDADD = $(hv_test_libs)
tests_unit_test_hv_state_SOURCES = tests/unit/test_hv_state.c
tests_unit_test_hv_state_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_state_LDADD = $(hv_test_libs)
tests_unit_test_hv_tables_SOURCES = tests/unit/test_hv_tables.c
tests_unit_test_hv_tables_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_tables_LDADD = $(hv_test_libs)
tests_unit_test_hv_tally_SOURCES = tests/unit/test_hv_tally.c
tests_unit_test_hv_tally_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_tally_LDADD = $(hv_test_libs)
tests_unit_test_hv_unpack_SOURCES = tests/unit/test_hv_unpack.c
tests_unit_test_hv_unpack_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(LZ4_CFLAGS) $(LZMA_CFLAGS) $(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_hv_unpack_LDADD = $(hv_test_libs)
tests_unit_test_hv_vm_fsm_SOURCES = tests/unit/test_hv_vm_fsm.c
tests_unit_test_hv_vm_fsm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vm_fsm_LDADD = $(hv_test_libs)

# Whole VMs; with the argument "kvm" on that engine (make check-kvm).
HV_VMKIT = tests/unit/hv_vmkit.c tests/unit/hv_vmkit.h
hv_vm_tests = \
	tests/unit/test_hv_vm \
	tests/unit/test_hv_vm_dump \
	tests/unit/test_hv_vm_save
check_PROGRAMS += $(hv_vm_tests)
TESTS += $(hv_vm_tests)
tests_unit_test_hv_vm_SOURCES = tests/unit/test_hv_vm.c $(HV_VMKIT)
tests_unit_test_hv_vm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vm_LDADD = $(hv_test_libs)
tests_unit_test_hv_vm_dump_SOURCES = tests/unit/test_hv_vm_dump.c $(HV_VMKIT)
tests_unit_test_hv_vm_dump_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vm_dump_LDADD = $(hv_test_libs)
tests_unit_test_hv_vm_save_SOURCES = tests/unit/test_hv_vm_save.c $(HV_VMKIT)
tests_unit_test_hv_vm_save_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vm_save_LDADD = $(hv_test_libs)
check_PROGRAMS += tests/unit/test_hv_engine_choice
TESTS += tests/unit/test_hv_engine_choice
tests_unit_test_hv_engine_choice_SOURCES = tests/unit/test_hv_engine_choice.c
tests_unit_test_hv_engine_choice_LDADD = libhvcore.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
