/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_dst_work.c - the destination's worker: lets the holder of the ticket in, receives, answers.
 * Blocking I/O on a thread of its own. Decides nothing about ownership.
 *
 * Parses what the peer says. Who does not have the key gets no further than the TLS handshake, and
 * the next one is listened to.
 */
#include "config.h"

#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_dst_int.h"
#include "migration/mig_land.h"
#include "migration/mig_sock.h"

#define WAIT_DEFAULT_MS 60000u
#define ACCEPT_SLICE_MS 100

/* The next connection, or an error at the deadline. */
static int dst_accept(struct mig_dst *m, uint64_t deadline_ns, struct cm_err *err)
{
	for (;;) {
		int fd;

		if (mig_worker_is_aborted(&m->worker))
			return cm_err_set(err, CM_E_MIG_CANCELLED, "cancelled");
		if (cm_now_ns() >= deadline_ns)
			return cm_err_set(err, CM_E_TIMEOUT, "the source did not come");
		fd = mig_sock_accept(m->cfg.listen_fd, ACCEPT_SLICE_MS);
		if (fd >= 0)
			return fd;
	}
}

static int dst_open(struct mig_dst *m, struct cm_err *err)
{
	uint64_t deadline =
		cm_now_ns() + (m->cfg.wait_ms ? m->cfg.wait_ms : WAIT_DEFAULT_MS) * CM_NS_PER_MS;
	unsigned io_ms = m->cfg.io_timeout_ms ? m->cfg.io_timeout_ms : MIG_IO_TIMEOUT_DEFAULT_MS;
	int rc = cm_fault_err("mig.dst.listen", err);
	struct px_stream *s = NULL;

	while (rc == 0 && !s) {
		struct cm_err why = CM_ERR_INIT;
		int fd = m->cfg.listen_fd >= 0 ? dst_accept(m, deadline, err) : m->cfg.fd;

		m->cfg.fd = -1;
		if (fd < 0)
			return fd;
		rc = cm_fault_err("mig.dst.connected", err);
		if (rc < 0) {
			close(fd);
			break;
		}
		s = px_stream_new(fd, true, m->cfg.psk ? &m->psk : NULL, io_ms, &why);
		if (!s && m->cfg.listen_fd < 0)
			rc = cm_err_set(err, why.code, "%s", why.text);
		else if (!s)
			cm_warning("%s: a connection without the ticket was refused: %s", m->label,
				   why.text);
	}
	if (rc < 0) {
		if (m->cfg.fd >= 0)
			close(m->cfg.fd);
		m->cfg.fd = -1;
		return rc;
	}
	mig_io_init(&m->io, s, -1);
	m->io_on = true;
	mig_worker_set_stream(&m->worker, s);
	return 0;
}

static int dst_hello(struct mig_dst *m, struct cm_err *err)
{
	struct mig_frame f;
	int rc = mig_io_next(&m->io, &f, err);

	if (rc == 0 && f.type != MIG_FRAME_HELLO)
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where HELLO was due",
				  mig_frame_name(f.type));
	if (rc == 0)
		rc = mig_io_payload(&m->io, &f, err);
	if (rc == 0)
		rc = mig_hello_decode(m->io.buf.data, m->io.buf.len, &m->hello, &m->contract, err);
	return rc < 0 ? rc : cm_fault_err("mig.dst.hello", err);
}

static void dst_round(void *arg, const struct mig_note *n)
{
	struct mig_dst *m = arg;
	struct mig_progress p = {.round = n->round, .sent_bytes = m->io.in_bytes};

	mig_worker_report(&m->worker, &p);
}

static int dst_receive(struct mig_dst *m, struct cm_err *err)
{
	struct mig_landing l = {.io = &m->io,
				.ram = &m->ram,
				.state = &m->state,
				.final = &m->final,
				.acknowledge = true,
				.round = dst_round,
				.arg = m};
	int rc = cm_fault_err("mig.dst.welcome", err);

	if (rc == 0)
		rc = mig_ram_in_init(&m->ram, hv_vm_mem(m->cfg.vm), &m->io, err);
	if (rc < 0)
		return rc;
	m->ram_on = true;
	mig_io_begin(&m->io);
	mig_welcome_encode(&m->io.buf, &m->welcome);
	rc = mig_io_send(&m->io, MIG_FRAME_WELCOME, err);
	if (rc == 0)
		rc = mig_land(&l, err);
	return rc < 0 ? rc : cm_fault_err("mig.dst.landed", err);
}

static int dst_verified(struct mig_dst *m, struct cm_err *err)
{
	struct mig_note n;
	int rc = cm_fault_err("mig.dst.loaded", err);

	if (rc == 0)
		rc = mig_io_send_note(&m->io, MIG_FRAME_VERIFIED, &m->verified, err);
	if (rc == 0)
		rc = cm_fault_err("mig.dst.verified", err);
	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_COMMITTED, &n, err);
	return rc;
}

static void dst_say(struct mig_dst *m, enum mig_frame_type type, const struct mig_note *n)
{
	struct cm_err err = CM_ERR_INIT;

	if (m->io_on && mig_io_send_note(&m->io, type, n, &err) < 0)
		cm_debug("%s: last words were not heard: %s", m->label, err.text);
}

static int dst_step(struct mig_dst *m, enum mig_dst_cmd cmd, struct cm_err *err)
{
	int rc = cmd == DST_CMD_RECEIVE ? dst_receive(m, err) : dst_verified(m, err);

	if (cmd == DST_CMD_RECEIVE && rc == 0)
		mig_worker_post(&m->worker, DST_EV_LANDED, NULL);
	else if (cmd == DST_CMD_VERIFIED)
		mig_worker_post(&m->worker, rc == 0 ? DST_EV_COMMITTED : DST_EV_SILENT,
				rc < 0 ? err : NULL);
	else
		mig_worker_post(&m->worker, DST_EV_FAILED, err);
	return rc;
}

void *mig__dst_thread(void *arg)
{
	struct mig_dst *m = arg;
	struct cm_err err = CM_ERR_INIT;
	unsigned cmd = DST_CMD_NONE;
	int rc = dst_open(m, &err);

	if (rc == 0)
		rc = dst_hello(m, &err);
	mig_worker_post(&m->worker, rc == 0 ? DST_EV_HELLO : DST_EV_FAILED, rc < 0 ? &err : NULL);
	for (;;) {
		cmd = mig_worker_wait(&m->worker, cmd, -1);
		if (cmd == DST_CMD_QUIT || cmd == DST_CMD_RESUMED)
			break;
		rc = dst_step(m, (enum mig_dst_cmd)cmd, &err);
	}
	if (cmd == DST_CMD_RESUMED)
		dst_say(m, MIG_FRAME_RESUMED, &m->resumed);
	else
		dst_say(m, MIG_FRAME_BYE, &m->last_words);
	m->received_bytes = m->io.in_bytes;
	mig_worker_set_stream(&m->worker, NULL);
	if (m->ram_on)
		mig_ram_in_fini(&m->ram);
	if (m->io_on)
		mig_io_fini(&m->io);
	if (m->cfg.listen_fd >= 0)
		close(m->cfg.listen_fd);
	mig_worker_post(&m->worker, DST_EV_ENDED, NULL);
	return NULL;
}
