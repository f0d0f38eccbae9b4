/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volkit.h - for tests of cluster volumes on a file: one file (in memory), a loop in a thread of
 * its own, and a worker's view of devices. The test's main thread is the worker.
 */
#ifndef VOLKIT_H
#define VOLKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "sharedstorage/volume/stor_disk.h"
#include "sharedstorage/volume/stor_volume.h"

#define VK_BYTES  (64u << 20)
#define VK_EXTENT (1u << 20)

/* Of a process that a test has forked: cmocka does not hear it, its exit code 2 says it. */
#define VK_MUST(x)                                                                                 \
	do {                                                                                       \
		if (!(x)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
			_exit(2);                                                                  \
		}                                                                                  \
	} while (0)

extern char vk_path[];	      /* the file */
extern uint16_t vk_host_slot; /* iSCSI: with a reservation key of its own; 0: none */
extern char vk_url[256];
extern struct cm_loop *vk_loop;

/* cmocka fixtures: an empty file and a running loop; everything gone again. */
int vk_setup(void **state);
int vk_teardown(void **state);
/* ... or step by step (a test whose children each have a loop of their own). */
void vk_new_file(uint64_t bytes, uint32_t sector_bytes);
void vk_use_file(const char *path); /* what is behind vk_url, which the caller sets */
void vk_end_file(void);
void vk_start(void);
void vk_stop(void);
int vk_file(void);
void vk_copy(int from, int to); /* descriptors */
/* The file's device (vol NULL) or a disk; *rc: what READY or FAILED said. */
struct stor_dev *vk_open_dev(struct stor_volume *vol, const char *name, int *rc);
struct stor_dev *vk_open_image(struct stor_volume *vol, const struct stor_uuid *vm, int *rc);
void vk_close_dev(struct stor_dev *dev);
int vk_disk_io(struct stor_dev *dev, bool write, uint64_t at, uint8_t *buf, size_t n);
/* Submits and does not wait: *rc is written when it has ended. */
void vk_write_late(struct stor_dev *dev, uint64_t at, struct iovec *iov, struct stor_req *req,
		   int *rc);
void vk_shut(struct stor_dev *dev);    /* nothing goes through any more */
void vk_abandon(struct stor_dev *dev); /* ... and nothing waits */
int vk_discard(struct stor_dev *dev, uint64_t at, uint64_t n);
int vk_reload(struct stor_dev *disk, uint64_t *size_bytes);
extern unsigned vk_resized; /* STOR_EVENT_RESIZED of any device */
void vk_status(struct stor_dev *dev, struct stor_dev_status *status);
int vk_flush(struct stor_dev *dev);
int vk_caw(struct stor_dev *dev, uint64_t at, const void *compare, const void *swap,
	   uint32_t sector_bytes);
struct stor_volume *vk_attach(struct stor_dev **dev, bool format);
void vk_fill(uint8_t *p, size_t n, unsigned seed);
/* volume check finds so many leaked extents and nothing else. */
void vk_check_clean(struct stor_volume *vol, bool repair, uint64_t leaked);
void vk_poke(off_t at, const void *p, size_t n); /* into the file, past everybody */

#endif
