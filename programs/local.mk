# SPDX-License-Identifier: GPL-2.0-or-later

# ocf:hvcluster:VirtualMachine. Pacemaker looks in /usr/lib/ocf: packages configure with --prefix=/usr.
ocfdir = $(prefix)/lib/ocf/resource.d/hvcluster
ocf_PROGRAMS = VirtualMachine
VirtualMachine_SOURCES = programs/ocf_main.c
VirtualMachine_LDADD = libcluster.a libsharedstorage.a libproto.a libcommon.a $(XML_LIBS) $(JSON_LIBS) $(HV_SYS_LIBS)

sbin_PROGRAMS += hvclusterd hvctl
hvctl_SOURCES = programs/hvctl_main.c
hvctl_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
hvctl_LDADD = libcli.a libproto.a libcommon.a $(JSON_LIBS) $(HV_SYS_LIBS)
hvclusterd_SOURCES = programs/hvclusterd_main.c
hvclusterd_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS)
hvclusterd_LDADD = libcluster.a libfencing.a libsharedstorage.a libproto.a libcommon.a \
	$(COROSYNC_LIBS) $(XML_LIBS) $(JSON_LIBS) $(BLKID_LIBS) $(HV_SYS_LIBS)
# (In programs/, since hvcore/ is a folder of the build tree.)
# One VM, one process. Not on anybody's PATH: hvclusterd and hvctl start it.
pkglibexec_PROGRAMS += programs/hvcore programs/hvcore-soft
# The same sources; what tells them apart is the engine that is linked (docs/adr/0005).
hvcore_sources = \
	programs/hvcore_engine.c programs/hvcore_engine.h \
	programs/hvcore_heir.c programs/hvcore_heir.h \
	programs/hvcore_hooks.c programs/hvcore_hooks.h \
	programs/hvcore_process.c programs/hvcore_process.h \
	programs/hvcore_seccomp.c programs/hvcore_seccomp.h
hvcore_libs = libmigration.a libfencing.a libhvcore.a libsharedstorage.a libproto.a
# libcrypto has most of the symbols that are bound at the start, and they are looked for in this order: it comes first.
hvcore_syslibs = libcommon.a -lcrypto $(OPENSSL_LIBS) $(HVCORE_LIBS) $(SECCOMP_LIBS) $(CAPNG_LIBS) $(HV_SYS_LIBS) -lm
programs_hvcore_SOURCES = programs/hvcore_main.c $(hvcore_sources)
programs_hvcore_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(SECCOMP_CFLAGS) $(CAPNG_CFLAGS)
programs_hvcore_LDADD = $(hvcore_libs) libenginekvm.a $(hvcore_syslibs)
programs_hvcore_soft_SOURCES = programs/hvcore_soft_main.c $(hvcore_sources)
programs_hvcore_soft_CFLAGS = $(programs_hvcore_CFLAGS)
programs_hvcore_soft_LDADD = $(hvcore_libs) libenginesoft.a $(hvcore_syslibs)

# Kills who outlives his lease; feeds the hardware watchdog. libc, cm_clock and the message format only.
sbin_PROGRAMS += hvwatchdogd
hvwatchdogd_SOURCES = programs/hvwatchdogd_main.c programs/hvwatchdogd_table.c programs/hvwatchdogd_table.h
hvwatchdogd_LDADD = libfencing.a libcommon.a $(LIBS)

# Pacemaker's entry for SAN fencing.
sbin_PROGRAMS += fence_hvsan
fence_hvsan_SOURCES = programs/fence_hvsan_main.c
fence_hvsan_LDADD = libfencing.a libsharedstorage.a libcommon.a $(HV_SYS_LIBS)

unitdir = $(prefix)/lib/systemd/system
dist_unit_DATA = programs/hvclusterd.service programs/hvwatchdogd.service
