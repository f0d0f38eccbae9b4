# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libhvcore.a
libhvcore_a_SOURCES =

include hvcore/engine_soft/local.mk
