# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = \
	cli/hvctl.h \
	cli/hvctl_answer.c \
	cli/hvctl_debug.c \
	cli/hvctl_line.c \
	cli/hvctl_run.c \
	cli/hvctl_stream.c \
	cli/hvctl_text.c \
	cli/hvctl_verbs.c
libcli_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(JSON_CFLAGS)
$(libcli_a_OBJECTS): proto/ctl.pb-c.h
