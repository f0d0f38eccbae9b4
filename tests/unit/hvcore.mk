# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of hvcore.
check_PROGRAMS += tests/unit/test_hv_vm
TESTS += tests/unit/test_hv_vm
tests_unit_test_hv_vm_SOURCES = tests/unit/test_hv_vm.c
tests_unit_test_hv_vm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vm_LDADD = libhvcore.a libenginekvm.a libenginesoft.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
check_PROGRAMS += tests/unit/test_hvcore
TESTS += tests/unit/test_hvcore
tests_unit_test_hvcore_SOURCES = tests/unit/test_hvcore.c
tests_unit_test_hvcore_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(LZ4_CFLAGS) $(LZMA_CFLAGS) \
	$(ZLIB_CFLAGS) $(ZSTD_CFLAGS)
tests_unit_test_hvcore_LDADD = libhvcore.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
check_PROGRAMS += tests/unit/test_hv_debug
TESTS += tests/unit/test_hv_debug
tests_unit_test_hv_debug_SOURCES = tests/unit/test_hv_debug.c
tests_unit_test_hv_debug_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_debug_LDADD = libhvcore.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) \
	$(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
check_PROGRAMS += tests/unit/test_hv_engine_choice
TESTS += tests/unit/test_hv_engine_choice
tests_unit_test_hv_engine_choice_SOURCES = tests/unit/test_hv_engine_choice.c
tests_unit_test_hv_engine_choice_LDADD = libhvcore.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
