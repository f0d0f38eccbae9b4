/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig_image.c - a VM saved into a file or a device and restored: errors at every step,
 * damage, cuts. On the soft engine, or with HV_TEST_ENGINE=kvm on KVM (make check-kvm).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_fault.h"
#include "migration/mig_image.h"
#include "sharedstorage/stor_open.h"
#include "tests/unit/migkit.h"

struct image_test {
	bool done;
	struct mig_result r;
};

static void image_done(void *arg, const struct mig_result *r)
{
	struct image_test *t = arg;

	t->r = *r;
	t->done = true;
}

static void on_paused(void *arg, int error)
{
	assert_int_equal(error, 0);
	*(bool *)arg = true;
}

static int image_path(struct bench *b, char *path, size_t cap)
{
	snprintf(path, cap, "%s/image", b->dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

struct image_dev {
	struct stor_dev *dev;
	bool ready, closed;
};

static void image_dev_event(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	struct image_dev *d = arg;

	(void)dev;
	if (ev == STOR_EVENT_FAILED)
		fail_msg("%s", err->text);
	d->ready |= ev == STOR_EVENT_READY;
}

static void image_dev_open(struct bench *b, struct image_dev *d, const char *path)
{
	struct stor_dev_opts o = {.exclusive_create = true, .size_bytes = mig_image_max_bytes(64 << 20),
				  .event = image_dev_event, .event_arg = d};
	struct cm_err err = CM_ERR_INIT;
	char url[160];

	*d = (struct image_dev){0};
	o.size_bytes = (o.size_bytes + 4095) / 4096 * 4096;
	snprintf(url, sizeof url, "file:%s", path);
	d->dev = stor_dev_open(b->loop, url, &o, &err);
	assert_non_null(d->dev);
	assert_true(bench_until(b, &d->ready));
}

static void image_dev_closed(void *arg)
{
	*(bool *)arg = true;
}

static void image_dev_close(struct bench *b, struct image_dev *d)
{
	stor_dev_close(d->dev, image_dev_closed, &d->closed);
	assert_true(bench_until(b, &d->closed));
}

static void pause_vm(struct bench *b, unsigned i)
{
	struct cm_err err = CM_ERR_INIT;
	bool paused = false;

	assert_int_equal(hv_vm_pause(b->host[i].vm, on_paused, &paused, &err), 0);
	assert_true(bench_until(b, &paused));
}

static void image_wait(struct bench *b, struct image_test *t)
{
	assert_true(bench_until(b, &t->done));
	t->done = false;
}

/* The process ends, another one begins: the block is released and acquired. */
static void next_process(struct bench *b)
{
	char block[128];

	b->host[0].op_rc = 1;
	bench_drop(b, 0);
	snprintf(block, sizeof block, "%s/block", b->dir);
	unlink(block); /* (a test's way to say: nobody owns it) */
	bench_host(b, 0);
}

static const struct mig_disks one_disk = {.n = 1, .disk = {{.size_bytes = 4 << 20}}};

static void saved_and_restored(struct bench *b, bool on_dev)
{
	struct image_test t = {0};
	struct mig_image_config c = {.done = image_done, .arg = &t, .fd = -1, .disks = one_disk};
	struct cm_err err = CM_ERR_INIT;
	struct image_dev d = {0};
	uint64_t beats;
	char path[128];

	bench_lives_on(b, 0);
	pause_vm(b, 0);
	beats = bench_beats(b, 0);
	c.vm = b->host[0].vm;
	snprintf(path, sizeof path, "%s/image", b->dir);
	if (on_dev)
		image_dev_open(b, &d, path);
	else
		c.fd = image_path(b, path, sizeof path);
	c.dev = d.dev;
	assert_int_equal(mig_image_save(NULL, &c, &err), 0);
	image_wait(b, &t);
	assert_int_equal(t.r.code, 0);
	assert_true(t.r.sent_bytes < 64 << 20); /* untouched memory is not in it */
	next_process(b);
	c.vm = b->host[0].vm;
	if (!on_dev)
		c.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(mig_image_restore(NULL, &c, &err), 0);
	image_wait(b, &t);
	assert_string_equal(t.r.err.text, "");
	assert_int_equal(bench_beats(b, 0), beats);
	hv_vm_set_run_until(b->host[0].vm, HV_RUN_FOREVER);
	assert_int_equal(hv_vm_run(b->host[0].vm, &err), 0);
	bench_lives_on(b, 0);
	if (on_dev)
		image_dev_close(b, &d);
	unlink(path);
}

static void save_and_restore(void **state)
{
	bench_need(state);
	saved_and_restored(*state, false);
}

static void save_and_restore_on_a_device(void **state)
{
	bench_need(state);
	saved_and_restored(*state, true);
}

/* Whatever breaks during a save, the VM is as it was; whatever breaks during a restore, the VM stays empty. */
static void image_errors_at_every_step(void **state)
{
	static const char *const save[] = {"mig.image.flushed", "mig.image.save", "mig.store.write", "mig.store.write=error:5@2",
					   "mig.store.sync"};
	static const char *const restore[] = {"mig.image.restore", "mig.store.read", "mig.store.read=error:5@2", "mig.land.memory"};
	struct bench *b = *state;
	struct image_test t = {0};
	struct mig_image_config c = {.done = image_done, .arg = &t, .fd = -1, .disks = one_disk};
	struct cm_err err = CM_ERR_INIT;
	struct mig_image *im;
	struct image_dev d;
	char path[128], spec[64];

	bench_need(state);
	bench_lives_on(b, 0);
	snprintf(path, sizeof path, "%s/image", b->dir);
	image_dev_open(b, &d, path);
	c.dev = d.dev;
	for (unsigned i = 0; i <= CM_ARRAY_LEN(save); i++) {
		pause_vm(b, 0);
		c.vm = b->host[0].vm;
		snprintf(spec, sizeof spec, strchr(save[i % CM_ARRAY_LEN(save)], '=') ? "%s" : "%s=error:5",
			 save[i % CM_ARRAY_LEN(save)]);
		if (i == CM_ARRAY_LEN(save))
			snprintf(spec, sizeof spec, "mig.store.sync=delay:600000");
		assert_int_equal(cm_fault_arm(spec, &err), 0);
		assert_int_equal(mig_image_save(&im, &c, &err), 0);
		if (i == CM_ARRAY_LEN(save)) {
			bench_for_ms(b, 50);
			mig_image_cancel(im);
			assert_int_equal(cm_fault_arm("", &err), 0);
		}
		image_wait(b, &t);
		assert_int_equal(t.r.code, i == CM_ARRAY_LEN(save) ? -ECANCELED : -5);
		assert_int_equal(cm_fault_arm("", &err), 0);
		assert_int_equal(hv_vm_run(b->host[0].vm, &err), 0);
		bench_lives_on(b, 0);
	}
	pause_vm(b, 0);
	assert_int_equal(mig_image_save(NULL, &c, &err), 0);
	image_wait(b, &t);
	assert_int_equal(t.r.code, 0);
	bench_host(b, 1);
	c.vm = b->host[1].vm;
	for (unsigned i = 0; i < CM_ARRAY_LEN(restore); i++) {
		snprintf(spec, sizeof spec, strchr(restore[i], '=') ? "%s" : "%s=error:5", restore[i]);
		assert_int_equal(cm_fault_arm(spec, &err), 0);
		assert_int_equal(mig_image_restore(NULL, &c, &err), 0);
		image_wait(b, &t);
		assert_int_equal(t.r.code, -5);
		assert_int_equal(cm_fault_arm("", &err), 0);
		assert_int_equal(hv_vm_state(b->host[1].vm), HV_VM_EMPTY);
	}
	c.disks.disk[0].id.b[3] = 7; /* somebody exchanged the disk */
	assert_int_equal(mig_image_restore(NULL, &c, &err), 0);
	image_wait(b, &t);
	assert_int_equal(t.r.code, CM_E_INCOMPATIBLE);
	c.disks = one_disk;
	assert_int_equal(mig_image_restore(NULL, &c, &err), 0);
	image_wait(b, &t);
	assert_int_equal(t.r.code, 0);
	image_dev_close(b, &d);
	unlink(path);
}

/* Every single damaged byte (sampled) and every truncation is noticed, and leaves the VM empty. */
static void damaged_image(void **state)
{
	struct bench *b = *state;
	struct image_test t = {0};
	struct mig_image_config c = {.done = image_done, .arg = &t};
	struct cm_err err = CM_ERR_INIT;
	bool paused = false;
	char path[128];
	off_t size;
	int fd;

	bench_need(state);
	assert_int_equal(hv_vm_pause(b->host[0].vm, on_paused, &paused, &err), 0);
	assert_true(bench_until(b, &paused));
	c.vm = b->host[0].vm;
	fd = image_path(b, path, sizeof path);
	c.fd = dup(fd);
	assert_int_equal(mig_image_save(NULL, &c, &err), 0);
	assert_true(bench_until(b, &t.done));
	size = lseek(fd, 0, SEEK_END);
	bench_host(b, 1);
	srandom(11);
	for (int i = 0; i < 40; i++) {
		off_t at = i < 30 ? random() % size : size - 1 - random() % 9000;
		uint8_t was, now;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		now = was ^ (uint8_t)(1 << random() % 8);
		if (i % 10 == 9)
			assert_int_equal(truncate(path, at), 0);
		else
			assert_int_equal(pwrite(fd, &now, 1, at), 1);
		c.vm = b->host[1].vm;
		c.fd = open(path, O_RDONLY | O_CLOEXEC);
		t.done = false;
		assert_int_equal(mig_image_restore(NULL, &c, &err), 0);
		assert_true(bench_until(b, &t.done));
		if (t.r.code >= 0)
			fail_msg("a changed byte at %ld of %ld was not noticed", (long)at, (long)size);
		assert_int_equal(hv_vm_state(b->host[1].vm), HV_VM_EMPTY);
		if (i % 10 == 9)
			break; /* what was cut off is gone */
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(save_and_restore),
		BENCH_TEST(save_and_restore_on_a_device),
		BENCH_TEST(image_errors_at_every_step),
		BENCH_TEST(damaged_image),
	};

	return cmocka_run_group_tests_name(bench_begin(argc, argv), tests, NULL, NULL);
}
