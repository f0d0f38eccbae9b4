/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst_int.h - inside of the destination: the state machine on the loop (mig_dst_fsm.c) and
 * the worker that receives (mig_dst_work.c). They talk through a mig_worker; neither touches the
 * other's part otherwise.
 */
#ifndef MIG_DST_INT_H
#define MIG_DST_INT_H

#include "common/cm_fsm.h"
#include "common/cm_loop.h"
#include "migration/mig_dst.h"
#include "migration/mig_ram.h"
#include "migration/mig_worker.h"

#define MIG_DST_STATES(XX) \
	XX(LISTEN) XX(RECEIVE) XX(VERIFIED) XX(ACCEPT) XX(WAIT) XX(DECLINE) XX(TAKE) XX(START) \
	XX(QUIT) XX(END)
#define MIG_DST_EVENTS(XX) \
	XX(HELLO) XX(LANDED) XX(COMMITTED) XX(SILENT) XX(FAILED) XX(OWNED) XX(NOT_YET) XX(GONE) \
	XX(RETRY) XX(GIVE_UP) XX(DECLINED) XX(DECLINE_FAIL) XX(PERMIT) XX(TAKE_FAIL) XX(STARTED) \
	XX(CANCEL) XX(ENDED)

#define XX(n) DST_##n,
enum mig_dst_state { DST_NONE, MIG_DST_STATES(XX) DST_STATE_COUNT };
#undef XX
#define XX(n) DST_EV_##n,
enum mig_dst_event { DST_EV_NONE, MIG_DST_EVENTS(XX) DST_EV_COUNT };
#undef XX

#define MIG_DST_LOOK_NS 500000u /* is the first vCPU in the guest? */

enum mig_dst_cmd {
	DST_CMD_NONE = 0,
	DST_CMD_RECEIVE,  /* welcome is filled */
	DST_CMD_VERIFIED, /* say so, then listen for "committed" */
	DST_CMD_RESUMED,  /* say so, then end */
	DST_CMD_QUIT,     /* say why (result.err), then end */
};

struct mig_dst {
	struct mig_dst_config cfg;
	char source[64];
	struct px_psk psk;
	struct cm_loop *loop;
	struct cm_fsm fsm;
	char label[96];
	struct cm_timer timer;    /* retries, first vCPU */
	uint64_t start_ns, deadline_ns, decided_ns, owned_ns;
	struct stor_permit *permit;
	struct mig_result result;

	struct mig_worker worker;
	/* of the worker until HELLO or LANDED is posted, then the loop's until the next command */
	struct mig_hello hello;
	struct hv_cpuid contract;
	struct mig_welcome welcome;
	struct cm_buf state;
	struct mig_final final;
	struct mig_note verified, resumed, last_words;
	uint64_t received_bytes; /* of the worker until ENDED */

	/* the worker's own */
	struct mig_io io;
	struct mig_ram_in ram;
	bool io_on, ram_on;
};

/* mig_dst_work.c */
void *mig__dst_thread(void *dst);

#endif
