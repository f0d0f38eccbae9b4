/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_src_work.c - the source's worker: connects, sends memory in rounds and the state, hears the answers. Blocking I/O on a
 * thread of its own. Decides nothing about ownership.
 *
 * Parses answers of the peer (through mig_stream.c).
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_fault.h"
#include "hvcore/vm/hv_vm.h"
#include "migration/mig_src_int.h"
#include "sharedstorage/lease/stor_lease.h"

#define IO_TIMEOUT_DEFAULT_MS 10000u
#define SOCKET_BUFFER (4 << 20)
#define IDLE_ROUND_MS 20
/* The part of a blackout that cannot be measured while the guest runs: out of the guest, drained, saved, loaded. */
#define STOP_NS       CM_NS_PER_MS
#define STOP_VCPU_NS  (CM_NS_PER_MS / 5)
#define TRIPS         4 /* STATE and VERIFIED, COMMITTED and RESUMED, each with loop and worker at both ends */
#define LEASE_WRITES  3 /* commit; the destination's look and its renewal */
#define SYNCS         3

static unsigned io_timeout_ms(const struct mig_src *m)
{
	return m->cfg.io_timeout_ms ? m->cfg.io_timeout_ms : IO_TIMEOUT_DEFAULT_MS;
}

static int fault(const char *point, struct cm_err *err)
{
	int rc = cm_fault(point);

	return rc < 0 ? cm_err_set(err, rc, "fault point %s", point) : 0;
}

static enum mig_src_cmd src_cmd(struct mig_src *m)
{
	enum mig_src_cmd cmd;

	pthread_mutex_lock(&m->lock);
	cmd = m->cmd;
	pthread_mutex_unlock(&m->lock);
	return cmd;
}

/* Waits until the command is another one than `than`, at most ms (-1: for ever). */
static enum mig_src_cmd src_wait(struct mig_src *m, enum mig_src_cmd than, int ms)
{
	struct timespec until;
	enum mig_src_cmd cmd;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(ms < 0 ? 0 : ms) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&m->lock);
	while (m->cmd == than)
		if (ms < 0)
			pthread_cond_wait(&m->cond, &m->lock);
		else if (pthread_cond_timedwait(&m->cond, &m->lock, &until) == ETIMEDOUT)
			break;
	cmd = m->cmd;
	pthread_mutex_unlock(&m->lock);
	return cmd;
}

/* --- connect and agree --------------------------------------------------------------------------- */

static int connect_wait(int fd, unsigned ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0, n = poll(&p, 1, (int)ms);
	socklen_t len = sizeof error;

	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

static int src_connect(struct mig_src *m, int *out, struct cm_err *err)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(m->cfg.port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(m->cfg.port)};
	bool v4 = inet_pton(AF_INET, m->address, &a4.sin_addr) == 1;
	int one = 1, size = SOCKET_BUFFER, fd, rc = 0;

	if (!v4 && inet_pton(AF_INET6, m->address, &a6.sin6_addr) != 1)
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is no numeric address", m->address);
	fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return cm_err_set(err, -errno, "socket: %s", strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (connect(fd, v4 ? (void *)&a4 : (void *)&a6, v4 ? sizeof a4 : sizeof a6) < 0)
		rc = errno == EINPROGRESS ? connect_wait(fd, io_timeout_ms(m)) : -errno;
	if (rc == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		return cm_err_set(err, CM_E_MIG_PEER, "the destination %s port %u cannot be reached: %s", m->address,
				  m->cfg.port, strerror(-rc));
	}
	*out = fd;
	return 0;
}

static int src_open(struct mig_src *m, struct cm_err *err)
{
	int fd = m->cfg.fd, rc = fault("mig.src.P1", err);
	struct px_stream *s;

	m->cfg.fd = -1;
	if (rc == 0 && m->address[0])
		rc = src_connect(m, &fd, err);
	if (rc == 0)
		rc = fault("mig.src.P2", err);
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
	pthread_mutex_lock(&m->lock);
	m->stream = s;
	if (m->aborted)
		px_stream_abort(s);
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static int src_hello(struct mig_src *m, struct cm_err *err)
{
	const struct hv_vm_config *vc = hv_vm_config(m->cfg.vm);
	struct mig_hello h = {
		.magic = MIG_MAGIC, .format = MIG_FORMAT, .format_min = MIG_FORMAT_MIN, .machine = HV_MACHINE_NAME,
		.epoch = m->cfg.epoch, .memory_bytes = vc->memory_bytes, .vcpus = vc->cpus, .mode = m->cfg.mode,
		.max_blackout_ms = m->cfg.max_blackout_ms, .verify_ram = m->cfg.verify_ram, .paused = !m->was_running,
	};
	struct mig_frame f;
	int rc;

	memcpy(h.uuid, vc->uuid, sizeof h.uuid);
	snprintf(h.name, sizeof h.name, "%s", vc->name);
	snprintf(h.node, sizeof h.node, "%s", m->node);
	snprintf(h.engine, sizeof h.engine, "%s", hv_vm_engine_ops(m->cfg.vm)->name);
	rc = fault("mig.src.P3", err);
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
		return cm_err_set(err, CM_E_STREAM_SECTION, "frame %s where WELCOME was due", mig_frame_name(f.type));
	rc = mig_welcome_decode(m->io.buf.data, m->io.buf.len, &m->welcome, err);
	if (rc == 0 && m->welcome.code)
		rc = cm_err_set(err, -(int)(m->welcome.code & 0xffff), "the destination refuses: %s", m->welcome.text);
	return rc < 0 ? rc : fault("mig.src.P4", err);
}

/* A round trip that also tells that the peer has all that was sent before. */
static int src_sync(struct mig_src *m, uint32_t round, uint64_t *ns, struct cm_err *err)
{
	struct mig_note n = {.round = round, .pages = m->ram.pages, .zero_pages = m->ram.zero_pages}, ack;
	uint64_t t0 = cm_now_ns();
	int rc = mig_io_send_note(&m->io, MIG_FRAME_ROUND, &n, err);

	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_ROUND_ACK, &ack, err);
	if (rc == 0 && ack.round != round)
		rc = cm_err_set(err, CM_E_STREAM_CORRUPT, "round %u acknowledged as %u", round, ack.round);
	*ns = cm_now_ns() - t0;
	return rc;
}

/* --- rounds ------------------------------------------------------------------------------------------- */

static void src_report(struct mig_src *m)
{
	pthread_mutex_lock(&m->lock);
	m->progress.round = m->converge.round;
	m->progress.sent_bytes = m->io.out_bytes;
	m->progress.remaining_bytes = m->converge.remaining_bytes;
	m->progress.bandwidth_bytes_s = m->converge.bandwidth_bytes_s;
	m->progress.dirty_bytes_s = m->converge.dirty_bytes_s;
	m->progress.forecast_blackout_ns = m->converge.forecast_ns;
	pthread_mutex_unlock(&m->lock);
	mig__src_post(m, SRC_EV_NONE, NULL);
}

static int src_round(struct mig_src *m, struct cm_err *err)
{
	uint64_t t0 = cm_now_ns(), sent = m->io.out_bytes, remaining = 0, ns;
	int rc = fault(m->converge.round ? "mig.src.P6" : "mig.src.P5", err);

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
	while (rc == 0 && src_cmd(m) == SRC_CMD_COPY) {
		enum mig_verdict v;

		rc = src_round(m, err);
		if (rc < 0 || src_cmd(m) != SRC_CMD_COPY)
			break;
		v = mig_converge_judge(&m->converge);
		if (v == MIG_GIVE_UP && !fits)
			rc = cm_err_set(err, CM_E_MIG_NO_CONVERGE,
					"after %u rounds %llu MiB are dirty; at %llu MiB/s the blackout would be %llu ms (%llu ms of it whatever is dirty), allowed are %u",
					m->converge.round, (unsigned long long)m->converge.remaining_bytes >> 20,
					(unsigned long long)m->converge.bandwidth_bytes_s >> 20,
					(unsigned long long)(m->converge.forecast_ns / CM_NS_PER_MS),
					(unsigned long long)(m->converge.fixed_ns / CM_NS_PER_MS), ms);
		src_report(m);
		if (v == MIG_SWITCH) {
			if (!fits)
				mig__src_post(m, SRC_EV_FITS, NULL);
			fits = true;
			src_wait(m, SRC_CMD_COPY, IDLE_ROUND_MS);
		}
	}
	return rc;
}

/* --- hand-over ------------------------------------------------------------------------------------------- */

static int src_state(struct mig_src *m, struct cm_err *err)
{
	int rc = fault("mig.src.P11", err);

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
		.pages = m->ram.pages, .zero_pages = m->ram.zero_pages, .frames = m->io.out_sequence,
		.state_bytes = m->state.len, .state_crc = cm_crc32c(0, m->state.data, m->state.len),
		.has_hash = m->cfg.verify_ram,
	};

	if (f.has_hash)
		f.ram_hash = mig_ram_hash(hv_vm_mem(m->cfg.vm));
	snprintf(f.describe, sizeof f.describe,
		 "{\"vm\":\"%s\",\"machine\":\"%s\",\"memory\":%" PRIu64 ",\"vcpus\":%u,\"mode\":\"%s\",\"pages\":%" PRIu64 "}",
		 vc->name, HV_MACHINE_NAME, vc->memory_bytes, vc->cpus, px_mig_mode_word(m->cfg.mode), f.pages);
	mig_io_begin(&m->io);
	mig_final_encode(&m->io.buf, &f);
	return mig_io_send(&m->io, MIG_FRAME_FINAL, err);
}

static int src_final(struct mig_src *m, struct cm_err *err)
{
	uint64_t t0 = cm_now_ns(), remaining;
	int rc = fault("mig.src.P10", err);

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
		rc = cm_err_set(err, -(int)(m->verified.code & 0xffff), "the destination could not load it: %s",
				m->verified.text);
	return rc;
}

static int src_tell(struct mig_src *m, struct cm_err *err)
{
	struct mig_note n = {0};
	int rc = fault("mig.src.P13", err);

	if (rc == 0)
		rc = mig_io_send_note(&m->io, MIG_FRAME_COMMITTED, &n, err);
	if (rc == 0)
		rc = mig_io_expect_note(&m->io, MIG_FRAME_RESUMED, &m->resumed, err);
	return rc;
}

/* --- the thread --------------------------------------------------------------------------------------------- */

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
	struct mig_note n = {.code = (uint32_t)-(why->code ? why->code : CM_E_MIG_CANCELLED)};
	struct cm_err ignore = CM_ERR_INIT;

	snprintf(n.text, sizeof n.text, "%.200s", why->code ? why->text : "the migration has ended");
	if (mig_io_send_note(&m->io, MIG_FRAME_BYE, &n, &ignore) < 0)
		return; /* the peer notices the end of the connection as well */
}

static int src_do(struct mig_src *m, enum mig_src_cmd cmd, enum mig_src_event *done, struct cm_err *err)
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
	enum mig_src_cmd last = SRC_CMD_NONE;
	int rc = src_begin(m, &err);

	for (;;) {
		if (rc < 0) {
			mig__src_post(m, SRC_EV_FAILED, &err);
			while (src_wait(m, last, -1) != SRC_CMD_QUIT)
				last = src_cmd(m);
			break;
		}
		if (done)
			mig__src_post(m, done, NULL);
		last = src_wait(m, last, -1);
		if (last == SRC_CMD_QUIT)
			break;
		rc = src_do(m, last, &done, &err);
	}
	if (m->io_on)
		src_bye(m, &err);
	if (m->ram_on)
		mig_ram_out_fini(&m->ram);
	pthread_mutex_lock(&m->lock);
	m->stream = NULL;
	m->progress.sent_bytes = m->io.out_bytes;
	pthread_mutex_unlock(&m->lock);
	if (m->io_on)
		mig_io_fini(&m->io);
	mig__src_post(m, SRC_EV_ENDED, NULL);
	return NULL;
}
