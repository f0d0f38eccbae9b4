# SPDX-License-Identifier: GPL-2.0-or-later
noinst_LIBRARIES += libmigration.a
libmigration_a_SOURCES = \
	migration/mig_converge.c migration/mig_converge.h \
	migration/mig_dst.h \
	migration/mig_image.h \
	migration/mig_src.h \
	migration/mig_types.c migration/mig_types.h
