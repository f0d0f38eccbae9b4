/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd_client.h - a process' word to hvwatchdogd, kept through restarts of it: connects, connects anew
 * with growing pauses, says the last word again, and knows which level of stor_timing.h is true now.
 *
 * The level is NONE unless hvwatchdogd is connected, has answered once on this connection, and answers every word before
 * FEN_WD_LOOKS looks have been made for it, STOR_STOP / 2 apart. One that is frozen does not answer; a host that was
 * frozen as a whole has made only one look.
 *
 * Thread: [loop]. Ownership: the caller's memory; fini before it goes.
 */
#ifndef FEN_WD_CLIENT_H
#define FEN_WD_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cm_loop.h"
#include "sharedstorage/dev/stor_timing.h"

#define FEN_WD_PATH_MAX 108
#define FEN_WD_LOOKS	3u /* all of them end before the next renewal */

struct fen_wd_client;
/* The level has changed. Not from inside of a call, except of fen_wd_client_level. */
typedef void (*fen_wd_changed_fn)(struct fen_wd_client *client, enum stor_watchdog level, void *arg);

struct fen_wd_client {
	struct cm_loop *loop;
	struct cm_io io;
	struct cm_timer again; /* to connect; to look for an answer; to ask when there is nothing to say */
	char path[FEN_WD_PATH_MAX];
	uint32_t io_timeout_ms;
	fen_wd_changed_fn changed; /* may be NULL */
	void *arg;
	int fd; /* -1: not connected */
	bool answered;	      /* on this connection */
	uint64_t until_ns;    /* the last word; 0: BYE, or none yet */
	unsigned unanswered;  /* words */
	unsigned looks;	      /* for an answer, since the last one came */
	uint32_t reset_ms;
	uint64_t pause_ms;
	enum stor_watchdog told;
	char why[CM_ERR_TEXT]; /* what is wrong, "" if nothing */
};

/* io_timeout_ms 0: the default. A path that is too long leaves it at NONE for ever, with words in why. The first try is
 * made at once. */
void fen_wd_client_init(struct fen_wd_client *client, struct cm_loop *loop, const char *path, uint32_t io_timeout_ms,
			fen_wd_changed_fn changed, void *arg);
void fen_wd_client_fini(struct fen_wd_client *client);
/* "Kill me then", cm_now_ns(). 0: not any more. */
void fen_wd_client_until(struct fen_wd_client *client, uint64_t until_ns);
/* What is true now: reads what has come first. */
enum stor_watchdog fen_wd_client_level(struct fen_wd_client *client);

#endif
