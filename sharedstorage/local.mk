# SPDX-License-Identifier: GPL-2.0-or-later
EXTRA_DIST += \
	sharedstorage/stor_dev.h sharedstorage/stor_disk.h sharedstorage/stor_lease.h \
	sharedstorage/stor_lease_disk.h sharedstorage/stor_permit.h sharedstorage/stor_permit_int.h \
	sharedstorage/stor_pr.h sharedstorage/stor_timing.h sharedstorage/stor_url.h \
	sharedstorage/stor_volume.h
