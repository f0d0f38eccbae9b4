/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src_int.h - inside of the source: the state machine on the loop (mig_src_fsm.c) and the
 * worker that moves the bytes (mig_src_work.c). They talk through a mig_worker; neither touches
 * the other's part otherwise.
 */
#ifndef MIG_SRC_INT_H
#define MIG_SRC_INT_H

#include <stdatomic.h>

#include "common/cm_fsm.h"
#include "common/cm_loop.h"
#include "hvcore/vm/hv_vm_flush.h"
#include "migration/mig_converge.h"
#include "migration/mig_ram.h"
#include "migration/mig_src.h"
#include "migration/mig_worker.h"

#define MIG_SRC_STATES(XX) \
	XX(CONNECT) XX(COPY) XX(HELD) XX(INTENT) XX(INTENT_BACK) XX(PAUSE) XX(PAUSE_BACK) XX(FINAL) \
	XX(COMMIT) XX(TELL) XX(BACK) XX(QUIT) XX(END)
#define MIG_SRC_EVENTS(XX) \
	XX(CONNECTED) XX(FITS) XX(GO) XX(INTENT_OK) XX(INTENT_FAIL) XX(STOPPED) XX(STOP_FAIL) \
	XX(VERIFIED) XX(COMMIT_OK) XX(COMMIT_NO) XX(COMMIT_LOST) XX(TOLD) XX(FAILED) XX(CANCEL) \
	XX(TIMEOUT) XX(BACK_OK) XX(BACK_LOST) XX(ENDED)

#define XX(n) SRC_##n,
enum mig_src_state { SRC_NONE, MIG_SRC_STATES(XX) SRC_STATE_COUNT };
#undef XX
#define XX(n) SRC_EV_##n,
enum mig_src_event { SRC_EV_NONE, MIG_SRC_EVENTS(XX) SRC_EV_COUNT };
#undef XX

/* What the loop wants of the worker. */
enum mig_src_cmd {
	SRC_CMD_NONE = 0,
	SRC_CMD_COPY,  /* rounds until another command comes */
	SRC_CMD_FINAL, /* the VM stands still, state is filled: last pages, state, wait for "verified" */
	SRC_CMD_TELL,  /* committed: say so, wait for "resumed" */
	SRC_CMD_QUIT,
};

struct mig_src {
	struct mig_src_config cfg;
	char node[64], address[64];
	struct px_psk psk;
	struct cm_loop *loop;
	struct cm_fsm fsm;
	char label[96];
	bool was_running;
	struct cm_timer timer;
	uint64_t start_ns, stop_ns, mark_ns; /* begin; pause began; last phase boundary */
	uint64_t committed_ns;
	struct mig_result result;
	struct hv_vm_flush flush;

	struct mig_worker worker;
	atomic_bool stop_pass;
	struct cm_buf state;        /* of the loop until FINAL, then the worker's */
	struct mig_welcome welcome; /* of the worker until CONNECTED, then the loop's */
	struct mig_note verified, resumed;
	uint64_t ram_ns, rtt_ns;    /* of the worker until VERIFIED */
	uint64_t sent_bytes;        /* of the worker until ENDED */

	/* the worker's own */
	struct mig_io io;
	struct mig_ram_out ram;
	bool ram_on, io_on;
	struct mig_converge converge;
};

/* mig_src_work.c */
void *mig__src_thread(void *src);

#endif
