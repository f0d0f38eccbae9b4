# SPDX-License-Identifier: GPL-2.0-or-later
# The test bed (scripts/lab): machine room, init of a machine, fence agent. Test programs, not installed.
noinst_PROGRAMS += tests/lab/bmcd tests/lab/labinit tests/lab/fence_hvlab
tests_lab_bmcd_SOURCES = tests/lab/bmcd.c tests/lab/lab_machine.c tests/lab/lab_machine.h \
	tests/lab/lab_net.c tests/lab/lab_net.h tests/lab/lab_util.c tests/lab/lab_util.h
tests_lab_labinit_SOURCES = tests/lab/labinit.c tests/lab/lab_mounts.c tests/lab/lab_mounts.h \
	tests/lab/lab_net.c tests/lab/lab_net.h tests/lab/lab_util.c tests/lab/lab_util.h
tests_lab_labinit_CFLAGS = $(AM_CFLAGS) $(COROSYNC_CFLAGS)
tests_lab_labinit_LDADD = $(COROSYNC_LIBS)
tests_lab_fence_hvlab_SOURCES = tests/lab/fence_hvlab.c

noinst_PROGRAMS += tests/lab/cluprobe
tests_lab_cluprobe_SOURCES = tests/lab/cluprobe.c
tests_lab_cluprobe_LDADD = libcluster.a libcommon.a $(COROSYNC_LIBS) $(XML_LIBS) $(HV_SYS_LIBS)

EXTRA_DIST += scripts/lab tests/lab/README.md tests/lab/san.sh tests/lab/conftest.py tests/lab/labkit.py tests/lab/test_lab.py tests/lab/test_fencing.py tests/lab/test_agent.py tests/lab/test_pcmk.py tests/lab/test_vm.py tests/lab/vmkit.py tests/lab/movekit.py tests/lab/test_moves.py tests/lab/test_saved.py

# Real clusters in namespaces: needs root; says so and passes as "skipped" without.
.PHONY: check-lab
LABTESTS = $(abs_top_srcdir)/tests/lab
check-lab: all
	HV_BUILD='$(abs_top_builddir)' /usr/bin/python3 -B -m pytest -rsfE -p no:cacheprovider \
		$(LABTESTFLAGS) $(LABTESTS)
