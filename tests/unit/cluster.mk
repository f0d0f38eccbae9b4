# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests of cluster.
check_PROGRAMS += tests/unit/test_clu_pcmk
TESTS += tests/unit/test_clu_pcmk
tests_unit_test_clu_pcmk_SOURCES = tests/unit/test_clu_pcmk.c
tests_unit_test_clu_pcmk_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(XML_CFLAGS) -DGOLDEN_DIR='"$(abs_top_srcdir)/tests/golden/pcmk"'
tests_unit_test_clu_pcmk_LDADD = libcluster.a libproto.a libcommon.a $(CMOCKA_LIBS) $(XML_LIBS) $(HV_SYS_LIBS)
EXTRA_DIST += tests/golden/pcmk
check_PROGRAMS += tests/unit/test_clu_conf
TESTS += tests/unit/test_clu_conf
tests_unit_test_clu_conf_SOURCES = tests/unit/test_clu_conf.c
tests_unit_test_clu_conf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_clu_conf_LDADD = libcluster.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_clu_deaths
TESTS += tests/unit/test_clu_deaths
tests_unit_test_clu_deaths_SOURCES = tests/unit/test_clu_deaths.c
tests_unit_test_clu_deaths_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_clu_deaths_LDADD = libcluster.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_clu_quorum
TESTS += tests/unit/test_clu_quorum
tests_unit_test_clu_quorum_SOURCES = tests/unit/test_clu_quorum.c
tests_unit_test_clu_quorum_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_clu_quorum_LDADD = libcluster.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_clu_ocf
TESTS += tests/unit/test_clu_ocf
tests_unit_test_clu_ocf_SOURCES = tests/unit/test_clu_ocf.c
tests_unit_test_clu_ocf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(XML_CFLAGS) $(PROTOBUFC_CFLAGS)
tests_unit_test_clu_ocf_LDADD = libcluster.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) $(XML_LIBS) $(JSON_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_clu_exec
TESTS += tests/unit/test_clu_exec
tests_unit_test_clu_exec_SOURCES = tests/unit/test_clu_exec.c
tests_unit_test_clu_exec_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_clu_exec_LDADD = libcluster.a libproto.a libcommon.a $(CMOCKA_LIBS) $(XML_LIBS) $(HV_SYS_LIBS)
check_PROGRAMS += tests/unit/test_clu_vmconf
TESTS += tests/unit/test_clu_vmconf
tests_unit_test_clu_vmconf_SOURCES = tests/unit/test_clu_vmconf.c
tests_unit_test_clu_vmconf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(PROTOBUFC_CFLAGS)
tests_unit_test_clu_vmconf_LDADD = libcluster.a libsharedstorage.a libproto.a libcommon.a $(CMOCKA_LIBS) $(HV_SYS_LIBS)
