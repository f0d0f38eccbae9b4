/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_agent.c - the work of fence_hvsan; see fen_agent.h. Parses nothing itself: blocks and keys
 * come decoded from sharedstorage/.
 */
#include "config.h"

#include "fencing/fen_agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fencing/fen_proof.h"
#include "sharedstorage/iscsi/stor_pr.h"
#include "sharedstorage/stor_open.h"
#include "sharedstorage/volume/stor_volume.h"

#define AGENT_VMS   1024u /* no volume has more */
#define AGENT_KEYS  60u	  /* at a time */
#define AGENT_SLOTS 16u

struct agent_vm {
	struct agent *agent;
	struct stor_block block;
	uint64_t offset_bytes;
};

struct agent {
	struct fen_agent_cfg cfg;
	char node[STOR_NODE_NAME];
	struct stor_dev *dev;
	struct stor_volume *vol;
	pthread_t thread;
	struct agent_vm *vms; /* RUNNING ones; of the victim, or of everybody for LIST */
	unsigned nvms, waiting, proven;
	uint16_t slots[AGENT_SLOTS]; /* host slots that the victim had, of all rounds */
	unsigned nslots;
	bool again; /* not the first look */
	struct stor_key keys[AGENT_KEYS];
	unsigned nkeys;
	int rc;
	struct cm_err err;
	bool ended;
};

static void agent_line(struct agent *a, const char *fmt, ...) cm_printf(2, 3);
static void agent_line(struct agent *a, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (a->cfg.line)
		a->cfg.line(text, a->cfg.arg);
}

static void agent_gone(void *arg)
{
	struct agent *a = arg;

	a->cfg.done(a->rc, &a->err, a->cfg.arg);
	free(a->vms);
	free(a);
}

static void agent_end(struct agent *a, int rc, const struct cm_err *err)
{
	if (a->ended)
		return;
	a->ended = true;
	a->rc = rc;
	if (err)
		a->err = *err;
	stor_volume_free(a->vol);
	a->vol = NULL;
	stor_dev_close(a->dev, agent_gone, a);
}

static void agent_fail(struct agent *a, int code, const char *words)
{
	struct cm_err err = CM_ERR_INIT;

	cm_err_set(&err, code, "%s", words);
	agent_end(a, code, &err);
}

/* --- keys -------------------------------------------------------------------------------- */

static void slot_add(struct agent *a, uint16_t slot)
{
	for (unsigned i = 0; i < a->nslots; i++)
		if (a->slots[i] == slot)
			return;
	if (a->nslots < AGENT_SLOTS && slot != STOR_SLOT_TOOL)
		a->slots[a->nslots++] = slot;
}

static bool is_victim_key(const struct agent *a, uint64_t key)
{
	for (unsigned i = 0; stor_pr_key_ours(key) && i < a->nslots; i++)
		if (a->slots[i] == stor_pr_key_slot(key))
			return true;
	return false;
}

static void agent_look(struct agent *a);
static void agent_keys(int rc, const uint64_t *keys, unsigned n, void *arg);

static void agent_keys_gone(int rc, const struct cm_err *err, void *arg)
{
	struct agent *a = arg;

	if (rc)
		agent_end(a, rc, err);
	else
		stor_dev_read_keys(a->dev, agent_keys, a); /* until there is none */
}

static void agent_keys(int rc, const uint64_t *keys, unsigned n, void *arg)
{
	struct agent *a = arg;

	if (rc)
		return agent_fail(a, rc, "the keys cannot be read");
	a->nkeys = 0;
	for (unsigned i = 0; i < n && a->nkeys < AGENT_KEYS; i++)
		if (is_victim_key(a, keys[i]))
			a->keys[a->nkeys++] =
				(struct stor_key){.key = keys[i], .lun = stor_dev_lun(a->dev)};
	if (a->cfg.action == FEN_AGENT_STATUS)
		return agent_end(a, a->nkeys ? 0 : 1, NULL);
	if (a->nkeys) {
		agent_line(a, "%u keys of %s are left to shut out", a->nkeys, a->node);
		stor_dev_fence(a->dev, a->keys, a->nkeys, agent_keys_gone, a);
		return;
	}
	/* A move may have been committed to the node after our first look: it ends when a look
	 * finds nothing. */
	a->again = true;
	agent_look(a);
}

/* --- leases -------------------------------------------------------------------------------- */

/* One VM is settled: rc 0, or its owner is alive, or nobody knows. */
static void agent_settled(struct agent_vm *vm, int rc, const char *words)
{
	struct agent *a = vm->agent;
	char id[STOR_UUID_TEXT];

	stor_uuid_format(&vm->block.vm, id);
	a->waiting--;
	if (!rc)
		agent_line(a, "VM %s %s", id, words);
	else if (!a->err.code)
		cm_err_set(&a->err, rc, "VM %s: %s", id, words);
	if (a->waiting)
		return;
	if (a->err.code) {
		struct cm_err first = a->err;

		return agent_end(a, first.code, &first);
	}
	stor_dev_read_keys(a->dev, agent_keys, a);
}

static void agent_vacated(int rc, const struct cm_err *err, void *arg)
{
	agent_settled(arg, rc, rc ? err->text : "has expired, is shut out and may start elsewhere");
}

static void agent_proof(struct fen_proof *proof, const struct cm_err *err, void *arg)
{
	struct agent_vm *vm = arg;

	if (proof) /* the word "off" holds for good: from now on the block does not name the node
		      any more */
		fen_vacate(vm->agent->dev, vm->offset_bytes, proof, agent_vacated, vm);
	else if (err->code == -ENODATA) /* released meanwhile */
		agent_settled(vm, 0, "was let go by its owner");
	else
		agent_settled(vm, err->code, err->text);
}

static void agent_off(struct agent *a)
{
	struct cm_err err = CM_ERR_INIT;

	if (!a->nvms && a->again)
		return agent_end(a, 0, NULL);
	agent_line(a, "%s owns %u VMs here", a->node, a->nvms);
	a->waiting = a->nvms;
	for (unsigned i = 0; i < a->nvms; i++)
		if (!fen_shut_out_start(a->dev, a->vms[i].offset_bytes, agent_proof, &a->vms[i],
					&err))
			return agent_end(a, err.code, &err);
	if (!a->nvms)
		stor_dev_read_keys(a->dev, agent_keys, a);
}

static void agent_list(struct agent *a)
{
	for (unsigned i = 0; i < a->nvms; i++) {
		unsigned k = 0;

		while (strcmp(a->vms[k].block.owner.node, a->vms[i].block.owner.node))
			k++;
		if (k == i)
			agent_line(a, "%s", a->vms[i].block.owner.node);
	}
	agent_end(a, 0, NULL);
}

static void agent_read(void *arg)
{
	struct agent *a = arg;

	pthread_join(a->thread, NULL);
	if (a->err.code) {
		struct cm_err err = a->err;

		return agent_end(a, err.code, &err);
	}
	switch (a->cfg.action) {
	case FEN_AGENT_OFF:
		agent_off(a);
		break;
	case FEN_AGENT_STATUS:
		if (a->nvms)
			agent_end(a, 0, NULL);
		else
			stor_dev_read_keys(a->dev, agent_keys, a);
		break;
	case FEN_AGENT_LIST:
		agent_list(a);
		break;
	case FEN_AGENT_MONITOR:
	case FEN_AGENT_NONE:
		agent_end(a, 0, NULL);
		break;
	}
}

/* [worker] */
static void collect(const struct stor_block *b, uint64_t offset_bytes, void *arg)
{
	struct agent *a = arg;

	if (b->state != STOR_BLOCK_RUNNING || a->nvms == AGENT_VMS)
		return;
	if (a->cfg.action != FEN_AGENT_LIST && strcmp(b->owner.node, a->node))
		return;
	a->vms[a->nvms++] =
		(struct agent_vm){.agent = a, .block = *b, .offset_bytes = offset_bytes};
	slot_add(a, b->owner.host_slot);
}

static void *agent_worker(void *arg)
{
	struct agent *a = arg;
	int rc = stor_volume_each_vm(a->vol, collect, a, &a->err);

	if (rc)
		cm_err_set(&a->err, rc, "the ownership blocks cannot be read");
	CM_ASSERT(!cm_loop_post(a->cfg.loop, agent_read, a));
	return NULL;
}

static void agent_look(struct agent *a)
{
	a->nvms = 0;
	if (pthread_create(&a->thread, NULL, agent_worker, a))
		agent_fail(a, -EAGAIN, "no thread");
}

static void agent_attached(struct stor_volume *vol, const struct cm_err *err, void *arg)
{
	struct agent *a = arg;

	if (!vol)
		return agent_end(a, err->code, err);
	a->vol = vol;
	agent_look(a);
}

static void agent_event(struct stor_dev *dev, enum stor_dev_event event, const struct cm_err *err,
			void *arg)
{
	struct agent *a = arg;

	if (event == STOR_EVENT_READY)
		stor_volume_attach(dev, agent_attached, a);
	else if (event == STOR_EVENT_FAILED)
		agent_end(a, err->code, err);
}

int fen_agent_run(const struct fen_agent_cfg *cfg, struct cm_err *err)
{
	struct agent *a = calloc(1, sizeof *a);
	struct stor_dev_opts o = {.host_slot = STOR_SLOT_TOOL,
				  .initiator = cfg->initiator,
				  .io_timeout_ms = cfg->io_timeout_ms,
				  .event = agent_event,
				  .event_arg = a};

	if (a)
		a->vms = calloc(AGENT_VMS, sizeof *a->vms);
	if (!a || !a->vms) {
		free(a);
		return cm_err_set(err, -ENOMEM, "no memory");
	}
	a->cfg = *cfg;
	snprintf(a->node, sizeof a->node, "%s", cfg->node ? cfg->node : "");
	a->dev = stor_dev_open(cfg->loop, cfg->url, &o, err);
	if (!a->dev) {
		free(a->vms);
		free(a);
		return err->code;
	}
	return 0;
}
