# SPDX-License-Identifier: GPL-2.0-or-later
# Tools around the soft engine.
check_PROGRAMS += tests/soft/soft_boot
tests_soft_soft_boot_SOURCES = tests/soft/soft_boot.c
tests_soft_soft_boot_LDADD = libhvcore.a libenginesoft.a libsharedstorage.a libproto.a libcommon.a \
	$(LZ4_LIBS) $(LZMA_LIBS) $(ZSTD_LIBS) $(ZLIB_LIBS) $(HV_SYS_LIBS)
