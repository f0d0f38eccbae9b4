/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig_store.c - a saved image's bytes on a block device: order, ends, errors, abort; what an
 * image says of its disks; and that of several who want to go on from one image exactly one may.
 * The test's main thread is the migration thread.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/cm_fault.h"
#include "common/cm_loop.h"
#include "migration/mig_compat.h"
#include "migration/mig_store.h"
#include "tests/unit/volkit.h"

/* --- calls on the loop's thread --- */

struct call {
	void (*fn)(struct call *c);
	struct stor_dev *dev;
	bool writes;
	struct mig_store *store;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
};

static void call_run(void *arg)
{
	struct call *c = arg;

	c->fn(c);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

static void loop_begin(struct call *c)
{
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	c->done = false;
	assert_int_equal(cm_loop_post(vk_loop, call_run, c), 0);
}

static void loop_end(struct call *c)
{
	pthread_mutex_lock(&c->lock);
	while (!c->done)
		pthread_cond_wait(&c->wake, &c->lock);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_destroy(&c->lock);
	pthread_cond_destroy(&c->wake);
}

static void on_loop(struct call *c)
{
	loop_begin(c);
	loop_end(c);
}

static void make(struct call *c)
{
	struct cm_err err = CM_ERR_INIT;

	c->store = mig_store_new(c->dev, c->writes, &err);
}

static void drop(struct call *c)
{
	mig_store_free(c->store);
}

static void stop(struct call *c)
{
	mig_store_abort(c->store);
}

static struct mig_store *store_open(struct stor_dev *dev, bool writes)
{
	struct call c = {.fn = make, .dev = dev, .writes = writes};

	on_loop(&c);
	assert_non_null(c.store);
	return c.store;
}

static void store_close(struct mig_store *s)
{
	struct call c = {.fn = drop, .store = s};

	mig_store_settle(s);
	on_loop(&c);
}

static struct stor_dev *file_dev(void)
{
	int rc;
	struct stor_dev *dev = vk_open_dev(NULL, NULL, &rc);

	assert_int_equal(rc, 0);
	return dev;
}

static void arm(const char *spec)
{
	struct cm_err err = CM_ERR_INIT;

	assert_int_equal(cm_fault_arm(spec, &err), 0);
}

/* --- the stream --- */

#define MANY (20u << 20) /* more than is in flight at once */

static void what_is_written_is_read(void **state)
{
	struct stor_dev *dev = file_dev();
	struct mig_store *s = store_open(dev, true);
	uint8_t *data = malloc(MANY + 777), *back = malloc(MANY + 777);
	size_t at = 0, n;

	(void)state;
	assert_true(data && back);
	vk_fill(data, MANY + 777, 5);
	srandom(5);
	for (; at < MANY + 777; at += n) {
		n = CM_MIN(1 + (size_t)random() % (3u << 20), MANY + 777 - at);
		assert_int_equal(mig_store_write(s, data + at, n), 0);
	}
	assert_int_equal(mig_store_sync(s), 0);
	assert_true(mig_store_bytes(s) >= MANY + 777);
	store_close(s);
	s = store_open(dev, false);
	for (at = 0; at < MANY + 777; at += n) {
		n = CM_MIN(1 + (size_t)random() % (3u << 20), MANY + 777 - at);
		assert_int_equal(mig_store_read(s, back + at, n), 0);
	}
	assert_memory_equal(data, back, MANY + 777);
	store_close(s);
	vk_close_dev(dev);
	free(data);
	free(back);
}

static void both_ends_of_the_device(void **state)
{
	static uint8_t chunk[MIG_STORE_CHUNK];
	struct stor_dev *dev = file_dev();
	struct mig_store *s = store_open(dev, true);
	int rc = 0;
	uint64_t n = 0;

	(void)state;
	for (; rc == 0; n += sizeof chunk)
		rc = mig_store_write(s, chunk, sizeof chunk);
	assert_int_equal(rc, CM_E_VOL_FULL);
	assert_int_equal(n, VK_BYTES + sizeof chunk);
	store_close(s);
	s = store_open(dev, false);
	for (rc = 0, n = 0; rc == 0; n += sizeof chunk)
		rc = mig_store_read(s, chunk, sizeof chunk);
	assert_int_equal(rc, CM_E_STREAM_TRUNCATED);
	assert_int_equal(n, VK_BYTES + sizeof chunk);
	store_close(s);
	vk_close_dev(dev);
}

/* An error of any chunk ends the stream, and no later sync says that all is well. */
static void errors_come_back(void **state)
{
	static const char *const points[] = {
		"mig.store.write=error:5@1", "mig.store.write=error:5@7",
		"mig.store.write=error:5@13", "mig.store.sync=error:5"};
	static uint8_t chunk[MIG_STORE_CHUNK];
	struct stor_dev *dev = file_dev();
	struct mig_store *s;
	int rc;

	(void)state;
	for (unsigned i = 0; i < CM_ARRAY_LEN(points); i++) {
		s = store_open(dev, true);
		arm(points[i]);
		rc = 0;
		for (unsigned n = 0; rc == 0 && n < 13; n++)
			rc = mig_store_write(s, chunk, sizeof chunk);
		if (rc == 0)
			rc = mig_store_sync(s);
		assert_int_equal(rc, -5);
		store_close(s);
	}
	arm("mig.store.read=error:5@4");
	s = store_open(dev, false);
	rc = 0;
	for (unsigned n = 0; rc == 0; n++) {
		assert_true(n < 4);
		rc = mig_store_read(s, chunk, sizeof chunk);
	}
	assert_int_equal(rc, -5);
	store_close(s);
	arm("");
	vk_close_dev(dev);
}

/* The loop takes the abort before every chunk that is written after it: whatever the disk is like,
 * the writer hears of it before it can be a full round further. */
static void aborted(void **state)
{
	static uint8_t chunk[MIG_STORE_CHUNK];

	(void)state;
	for (unsigned before = 0; before < 3 * MIG_STORE_DEPTH; before += 5) {
		struct stor_dev *dev = file_dev();
		struct mig_store *s = store_open(dev, true);
		struct call c = {.fn = stop, .store = s};
		unsigned n = 0;
		int rc = 0;

		for (; n < before; n++)
			assert_int_equal(mig_store_write(s, chunk, sizeof chunk), 0);
		loop_begin(&c);
		for (; rc == 0 && n < before + 2 * MIG_STORE_DEPTH; n++)
			rc = mig_store_write(s, chunk, sizeof chunk);
		assert_int_equal(rc, -ECANCELED);
		loop_end(&c);
		assert_int_equal(mig_store_write(s, chunk, sizeof chunk), -ECANCELED);
		assert_true(mig_store_sync(s) < 0);
		store_close(s);
		vk_close_dev(dev);
	}
}

/* --- at most once --- */

#define RACERS 6u
#define ROUNDS 40u

static const struct stor_uuid vm = {{7, 7, 7}};

struct racer {
	pthread_t thread;
	pthread_barrier_t *go;
	struct stor_dev *dev;
	struct stor_volume *vol;
	struct stor_uuid id;
	bool drops;
	int rc;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct cm_err err = CM_ERR_INIT;

	pthread_barrier_wait(r->go);
	r->rc = r->drops ? stor_volume_image_drop(r->vol, &vm, &err)
			 : stor_volume_image_consume(r->vol, &vm, &r->id, &err);
	return NULL;
}

/* Several want to go on from one image, and one wants it discarded: one of them all has it, the
 * others hear that it is gone. */
static void one_of_many_goes_on(void **state)
{
	struct racer r[RACERS];
	struct cm_err err = CM_ERR_INIT;
	struct stor_image_info info;
	pthread_barrier_t go;

	(void)state;
	pthread_barrier_init(&go, NULL, RACERS);
	for (unsigned i = 0; i < RACERS; i++) {
		r[i] = (struct racer){.go = &go, .drops = i == RACERS - 1};
		r[i].vol = vk_attach(&r[i].dev, i == 0);
	}
	for (unsigned n = 0; n < ROUNDS; n++) {
		unsigned won = 0;

		assert_int_equal(stor_volume_image_create(r[0].vol, &vm, 1 << 20, &err), 0);
		assert_int_equal(stor_volume_image_find(r[0].vol, &vm, &info, &err), 0);
		assert_int_equal(stor_volume_image_consume(r[1].vol, &vm, &info.id, NULL),
				 CM_E_NO_DISK); /* not sealed yet */
		assert_int_equal(stor_volume_image_seal(r[0].vol, &vm, &err), 0);
		for (unsigned i = 0; i < RACERS; i++) {
			r[i].id = info.id;
			assert_int_equal(pthread_create(&r[i].thread, NULL, race, &r[i]), 0);
		}
		for (unsigned i = 0; i < RACERS; i++) {
			pthread_join(r[i].thread, NULL);
			won += r[i].rc == 0;
			if (r[i].rc && r[i].rc != CM_E_NO_DISK)
				fail_msg("racer %u: %s", i, cm_err_text(r[i].rc));
		}
		assert_int_equal(won, 1);
		assert_int_equal(stor_volume_image_find(r[0].vol, &vm, &info, NULL), CM_E_NO_DISK);
		/* The next image is another one: who knew the last cannot have it. */
		assert_int_equal(stor_volume_image_create(r[0].vol, &vm, 1 << 20, &err), 0);
		assert_int_equal(stor_volume_image_seal(r[0].vol, &vm, &err), 0);
		assert_int_equal(stor_volume_image_consume(r[1].vol, &vm, &r[0].id, NULL),
				 CM_E_NO_DISK);
		assert_int_equal(stor_volume_image_drop(r[0].vol, &vm, &err), 0);
	}
	vk_check_clean(r[0].vol, false, 0);
	for (unsigned i = 0; i < RACERS; i++) {
		stor_volume_free(r[i].vol);
		vk_close_dev(r[i].dev);
	}
	pthread_barrier_destroy(&go);
}

/* --- what an image says of its disks --- */

static void disks_are_told_apart(void **state)
{
	const struct mig_disks was = {.n = 2,
				      .disk = {{.id = {{1}}, .size_bytes = 1 << 20},
					       {.size_bytes = 2 << 20, .readonly = true}}};
	struct mig_disks now, got;
	struct cm_err err = CM_ERR_INIT;
	struct cm_buf b;

	(void)state;
	cm_buf_init(&b, 4096);
	mig_disks_encode(&b, &was);
	assert_int_equal(mig_disks_decode(b.data, b.len, &got, &err), 0);
	assert_int_equal(mig_compat_disks(&was, &got, &err), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_true(mig_disks_decode(b.data, n, &got, NULL) < 0);
	for (size_t n = 0; n < b.len * 8; n++) {
		b.data[n / 8] ^= (uint8_t)(1u << n % 8);
		assert_true(mig_disks_decode(b.data, b.len, &got, NULL) < 0);
		b.data[n / 8] ^= (uint8_t)(1u << n % 8);
	}
	now = was;
	now.disk[0].size_bytes *= 2;
	assert_int_equal(mig_compat_disks(&was, &now, NULL), 0); /* it has grown */
	assert_int_equal(mig_compat_disks(&now, &was, NULL), CM_E_INCOMPATIBLE);
	now = was;
	now.disk[0].id.b[0] = 2;
	assert_int_equal(mig_compat_disks(&was, &now, NULL), CM_E_INCOMPATIBLE);
	now = was;
	now.disk[1].readonly = false;
	assert_int_equal(mig_compat_disks(&was, &now, NULL), CM_E_INCOMPATIBLE);
	now.n = 1;
	assert_int_equal(mig_compat_disks(&was, &now, NULL), CM_E_INCOMPATIBLE);
	cm_buf_fini(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, vk_setup, vk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_written_is_read), T(both_ends_of_the_device),
		T(errors_come_back),	    T(aborted),
		T(one_of_many_goes_on),	    cmocka_unit_test(disks_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
