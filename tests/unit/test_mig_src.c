/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig.c - migrations between two VMs in one process: a real guest that checks every page it wrote, a real ownership block
 * on a file, TLS with a single-use key. On the soft engine, or with HV_TEST_ENGINE=kvm on KVM (make check-kvm).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cm_fault.h"
#include "common/cm_fsm.h"
#include "common/cm_log.h"
#include "migration/mig_image.h"
#include "tests/unit/mig_bench.h"

#define STEPPER "mode=step,beat pages=1024 rate=200"

static const struct hv_engine_ops *engine; /* of this run */
static struct bench bench;

static int setup(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	*state = NULL;
	(void)cm_fault_arm("", &err);
	if (!bench_open(&bench, engine, STEPPER, 1))
		return 0;
	*state = &bench;
	bench_host(&bench, 0);
	bench_boot(&bench, 0);
	return 0;
}

static int teardown(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)cm_fault_arm("", &err);
	if (*state)
		bench_close(*state);
	return 0;
}

static void need(void **state)
{
	if (!*state)
		skip();
}

/* The guest runs on host i, beats on, and has found nothing wrong. */
static void lives_on(struct bench *b, unsigned i)
{
	uint64_t before = bench_beats(b, i);

	for (int n = 0; n < 600 && bench_beats(b, i) < before + 20; n++)
		bench_for_ms(b, 20);
	assert_true(bench_runs(b, i));
	assert_true(bench_beats(b, i) >= before + 20);
	assert_false(bench_guest_failed(b, i));
}

static void moved(struct bench *b, unsigned from, unsigned to)
{
	if (b->src_result.code || b->dst_result.code)
		fail_msg("source: %s; destination: %s", b->src_result.err.text, b->dst_result.err.text);
	assert_false(bench_runs(b, from));
	lives_on(b, to);
	assert_int_equal(stor_lease_valid_until(b->host[from].lease), 0);
	assert_true(b->src_result.blackout_ns > 0);
	assert_true(b->src_result.blackout_ns < b->src_result.total_ns + 1);
}

static void phases_add_up(const struct mig_result *r)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MIG_PHASE_COUNT; i++)
		sum += r->phase_ns[i];
	/* The same instants bound the phases and the whole; what is between them is code, not waiting. */
	assert_true(sum <= r->blackout_ns + r->blackout_ns / 10 + 1000000);
	assert_true(sum + r->blackout_ns / 4 + 5000000 >= r->blackout_ns);
}

static void live_there_and_back(void **state)
{
	struct bench *b = *state;

	need(state);
	for (unsigned i = 0; i < 6; i++) {
		unsigned from = i % 2, to = 1 - from;
		struct mig_src_config cfg = {.max_blackout_ms = 2000, .verify_ram = i == 2};

		bench_drop(b, to);
		bench_host(b, to);
		bench_move(b, from, to, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
		bench_wait(b);
		moved(b, from, to);
		phases_add_up(&b->src_result);
		assert_true(b->src_result.rounds > 0);
	}
}

static void quick_there_and_back(void **state)
{
	struct bench *b = *state;

	need(state);
	for (unsigned i = 0; i < 4; i++) {
		unsigned from = i % 2, to = 1 - from;
		struct mig_src_config cfg = {.verify_ram = true};

		bench_drop(b, to);
		bench_host(b, to);
		bench_move(b, from, to, HV__MIGRATION_MODE__MODE_QUICK, &cfg);
		bench_wait(b);
		moved(b, from, to);
		assert_int_equal(b->src_result.rounds, 0);
	}
}

static void held_until_released(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = 5000, .hold = true};

	need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	assert_true(bench_until(b, &b->ready_told));
	bench_for_ms(b, 200);
	assert_false(b->src_done);
	lives_on(b, 0);
	mig_src_commit(b->src);
	bench_wait(b);
	moved(b, 0, 1);
}

static void cancelled(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = 5000, .hold = true};
	struct cm_err err = CM_ERR_INIT;

	need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	assert_true(bench_until(b, &b->ready_told));
	assert_int_equal(mig_src_cancel(b->src, &err), 0);
	bench_wait(b);
	assert_int_equal(b->src_result.code, CM_E_MIG_CANCELLED);
	assert_true(b->src_result.vm_runs_here);
	assert_true(b->dst_result.code < 0);
	assert_false(bench_runs(b, 1));
	lives_on(b, 0);
	/* And it can be moved afterwards. */
	bench_drop(b, 1);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, NULL);
	bench_wait(b);
	moved(b, 0, 1);
}

static void no_convergence(void **state)
{
	struct bench *b = *state;
	struct mig_src_config cfg = {.max_blackout_ms = 1}; /* less than the fixed part */

	need(state);
	bench_host(b, 1);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, &cfg);
	bench_wait(b);
	assert_int_equal(b->src_result.code, CM_E_MIG_NO_CONVERGE);
	assert_true(b->src_result.vm_runs_here);
	lives_on(b, 0);
}

/*
 * An error at every phase of either end: before the commit the source runs on, after it the destination; never both, never
 * none.
 */
static void error_at_every_phase(void **state)
{
	static const struct {
		const char *point;
		bool moves;
	} phase[] = {
		{"mig.src.connect", false}, {"mig.src.connected", false}, {"mig.src.hello", false}, {"mig.src.welcome", false},
		{"mig.src.round.first", false}, {"mig.src.round.later", false}, {"mig.src.pause", false}, {"mig.src.flushed", false},
		{"mig.src.round.last", false}, {"mig.src.state", false}, {"mig.src.verified", false}, {"mig.src.committed", true},
		{"mig.src.told", true},
		{"mig.dst.listen", false}, {"mig.dst.connected", false}, {"mig.dst.hello", false}, {"mig.dst.welcome", false},
		{"mig.land.memory", false}, {"mig.dst.landed", false}, {"mig.dst.loaded", false}, {"mig.dst.took", true},
	};
	struct bench *b = *state;
	unsigned at = 0;

	need(state);
	for (unsigned i = 0; i < CM_ARRAY_LEN(phase); i++) {
		struct cm_err err = CM_ERR_INIT;
		char spec[64];

		bench_drop(b, 1 - at);
		bench_host(b, 1 - at);
		snprintf(spec, sizeof spec, "%s=error:5@1", phase[i].point);
		assert_int_equal(cm_fault_arm(spec, &err), 0);
		bench_move(b, at, 1 - at, i % 2 ? HV__MIGRATION_MODE__MODE_QUICK : HV__MIGRATION_MODE__MODE_LIVE, NULL);
		bench_wait(b);
		(void)cm_fault_arm("", &err);
		if (bench_runs(b, 0) + bench_runs(b, 1) != 1)
			fail_msg("%s: runs on %d and %d", phase[i].point, bench_runs(b, 0), bench_runs(b, 1));
		if (strcmp(phase[i].point, "mig.src.round.later") == 0 || strcmp(phase[i].point, "mig.src.round.first") == 0) {
			; /* a quick move has no rounds: it may have gone through */
		} else if (bench_runs(b, 1 - at) != phase[i].moves) {
			fail_msg("%s: the VM is on the wrong side; source says %s, destination %s", phase[i].point,
				 b->src_result.err.text, b->dst_result.err.text);
		}
		if (bench_runs(b, 1 - at))
			at = 1 - at;
		lives_on(b, at);
	}
}

/* The destination says "verified" and falls silent: it asks the block, finds the intent cleared, and lets go. */
static void silent_after_verified(void **state)
{
	struct bench *b = *state;
	struct cm_err err = CM_ERR_INIT;

	need(state);
	bench_host(b, 1);
	assert_int_equal(cm_fault_arm("mig.dst.verified=error:5@1", &err), 0);
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_QUICK, NULL);
	bench_wait(b);
	/* The source heard "verified" and committed: the VM is there. */
	moved(b, 0, 1);
}

static void wrong_key(void **state)
{
	struct bench *b = *state;

	need(state);
	bench_host(b, 1);
	b->wrong_key = true;
	bench_move(b, 0, 1, HV__MIGRATION_MODE__MODE_LIVE, NULL);
	bench_wait(b);
	assert_true(b->src_result.code < 0);
	assert_true(b->dst_result.code < 0);
	assert_false(bench_runs(b, 1));
	lives_on(b, 0);
}

/* --- images ------------------------------------------------------------------------------------------ */

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

static int image_path(char *path, size_t cap)
{
	snprintf(path, cap, "%s/image", bench.dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* --- images on a block device */

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

	lives_on(b, 0);
	pause_vm(b, 0);
	beats = bench_beats(b, 0);
	c.vm = b->host[0].vm;
	snprintf(path, sizeof path, "%s/image", b->dir);
	if (on_dev)
		image_dev_open(b, &d, path);
	else
		c.fd = image_path(path, sizeof path);
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
	lives_on(b, 0);
	if (on_dev)
		image_dev_close(b, &d);
	unlink(path);
}

static void save_and_restore(void **state)
{
	need(state);
	saved_and_restored(*state, false);
}

static void save_and_restore_on_a_device(void **state)
{
	need(state);
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

	need(state);
	lives_on(b, 0);
	snprintf(path, sizeof path, "%s/image", b->dir);
	image_dev_open(b, &d, path);
	c.dev = d.dev;
	for (unsigned i = 0; i <= CM_ARRAY_LEN(save); i++) {
		pause_vm(b, 0);
		c.vm = b->host[0].vm;
		snprintf(spec, sizeof spec, strchr(save[i % CM_ARRAY_LEN(save)], '=') ? "%s" : "%s=error:5",
			 save[i % CM_ARRAY_LEN(save)]);
		if (i == CM_ARRAY_LEN(save))
			snprintf(spec, sizeof spec, "mig.store.sync=delay:200");
		assert_int_equal(cm_fault_arm(spec, &err), 0);
		assert_int_equal(mig_image_save(&im, &c, &err), 0);
		if (i == CM_ARRAY_LEN(save)) {
			bench_for_ms(b, 50);
			mig_image_cancel(im);
		}
		image_wait(b, &t);
		assert_int_equal(t.r.code, i == CM_ARRAY_LEN(save) ? -ECANCELED : -5);
		assert_int_equal(cm_fault_arm("", &err), 0);
		assert_int_equal(hv_vm_run(b->host[0].vm, &err), 0);
		lives_on(b, 0);
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

	need(state);
	assert_int_equal(hv_vm_pause(b->host[0].vm, on_paused, &paused, &err), 0);
	assert_true(bench_until(b, &paused));
	c.vm = b->host[0].vm;
	fd = image_path(path, sizeof path);
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

static void machines_are_complete(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)state;
	if (cm_fsm_check(mig_src_fsm(), &err) < 0 || cm_fsm_check(mig_dst_fsm(), &err) < 0)
		fail_msg("%s", err.text);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machines_are_complete),
		T(live_there_and_back), T(quick_there_and_back), T(held_until_released), T(cancelled),
		T(no_convergence), T(error_at_every_phase), T(silent_after_verified), T(wrong_key),
		T(save_and_restore), T(save_and_restore_on_a_device),
		T(image_errors_at_every_step), T(damaged_image),
	};
	const char *only = argc > 1 ? argv[1] : getenv("HV_TEST_ENGINE");

	signal(SIGPIPE, SIG_IGN);
	cm_log_set_level(getenv("HV_TEST_LOG") ? CM_LOG_DEBUG : CM_LOG_CRIT);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	engine = only && strcmp(only, "kvm") == 0 ? &hv_engine_kvm : &hv_engine_soft;
	return cmocka_run_group_tests_name(engine->name, tests, NULL, NULL);
}
