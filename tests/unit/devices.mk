# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of hvcore/devices.
HV_DEVKIT = tests/unit/hv_devkit.c tests/unit/hv_devkit.h
hv_dev_libs = libhvcore.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
hv_dev_tests = \
	tests/unit/test_hv_debugport \
	tests/unit/test_hv_empty \
	tests/unit/test_hv_power \
	tests/unit/test_hv_rtc \
	tests/unit/test_hv_uart
check_PROGRAMS += $(hv_dev_tests)
TESTS += $(hv_dev_tests)
tests_unit_test_hv_debugport_SOURCES = tests/unit/test_hv_debugport.c $(HV_DEVKIT)
tests_unit_test_hv_debugport_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_debugport_LDADD = $(hv_dev_libs)
tests_unit_test_hv_empty_SOURCES = tests/unit/test_hv_empty.c $(HV_DEVKIT)
tests_unit_test_hv_empty_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_empty_LDADD = $(hv_dev_libs)
tests_unit_test_hv_power_SOURCES = tests/unit/test_hv_power.c $(HV_DEVKIT)
tests_unit_test_hv_power_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_power_LDADD = $(hv_dev_libs)
tests_unit_test_hv_rtc_SOURCES = tests/unit/test_hv_rtc.c $(HV_DEVKIT)
tests_unit_test_hv_rtc_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_rtc_LDADD = $(hv_dev_libs)
tests_unit_test_hv_uart_SOURCES = tests/unit/test_hv_uart.c $(HV_DEVKIT)
tests_unit_test_hv_uart_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_uart_LDADD = $(hv_dev_libs)

# virtio
HV_VIRTIOKIT = tests/unit/hv_virtiokit.c tests/unit/hv_virtiokit.h $(HV_DEVKIT)
hv_virtio_tests = \
	tests/unit/test_hv_balloon \
	tests/unit/test_hv_blk \
	tests/unit/test_hv_net \
	tests/unit/test_hv_rng \
	tests/unit/test_hv_vcon \
	tests/unit/test_hv_virtio_mmio \
	tests/unit/test_hv_virtq
check_PROGRAMS += $(hv_virtio_tests)
TESTS += $(hv_virtio_tests)
tests_unit_test_hv_balloon_SOURCES = tests/unit/test_hv_balloon.c $(HV_VIRTIOKIT)
tests_unit_test_hv_balloon_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_balloon_LDADD = $(hv_dev_libs)
tests_unit_test_hv_blk_SOURCES = tests/unit/test_hv_blk.c $(HV_VIRTIOKIT)
tests_unit_test_hv_blk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_blk_LDADD = $(hv_dev_libs)
tests_unit_test_hv_net_SOURCES = tests/unit/test_hv_net.c $(HV_VIRTIOKIT)
tests_unit_test_hv_net_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_net_LDADD = $(hv_dev_libs)
tests_unit_test_hv_rng_SOURCES = tests/unit/test_hv_rng.c $(HV_VIRTIOKIT)
tests_unit_test_hv_rng_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_rng_LDADD = $(hv_dev_libs)
tests_unit_test_hv_vcon_SOURCES = tests/unit/test_hv_vcon.c $(HV_VIRTIOKIT)
tests_unit_test_hv_vcon_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_vcon_LDADD = $(hv_dev_libs)
tests_unit_test_hv_virtio_mmio_SOURCES = tests/unit/test_hv_virtio_mmio.c $(HV_VIRTIOKIT)
tests_unit_test_hv_virtio_mmio_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_virtio_mmio_LDADD = $(hv_dev_libs)
tests_unit_test_hv_virtq_SOURCES = tests/unit/test_hv_virtq.c $(HV_VIRTIOKIT)
tests_unit_test_hv_virtq_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hv_virtq_LDADD = $(hv_dev_libs)
