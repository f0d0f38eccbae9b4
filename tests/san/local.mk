# SPDX-License-Identifier: GPL-2.0-or-later
# labsan, the iSCSI target of our tests.
noinst_PROGRAMS += tests/san/labsan tests/san/labsanctl
tests_san_labsan_SOURCES = tests/san/labsan_main.c tests/san/san_array.c tests/san/san_block.c tests/san/san_chap.c \
	tests/san/san_cmd.c tests/san/san_conn.c tests/san/san_ctl.c tests/san/san_inject.c \
	tests/san/san_log.c tests/san/san_login.c tests/san/san_medium.c tests/san/san_power.c \
	tests/san/san_pr.c tests/san/san_pr_out.c tests/san/san_pr_state.c \
	tests/san/san_respond.c tests/san/san_scsi.c tests/san/san_session.c tests/san/san_spc.c \
	tests/san/san_text.c tests/san/san_tmf.c tests/san/san.h tests/san/san_wire.h
tests_san_labsan_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS) $(ISAL_CFLAGS)
tests_san_labsan_LDADD = $(OPENSSL_LIBS) $(ISAL_LIBS)
tests_san_labsanctl_SOURCES = tests/san/labsanctl.c
EXTRA_DIST += tests/san/README.md

# What iscsi-test-cu does not judge; a process helper and a thin initiator that other tests may link too.
LABSAN_TEST_SUPPORT = tests/san/labsan_proc.c tests/san/labsan_proc.h tests/san/labsan_ini.c \
	tests/san/labsan_ini.h
check_PROGRAMS += tests/san/labsan_test tests/san/labsan_fence_test
tests_san_labsan_test_SOURCES = tests/san/labsan_test.c tests/san/labsan_check.c \
	tests/san/labsan_check.h $(LABSAN_TEST_SUPPORT)
tests_san_labsan_test_CFLAGS = $(AM_CFLAGS) $(ISCSI_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_labsan_test_LDADD = $(ISCSI_LIBS) $(CMOCKA_LIBS)
tests_san_labsan_fence_test_SOURCES = tests/san/labsan_fence_test.c tests/san/labsan_check.c \
	tests/san/labsan_check.h $(LABSAN_TEST_SUPPORT)
tests_san_labsan_fence_test_CFLAGS = $(AM_CFLAGS) $(ISCSI_CFLAGS) $(CMOCKA_CFLAGS)
tests_san_labsan_fence_test_LDADD = $(ISCSI_LIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/san/judge.sh tests/san/labsan_pdu_test.py tests/san/labsan_pdukit.py tests/san/labsan_oracle.py \
	tests/san/labsan_oracle_test.py

# Opens sockets on 127.0.0.1, so it is no part of "make check".
.PHONY: check-san
check-san: tests/san/labsan tests/san/labsanctl tests/san/labsan_test tests/san/labsan_fence_test
	LABSAN=$(abs_builddir)/tests/san/labsan tests/san/labsan_test
	LABSAN=$(abs_builddir)/tests/san/labsan tests/san/labsan_fence_test
	LABSAN=$(abs_builddir)/tests/san/labsan $(PYTHON3) $(srcdir)/tests/san/labsan_pdu_test.py
	LABSAN=$(abs_builddir)/tests/san/labsan $(PYTHON3) $(srcdir)/tests/san/labsan_pdu_test.py --fuzz 5000
	LABSAN=$(abs_builddir)/tests/san/labsan $(PYTHON3) $(srcdir)/tests/san/labsan_oracle_test.py
	LABSAN=$(abs_builddir)/tests/san/labsan $(srcdir)/tests/san/judge.sh --quick

include tests/san/stor.mk
check-san: check-san-stor
