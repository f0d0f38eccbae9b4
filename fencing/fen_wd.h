/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd.h - talking to hvwatchdogd: "let me live until T, kill me then".
 *
 * A client connects (SOCK_SEQPACKET), and from its first ALIVE on hvwatchdogd kills it with SIGKILL
 * at the stated time, unless a later ALIVE moved the time or BYE ended the watch. A closed
 * connection alone ends nothing. Times are cm_now_ns() (CLOCK_BOOTTIME). The daemon finds the
 * process by the socket's credentials, never by a number that the client says. A process speaks by
 * its newest connection: from the first word there, older ones of it count no more.
 *
 * Message, 24 bytes little-endian, part of format: magic "HVWD", type u16, version u16, until_ns
 * u64, reset_ms u32, zero u32. The daemon answers each with the same type, until_ns as it has it now and
 * reset_ms as it is now; or with type ERROR. reset_ms: at most so long after the end of a client that
 * does not die, or that this daemon does not live to kill, the hardware resets the host; 0: no
 * hardware does.
 *
 * Thread: [any], one thread at a time per connection. Nothing here waits for longer than a local
 * socket write. fen_wd_client.h is the client for an event loop.
 */
#ifndef FEN_WD_H
#define FEN_WD_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

#define FEN_WD_MESSAGE 24u
enum fen_wd_type {
	FEN_WD_NONE = 0,
	FEN_WD_ALIVE = 1,
	FEN_WD_BYE = 2,
	FEN_WD_ERROR = 3,
	FEN_WD_HELLO = 4, /* changes nothing: are you there, and what can you do? */
};
/* Farthest time that may be stated. */
#define FEN_WD_MAX_NS (600ull * 1000000000ull)

struct fen_wd_msg {
	enum fen_wd_type type;
	uint64_t until_ns;
	uint32_t reset_ms; /* answers only */
};

void fen_wd_encode(const struct fen_wd_msg *msg, uint8_t out[FEN_WD_MESSAGE]);
/* CM_E_PROTO if it is none. */
int fen_wd_decode(const uint8_t *in, size_t n, struct fen_wd_msg *msg) cm_must_check;

/* A descriptor that does not block, or negative. */
int fen_wd_connect(const char *path, struct cm_err *err) cm_must_check;
/* -errno. */
int fen_wd_send(int fd, const struct fen_wd_msg *msg) cm_must_check;
/* -EAGAIN: nothing has come; -ECONNRESET: it is gone; CM_E_PROTO. */
int fen_wd_recv(int fd, struct fen_wd_msg *msg) cm_must_check;

#endif
