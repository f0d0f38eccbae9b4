# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libproto.a
libproto_a_SOURCES = \
	proto/px_call.c proto/px_call.h \
	proto/px_chan.c proto/px_chan.h  \
	proto/px_client.c proto/px_client.h \
	proto/px_frame.c proto/px_frame.h \
	proto/px_req.c proto/px_req.h \
	proto/px_server.c \
	proto/px_tls.c proto/px_tls.h \
	proto/px_words.c proto/px_words.h
nodist_libproto_a_SOURCES = proto/ctl.pb-c.c proto/ctl.pb-c.h
libproto_a_CFLAGS = $(AM_CFLAGS) $(PROTOBUFC_CFLAGS) $(OPENSSL_CFLAGS)
EXTRA_DIST += proto/ctl.proto
BUILT_SOURCES += proto/ctl.pb-c.h
CLEANFILES += proto/ctl.pb-c.c proto/ctl.pb-c.h

proto/ctl.pb-c.c: $(srcdir)/proto/ctl.proto
	$(AM_V_GEN)$(MKDIR_P) proto && $(PROTOC_C) -I$(srcdir) --c_out=. $(srcdir)/proto/ctl.proto
proto/ctl.pb-c.h: proto/ctl.pb-c.c
	@test -f $@ || { rm -f proto/ctl.pb-c.c; $(MAKE) $(AM_MAKEFLAGS) proto/ctl.pb-c.c; }
