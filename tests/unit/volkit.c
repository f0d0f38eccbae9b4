/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * volkit.c - see volkit.h.
 */
#include "config.h"

#include "tests/unit/volkit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_fault.h"
#include "sharedstorage/stor_open.h"

char vk_path[64], vk_url[256];
uint16_t vk_host_slot;
unsigned vk_resized;
static int vk_fd = -1;
struct cm_loop *vk_loop;
static pthread_t loop_thread;

/* --- a worker's view of asynchronous things ------------------------------ */

struct sync {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	int rc;
	struct stor_dev *dev;
	struct stor_volume *vol;
	const char *name;
	const struct stor_uuid *vm; /* its image, not a disk */
	struct stor_req req;
	struct iovec iov[3];
	uint64_t size;
	struct stor_dev_status status;
};

static void sync_init(struct sync *s)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
}

static void sync_say(struct sync *s, int rc)
{
	pthread_mutex_lock(&s->lock);
	s->rc = rc;
	s->done = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

static int sync_run(struct sync *s, cm_post_fn fn)
{
	assert_int_equal(cm_loop_post(vk_loop, fn, s), 0);
	pthread_mutex_lock(&s->lock);
	while (!s->done)
		pthread_cond_wait(&s->wake, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return s->rc;
}

static void on_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err,
		     void *arg)
{
	struct sync *s = arg;

	(void)dev;
	if (ev == STOR_EVENT_RESIZED)
		vk_resized++;
	if (ev == STOR_EVENT_READY || ev == STOR_EVENT_FAILED)
		sync_say(s, ev == STOR_EVENT_READY ? 0 : err->code);
}

static void do_open(void *arg)
{
	struct sync *s = arg;
	struct stor_dev_opts o = {
		.event = on_event, .event_arg = s, .host_slot = vk_host_slot, .isid = vk_host_slot};

	s->dev = s->vm	  ? stor_image_open(s->vol, s->vm, &o, NULL)
		 : s->vol ? stor_disk_open(s->vol, s->name, &o, NULL)
			  : stor_dev_open(vk_loop, vk_url, &o, NULL);
	if (!s->dev)
		sync_say(s, -1);
}

/* Of each device that is open: its event callback may come as long as it lives. */
#define OPEN_MAX 64u
static struct sync *opened[OPEN_MAX];
static pthread_mutex_t opened_lock = PTHREAD_MUTEX_INITIALIZER;

static struct stor_dev *open_any(struct stor_volume *vol, const char *name,
				 const struct stor_uuid *vm, int *rc)
{
	struct sync *s = calloc(1, sizeof *s);
	unsigned i = 0;

	sync_init(s);
	s->vol = vol;
	s->name = name;
	s->vm = vm;
	pthread_mutex_lock(&opened_lock);
	while (i < OPEN_MAX && opened[i])
		i++;
	assert_true(i < OPEN_MAX);
	opened[i] = s;
	pthread_mutex_unlock(&opened_lock);
	*rc = sync_run(s, do_open);
	return s->dev;
}

struct stor_dev *vk_open_dev(struct stor_volume *vol, const char *name, int *rc)
{
	return open_any(vol, name, NULL, rc);
}

struct stor_dev *vk_open_image(struct stor_volume *vol, const struct stor_uuid *vm, int *rc)
{
	return open_any(vol, NULL, vm, rc);
}

static void closed(void *arg)
{
	sync_say(arg, 0);
}

static void do_close(void *arg)
{
	struct sync *s = arg;

	stor_dev_close(s->dev, closed, s);
}

void vk_close_dev(struct stor_dev *dev)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	sync_run(&s, do_close);
	pthread_mutex_lock(&opened_lock);
	for (unsigned i = 0; i < OPEN_MAX; i++)
		if (opened[i] && opened[i]->dev == dev) {
			free(opened[i]);
			opened[i] = NULL;
			break;
		}
	pthread_mutex_unlock(&opened_lock);
}

static void io_done(struct stor_req *r, int rc)
{
	sync_say(r->arg, rc);
}

static void do_io(void *arg)
{
	struct sync *s = arg;

	stor_dev_submit(s->dev, &s->req);
}

static void do_shut(void *arg)
{
	struct sync *s = arg;

	stor_dev_shut(s->dev, "the test");
	sync_say(s, 0);
}

void vk_shut(struct stor_dev *dev)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	sync_run(&s, do_shut);
}

static void late_done(struct stor_req *r, int rc)
{
	*(int *)r->arg = rc;
}

static void do_late(void *arg)
{
	struct sync *s = arg;

	stor_dev_submit(s->dev, s->req.arg);
	sync_say(s, 0);
}

void vk_write_late(struct stor_dev *dev, uint64_t at, struct iovec *iov, struct stor_req *req,
		   int *rc)
{
	struct sync s;
	struct stor_req *r = req;

	stor_req_writev(r, at, iov, 1, late_done, rc);
	sync_init(&s);
	s.dev = dev;
	s.req.arg = r;
	sync_run(&s, do_late);
}

static void do_abandon(void *arg)
{
	struct sync *s = arg;

	stor_dev_abandon(s->dev);
	sync_say(s, 0);
}

void vk_abandon(struct stor_dev *dev)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	sync_run(&s, do_abandon);
}

int vk_disk_io(struct stor_dev *dev, bool write, uint64_t at, uint8_t *buf, size_t n)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	/* three uneven pieces, so that borders of extents and of iovecs do not coincide */
	s.iov[0] = (struct iovec){buf, 512};
	s.iov[1] = (struct iovec){buf + 512, n / 2 / 512 * 512};
	s.iov[2] = (struct iovec){buf + 512 + s.iov[1].iov_len, n - 512 - s.iov[1].iov_len};
	if (write)
		stor_req_writev(&s.req, at, s.iov, 3, io_done, &s);
	else
		stor_req_readv(&s.req, at, s.iov, 3, io_done, &s);
	return sync_run(&s, do_io);
}

int vk_discard(struct stor_dev *dev, uint64_t at, uint64_t n)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	stor_req_discard(&s.req, at, n, io_done, &s);
	return sync_run(&s, do_io);
}

static void reloaded(int rc, uint64_t size_bytes, void *arg)
{
	struct sync *s = arg;

	s->size = size_bytes;
	sync_say(s, rc);
}

static void do_reload(void *arg)
{
	struct sync *s = arg;

	stor_disk_reload(s->dev, reloaded, s);
}

int vk_reload(struct stor_dev *dev, uint64_t *size_bytes)
{
	struct sync s;
	int rc;

	sync_init(&s);
	s.dev = dev;
	rc = sync_run(&s, do_reload);
	*size_bytes = s.size;
	return rc;
}

static void do_status(void *arg)
{
	struct sync *s = arg;

	stor_dev_get_status(s->dev, &s->status);
	sync_say(s, 0);
}

void vk_status(struct stor_dev *dev, struct stor_dev_status *status)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	sync_run(&s, do_status);
	*status = s.status;
}

int vk_flush(struct stor_dev *dev)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	stor_req_flush(&s.req, io_done, &s);
	return sync_run(&s, do_io);
}

int vk_caw(struct stor_dev *dev, uint64_t at, const void *compare, const void *swap,
	   uint32_t sector_bytes)
{
	struct sync s;

	sync_init(&s);
	s.dev = dev;
	stor_req_caw(&s.req, at, compare, swap, sector_bytes, io_done, &s);
	return sync_run(&s, do_io);
}

static void *run_loop(void *arg)
{
	(void)arg;
	cm_loop_run(vk_loop);
	return NULL;
}

/* A file in memory: it is gone when the last process of the test is, however that ended. */
void vk_new_file(uint64_t bytes, uint32_t sector_bytes)
{
	vk_fd = memfd_create("volume", 0);
	assert_true(vk_fd >= 0);
	assert_int_equal(ftruncate(vk_fd, (off_t)bytes), 0);
	snprintf(vk_path, sizeof vk_path, "/proc/self/fd/%d", vk_fd);
	snprintf(vk_url, sizeof vk_url, "file:%s?sector=%u", vk_path, sector_bytes);
}

void vk_use_file(const char *path)
{
	vk_fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(vk_fd >= 0);
}

void vk_end_file(void)
{
	close(vk_fd);
	vk_fd = -1;
}

int vk_file(void)
{
	return vk_fd;
}

void vk_start(void)
{
	vk_loop = cm_loop_new(NULL);
	assert_non_null(vk_loop);
	assert_int_equal(pthread_create(&loop_thread, NULL, run_loop, NULL), 0);
}

void vk_stop(void)
{
	cm_fault_arm("", NULL);
	cm_loop_stop(vk_loop, 0);
	pthread_join(loop_thread, NULL);
	cm_loop_free(vk_loop);
}

int vk_setup(void **state)
{
	(void)state;
	vk_new_file(VK_BYTES, 512);
	vk_start();
	return 0;
}

int vk_teardown(void **state)
{
	(void)state;
	vk_stop();
	vk_end_file();
	return 0;
}

/* Holes stay holes, and zeroes become some. */
void vk_copy(int in, int out)
{
	static uint8_t buf[1 << 14];
	off_t end = lseek(in, 0, SEEK_END), at = 0;

	assert_int_equal(ftruncate(out, 0), 0);
	assert_int_equal(ftruncate(out, end), 0);
	while ((at = lseek(in, at, SEEK_DATA)) >= 0) {
		off_t hole = lseek(in, at, SEEK_HOLE);

		while (at < hole) {
			ssize_t n =
				pread(in, buf, (size_t)CM_MIN(hole - at, (off_t)sizeof buf), at);

			assert_true(n > 0);
			if (buf[0] || memcmp(buf, buf + 1, (size_t)n - 1))
				assert_int_equal(pwrite(out, buf, (size_t)n, at), n);
			at += n;
		}
	}
}

struct stor_volume *vk_attach(struct stor_dev **dev, bool format)
{
	struct stor_volume *vol = NULL;
	struct cm_err err = CM_ERR_INIT;
	int rc;

	*dev = vk_open_dev(NULL, NULL, &rc);
	assert_int_equal(rc, 0);
	if (format)
		assert_int_equal(stor_volume_format(*dev, "v0", VK_EXTENT, &err), 0);
	assert_int_equal(stor_volume_open(*dev, &vol, &err), 0);
	return vol;
}

void vk_fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + (i >> 9) + seed);
}

void vk_check_clean(struct stor_volume *vol, bool repair, uint64_t leaked)
{
	struct stor_volume_report r;

	assert_int_equal(stor_volume_check(vol, repair, NULL, NULL, &r, NULL), 0);
	assert_int_equal(r.leaked_extents, leaked);
	assert_int_equal(r.doubly_used_extents, 0);
	assert_int_equal(r.bad_structures, 0);
}

void vk_poke(off_t at, const void *p, size_t n)
{
	assert_int_equal(pwrite(vk_fd, p, n, at), (ssize_t)n);
}
