/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_pr.h - SCSI-3 persistent reservations: keys and the bytes of PERSISTENT RESERVE IN/OUT
 * (SPC-4).
 *
 * Pure functions; the commands are sent by stor_iscsi. Data of the target is parsed here: any bytes
 * are survived. Thread: [any].
 */
#ifndef STOR_PR_H
#define STOR_PR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "sharedstorage/dev/stor_key.h"

enum stor_pr_type {
	STOR_PR_NONE = 0,
	STOR_PR_WE = 1,	  /* write exclusive: the guarded lock LUN */
	STOR_PR_WEAR = 7, /* write exclusive, all registrants: volumes and disks */
};

/* Service actions of PERSISTENT RESERVE IN. */
enum stor_pr_in {
	STOR_PR_READ_KEYS = 0,
	STOR_PR_READ_RESERVATION = 1,
	STOR_PR_CAPABILITIES = 2,
	STOR_PR_FULL_STATUS = 3,
};

/* Service actions of PERSISTENT RESERVE OUT. */
enum stor_pr_out {
	STOR_PR_REGISTER = 0,
	STOR_PR_RESERVE = 1,
	STOR_PR_RELEASE = 2,
	STOR_PR_CLEAR = 3,
	STOR_PR_PREEMPT = 4,
	STOR_PR_PREEMPT_ABORT = 5,
	STOR_PR_REGISTER_IGNORE = 6,
};

#define STOR_PR_OUT_BYTES 24
/* Parameter list of PERSISTENT RESERVE OUT (basic form). */
void stor_pr_encode_out(uint8_t out[STOR_PR_OUT_BYTES], uint64_t key, uint64_t sa_key, bool aptpl);

/* READ KEYS: up to cap keys to keys[]; *count is how many there are in all. CM_E_SAN_SENSE if
 * malformed. */
int stor_pr_decode_keys(const uint8_t *data, size_t len, uint64_t *keys, unsigned cap,
			unsigned *count, uint32_t *generation) cm_must_check;
/* READ RESERVATION: type NONE if there is none. */
int stor_pr_decode_reservation(const uint8_t *data, size_t len, uint64_t *holder,
			       unsigned *type) cm_must_check;
/* READ FULL STATUS: up to cap registered nexuses to out[]; *count is how many there are in all. */
struct stor_pr_nexus {
	uint64_t key;
	uint64_t isid; /* 48 bits; 0: not told, or no iSCSI */
};
int stor_pr_decode_nexuses(const uint8_t *data, size_t len, struct stor_pr_nexus *out, unsigned cap,
			   unsigned *count) cm_must_check;
/* REPORT CAPABILITIES. */
struct stor_pr_caps {
	bool aptpl_capable, aptpl_active;
	bool type_we, type_wear;
};
int stor_pr_decode_caps(const uint8_t *data, size_t len, struct stor_pr_caps *caps) cm_must_check;

#endif
