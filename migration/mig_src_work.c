/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src_work.c - the source's worker: connects, sends memory in rounds and the state, hears the
 * answers. Blocking I/O on a thread of its own. Decides nothing about ownership.
 *
 * Parses answers of the peer (through mig_stream.c).
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "hvcore/machine/hv_machine.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_sock.h"
#include "migration/mig_src_int.h"
#include "migration/mig_vm.h"
#include "sharedstorage/lease/stor_lease.h"

#define IDLE_ROUND_MS 20
/* The part of a blackout that cannot be measured while the guest runs: out of the guest, drained,
 * saved, loaded. */
#define STOP_NS	     CM_NS_PER_MS
#define STOP_VCPU_NS (CM_NS_PER_MS / 5)
/* STATE and VERIFIED, COMMITTED and RESUMED, each with loop and worker at both ends. */
#define TRIPS	     4
#define LEASE_WRITES 3 /* commit; the destination's look and its renewal */
#define SYNCS	     3

static unsigned io_timeout_ms(const struct mig_src *m)
{
	return m->cfg.io_timeout_ms ? m->cfg.io_timeout_ms : MIG_IO_TIMEOUT_DEFAULT_MS;
}

/* --- connect and agree --- */

static int src_open(struct mig_src *m, struct cm_err *err)
{
	int fd = m->cfg.fd, rc = cm_fault_err("mig.src.connect", err);
	struct px_stream *s;

	m->cfg.fd = -1;
	if (rc == 0 && m->address[0])
		rc = mig_sock_connect(m->address, m->cfg.port, io_timeout_ms(m), &fd, err);
	if (rc == 0)
		rc = cm_fault_err("mig.src.connected", err);
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	s = px_stream_new(fd, false, m->cfg.psk ? &m->psk : NULL, io_timeout_ms(m), err);
	if (!s)
		return cm_err_set(err, CM_E_TLS, "no stream to the destination");
	mig_io_init(&m->io, s, -1);
	m->io_on = true;
	mig_worker_set_stream(&m->worker, s);
	return 0;
}

static int src_hello(struct mig_src *m, struct cm_err *err)
{
	struct mig_hello h;
	struct mig_frame f;
	int rc;

	mig_vm_hello(m->cfg.vm, m->node, &h);
	h.epoch = m->cfg.epoch;
	h.mode = m->cfg.mode;
	h.max_blackout_ms = m->cfg.max_blackout_ms;
	h.verify_ram = m->cfg.verify_ram;
	h.paused = !m->was_running;
	rc = cm_fault_err("mig.src.hello", err);
	mig_io_begin(&m->io);
	mig_hello_encode(&m->io.buf, &h, hv_vm_cpuid(m->cfg.vm));
	if (rc == 0)
		rc = mig_io_send(&m->io, MIG_FRAME_HELLO, err);
	if (rc == 0)
		rc = mig_io_next(&m->io, &f, err);
	if (rc == 0)
		rc = mig_io_payload(&m->io, &f, err);
	if (rc < 0)
		return rc;
	if (f.type == MIG_FRAME_BYE)
		return mig_io_bye(&m->io, err);
	if (f.type != MIG_FRAME_WELCOME)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where WELCOME was due",
				  mig_frame_name(f.type));
	rc = mig_welcome_decode(m->io.buf.data, m->io.buf.len, &m->welcome, err);
	if (rc == 0 && m->welcome.code)
		rc = cm_err_set(err, -(int)(m->welcome.code & 0xffff),
				"the destination refuses: %s", m->welcome.text);
	return rc < 0 ? rc : cm_fault_err("mig.src.welcome", err);
}

/* A round trip that also tells that the peer has all that was sent before. */
static int src_sync(struct mig_src *m, uint32_t round, uint64_t *ns, struct cm_err *err)
{
	struct mig_note n = {.round = round,
			     .pages = m->ram.pages,
			     .zero_pages = m->ram.zero_pages},
			ack;
	uint64_t t0 = cm_now_ns();
	int rc = mig_io_send_note(&m->io, MIG_FRAME_ROUND, &n, err);

	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_ROUND_ACK, &ack, err);
	if (rc == 0 && ack.round != round)
		rc = cm_err_set(err, CM_E_STREAM_CORRUPT, "round %u acknowledged as %u", round,
				ack.round);
	*ns = cm_now_ns() - t0;
	return rc;
}

/* --- rounds --- */

static void src_report(struct mig_src *m)
{
	struct mig_progress p = {
		.round = m->converge.round,
		.sent_bytes = m->io.out_bytes,
		.remaining_bytes = m->converge.remaining_bytes,
		.bandwidth_bytes_s = m->converge.bandwidth_bytes_s,
		.dirty_bytes_s = m->converge.dirty_bytes_s,
		.forecast_blackout_ns = m->converge.forecast_ns,
	};

	mig_worker_report(&m->worker, &p);
}

static int src_round(struct mig_src *m, struct cm_err *err)
{
	uint64_t t0 = cm_now_ns(), sent = m->io.out_bytes, remaining = 0, ns;
	int rc = cm_fault_err(m->converge.round ? "mig.src.round.later" : "mig.src.round.first",
			      err);

	if (rc == 0)
		rc = mig_ram_out_pass(&m->ram, true, err);
	if (rc < 0 || atomic_load(&m->stop_pass))
		return rc;
	if (rc == 0)
		rc = src_sync(m, m->converge.round + 1, &ns, err);
	if (rc == 0)
		rc = mig_ram_out_fetch(&m->ram, &remaining, err);
	if (rc < 0)
		return rc;
	m->converge.round++;
	m->converge.round_bytes = m->io.out_bytes - sent;
	m->converge.round_ns = cm_now_ns() - t0;
	m->converge.remaining_bytes = remaining * MIG_PAGE_BYTES;
	return 0;
}

/* What of the blackout does not depend on memory: measured where it can be. */
static uint64_t src_fixed_ns(const struct mig_src *m)
{
	return STOP_NS + STOP_VCPU_NS * hv_vm_config(m->cfg.vm)->cpus + TRIPS * m->rtt_ns +
	       LEASE_WRITES * stor_lease_write_ns(m->cfg.lease);
}

static int src_copy(struct mig_src *m, struct cm_err *err)
{
	uint32_t ms = m->cfg.max_blackout_ms ? m->cfg.max_blackout_ms : MIG_BLACKOUT_DEFAULT_MS;
	uint64_t remaining;
	bool fits = false;
	int rc;

	rc = mig_ram_out_init(&m->ram, hv_vm_mem(m->cfg.vm), &m->io, true, err);
	if (rc < 0)
		return rc;
	m->ram_on = true;
	m->ram.stop = &m->stop_pass;
	m->converge.max_blackout_ns = ms * CM_NS_PER_MS;
	m->converge.fixed_ns = src_fixed_ns(m);
	rc = mig_ram_out_fetch(&m->ram, &remaining, err);
	while (rc == 0 && mig_worker_cmd(&m->worker) == SRC_CMD_COPY) {
		enum mig_verdict v;

		rc = src_round(m, err);
		if (rc < 0 || mig_worker_cmd(&m->worker) != SRC_CMD_COPY)
			break;
		v = mig_converge_judge(&m->converge);
		if (v == MIG_GIVE_UP && !fits)
			rc = cm_err_set(
				err, CM_E_MIG_NO_CONVERGE,
				"after %u rounds %llu MiB are dirty; at %llu MiB/s the blackout "
				"would be %llu ms (%llu ms of it whatever is dirty), allowed are "
				"%u",
				m->converge.round,
				(unsigned long long)m->converge.remaining_bytes >> 20,
				(unsigned long long)m->converge.bandwidth_bytes_s >> 20,
				(unsigned long long)(m->converge.forecast_ns / CM_NS_PER_MS),
				(unsigned long long)(m->converge.fixed_ns / CM_NS_PER_MS), ms);
		src_report(m);
		if (v == MIG_SWITCH) {
			if (!fits)
				mig_worker_post(&m->worker, SRC_EV_FITS, NULL);
			fits = true;
			(void)mig_worker_wait(&m->worker, SRC_CMD_COPY, IDLE_ROUND_MS);
		}
	}
	return rc;
}

/* --- hand-over --- */

static int src_state(struct mig_src *m, struct cm_err *err)
{
	int rc = cm_fault_err("mig.src.state", err);

	if (rc < 0)
		return rc;
	mig_io_begin(&m->io);
	cm_buf_put(&m->io.buf, m->state.data, m->state.len);
	return mig_io_send(&m->io, MIG_FRAME_STATE, err);
}

static int src_trailer(struct mig_src *m, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(m->cfg.vm);
	struct mig_final f = {
		.pages = m->ram.pages,
		.zero_pages = m->ram.zero_pages,
		.frames = m->io.out_sequence,
		.state_bytes = m->state.len,
		.state_crc = cm_crc32c(0, m->state.data, m->state.len),
		.has_hash = m->cfg.verify_ram,
	};

	if (f.has_hash)
		f.ram_hash = mig_ram_hash(hv_vm_mem(m->cfg.vm));
	snprintf(f.describe, sizeof f.describe,
		 "{\"vm\":\"%s\",\"machine\":\"%s\",\"memory\":%" PRIu64
		 ",\"vcpus\":%u,\"mode\":\"%s\",\"pages\":%" PRIu64 "}",
		 vc->name, HV_MACHINE_NAME, vc->memory_bytes, vc->cpus,
		 px_mig_mode_word(m->cfg.mode), f.pages);
	mig_io_begin(&m->io);
	mig_final_encode(&m->io.buf, &f);
	return mig_io_send(&m->io, MIG_FRAME_FINAL, err);
}

static int src_final(struct mig_src *m, struct cm_err *err)
{
	uint64_t t0 = cm_now_ns(), remaining;
	int rc = cm_fault_err("mig.src.round.last", err);

	if (rc == 0 && !m->ram_on) {
		rc = mig_ram_out_init(&m->ram, hv_vm_mem(m->cfg.vm), &m->io, false, err);
		m->ram_on = rc == 0;
	}
	m->ram.stop = NULL;
	if (rc == 0)
		rc = mig_ram_out_fetch(&m->ram, &remaining, err);
	if (rc == 0)
		rc = mig_ram_out_pass(&m->ram, false, err);
	m->ram_ns = cm_now_ns() - t0;
	if (rc == 0)
		rc = src_state(m, err);
	if (rc == 0)
		rc = src_trailer(m, err);
	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_VERIFIED, &m->verified, err);
	if (rc == 0 && m->verified.code)
		rc = cm_err_set(err, -(int)(m->verified.code & 0xffff),
				"the destination could not load it: %s", m->verified.text);
	return rc;
}

static int src_tell(struct mig_src *m, struct cm_err *err)
{
	struct mig_note n = {0};
	int rc = cm_fault_err("mig.src.committed", err);

	if (rc == 0)
		rc = mig_io_send_note(&m->io, MIG_FRAME_COMMITTED, &n, err);
	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_RESUMED, &m->resumed, err);
	return rc;
}

/* --- the thread --- */

static int src_begin(struct mig_src *m, struct cm_err *err)
{
	int rc = src_open(m, err);

	if (rc == 0)
		rc = src_hello(m, err);
	/* The quickest of a few: the first one also wakes everything up. */
	for (unsigned i = 0; rc == 0 && i < SYNCS; i++) {
		uint64_t ns = 0;

		rc = src_sync(m, 0, &ns, err);
		m->rtt_ns = i ? CM_MIN(ns, m->rtt_ns) : ns;
	}
	return rc;
}

static void src_bye(struct mig_src *m, const struct cm_err *why)
{
	struct mig_note n = {.code = (uint32_t) - (why->code ? why->code : CM_E_MIG_CANCELLED)};
	struct cm_err ignore = CM_ERR_INIT;

	snprintf(n.text, sizeof n.text, "%.200s",
		 why->code ? why->text : "the migration has ended");
	if (mig_io_send_note(&m->io, MIG_FRAME_BYE, &n, &ignore) < 0)
		return; /* the peer notices the end of the connection as well */
}

static int src_do(struct mig_src *m, enum mig_src_cmd cmd, enum mig_src_event *done,
		  struct cm_err *err)
{
	switch (cmd) {
	case SRC_CMD_COPY:
		*done = SRC_EV_NONE;
		return src_copy(m, err);
	case SRC_CMD_FINAL:
		*done = SRC_EV_VERIFIED;
		return src_final(m, err);
	default:
		*done = SRC_EV_TOLD;
		return src_tell(m, err);
	}
}

void *mig__src_thread(void *arg)
{
	struct mig_src *m = arg;
	struct cm_err err = CM_ERR_INIT;
	enum mig_src_event done = SRC_EV_CONNECTED;
	unsigned cmd = SRC_CMD_NONE;
	int rc = src_begin(m, &err);

	for (;;) {
		if (rc < 0) {
			mig_worker_post(&m->worker, SRC_EV_FAILED, &err);
			while (cmd != SRC_CMD_QUIT)
				cmd = mig_worker_wait(&m->worker, cmd, -1);
			break;
		}
		if (done)
			mig_worker_post(&m->worker, done, NULL);
		cmd = mig_worker_wait(&m->worker, cmd, -1);
		if (cmd == SRC_CMD_QUIT)
			break;
		rc = src_do(m, (enum mig_src_cmd)cmd, &done, &err);
	}
	if (m->io_on)
		src_bye(m, &err);
	if (m->ram_on)
		mig_ram_out_fini(&m->ram);
	mig_worker_set_stream(&m->worker, NULL);
	m->sent_bytes = m->io.out_bytes;
	if (m->io_on)
		mig_io_fini(&m->io);
	mig_worker_post(&m->worker, SRC_EV_ENDED, NULL);
	return NULL;
}
