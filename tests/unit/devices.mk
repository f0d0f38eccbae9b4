# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of hvcore/devices.
check_PROGRAMS += tests/unit/test_hv_devices
TESTS += tests/unit/test_hv_devices
tests_unit_test_hv_devices_SOURCES = tests/unit/test_hv_devices.c tests/unit/hv_devkit.c tests/unit/hv_devkit.h
tests_unit_test_hv_devices_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_devices_LDADD = libhvcore.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)

check_PROGRAMS += tests/unit/test_hv_virtio
TESTS += tests/unit/test_hv_virtio
tests_unit_test_hv_virtio_SOURCES = tests/unit/test_hv_virtio.c tests/unit/hv_devkit.c tests/unit/hv_devkit.h
tests_unit_test_hv_virtio_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_virtio_LDADD = libhvcore.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
