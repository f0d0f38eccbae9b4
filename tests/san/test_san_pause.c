/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_san_pause.c - a host that is a VM itself is paused by its hypervisor while its renewal is under way: what the answer permits ends
 * with the time that really passed. The vCPU loop as it is, on an engine that only notes when it ran; labsan.
 */
#include "config.h"

#include <stdatomic.h>
#include <time.h>

#include <string.h>

#include "common/cm_clock.h"
#include "common/cm_jump.h"
#include "hvcore/cpu/hv_vcpus.h"
#include "sharedstorage/dev/stor_timing.h"
#include "tests/san/sanparty.h"

struct engine {
	struct hv_engine_base base;
	_Atomic uint64_t last_ns;
};
static struct engine engine;

static enum hv_run e_run(struct hv_engine *e, unsigned index)
{
	struct timespec t = {.tv_nsec = 1000000};

	(void)index;
	((struct engine *)(void *)e)->last_ns = cm_now_ns();
	nanosleep(&t, NULL);
	return HV_RUN_KICKED;
}

static void e_kick(struct hv_engine *e, unsigned index)
{
	(void)e;
	(void)index;
}

static void e_expired(void *arg)
{
	(void)arg;
}

/* The array has the renewal still. */
static bool under_way(struct fix *f)
{
	char answer[8192];

	san_ask(&f->t, "luns", answer, sizeof answer);
	for (const char *at = answer; (at = strstr(at, "\"tasks\":")); at++)
		if (at[8] != '0')
			return true;
	return false;
}

static void test_pause_in_write(void **state)
{
	static const struct hv_engine_ops eops = {.vcpu_run = e_run, .vcpu_kick = e_kick};
	static const struct hv_vcpus_ops ops = {.expired = e_expired};
	const unsigned pause_ms = 3 * T_MS + T_MS / 2;
	struct fix *f = *state;
	struct hv_vcpus *v;
	struct cm_err err = CM_ERR_INIT;
	uint64_t paused_ns, ran_ns;
	unsigned n;

	engine.base.ops = &eops;
	party_open(f, &f->a, "node-a", 1);
	assert_int_equal(SAN_LEASE(&f->a.own, acquire), 0);
	assert_int_equal(hv_vcpus_new(&v, (struct hv_engine *)(void *)&engine, 1, "x", &ops, NULL, &err), 0);
	do { /* until a renewal is under way */
		n = f->a.own.renewals;
		SAN_UNTIL(f->loop, f->a.own.renewals > n);
		n = f->a.own.renewals;
		san_ctl(&f->t, "delay ms=%u lun=%u class=%s count=1", 3 * T_MS / 4, joined ? 1u : 0u, joined ? "write" : "caw");
		san_turn_ms(f->loop, STOR_RENEW(T_MS) + T_MS / 4);
		cm_loop_turn(f->loop, 0);
	} while (f->a.own.renewals > n);
	paused_ns = cm_now_ns();
	cm_jump_pretend(pause_ms * CM_NS_PER_MS);
	while (f->a.own.renewals == n && under_way(f)) /* the next one is not to be sent before the cut */
		cm_loop_turn(f->loop, 10);
	for (unsigned i = 0; i < 3; i++)
		cm_loop_turn(f->loop, 0);
	hv_vcpus_set_run_until(v, stor_lease_valid_until(f->a.own.lease));
	san_ctl(&f->t, "hang all"); /* and the SAN is cut off */
	hv_vcpus_go(v);
	san_turn_ms(f->loop, 5 * T_MS);
	ran_ns = engine.last_ns;
	hv_vcpus_stop(v);
	hv_vcpus_free(v);
	san_ctl(&f->t, "unhang all");
	if (ran_ns) /* it may have been too late for the guest to run at all */
		assert_true((ran_ns - paused_ns) / CM_NS_PER_MS + pause_ms <= STOR_STOPPED(T_MS));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pause_in_write, fix_setup, fix_teardown),
	};

	fix_args(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
