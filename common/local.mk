# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libcommon.a
libcommon_a_SOURCES = \
	common/cm_buf.c common/cm_buf.h \
	common/cm_clock.c common/cm_clock.h \
	common/cm_jump.c common/cm_jump.h \
	common/cm_err.c common/cm_err.h \
	common/cm_fault.c common/cm_fault.h \
	common/cm_fsm.c common/cm_fsm.h \
	common/cm_log.c common/cm_log.h \
	common/cm_loop.c common/cm_loop.h \
	common/cm_sys.c common/cm_sys.h \
	common/cm_timers.c common/cm_timers.h \
	common/cm_trace.c common/cm_trace.h \
	common/cm_work.c common/cm_work.h
libcommon_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(ISAL_CFLAGS)
