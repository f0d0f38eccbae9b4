/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sim_target.c - LUNs, tasks and their ends. Persistent reservations are in sim_pr.c. Parses CDBs.
 */
#include "config.h"

#include "tests/sim/cluster/sim_target.h"

#include <string.h>

#include "common/cm_buf.h"
#include "sharedstorage/iscsi/stor_scsi.h"
#include "tests/sim/cluster/sim_pr.h"
#include "tests/sim/cluster/sim_world.h"

struct sim_manners sim_manners;
void (*sim_landed)(unsigned lun, uint64_t lba, const uint8_t *data);
void (*sim_compared)(uint64_t nexus);
static struct sim_lun luns[SIM_LUNS];
static TAILQ_HEAD(, sim_task) spare;

void sim_target_begin(void)
{
	memset(luns, 0, sizeof luns);
	TAILQ_INIT(&spare);
	for (unsigned i = 0; i < SIM_LUNS; i++) {
		TAILQ_INIT(&luns[i].tasks);
		TAILQ_INIT(&luns[i].waits);
		luns[i].sectors = sim_alloc(SIM_SECTORS * SIM_SECTOR);
	}
	sim_manners = (struct sim_manners){0};
}

const uint8_t *sim_target_sector(unsigned lun, uint64_t lba)
{
	return luns[lun].sectors + lba * SIM_SECTOR;
}

/* --- waiting for the end of tasks ---------------------------------------------------- */

static void wait_look(struct sim_lun *l)
{
	struct sim_answer good = {.status = STOR_SCSI_GOOD};
	struct sim_wait *w, *next;
	struct sim_task *t;

	for (w = TAILQ_FIRST(&l->waits); w; w = next) {
		bool over = true;

		next = TAILQ_NEXT(w, link);
		TAILQ_FOREACH (t, &l->tasks, link)
			over &= t->wait_seq > w->seq || !(w->all || t->nexus == w->nexus);
		if (!over)
			continue;
		TAILQ_REMOVE(&l->waits, w, link);
		w->answer(&good, w->arg);
	}
}

static void task_end(struct sim_task *t)
{
	struct sim_lun *l = t->lun;

	TAILQ_REMOVE(&l->tasks, t, link);
	TAILQ_INSERT_TAIL(&spare, t, link);
	wait_look(l);
}

/* Ends the tasks that are there, each dropped now or landing when it does; then answers. */
void sim_lun_abort(struct sim_lun *l, bool all, uint64_t nexus, sim_answer_fn answer, void *arg)
{
	struct sim_wait *w = sim_alloc(sizeof *w);
	struct sim_task *t, *next;

	*w = (struct sim_wait){.all = all, .nexus = nexus, .seq = l->seqs++, .answer = answer, .arg = arg};
	for (t = TAILQ_FIRST(&l->tasks); t; t = next) {
		next = TAILQ_NEXT(t, link);
		if (!all && t->nexus != nexus)
			continue;
		if (sim_chance(400)) {
			sim_cancel(t->landing);
			TAILQ_REMOVE(&l->tasks, t, link);
			TAILQ_INSERT_TAIL(&spare, t, link);
		} else {
			t->answer = NULL; /* aborted: it is not answered any more */
		}
	}
	TAILQ_INSERT_TAIL(&l->waits, w, link);
	wait_look(l);
}

/* --- commands --------------------------------------------------------------------------- */

static void land(void *arg)
{
	struct sim_task *t = arg;
	uint8_t *at = t->lun->sectors + t->lba * SIM_SECTOR;
	struct sim_answer a = {.status = STOR_SCSI_GOOD};

	if (t->caw && memcmp(at, t->data, SIM_SECTOR)) {
		a.status = STOR_SCSI_CHECK;
		a.key = STOR_KEY_MISCOMPARE;
		a.asc = 0x1d;
	} else {
		memcpy(at, t->data + (t->caw ? SIM_SECTOR : 0), SIM_SECTOR);
		if (sim_landed)
			sim_landed((unsigned)(t->lun - luns), t->lba, at);
		if (t->caw && sim_compared)
			sim_compared(t->nexus);
	}
	if (t->answer)
		t->answer(&a, t->arg);
	task_end(t);
}

static void write_begins(struct sim_lun *l, uint64_t nexus, const uint8_t *cdb, const uint8_t *data, uint32_t bytes,
			 sim_answer_fn answer, void *arg)
{
	struct sim_task *t = TAILQ_FIRST(&spare);
	uint64_t takes = sim_between(20, 400) * 1000;

	if (sim_chance(sim_manners.stuck_permille))
		takes = sim_between(SIM_MS, sim_manners.stuck_ns);
	if (t)
		TAILQ_REMOVE(&spare, t, link);
	else
		t = sim_alloc(sizeof *t);
	t->lun = l;
	t->nexus = nexus;
	t->wait_seq = l->seqs++;
	t->lba = cm_be64(cdb + 2);
	t->caw = cdb[0] == 0x89;
	CM_ASSERT(bytes <= sizeof t->data && t->lba < SIM_SECTORS);
	memcpy(t->data, data, bytes);
	t->answer = answer;
	t->arg = arg;
	t->landing = sim_at(sim_now + takes, land, t);
	TAILQ_INSERT_TAIL(&l->tasks, t, link);
}

static void inquiry(unsigned lun, const uint8_t *cdb, struct sim_answer *a)
{
	if (cdb[2] != 0x80) {
		a->status = STOR_SCSI_CHECK;
		a->key = STOR_KEY_ILLEGAL;
		a->asc = 0x24;
		return;
	}
	a->data[1] = 0x80;
	a->data[3] = 4;
	memcpy(a->data + 4, "lun0", 4);
	a->data[7] = (uint8_t)('0' + lun);
	a->bytes = 8;
}

/* What is answered at once. */
static void simple(struct sim_lun *l, uint64_t nexus, const uint8_t *cdb, struct sim_answer *a)
{
	switch (cdb[0]) {
	case 0x12:
		inquiry((unsigned)(l - luns), cdb, a);
		return;
	case 0x9e:
		cm_put_be64(a->data, SIM_SECTORS - 1);
		cm_put_be32(a->data + 8, SIM_SECTOR);
		a->bytes = 32;
		return;
	case 0x88:
		a->bytes = cm_be32(cdb + 10) * SIM_SECTOR;
		CM_ASSERT(a->bytes <= sizeof a->data && cm_be64(cdb + 2) < SIM_SECTORS);
		memcpy(a->data, l->sectors + cm_be64(cdb + 2) * SIM_SECTOR, a->bytes);
		return;
	case 0x5e:
		sim_pr_in(l, cdb, a);
		return;
	default: /* TEST UNIT READY, SYNCHRONIZE CACHE */
		(void)nexus;
		return;
	}
}

void sim_target_command(uint64_t nexus, unsigned lun, const uint8_t *cdb, const uint8_t *data, uint32_t bytes,
			sim_answer_fn answer, void *arg)
{
	struct sim_lun *l = &luns[lun];
	struct sim_answer a = {.status = STOR_SCSI_GOOD};
	bool writes = cdb[0] == 0x8a || cdb[0] == 0x89;

	if (sim_chance(sim_manners.busy_permille)) {
		a.status = STOR_SCSI_BUSY;
	} else if (cdb[0] != 0x12 && sim_pr_attention(l, nexus, &a)) {
		; /* told once, instead */
	} else if (cdb[0] == 0x5f) {
		sim_pr_out(l, nexus, cdb, data, answer, arg);
		return;
	} else if (writes && !sim_pr_may_write(l, nexus)) {
		a.status = STOR_SCSI_CONFLICT;
	} else if (writes) {
		write_begins(l, nexus, cdb, data, bytes, answer, arg);
		return;
	} else {
		simple(l, nexus, cdb, &a);
	}
	answer(&a, arg);
}

void sim_target_reset(uint64_t nexus, unsigned lun, sim_answer_fn answer, void *arg)
{
	sim_pr_tell_all(&luns[lun], nexus, 0x29, 3);
	sim_lun_abort(&luns[lun], true, 0, answer, arg);
}
