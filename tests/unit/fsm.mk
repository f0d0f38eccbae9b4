# SPDX-License-Identifier: GPL-2.0-or-later
# All state machines of the product, and their pictures.
check_PROGRAMS += tests/unit/test_cm_fsm
TESTS += tests/unit/test_cm_fsm
tests_unit_test_cm_fsm_SOURCES = tests/unit/test_cm_fsm.c
tests_unit_test_cm_fsm_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(PROTOBUFC_CFLAGS) $(JSON_CFLAGS) \
	-DTOP_SRCDIR='"$(abs_top_srcdir)"'
tests_unit_test_cm_fsm_LDADD = libcluster.a libmigration.a libfencing.a libhvcore.a libsharedstorage.a libproto.a libcommon.a \
	$(CMOCKA_LIBS) $(COROSYNC_LIBS) $(XML_LIBS) $(JSON_LIBS) $(HVCORE_LIBS) $(HV_SYS_LIBS) -lm
EXTRA_DIST += docs/fsm
