/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_ini.c - a thin initiator over libiscsi for the tests of labsan.
 *
 * Parses what labsan answers, which is what the tests are about; so it only copies.
 */
#include "config.h"

#include "tests/san/labsan_ini.h"
#include "tests/san/san_wire.h"

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int serve(struct ini *i)
{
	struct pollfd p = {.fd = iscsi_get_fd(i->ctx), .events = (short)iscsi_which_events(i->ctx)};

	if (poll(&p, 1, 30000) <= 0)
		return -1;
	return iscsi_service(i->ctx,
			     p.revents & (POLLHUP | POLLERR) ? p.revents | POLLIN : p.revents);
}

static int prepare(struct ini *i, const char *name, int isid, const struct ini_login *opt)
{
	snprintf(i->name, sizeof i->name, "iqn.2026-01.test:%s", name);
	i->login = 0;
	i->ctx = iscsi_create_context(i->name);
	if (!i->ctx)
		return -1;
	iscsi_set_isid_oui(i->ctx, 0x4856, (uint32_t)isid);
	iscsi_set_noautoreconnect(i->ctx, 1);
	iscsi_set_session_type(i->ctx, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(i->ctx, opt && opt->header_digest ? ISCSI_HEADER_DIGEST_CRC32C
								  : ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_targetname(i->ctx, LABSAN_IQN);
	if (opt && opt->user)
		iscsi_set_initiator_username_pwd(i->ctx, opt->user, opt->password);
	if (opt && opt->target_user)
		iscsi_set_target_username_pwd(i->ctx, opt->target_user, opt->target_password);
	return 0;
}

int ini_open(struct ini *i, struct labsan_proc *p, const char *name, int isid,
	     const struct ini_login *opt)
{
	char portal[32];

	if (prepare(i, name, isid, opt) < 0)
		return -1;
	snprintf(portal, sizeof portal, "127.0.0.1:%d", p->port[opt ? opt->path : 0]);
	if (iscsi_connect_sync(i->ctx, portal) == 0 && iscsi_login_sync(i->ctx) == 0)
		return 0;
	ini_close(i);
	return -1;
}

static void on_login(struct iscsi_context *ctx, int status, void *command_data, void *private_data)
{
	struct ini *i = private_data;

	(void)ctx;
	(void)command_data;
	i->login = status == SCSI_STATUS_GOOD ? 1 : -1;
}

int ini_open_begin(struct ini *i, struct labsan_proc *p, const char *name, int isid)
{
	char portal[32];

	if (prepare(i, name, isid, NULL) < 0)
		return -1;
	snprintf(portal, sizeof portal, "127.0.0.1:%d", p->port[0]);
	if (iscsi_connect_sync(i->ctx, portal) < 0 || iscsi_login_async(i->ctx, on_login, i) < 0)
		return -1;
	while (i->login == 0 && iscsi_which_events(i->ctx) & POLLOUT)
		if (serve(i) < 0)
			return -1;
	return 0;
}

int ini_open_end(struct ini *i)
{
	while (i->login == 0)
		if (serve(i) < 0)
			return -1;
	return i->login == 1 ? 0 : -1;
}

void ini_close(struct ini *i)
{
	if (i->ctx)
		iscsi_destroy_context(i->ctx);
	i->ctx = NULL;
}

static void on_reply(struct iscsi_context *ctx, int status, void *command_data, void *private_data)
{
	struct ini_reply *r = private_data;
	struct scsi_task *task = command_data;

	(void)ctx;
	r->status = status;
	r->done = true;
	if (status == SCSI_STATUS_CHECK_CONDITION)
		r->sense = (int)task->sense.key << 16 | task->sense.ascq;
	if (task->datain.size > 0 && status == SCSI_STATUS_GOOD) {
		r->len = (uint32_t)task->datain.size;
		memcpy(r->data, task->datain.data,
		       r->len < sizeof r->data ? r->len : sizeof r->data);
	}
	scsi_free_scsi_task(task);
}

int ini_send(struct ini *i, int lun, const uint8_t *cdb, int cdb_len, char dir, void *data,
	     uint32_t len, struct ini_reply *r)
{
	struct iscsi_data d = {.size = len, .data = data};
	struct scsi_task *task = scsi_create_task(cdb_len, (unsigned char *)(uintptr_t)cdb,
						  dir == 'r'   ? SCSI_XFER_READ
						  : dir == 'w' ? SCSI_XFER_WRITE
							       : SCSI_XFER_NONE,
						  (int)len);

	memset(r, 0, sizeof *r - sizeof r->data);
	if (!task)
		return -1;
	return iscsi_scsi_command_async(i->ctx, lun, task, on_reply, dir == 'w' ? &d : NULL, r);
}

int ini_wait(struct ini *i, struct ini_reply *r)
{
	while (!r->done)
		if (serve(i) < 0 && !r->done) {
			r->done = true;
			r->status = INI_CANCELLED;
		}
	return r->status;
}

int ini_do(struct ini *i, int lun, const uint8_t *cdb, int cdb_len, char dir, void *data,
	   uint32_t len, struct ini_reply *r)
{
	if (ini_send(i, lun, cdb, cdb_len, dir, data, len, r) < 0)
		return -1;
	return ini_wait(i, r);
}

void ini_settle(struct ini *i, int lun)
{
	struct ini_reply *r = malloc(sizeof *r);
	const uint8_t cdb[6] = {0};
	int n = 0;

	while (r &&
	       ini_do(i, lun, cdb, sizeof cdb, '-', NULL, 0, r) == SCSI_STATUS_CHECK_CONDITION &&
	       n++ < 16)
		;
	free(r);
}

static void cdb16(uint8_t *cdb, uint8_t op, uint8_t flags, uint64_t lba, uint32_t n)
{
	memset(cdb, 0, 16);
	cdb[0] = op;
	cdb[1] = flags;
	san_put64(cdb + 2, lba);
	san_put32(cdb + 10, n);
}

static int run(struct ini *i, int lun, const uint8_t *cdb, int n, char dir, void *data,
	       uint32_t len)
{
	struct ini_reply *r = malloc(sizeof *r);
	int status = r ? ini_do(i, lun, cdb, n, dir, data, len, r) : -1;

	free(r);
	return status;
}

int ini_write(struct ini *i, int lun, uint64_t lba, uint32_t blocks, uint8_t fill, bool fua,
	      uint32_t bs)
{
	uint8_t cdb[16], *buf = malloc((size_t)blocks * bs);
	int status = -1;

	if (buf) {
		memset(buf, fill, (size_t)blocks * bs);
		cdb16(cdb, 0x8a, fua ? 0x08 : 0, lba, blocks);
		status = run(i, lun, cdb, sizeof cdb, 'w', buf, blocks * bs);
	}
	free(buf);
	return status;
}

int ini_send_write(struct ini *i, int lun, uint64_t lba, uint8_t *block, struct ini_reply *r)
{
	uint8_t cdb[16];

	cdb16(cdb, 0x8a, 0, lba, 1);
	return ini_send(i, lun, cdb, sizeof cdb, 'w', block, 512, r);
}

int ini_read(struct ini *i, int lun, uint64_t lba, uint32_t blocks, uint32_t bs,
	     struct ini_reply *r)
{
	uint8_t cdb[16];

	cdb16(cdb, 0x88, 0, lba, blocks);
	return ini_do(i, lun, cdb, sizeof cdb, 'r', NULL, blocks * bs, r);
}

int ini_sync(struct ini *i, int lun)
{
	uint8_t cdb[16];

	cdb16(cdb, 0x91, 0, 0, 0);
	return run(i, lun, cdb, sizeof cdb, '-', NULL, 0);
}

int ini_caw(struct ini *i, int lun, uint64_t lba, const void *old, const void *new_data, bool fua)
{
	uint8_t cdb[16], buf[1024];

	cdb16(cdb, 0x89, fua ? 0x08 : 0, lba, 0);
	cdb[13] = 1;
	memcpy(buf, old, 512);
	memcpy(buf + 512, new_data, 512);
	return run(i, lun, cdb, sizeof cdb, 'w', buf, sizeof buf);
}

int ini_send_pr_out(struct ini *i, int lun, int action, int type, uint64_t key, uint64_t sark,
		    uint8_t *param, struct ini_reply *r)
{
	uint8_t cdb[10] = {0x5f, (uint8_t)action, (uint8_t)type};

	san_put32(cdb + 5, 24);
	san_put64(param, key);
	san_put64(param + 8, sark);
	return ini_send(i, lun, cdb, sizeof cdb, 'w', param, 24, r);
}

int ini_pr_out(struct ini *i, int lun, int action, int type, uint64_t key, uint64_t sark,
	       bool aptpl)
{
	struct ini_reply *r = malloc(sizeof *r);
	uint8_t param[24] = {0};
	int status = -1;

	param[20] = aptpl;
	if (r && ini_send_pr_out(i, lun, action, type, key, sark, param, r) == 0)
		status = ini_wait(i, r);
	free(r);
	return status;
}

int ini_pr_in(struct ini *i, int lun, int action, struct ini_reply *r)
{
	uint8_t cdb[10] = {0x5e, (uint8_t)action};

	san_put16(cdb + 7, 4096);
	return ini_do(i, lun, cdb, sizeof cdb, 'r', NULL, 4096, r);
}

static void on_tmf(struct iscsi_context *ctx, int status, void *command_data, void *private_data)
{
	int *response = private_data;

	(void)ctx;
	*response =
		status == SCSI_STATUS_GOOD && command_data ? (int)*(uint32_t *)command_data : -1;
}

int ini_send_lun_reset(struct ini *i, int lun, int *response)
{
	return iscsi_task_mgmt_lun_reset_async(i->ctx, (uint32_t)lun, on_tmf, response);
}

int ini_lun_reset(struct ini *i, int lun)
{
	int response = -2;

	if (ini_send_lun_reset(i, lun, &response) < 0)
		return -1;
	while (response == -2)
		if (serve(i) < 0)
			return -1;
	return response;
}
