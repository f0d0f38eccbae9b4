/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migkit.c - two hosts in one process. See migkit.h.
 */
#include "config.h"

#include "tests/unit/migkit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/machine/hv_char.h"
#include "sharedstorage/stor_open.h"

#define WAIT_NS (60 * CM_NS_PER_S)

/* --- waiting ------------------------------------------------------------------------------ */

bool bench_until(struct bench *b, const bool *flag)
{
	uint64_t end = cm_now_ns() + WAIT_NS;

	while (!*flag && cm_now_ns() < end)
		cm_loop_turn(b->loop, 20);
	return *flag;
}

void bench_for_ms(struct bench *b, unsigned ms)
{
	uint64_t end = cm_now_ns() + ms * CM_NS_PER_MS;

	while (cm_now_ns() < end)
		cm_loop_turn(b->loop, 5);
}

static void until_op(struct host *h)
{
	uint64_t end = cm_now_ns() + WAIT_NS;

	while (h->op_rc == 1 && cm_now_ns() < end)
		cm_loop_turn(h->b->loop, 20);
}

/* --- a host ---------------------------------------------------------------------------------- */

static void on_lost(struct stor_lease *lease, enum stor_lost reason, void *arg)
{
	struct host *h = arg;

	(void)lease;
	(void)reason;
	h->lost = true;
	if (h->vm)
		hv_vm_set_run_until(h->vm, 0);
}

static void on_renewed(struct stor_lease *lease, uint64_t until_ns, void *arg)
{
	struct host *h = arg;

	(void)lease;
	if (h->vm)
		hv_vm_set_run_until(h->vm, until_ns);
}

static const struct stor_lease_ops lease_ops = {.lost = on_lost, .renewed = on_renewed};

static void on_dev(struct stor_dev *dev, enum stor_dev_event ev, const struct cm_err *err, void *arg)
{
	struct host *h = arg;

	(void)dev;
	if (ev == STOR_EVENT_FAILED)
		fprintf(stderr, "device: %s\n", err->text);
	h->ready += ev == STOR_EVENT_READY;
}

static void on_op(struct stor_lease *lease, int rc, const struct cm_err *err, void *arg)
{
	struct host *h = arg;

	(void)lease;
	if (rc)
		fprintf(stderr, "lease: %s\n", err->text);
	h->op_rc = rc;
}

static void on_vm(void *arg, struct hv_vm *vm, enum hv_vm_event ev, const char *text)
{
	struct host *h = arg;

	(void)vm;
	if (ev == HV_VM_EV_FAILED)
		fprintf(stderr, "host %s: %s\n", h->name, text);
	h->off |= ev == HV_VM_EV_POWERED_OFF || ev == HV_VM_EV_FAILED;
}

static struct stor_dev *open_dev(struct host *h, const char *file, uint64_t bytes)
{
	struct stor_dev_opts o = {.gated = true, .exclusive_create = true, .size_bytes = bytes, .event = on_dev,
				  .event_arg = h};
	struct cm_err err = CM_ERR_INIT;
	char url[160];
	struct stor_dev *d;
	unsigned had = h->ready;

	snprintf(url, sizeof url, "file:%s/%s", h->b->dir, file);
	d = stor_dev_open(h->b->loop, url, &o, &err);
	CM_ASSERT(d);
	while (h->ready == had)
		cm_loop_turn(h->b->loop, 20);
	return d;
}

void bench_host(struct bench *b, unsigned i)
{
	struct host *h = &b->host[i];
	struct hv_vm_owner owner = {.event = on_vm, .arg = h};
	struct cm_err err = CM_ERR_INIT;
	struct stor_lease_cfg lc = {.vm = b->uuid, .ops = &lease_ops, .arg = h};

	*h = (struct host){.b = b, .name = i ? "two" : "one"};
	h->lease_dev = open_dev(h, "block", 1 << 20);
	h->disk_dev = open_dev(h, "disk", 4 << 20);
	lc.dev = h->lease_dev;
	lc.node = lc.label = h->name;
	h->lease = stor_lease_new(&lc, &err);
	CM_ASSERT(h->lease && stor_lease_guard(h->lease, h->disk_dev) == 0);
	h->cfg = (struct hv_vm_config){.memory_bytes = 64 << 20, .cpus = b->cpus, .engine = b->engine, .kvm_fd = -1,
				       .kernel_fd = b->kernel_fd, .initrd_fd = -1};
	snprintf(h->cfg.name, sizeof h->cfg.name, "guest");
	snprintf(h->cfg.cmdline, sizeof h->cfg.cmdline, "%s", b->cmdline);
	memcpy(h->cfg.uuid, b->uuid.b, 16);
	h->cfg.disk[0].dev = h->disk_dev;
	snprintf(h->cfg.disk[0].serial, sizeof h->cfg.disk[0].serial, "bench");
	for (unsigned n = 0; n < HV_SLOT_NET_MAX; n++)
		h->cfg.net[n].tap_fd = -1;
	h->cfg.console = h->cfg.rng = h->cfg.balloon = true;
	if (hv_vm_new(&h->vm, &h->cfg, b->loop, &owner, &err) < 0) {
		fprintf(stderr, "VM: %s\n", err.text);
		abort();
	}
}

static void on_closed(void *arg)
{
	*(bool *)arg = true;
}

void bench_drop(struct bench *b, unsigned i)
{
	struct host *h = &b->host[i];
	bool done = false;

	if (!h->lease_dev)
		return;
	hv_vm_free(h->vm);
	h->vm = NULL;
	stor_lease_close(h->lease, on_closed, &done);
	bench_until(b, &done);
	done = false;
	stor_dev_close(h->disk_dev, on_closed, &done);
	bench_until(b, &done);
	done = false;
	stor_dev_close(h->lease_dev, on_closed, &done);
	bench_until(b, &done);
	memset(h, 0, sizeof *h);
}

static bool serial_has(struct host *h, const char *what)
{
	static char text[65537];
	size_t n;

	hv_lock_take(hv_vm_lock(h->vm));
	n = hv_char_history(hv_vm_serial(h->vm), (uint8_t *)text, sizeof text - 1);
	hv_lock_drop(hv_vm_lock(h->vm));
	text[n] = 0;
	return strstr(text, what) != NULL;
}

void bench_boot(struct bench *b, unsigned i)
{
	struct host *h = &b->host[i];
	struct cm_err err = CM_ERR_INIT;
	uint64_t end = cm_now_ns() + WAIT_NS;

	h->op_rc = 1;
	stor_lease_acquire(h->lease, on_op, h);
	until_op(h);
	CM_ASSERT(h->op_rc == 0);
	hv_vm_set_run_until(h->vm, stor_lease_valid_until(h->lease));
	if (hv_vm_boot(h->vm, &err) < 0 || hv_vm_run(h->vm, &err) < 0) {
		fprintf(stderr, "boot: %s\n", err.text);
		abort();
	}
	while (!serial_has(h, "guest: ready") && cm_now_ns() < end && !h->off)
		cm_loop_turn(b->loop, 20);
	CM_ASSERT(serial_has(h, "guest: ready"));
}

bool bench_guest_failed(struct bench *b, unsigned i)
{
	struct host *h = &b->host[i];

	return h->off || serial_has(h, "FAILED") || serial_has(h, "TRAP");
}

struct find {
	const char *name;
	uint64_t value;
};

static void found(void *arg, const char *name, uint64_t value)
{
	struct find *f = arg;

	if (strstr(name, f->name))
		f->value = value;
}

uint64_t bench_beats(struct bench *b, unsigned i)
{
	struct find f = {.name = ".beats"};

	hv_vm_counters(b->host[i].vm, found, &f);
	return f.value;
}

bool bench_runs(struct bench *b, unsigned i)
{
	return b->host[i].vm && hv_vm_state(b->host[i].vm) == HV_VM_RUNNING;
}

/* --- moves ------------------------------------------------------------------------------------ */

static void src_progress(void *arg, const struct mig_progress *p)
{
	struct bench *b = arg;

	b->progresses++;
	b->ready_told |= p->stage == HV__MIGRATION_STAGE__STAGE_READY;
}

static void src_done(void *arg, const struct mig_result *r)
{
	struct bench *b = arg;

	b->src_result = *r;
	b->src_done = true;
	b->src = NULL;
}

static void dst_done(void *arg, const struct mig_result *r)
{
	struct bench *b = arg;

	b->dst_result = *r;
	b->dst_done = true;
	b->dst = NULL;
}

void bench_move(struct bench *b, unsigned from, unsigned to, Hv__MigrationMode mode, const struct mig_src_config *cfg)
{
	struct mig_src_config s = cfg ? *cfg : (struct mig_src_config){.max_blackout_ms = BENCH_BLACKOUT_MS};
	struct mig_dst_config d = {0};
	struct cm_err err = CM_ERR_INIT;
	struct px_psk psk, other;
	int fd[2];

	CM_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0 && px_psk_make(&psk) == 0);
	CM_ASSERT(px_psk_make(&other) == 0);
	b->src_done = b->dst_done = b->ready_told = false;
	d.vm = b->host[to].vm;
	d.lease = b->host[to].lease;
	d.listen_fd = -1;
	d.fd = fd[1];
	s.psk = &psk;
	d.psk = b->wrong_key ? &other : &psk;
	d.epoch = s.epoch = stor_lease_epoch(b->host[from].lease);
	d.source = s.node = b->host[from].name;
	d.give_up_ms = 3000;
	d.done = dst_done;
	s.vm = b->host[from].vm;
	s.lease = b->host[from].lease;
	s.fd = fd[0];
	s.mode = mode;
	s.progress = src_progress;
	s.done = src_done;
	d.arg = s.arg = b;
	if (mig_dst_start(&b->dst, &d, &err) < 0 || mig_src_start(&b->src, &s, &err) < 0) {
		fprintf(stderr, "move: %s\n", err.text);
		abort();
	}
}

void bench_wait(struct bench *b)
{
	(void)bench_until(b, &b->src_done);
	(void)bench_until(b, &b->dst_done);
	CM_ASSERT(b->src_done && b->dst_done);
}

/* --- life ------------------------------------------------------------------------------------- */

bool bench_open(struct bench *b, const struct hv_engine_ops *engine, const char *cmdline, unsigned cpus)
{
	struct hv_engine_caps caps = {0};
	struct cm_err err = CM_ERR_INIT;

	memset(b, 0, sizeof *b);
	if (engine->probe(&caps, &err) < 0 || !caps.usable) {
		printf("skipped: engine %s: %s\n", engine->name, err.code ? err.text : caps.words);
		return false;
	}
	b->kernel_fd = open(BENCH_GUEST, O_RDONLY | O_CLOEXEC);
	if (b->kernel_fd < 0) {
		printf("skipped: %s: %s\n", BENCH_GUEST, strerror(errno));
		return false;
	}
	b->engine = engine;
	b->cpus = cpus;
	snprintf(b->cmdline, sizeof b->cmdline, "%s", cmdline);
	snprintf(b->dir, sizeof b->dir, "/tmp/mig-bench.XXXXXX");
	CM_ASSERT(mkdtemp(b->dir));
	stor_uuid_random(&b->uuid);
	b->loop = cm_loop_new(&err);
	CM_ASSERT(b->loop);
	return true;
}

void bench_close(struct bench *b)
{
	static const char *const files[] = {"block", "disk"};
	char path[128];

	bench_drop(b, 0);
	bench_drop(b, 1);
	cm_loop_free(b->loop);
	close(b->kernel_fd);
	for (unsigned i = 0; i < CM_ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
		unlink(path);
	}
	rmdir(b->dir);
}

/* --- of a test -------------------------------------------------------------------------------- */

static const struct hv_engine_ops *run_engine; /* of this run */
static struct bench run_bench;

const char *bench_begin(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : getenv("HV_TEST_ENGINE");

	signal(SIGPIPE, SIG_IGN);
	cm_log_set_level(getenv("HV_TEST_LOG") ? CM_LOG_DEBUG : CM_LOG_CRIT);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	run_engine = only && strcmp(only, "kvm") == 0 ? &hv_engine_kvm : &hv_engine_soft;
	return run_engine->name;
}

int bench_setup(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	*state = NULL;
	(void)cm_fault_arm("", &err);
	if (!bench_open(&run_bench, run_engine, BENCH_STEPPER, 1))
		return 0;
	*state = &run_bench;
	bench_host(&run_bench, 0);
	bench_boot(&run_bench, 0);
	return 0;
}

int bench_teardown(void **state)
{
	struct cm_err err = CM_ERR_INIT;

	(void)cm_fault_arm("", &err);
	if (*state)
		bench_close(*state);
	return 0;
}

void bench_need(void **state)
{
	if (!*state)
		skip();
}

void bench_lives_on(struct bench *b, unsigned i)
{
	uint64_t before = bench_beats(b, i);

	for (int n = 0; n < 3000 && bench_beats(b, i) < before + 20; n++)
		bench_for_ms(b, 20);
	assert_true(bench_runs(b, i));
	assert_true(bench_beats(b, i) >= before + 20);
	assert_false(bench_guest_failed(b, i));
}
