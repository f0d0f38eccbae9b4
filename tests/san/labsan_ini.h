/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_ini.h - a thin initiator over libiscsi for the tests of labsan.
 *
 * [any], one thread per session. A session never reconnects by itself and reports every unit
 * attention: tests want to see what really happened.
 */
#ifndef LABSAN_INI_H
#define LABSAN_INI_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/san/labsan_proc.h"

struct iscsi_context;

#define INI_CANCELLED 0x0f000000 /* the session died under the command */

struct ini {
	struct iscsi_context *ctx;
	char name[64];
	int login; /* of ini_open_begin(): 0 = under way, 1 = in, -1 = refused */
};

struct ini_reply {
	int status; /* SCSI status, or INI_CANCELLED */
	int sense;  /* key << 16 | asc << 8 | ascq when status is CHECK CONDITION */
	bool done;
	uint32_t len; /* of the data that came */
	uint8_t data[65536];
};

struct ini_login {
	const char *user, *password, *target_user, *target_password;
	bool header_digest;
	int path; /* which portal */
};

/* Logs in as name with the ISID qualifier isid. 0 or -1. No unit attention is consumed. */
int ini_open(struct ini *i, struct labsan_proc *p, const char *name, int isid,
	     const struct ini_login *opt);
void ini_close(struct ini *i);
/* The same in two steps, for a login that labsan makes wait: begin returns when the login was sent.
 */
int ini_open_begin(struct ini *i, struct labsan_proc *p, const char *name, int isid);
int ini_open_end(struct ini *i);
/* Swallows waiting unit attentions of a LUN. */
void ini_settle(struct ini *i, int lun);
/* Sends a command: dir 'r', 'w' or '-'. The reply is filled by ini_wait(). The caller keeps data
 * and reply. */
int ini_send(struct ini *i, int lun, const uint8_t *cdb, int cdb_len, char dir, void *data,
	     uint32_t len, struct ini_reply *r);
/* Serves the session until the reply is there. */
int ini_wait(struct ini *i, struct ini_reply *r);
/* Both; returns the status. */
int ini_do(struct ini *i, int lun, const uint8_t *cdb, int cdb_len, char dir, void *data,
	   uint32_t len, struct ini_reply *r);
/* Shorthands; all return the SCSI status. */
int ini_write(struct ini *i, int lun, uint64_t lba, uint32_t blocks, uint8_t fill, bool fua,
	      uint32_t bs);
int ini_send_write(struct ini *i, int lun, uint64_t lba, uint8_t *block, struct ini_reply *r);
int ini_read(struct ini *i, int lun, uint64_t lba, uint32_t blocks, uint32_t bs,
	     struct ini_reply *r);
int ini_sync(struct ini *i, int lun);
int ini_caw(struct ini *i, int lun, uint64_t lba, const void *old, const void *new_data, bool fua);
int ini_pr_out(struct ini *i, int lun, int action, int type, uint64_t key, uint64_t sark,
	       bool aptpl);
int ini_send_pr_out(struct ini *i, int lun, int action, int type, uint64_t key, uint64_t sark,
		    uint8_t *param, struct ini_reply *r);
int ini_pr_in(struct ini *i, int lun, int action, struct ini_reply *r);
/* LUN RESET, awaited; returns the iSCSI response code. */
int ini_lun_reset(struct ini *i, int lun);
/* Sends it; *response is set when the answer comes, while any other command is served. */
int ini_send_lun_reset(struct ini *i, int lun, int *response);

#endif
