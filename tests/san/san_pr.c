/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_pr.c - persistent reservations (SPC-4): registrations, who conflicts, PERSISTENT RESERVE IN.
 *
 * A registration belongs to an I_T nexus (initiator name + ISID + portal group) and outlives its
 * session. Parses the CDBs of PERSISTENT RESERVE IN. The changes are in san_pr_out.c.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct san_reg *san_pr_find(const struct san_lun *lun, const struct san_nexus *n)
{
	struct san_reg *r;

	TAILQ_FOREACH (r, &lun->pr.regs, link)
		if (r->nexus == n)
			return r;
	return NULL;
}

uint64_t san_pr_key(const struct san_lun *lun, const struct san_nexus *n)
{
	const struct san_reg *r = lun->pr.count ? san_pr_find(lun, n) : NULL;

	return r ? r->key : 0;
}

bool san_pr_is_all(uint8_t type)
{
	return type == 7 || type == 8;
}

struct san_reg *san_pr_add(struct san_lun *lun, struct san_nexus *n, uint64_t key)
{
	struct san_reg *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->nexus = n;
	r->key = key;
	TAILQ_INSERT_TAIL(&lun->pr.regs, r, link);
	lun->pr.count++;
	return r;
}

void san_pr_remove(struct san_lun *lun, struct san_reg *r)
{
	TAILQ_REMOVE(&lun->pr.regs, r, link);
	lun->pr.count--;
	free(r);
}

void san_pr_wipe(struct san_lun *lun)
{
	struct san_reg *r;

	while ((r = TAILQ_FIRST(&lun->pr.regs)))
		san_pr_remove(lun, r);
	lun->pr.type = 0;
	lun->pr.holder = NULL;
	lun->pr.generation = 0;
	lun->pr.aptpl = false;
}

/* Table 13 of SBC-3 and the one of SPC-4, by the two flags of the command. */
bool san_pr_conflict(const struct san_lun *lun, const struct san_nexus *n, uint8_t op_flags)
{
	bool exclusive_access;

	if (!lun->pr.type || !(op_flags & (SAN_OP_PR_READ | SAN_OP_PR_WRITE)))
		return false;
	if (lun->pr.holder == n)
		return false;
	if (lun->pr.type >= 5 && san_pr_find(lun, n))
		return false;
	exclusive_access = lun->pr.type == 3 || lun->pr.type == 6 || lun->pr.type == 8;
	return op_flags & SAN_OP_PR_WRITE || exclusive_access;
}

/* --- PERSISTENT RESERVE IN -------------------------------------------------------------- */

static void read_keys(struct san_cmd *cmd, uint32_t alloc)
{
	const struct san_pr *pr = &cmd->lun->pr;
	uint8_t *d = calloc(1, 8 + 8 * (size_t)pr->count), *p = d + 8;
	const struct san_reg *r;

	if (!d) {
		cmd->status = SAN_BUSY;
		return;
	}
	san_put32(d, pr->generation);
	san_put32(d + 4, 8 * pr->count);
	TAILQ_FOREACH (r, &pr->regs, link) {
		san_put64(p, r->key);
		p += 8;
	}
	san_reply(cmd, d, (uint32_t)(p - d), alloc);
	free(d);
}

static void read_reservation(struct san_cmd *cmd, uint32_t alloc)
{
	const struct san_pr *pr = &cmd->lun->pr;
	uint8_t d[24] = {0};

	san_put32(d, pr->generation);
	if (!pr->type) {
		san_reply(cmd, d, 8, alloc);
		return;
	}
	san_put32(d + 4, 16);
	san_put64(d + 8, pr->holder ? san_pr_key(cmd->lun, pr->holder) : 0);
	d[21] = pr->type;
	san_reply(cmd, d, sizeof d, alloc);
}

static void capabilities(struct san_cmd *cmd, uint32_t alloc)
{
	uint8_t d[8] = {0, 8};

	d[2] = cmd->san->state_dir[0] ? 0x01 : 0;	   /* PTPL_C */
	d[3] = 0x80 | (cmd->lun->pr.aptpl ? 0x01 : 0);	   /* TMV, PTPL_A */
	d[4] = 1 << 7 | 1 << 6 | 1 << 5 | 1 << 3 | 1 << 1; /* types 7 6 5 3 1 */
	d[5] = 1;					   /* type 8 */
	san_reply(cmd, d, sizeof d, alloc);
}

/* One descriptor of READ FULL STATUS; returns its length. The TransportID is iSCSI's, format 01b.
 */
static uint32_t full_descriptor(const struct san_lun *lun, const struct san_reg *r, uint8_t *p)
{
	bool holder = lun->pr.type && (san_pr_is_all(lun->pr.type) || lun->pr.holder == r->nexus);
	const uint8_t *i = r->nexus->isid;
	char *id = (char *)p + 24 + 4;
	size_t n;

	san_put64(p, r->key);
	if (holder) {
		p[12] = 0x01;
		p[13] = lun->pr.type;
	}
	san_put16(p + 18, r->nexus->tpgt);
	n = (size_t)sprintf(id, "%s,i,0x%02x%02x%02x%02x%02x%02x", r->nexus->name, i[0], i[1], i[2],
			    i[3], i[4], i[5]) +
	    1;
	n = (n + 3) & ~(size_t)3;
	p[24] = 0x45;
	san_put16(p + 26, (uint16_t)n);
	san_put32(p + 20, (uint32_t)n + 4);
	return 24 + 4 + (uint32_t)n;
}

static void full_status(struct san_cmd *cmd, uint32_t alloc)
{
	const struct san_pr *pr = &cmd->lun->pr;
	uint8_t *d = calloc(1, 8 + (size_t)pr->count * (28 + SAN_NAME_MAX + 24));
	const struct san_reg *r;
	uint32_t n = 8;

	if (!d) {
		cmd->status = SAN_BUSY;
		return;
	}
	TAILQ_FOREACH (r, &pr->regs, link)
		n += full_descriptor(cmd->lun, r, d + n);
	san_put32(d, pr->generation);
	san_put32(d + 4, n - 8);
	san_reply(cmd, d, n, alloc);
	free(d);
}

bool san_run_pr_in(struct san_cmd *cmd)
{
	uint32_t alloc = san_get16(cmd->cdb + 7);

	switch (cmd->cdb[1] & 0x1f) {
	case 0:
		read_keys(cmd, alloc);
		break;
	case 1:
		read_reservation(cmd, alloc);
		break;
	case 2:
		capabilities(cmd, alloc);
		break;
	default:
		full_status(cmd, alloc);
		break;
	}
	return true;
}
