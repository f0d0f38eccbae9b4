/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_virtiokit.h - a virtio device with a mock driver (hv_devkit.h) and mock back ends.
 *
 * The disk here is the test's own stor_dev (memory, with completions held back on demand), so that what happens between
 * submit and completion can be arranged: pause, reset, errors, late answers.
 *
 * Thread: everything on the test's thread.
 */
#ifndef HV_VIRTIOKIT_H
#define HV_VIRTIOKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <cmocka.h>

#include "hvcore/devices/hv_virtio_mmio.h"
#include "sharedstorage/dev/stor_dev.h"
#include "tests/unit/hv_devkit.h"

#define BENCH_V1 HV_VIRTIO_F_VERSION_1
#define BENCH_RING_GPA 0x100000ull
#define BENCH_DATA_GPA 0x200000ull
#define BENCH_DISK_BYTES (1u << 20)
#define BENCH_IDX (HV_VIRTQ_F_INDIRECT | HV_VIRTQ_F_EVENT_IDX)

struct stor_dev {
	struct stor_dev_info info;
	struct cm_loop *loop;
	uint8_t data[BENCH_DISK_BYTES];
	TAILQ_HEAD(, stor_req) waiting;
	unsigned submitted, flushes;
	bool hold;
	int fail; /* answer of every request */
};

struct bench {
	struct kit k;
	struct stor_dev *disk;
	struct hv_blk_config blk;
	struct hv_nic_config nic;
	struct hv_char_config con;
	int tap; /* our end */
	struct kit_queue q[6];
	bool plugged;
};

/* Of a test whose state is a struct bench. */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Plugs the device in and drives it to DRIVER_OK with that many queues. */
void bench_start(struct bench *b, const struct hv_dev_ops *ops, const void *cfg, uint64_t features, unsigned queues);
/* Offers one request of a disk; slot: where its header and status are, odd: through an indirect table. */
uint16_t bench_blk_offer(struct bench *b, uint32_t type, uint64_t sector, uint64_t gpa, uint32_t len, bool in,
			  uint64_t slot);
int bench_blk_status(struct bench *b, uint64_t slot);
/* The disk answers what waits, unless it holds. */
void bench_disk_work(void *arg);

#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

#endif
