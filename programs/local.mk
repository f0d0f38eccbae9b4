# SPDX-License-Identifier: GPL-2.0-or-later

# ocf:hvcluster:VirtualMachine. Pacemaker looks in /usr/lib/ocf: packages configure with --prefix=/usr.
ocfdir = $(prefix)/lib/ocf/resource.d/hvcluster
ocf_PROGRAMS = VirtualMachine
VirtualMachine_SOURCES = programs/ocf_main.c
VirtualMachine_LDADD = libcluster.a libsharedstorage.a libproto.a libcommon.a $(XML_LIBS) $(JSON_LIBS) $(HV_SYS_LIBS)
