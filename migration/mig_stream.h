/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_stream.h - the migration stream and the saved image as bytes. Part of format. Pure; thread: [any].
 *
 * A stream is a sequence of frames:
 *
 *   header, 24 bytes: u32 MIG_FRAME_MAGIC, u16 type, u16 flags, u32 length of the payload, u32 sequence number from 0,
 *                     u32 crc32c of the payload (0 unless MIG_FRAME_CRC), u32 crc32c of the 20 bytes before
 *   payload
 *
 * All payloads but memory are sections (hv_state.h) with name, version, length, checksum and footer. Memory:
 *
 *   RAM   u32 slot, u32 runs, runs x {u64 first page, u32 pages}, then the pages themselves in that order
 *   ZERO  the same without pages: they are all zero
 *
 *   source:      HELLO ... (RAM | ZERO)* ROUND ... STATE FINAL ... COMMITTED
 *   destination: WELCOME ... ROUND_ACK ... VERIFIED ... RESUMED      either: BYE
 *   image:       HELLO DISKS (RAM | ZERO)* STATE FINAL
 */
#ifndef MIG_STREAM_H
#define MIG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_buf.h"
#include "hvcore/cpu/hv_vcpu_state.h"
#include "sharedstorage/lease/stor_lease_disk.h"

#define MIG_MAGIC       0x54415247494d5648ull /* "HVMIGRAT" */
#define MIG_FORMAT      1u
#define MIG_FORMAT_MIN  1u
#define MIG_FRAME_MAGIC 0x464d5648u /* "HVMF" */
#define MIG_FRAME_BYTES 24u
#define MIG_FRAME_CRC   (1u << 0)

#define MIG_PAGE_BYTES  4096u
#define MIG_CHUNK_PAGES 256u /* most pages of one RAM frame */
#define MIG_RUNS_MAX    256u
#define MIG_RUN_BYTES   12u
#define MIG_RAM_HEAD    8u
#define MIG_STATE_MAX   (16u << 20) /* bytes of the state of devices and vCPUs */

/* XX(value, NAME, most payload bytes) */
#define MIG_FRAMES(XX) \
	XX(1, HELLO, 64u << 10) \
	XX(2, WELCOME, 16u << 10) \
	XX(3, RAM, MIG_RAM_HEAD + MIG_RUNS_MAX * MIG_RUN_BYTES + MIG_CHUNK_PAGES * MIG_PAGE_BYTES) \
	XX(4, ZERO, MIG_RAM_HEAD + MIG_RUNS_MAX * MIG_RUN_BYTES) \
	XX(5, ROUND, 4096u) \
	XX(6, ROUND_ACK, 4096u) \
	XX(7, STATE, MIG_STATE_MAX) \
	XX(8, FINAL, 8192u) \
	XX(9, VERIFIED, 4096u) \
	XX(10, COMMITTED, 4096u) \
	XX(11, RESUMED, 4096u) \
	XX(12, BYE, 4096u) \
	XX(13, DISKS, 4096u)
enum mig_frame_type {
	MIG_FRAME_NONE = 0,
#define XX(value, name, max) MIG_FRAME_##name = value,
	MIG_FRAMES(XX)
#undef XX
};

struct mig_frame {
	uint16_t type, flags;
	uint32_t length, sequence, crc;
};

void mig_frame_encode(const struct mig_frame *f, uint8_t out[MIG_FRAME_BYTES]);
/* Checks magic, checksum, type, length limit and the expected sequence number. */
int mig_frame_decode(const uint8_t in[MIG_FRAME_BYTES], uint32_t expect, struct mig_frame *f, struct cm_err *err)
	cm_must_check;
const char *mig_frame_name(uint16_t type);

struct mig_run {
	uint64_t first;
	uint32_t pages;
};
struct mig_ram_head {
	uint32_t slot, runs, pages; /* pages: sum */
	struct mig_run run[MIG_RUNS_MAX];
};
/* Appends slot, count and runs. */
void mig_ram_encode(struct cm_buf *b, uint32_t slot, const struct mig_run *run, uint32_t runs);
/*
 * The table of a RAM or ZERO frame of `length` payload bytes; data has all of the table (mig_ram_table_bytes).
 * slot_pages[slots]: pages of each slot of this VM. Every run lies inside its slot, ascending, none empty.
 */
int mig_ram_decode(const uint8_t *data, size_t len, const struct mig_frame *f, const uint64_t *slot_pages,
		   unsigned slots, struct mig_ram_head *out, struct cm_err *err) cm_must_check;

/* --- objects ------------------------------------------------------------------------------ */

struct mig_hello {
	uint64_t magic;
	uint32_t format, format_min;
	char machine[16];
	uint8_t uuid[16];
	char name[64], node[64], engine[16];
	uint64_t epoch, memory_bytes;
	uint32_t vcpus, mode, max_blackout_ms;
	bool verify_ram, paused; /* paused: the VM was paused by its operator and stays so */
};

struct mig_welcome {
	uint32_t format;      /* that both use */
	uint32_t code;        /* 0, or minus a code of cm_err.h */
	char text[256];
	struct stor_owner owner; /* who the ownership is to be given to */
};

/* ROUND, ROUND_ACK, VERIFIED, COMMITTED, RESUMED, BYE. */
struct mig_note {
	uint32_t code; /* 0, or minus a code of cm_err.h */
	char text[256];
	uint32_t round;
	uint64_t pages, zero_pages;
	uint64_t ns[4]; /* VERIFIED: load, RAM check; RESUMED: accept, resume */
};

/* What a VM's disk was when the VM was saved. */
#define MIG_DISKS_MAX 16u
struct mig_disk_mark {
	struct stor_uuid id; /* of a disk of a cluster volume; zero: some other device */
	uint64_t size_bytes;
	bool readonly;
};
struct mig_disks {
	uint32_t n;
	struct mig_disk_mark disk[MIG_DISKS_MAX];
};

struct mig_final {
	uint64_t pages, zero_pages, frames, state_bytes;
	uint32_t state_crc;
	bool has_hash;
	uint64_t ram_hash;
	char describe[1024]; /* JSON, for people and scripts/stream-dump */
};

/* One payload each. */
void mig_hello_encode(struct cm_buf *b, const struct mig_hello *h, const struct hv_cpuid *cpuid);
int mig_hello_decode(const uint8_t *data, size_t len, struct mig_hello *h, struct hv_cpuid *cpuid,
		     struct cm_err *err) cm_must_check;
void mig_welcome_encode(struct cm_buf *b, const struct mig_welcome *w);
int mig_welcome_decode(const uint8_t *data, size_t len, struct mig_welcome *w, struct cm_err *err) cm_must_check;
void mig_note_encode(struct cm_buf *b, const struct mig_note *n);
int mig_note_decode(const uint8_t *data, size_t len, struct mig_note *n, struct cm_err *err) cm_must_check;
void mig_disks_encode(struct cm_buf *b, const struct mig_disks *d);
int mig_disks_decode(const uint8_t *data, size_t len, struct mig_disks *d, struct cm_err *err) cm_must_check;
void mig_final_encode(struct cm_buf *b, const struct mig_final *f);
int mig_final_decode(const uint8_t *data, size_t len, struct mig_final *f, struct cm_err *err) cm_must_check;

#endif
