/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blockload_stor.c - our side of the block benches: the same load through sharedstorage/.
 *
 *   blockload URL [DISK] --op read|write --size BYTES --depth N --count N [--step BYTES]
 *   blockload --format URL EXTENT thick|thin BYTES DISK...
 *
 * URL is a device as in stor_url.h (iscsi: or file:). With DISK the load goes to that disk of the
 * cluster volume on URL. --format makes such a volume with extents of EXTENT bytes (0: as usual),
 * and disks of BYTES in it. One event loop, as in hvcore; requests are submitted from the done
 * callbacks of others, as the virtio devices do.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_loop.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_disk.h"
#include "tests/bench/blockload.h"

struct slot {
	struct bench *bench;
	struct iovec iov;
	struct stor_req req;
};

struct bench {
	struct cm_loop *loop;
	struct load load;
	struct stor_dev *dev;  /* what has the URL */
	struct stor_dev *disk; /* what the load goes to: dev, or a disk on it */
	struct stor_volume *vol;
	const char *url, *name;
	/* of --format */
	char **disks;
	uint64_t disk_bytes, extent_bytes;
	bool thick;
	struct slot *slots;
	unsigned busy;
	int rc;
};

static void die(const char *what, const struct cm_err *err)
{
	fprintf(stderr, "blockload: %s: %s\n", what, err->text);
	exit(1);
}

/* --- end: the disk, the volume, the device, the loop ---------------------------------------- */

static void dev_gone(void *arg)
{
	struct bench *b = arg;

	cm_loop_stop(b->loop, b->rc);
}

static void disk_gone(void *arg)
{
	struct bench *b = arg;

	stor_volume_free(b->vol);
	stor_dev_close(b->dev, dev_gone, b);
}

static void bench_end(struct bench *b)
{
	if (b->disk && b->disk != b->dev)
		stor_dev_close(b->disk, disk_gone, b);
	else
		stor_dev_close(b->dev, dev_gone, b);
}

/* --- the load ------------------------------------------------------------------------------- */

static void slot_done(struct stor_req *req, int rc);

static void slot_go(struct slot *s)
{
	struct bench *b = s->bench;
	uint64_t offset;

	if (!load_next(&b->load, &offset))
		return;
	b->busy++;
	if (b->load.write)
		stor_req_writev(&s->req, offset, &s->iov, 1, slot_done, s);
	else
		stor_req_readv(&s->req, offset, &s->iov, 1, slot_done, s);
	stor_dev_submit(b->disk, &s->req);
}

static void slot_done(struct stor_req *req, int rc)
{
	struct slot *s = req->arg;
	struct bench *b = s->bench;

	b->busy--;
	if (rc) {
		fprintf(stderr, "blockload: a request failed: %s\n", cm_err_text(rc));
		exit(1);
	}
	if (load_end(&b->load)) {
		load_report(&b->load);
		bench_end(b);
	} else {
		slot_go(s);
	}
}

static void load_begin(struct bench *b)
{
	if (!load_start(&b->load, stor_dev_info(b->disk)->capacity_bytes)) {
		fprintf(stderr, "blockload: %s is too small\n", b->url);
		exit(1);
	}
	for (unsigned i = 0; i < b->load.depth; i++)
		slot_go(&b->slots[i]);
}

/* --- opening --------------------------------------------------------------------------------- */

static void disk_event(struct stor_dev *disk, enum stor_dev_event event, const struct cm_err *err,
		       void *arg)
{
	struct bench *b = arg;

	(void)disk;
	if (event == STOR_EVENT_FAILED)
		die(b->name, err);
	if (event == STOR_EVENT_READY)
		load_begin(b);
}

static void volume_there(struct stor_volume *vol, const struct cm_err *err, void *arg)
{
	struct stor_dev_opts o = {.event = disk_event, .event_arg = arg};
	struct cm_err why = CM_ERR_INIT;
	struct bench *b = arg;

	if (!vol)
		die(b->url, err);
	b->vol = vol;
	b->disk = stor_disk_open(vol, b->name, &o, &why);
	if (!b->disk)
		die(b->name, &why);
}

/* stor_volume is blocking code for a thread of its own. */
static void *format_thread(void *arg)
{
	struct bench *b = arg;
	struct stor_volume *vol = NULL;
	struct cm_err err = CM_ERR_INIT;

	if (stor_volume_format(b->dev, "bench", b->extent_bytes, &err) ||
	    stor_volume_open(b->dev, &vol, &err))
		die(b->url, &err);
	for (char **disk = b->disks; *disk; disk++)
		if (stor_volume_disk_create(vol, *disk, b->disk_bytes, b->thick, &err))
			die(*disk, &err);
	stor_volume_free(vol);
	cm_loop_post(b->loop, (cm_post_fn)bench_end, b);
	return NULL;
}

static void dev_ready(void *arg)
{
	struct bench *b = arg;
	pthread_t t;

	if (b->disks) {
		if (pthread_create(&t, NULL, format_thread, b) || pthread_detach(t))
			exit(1);
	} else if (b->name) {
		stor_volume_attach(b->dev, volume_there, b);
	} else {
		b->disk = b->dev;
		load_begin(b);
	}
}

static void dev_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
		      void *arg)
{
	struct bench *b = arg;

	(void)dev;
	if (event == STOR_EVENT_FAILED)
		die(b->url, err);
	if (event == STOR_EVENT_READY)
		cm_loop_defer(b->loop, dev_ready, b);
}

static int usage(void)
{
	fprintf(stderr, "usage: blockload URL [DISK] " LOAD_USAGE "\n"
			"       blockload --format URL EXTENT thick|thin BYTES DISK...\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct bench b = {0};
	struct stor_dev_opts o = {.event = dev_event, .event_arg = &b};
	struct cm_err err = CM_ERR_INIT;
	const char *word[2] = {NULL};
	void *memory;
	int rc;

	if (argc > 6 && !strcmp(argv[1], "--format")) {
		word[0] = argv[2];
		b.extent_bytes = strtoull(argv[3], NULL, 0);
		b.thick = !strcmp(argv[4], "thick");
		b.disk_bytes = strtoull(argv[5], NULL, 0);
		b.disks = argv + 6;
	} else if (load_parse(&b.load, argc, argv, word, 2) < 1) {
		return usage();
	}
	signal(SIGPIPE, SIG_IGN);
	b.url = word[0];
	b.name = word[1];
	b.loop = cm_loop_new(&err);
	memory = load_memory(&b.load);
	b.slots = calloc(b.load.depth + 1, sizeof *b.slots);
	if (!b.loop || !b.slots)
		return 1;
	for (unsigned i = 0; i < b.load.depth; i++)
		b.slots[i] = (struct slot){.bench = &b, .iov = load_part(&b.load, memory, i)};
	b.dev = stor_dev_open(b.loop, b.url, &o, &err);
	if (!b.dev)
		die(b.url, &err);
	rc = cm_loop_run(b.loop);
	cm_loop_free(b.loop);
	free(memory);
	free(b.slots);
	return rc;
}
