/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_plant.c - errors between two files of the product: each call that is wrapped does what it should unless the plant is
 * there; and what a process asks its kernel for, out of the seed. Parses nothing.
 */
#include "config.h"

#include "tests/sim/cluster/sim_plant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cluster/node/clu_quorum.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "fencing/fen_proof.h"
#include "sharedstorage/dev/stor_timing.h"
#include "sharedstorage/iscsi/stor_iscsi_int.h"
#include "sharedstorage/lease/stor_lease_int.h"
#include "tests/sim/cluster/sim_proc.h"

static enum sim_plant planted;
static struct stor_lease *believed; /* may run for a while without asking */
static const char *const names[] = {"none",
#define XX(n, name, what) name,
				    SIM_PLANTS(XX)
#undef XX
};
static const char *const whats[] = {"",
#define XX(n, name, what) what,
				    SIM_PLANTS(XX)
#undef XX
};

enum sim_plant sim_plant_find(const char *name)
{
	for (unsigned i = 1; i < SIM_PLANT_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return (enum sim_plant)i;
	return SIM_PLANT_NONE;
}

const char *sim_plant_name(enum sim_plant plant)
{
	return names[plant];
}

const char *sim_plant_what(enum sim_plant plant)
{
	return whats[plant];
}

void sim_plant(enum sim_plant plant)
{
	planted = plant;
	believed = NULL;
	CM_ASSERT(cm_fault_arm(plant == SIM_PLANT_NO_RESET ? "iscsi_no_reset=error:5" : "", NULL) == 0);
}

bool sim_plant_is(enum sim_plant plant)
{
	return planted == plant;
}

#define WRAP(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* --- what the kernel gives ------------------------------------------------------------------- */

WRAP(ssize_t, getrandom, void *buf, size_t n, unsigned flags)
{
	uint8_t *p = buf;

	(void)flags;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)sim_random();
	return (ssize_t)n;
}

WRAP(pid_t, getpid, void)
{
	return sim_self ? (pid_t)sim_self->pid : 1;
}

WRAP(int, stor_boot_id, struct stor_uuid *out)
{
	*out = sim_self->node->boot;
	return 0;
}

void __wrap_cm_log(enum cm_log_level level, const char *fmt, ...) cm_printf(2, 3);
void __wrap_cm_log(enum cm_log_level level, const char *fmt, ...)
{
	char words[512];
	va_list ap;

	if (!sim_is_verbose() || level > CM_LOG_INFO)
		return;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	sim_say("%s/%u: %s", sim_self ? sim_self->node->name : "-", sim_self ? sim_self->pid : 0, words);
}

/* --- fencing ---------------------------------------------------------------------------------- */

struct short_look {
	stor_block_fn done;
	void *arg;
};

static void short_look_done(int rc, const struct stor_block *b, void *arg)
{
	struct short_look *s = arg;
	struct stor_block changed;

	if (b) {
		changed = *b;
		changed.io_timeout_ms = 2; /* STOR_DEAD of it is nothing */
	}
	s->done(rc, b ? &changed : NULL, s->arg);
	free(s);
}

WRAP(void, stor_block_read, struct stor_dev *dev, uint64_t offset_bytes, stor_block_fn done, void *arg)
{
	struct short_look *s;

	if (planted != SIM_PLANT_NO_WAIT) {
		__real_stor_block_read(dev, offset_bytes, done, arg);
		return;
	}
	s = malloc(sizeof *s);
	*s = (struct short_look){done, arg};
	__real_stor_block_read(dev, offset_bytes, short_look_done, s);
}

WRAP(bool, fen_evidence_fits, const struct stor_block *b, const struct stor_uuid *boot, uint64_t epoch)
{
	return planted == SIM_PLANT_OLD_EVIDENCE || __real_fen_evidence_fits(b, boot, epoch);
}

WRAP(bool, clu_quorum_fencing_counts, const struct clu_quorum *q, uint64_t lost_wall_s, uint64_t fenced_wall_s)
{
	return planted == SIM_PLANT_OLD_HISTORY ? fenced_wall_s >= lost_wall_s
						: __real_clu_quorum_fencing_counts(q, lost_wall_s, fenced_wall_s);
}

struct no_fence {
	stor_fence_fn done;
	void *arg;
};

static void no_fence_done(void *arg)
{
	struct no_fence *f = arg;
	struct cm_err none = CM_ERR_INIT;

	f->done(0, &none, f->arg);
	free(f);
}

WRAP(void, stor_dev_fence, struct stor_dev *dev, struct stor_key *keys, unsigned n, stor_fence_fn done, void *arg)
{
	struct no_fence *f;

	if (planted != SIM_PLANT_NO_BARRIER) {
		__real_stor_dev_fence(dev, keys, n, done, arg);
		return;
	}
	f = malloc(sizeof *f);
	*f = (struct no_fence){done, arg};
	cm_loop_defer(stor_dev_loop(dev), no_fence_done, f);
}

/* --- the device ------------------------------------------------------------------------------- */

WRAP(struct stor_cdb, stor__cdb_pr_out, uint8_t service, uint8_t type, uint32_t bytes)
{
	return __real_stor__cdb_pr_out(
		planted == SIM_PLANT_NO_ABORT && service == STOR_PR_PREEMPT_ABORT ? STOR_PR_PREEMPT : service, type, bytes);
}

WRAP(unsigned, stor__iscsi_keys, const struct stor_dev *dev, struct stor_key keys[STOR_DEV_LUNS])
{
	if (planted == SIM_PLANT_KEY_FORGOTTEN && CM_CONTAINER(dev, const struct stor_iscsi, dev)->url.lun)
		return 0;
	return __real_stor__iscsi_keys(dev, keys);
}

WRAP(struct stor_older *, stor__older_find, struct stor_iscsi *d, uint64_t key)
{
	return planted == SIM_PLANT_OLDER_STAYS ? NULL : __real_stor__older_find(d, key);
}

WRAP(bool, stor__older_may_write, const struct stor_iscsi *d)
{
	return planted != SIM_PLANT_OLDER_STAYS && __real_stor__older_may_write(d);
}

/* --- moves ------------------------------------------------------------------------------------ */

struct mere {
	struct stor_lease *lease;
	stor_lease_done_fn done;
	void *arg;
};

static void mere_done(void *arg)
{
	struct mere *m = arg;
	struct cm_err none = CM_ERR_INIT;

	m->done(m->lease, 0, &none, m->arg);
	free(m);
}

static void mere_word(struct stor_lease *lease, stor_lease_done_fn done, void *arg)
{
	struct mere *m = malloc(sizeof *m);

	*m = (struct mere){lease, done, arg};
	cm_loop_defer(lease->loop, mere_done, m);
}

WRAP(void, stor_lease_commit, struct stor_lease *lease, stor_lease_done_fn done, void *arg)
{
	if (planted == SIM_PLANT_NO_COMMIT)
		mere_word(lease, done, arg);
	else
		__real_stor_lease_commit(lease, done, arg);
}

WRAP(void, stor_lease_resume, struct stor_lease *lease, stor_lease_done_fn done, void *arg)
{
	if (planted == SIM_PLANT_MERE_RESUME) {
		believed = lease;
		mere_word(lease, done, arg);
	} else {
		__real_stor_lease_resume(lease, done, arg);
	}
}

WRAP(void, stor_lease_accept, struct stor_lease *lease, stor_lease_done_fn done, void *arg)
{
	if (planted == SIM_PLANT_MERE_ACCEPT) {
		believed = lease;
		mere_word(lease, done, arg);
	} else {
		__real_stor_lease_accept(lease, done, arg);
	}
}

WRAP(unsigned, stor__act_wrote, void *ctx, void *arg)
{
	if (planted == SIM_PLANT_FROM_ANSWER)
		((struct stor_lease *)ctx)->write_start = cm_mark();
	return __real_stor__act_wrote(ctx, arg);
}

WRAP(uint64_t, stor_lease_valid_until, const struct stor_lease *lease)
{
	if (lease == believed && (planted == SIM_PLANT_MERE_RESUME || planted == SIM_PLANT_MERE_ACCEPT))
		return cm_now_ns() + STOR_FAIL(lease->io_timeout_ms) * CM_NS_PER_MS;
	return __real_stor_lease_valid_until(lease);
}

WRAP(void, stor_lease_take_over, struct stor_lease *lease, struct stor_permit *permit, bool only_with_intent,
     stor_lease_done_fn done, void *arg)
{
	__real_stor_lease_take_over(lease, permit, only_with_intent && planted != SIM_PLANT_STALE_HEIR, done, arg);
}
