/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd.h - talking to hvwatchdogd: "let me live until T, kill me then".
 *
 * A client connects (SOCK_SEQPACKET), and from its first ALIVE on hvwatchdogd kills it with SIGKILL
 * at the stated time, unless a later ALIVE moved the time or BYE ended the watch. A closed
 * connection alone ends nothing. Times are cm_now_ns() (CLOCK_BOOTTIME). The daemon finds the
 * process by the socket's credentials, never by a number that the client says.
 *
 * Message, 16 bytes little-endian, part of format: magic "HVWD", type u16, version u16, until_ns
 * u64. The daemon answers each with the same message (until_ns as it has it now) or type ERROR.
 *
 * Thread: [any], one thread at a time per connection. Nothing here waits for longer than a local
 * socket write.
 */
#ifndef FEN_WD_H
#define FEN_WD_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

#define FEN_WD_MESSAGE 16u
enum fen_wd_type { FEN_WD_NONE = 0, FEN_WD_ALIVE = 1, FEN_WD_BYE = 2, FEN_WD_ERROR = 3 };
/* Farthest time that may be stated. */
#define FEN_WD_MAX_NS (600ull * 1000000000ull)

void fen_wd_encode(enum fen_wd_type type, uint64_t until_ns, uint8_t out[FEN_WD_MESSAGE]);
/* CM_E_PROTO if it is none. */
int fen_wd_decode(const uint8_t *in, size_t n, enum fen_wd_type *type,
		  uint64_t *until_ns) cm_must_check;

/* A descriptor, or negative. */
int fen_wd_connect(const char *path, struct cm_err *err) cm_must_check;
int fen_wd_alive(int fd, uint64_t until_ns) cm_must_check;
int fen_wd_bye(int fd) cm_must_check;

#endif
