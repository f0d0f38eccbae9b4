/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_sess.h - one iSCSI session through libiscsi: login, commands, path check, death. Inside
 * iscsi/.
 *
 * A session lives once: it comes up or fails, and when it fails it is dead; whoever wants another
 * makes a new one. At its death every command under way ends with STOR_CMD_LOST, then `down` is
 * called, once; the session is freed right after that call. Nothing is ever sent twice.
 *
 * Thread: [loop].
 */
#ifndef STOR_SESS_H
#define STOR_SESS_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "common/cm_loop.h"
#include "sharedstorage/iscsi/stor_scsi.h"

struct stor_sess;
struct stor_cmd;

#define STOR_CMD_LOST (-1) /* in status: the session died; executed or not, nobody knows */

enum stor_dir { STOR_DIR_NONE = 0, STOR_DIR_IN, STOR_DIR_OUT };

typedef void (*stor_cmd_fn)(struct stor_cmd *cmd);
/* The caller's; untouched from send to done, with the iovec array and its memory. */
struct stor_cmd {
	struct stor_cdb cdb;
	unsigned lun;
	enum stor_dir dir;
	uint32_t length_bytes;
	struct iovec *iov;
	int niov;
	uint64_t timeout_ms; /* 0: io_timeout */
	stor_cmd_fn done;
	void *arg;
	/* answer */
	int status;
	uint8_t key, asc, ascq;
	uint32_t actual_bytes; /* how many bytes of data were moved */
	bool deferred; /* the sense data are of an earlier command; this one was not executed */
	/* of the session */
	TAILQ_ENTRY(stor_cmd) link;
	struct stor_sess *sess;
	void *task;
	uint64_t sent_ns;
};

struct stor_sess_cfg {
	struct cm_loop *loop;
	const char *portal, *target, *initiator;
	uint64_t isid;
	const char *user, *secret, *target_user, *target_secret; /* "" none */
	bool header_digest;
	uint32_t io_timeout_ms;
	uint64_t barrier_ms; /* for the answer to a LUN RESET */
	void (*up)(struct stor_sess *sess, void *arg);
	/* Dead, just before its commands end: send no more. Always before down. */
	void (*dying)(struct stor_sess *sess, const struct cm_err *err, void *arg);
	/* final: it makes no sense to try again (wrong secret, no such target). */
	void (*down)(struct stor_sess *sess, bool final, const struct cm_err *err, void *arg);
	void *arg;
};

/* up or down follows. NULL: no memory. Strings are not kept. */
struct stor_sess *stor__sess_new(const struct stor_sess_cfg *cfg, struct cm_err *err);
void stor__sess_send(struct stor_sess *sess, struct stor_cmd *cmd);
/*
 * How many commands the target had taken when its command window (MaxCmdSN) was shut last, since this was asked last; 0:
 * it was not. Whatever is sent meanwhile waits here, behind what was sent before (libiscsi's NOP-Out, too: it is no
 * immediate one, and takes a place in the window).
 */
unsigned stor__sess_window(struct stor_sess *sess);
/* When the oldest command under way was sent; 0: none is. */
uint64_t stor__sess_oldest_ns(const struct stor_sess *sess);
/* In `down`: where the target wants the login to be made instead, as it says it; "" nowhere. */
const char *stor__sess_redirect(const struct stor_sess *sess);
/* LUN RESET; only while no command is under way. rc 0: the target has finished it. */
typedef void (*stor_reset_fn)(int rc, void *arg);
void stor__sess_lun_reset(struct stor_sess *sess, unsigned lun, stor_reset_fn done, void *arg);
/* Kills it: down follows, at the fixed point. */
void stor__sess_kill(struct stor_sess *sess, int code, const char *why);
/* Logs out (or gives up soon), then down with code 0. */
void stor__sess_close(struct stor_sess *sess);

#endif
