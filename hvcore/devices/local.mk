# SPDX-License-Identifier: GPL-2.0-or-later
# The devices of machine hv-1, one file each.
libhvcore_a_SOURCES += \
	hvcore/devices/hv_balloon.c \
	hvcore/devices/hv_blk.c \
	hvcore/devices/hv_blk_parse.c hvcore/devices/hv_blk_parse.h \
	hvcore/devices/hv_debugport.c \
	hvcore/devices/hv_devices.h \
	hvcore/devices/hv_empty.c \
	hvcore/devices/hv_net.c \
	hvcore/devices/hv_net_header.c hvcore/devices/hv_net_header.h \
	hvcore/devices/hv_power.c \
	hvcore/devices/hv_rng.c \
	hvcore/devices/hv_rtc.c \
	hvcore/devices/hv_uart.c hvcore/devices/hv_uart.h \
	hvcore/devices/hv_uart_reg.c \
	hvcore/devices/hv_vcon.c \
	hvcore/devices/hv_virtio_mmio.c hvcore/devices/hv_virtio_mmio.h \
	hvcore/devices/hv_virtq.c hvcore/devices/hv_virtq.h
