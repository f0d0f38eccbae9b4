/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sanparty.h - two hosts that want one VM: each has the ownership block and a place of data, on
 * whatever carries them.
 *
 *   labsan          block and data on one LUN: native COMPARE AND WRITE
 *   tgt             block on a small lock LUN (guarded compare and write), data on another LUN
 * under the same lease labsan|tgt joined   one device of data LUN and lock LUN, as lock=LUN in a
 * URL makes it file            block and data in one file: a lock
 *   ... 4k          the same with sectors of 4096 bytes (labsan, file)
 *
 * Thread: the test's only thread.
 */
#ifndef SANPARTY_H
#define SANPARTY_H

#include "tests/san/santest.h"

#define T_MS  400u
#define BLOCK 4096u
#define DATA  (joined ? 33554432u : 1048576u)

extern enum san_kind kind;
extern bool joined;
extern unsigned sector; /* bytes */

struct party {
	struct san_host own;   /* has the block */
	struct san_host extra; /* the data LUN, if it is another one */
	struct san_host *data;
};

struct fix {
	struct san_target t;
	struct cm_loop *loop;
	struct stor_uuid vm;
	struct party a, b;
};

/* Of cmocka. labsan_words: more options for it, or NULL. disk, lock: its LUNs 0 and 1. */
int fix_setup_luns(void **state, const char *disk, const char *lock, const char *labsan_words);
int fix_setup_with(void **state, const char *labsan_words);
int fix_setup(void **state);
int fix_teardown(void **state);
/* Takes "labsan|tgt|file [joined|4k] [filter]"; runs nothing. */
void fix_args(int argc, char **argv);

void party_open(struct fix *f, struct party *p, const char *node, uint16_t slot);
void party_close(struct party *p);
/* Until it is registered wherever it has to be. */
void party_enters(struct fix *f, struct party *p);
/* One sector of data. */
int write_data(struct party *p, int value);
int read_data(struct party *p);
/* The block as it is; waits while the SAN is away. */
struct stor_block block_now(struct fix *f, struct party *p);
struct stor_permit *permit_now(struct fix *f, struct party *p);

#endif
