/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_qga.c - the guest agent's client: one command at a time, each with a time-out.
 *
 * Does not decide when to freeze or shut down. Parses lines of the guest (with hv_qga_parse.c).
 *
 * Threats and answers:
 *   endless lines, floods       -> one fixed buffer; what does not fit is dropped up to the next line end
 *   answers nobody asked for    -> ignored; late ones are cut off by the next synchronisation
 *   no answer, no reading       -> a time-out per command, then synchronised anew at a slow pace
 *   lies about version or time  -> are only shown, as printable text and numbers
 */
#include "config.h"

#include "hvcore/hv_qga.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "common/cm_loop.h"
#include "hvcore/hv_qga_parse.h"
#include "hvcore/machine/hv_port.h"
#include "hvcore/state/hv_json.h"

#define IN_BYTES    32768u /* guest-info lists some 70 commands */
#define OUT_BYTES   160u
#define VERSION_MAX 32u
#define DELIMITER   '\xff'

enum phase { CLOSED, SYNC, INFO, FSSTATUS, IDLE, BUSY };

static const struct command {
	const char *name;
	unsigned limit_ms;
} commands[HV_QGA_COMMANDS] = {
	[HV_QGA_PING] = {"guest-ping", 10000},
	[HV_QGA_TIME] = {"guest-get-time", 10000},
	[HV_QGA_FREEZE] = {"guest-fsfreeze-freeze", 60000},
	[HV_QGA_THAW] = {"guest-fsfreeze-thaw", 60000},
	[HV_QGA_SHUTDOWN] = {"guest-shutdown", 5000},
};
#define HANDSHAKE_LIMIT_MS 10000u

struct hv_qga {
	struct cm_loop *loop;
	struct hv_lock *lock;
	struct hv_port *port;
	/* With the machine lock held. */
	bool open;
	uint64_t openings;
	/* [loop] */
	enum phase phase;
	uint64_t served_opening; /* the one that phase belongs to */
	struct cm_timer work, limit;
	enum hv_qga_command command; /* while BUSY */
	hv_qga_done_fn done;
	void *arg;
	int64_t sync_id;
	uint64_t asked_ns, seen_ns, dropped_bytes, ignored_lines, timeouts;
	char version[VERSION_MAX];
	bool frozen;
	char out[OUT_BYTES];
	size_t out_len, out_sent;
	bool skipping; /* to the end of a line that was too long */
	size_t in_len;
	char in[IN_BYTES];
};

/* --- sending --------------------------------------------------------------------- */

static void flush(struct hv_qga *q)
{
	hv_lock_take(q->lock);
	if (q->out_sent < q->out_len && q->open && q->port->input)
		q->out_sent += q->port->input(q->port->dev, (const uint8_t *)q->out + q->out_sent,
					      q->out_len - q->out_sent);
	hv_lock_drop(q->lock);
}

static void say(struct hv_qga *q, unsigned limit_ms, int n)
{
	CM_ASSERT(n > 0 && (size_t)n < sizeof q->out);
	q->out_len = (size_t)n;
	q->out_sent = 0;
	q->asked_ns = cm_now_ns();
	cm_timer_arm_ms(&q->limit, limit_ms);
	flush(q);
}

static void execute(struct hv_qga *q, const char *name, unsigned limit_ms)
{
	say(q, limit_ms, snprintf(q->out, sizeof q->out, "{\"execute\":\"%s\"}\n", name));
}

/* The delimiter ends whatever the agent has read of an earlier, broken command. */
static void synchronise(struct hv_qga *q)
{
	q->phase = SYNC;
	q->in_len = 0;
	q->skipping = false;
	q->sync_id = (int64_t)(cm_now_ns() & 0x7fffffff);
	say(q, HANDSHAKE_LIMIT_MS,
	    snprintf(q->out, sizeof q->out,
		     "%c{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":%" PRId64 "}}\n",
		     DELIMITER, q->sync_id));
}

static void finish(struct hv_qga *q, int rc, const char *text)
{
	hv_qga_done_fn done = q->done;

	q->done = NULL;
	if (done)
		done(q->arg, rc, text);
}

/* --- answers ---------------------------------------------------------------------- */

static void answer_count(struct hv_qga *q, struct hv_qga_span value, const char *member)
{
	char doc[96];
	int64_t n;

	if (!hv_qga_i64(value, &n)) {
		finish(q, CM_E_PROTO, "the agent's answer is no number");
		return;
	}
	snprintf(doc, sizeof doc, "{\"%s\":%" PRId64 "}", member, n);
	q->frozen = q->command == HV_QGA_FREEZE;
	finish(q, 0, doc);
}

static void answer_time(struct hv_qga *q, struct hv_qga_span value)
{
	char doc[128];
	struct timespec ts;
	int64_t guest, host;

	if (!hv_qga_i64(value, &guest)) {
		finish(q, CM_E_PROTO, "the agent's answer is no time");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	host = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	snprintf(doc, sizeof doc, "{\"guest_ns\":%" PRId64 ",\"host_ns\":%" PRId64 "}", guest, host);
	finish(q, 0, doc);
}

static void answered(struct hv_qga *q, struct hv_qga_span value)
{
	char doc[64];

	q->phase = IDLE;
	switch (q->command) {
	case HV_QGA_TIME:
		answer_time(q, value);
		break;
	case HV_QGA_FREEZE:
		answer_count(q, value, "frozen");
		break;
	case HV_QGA_THAW:
		answer_count(q, value, "thawed");
		break;
	case HV_QGA_PING:
	case HV_QGA_SHUTDOWN:
	case HV_QGA_COMMANDS:
		snprintf(doc, sizeof doc, "{\"answer_us\":%" PRIu64 "}",
			 (cm_now_ns() - q->asked_ns) / 1000);
		finish(q, 0, doc);
		break;
	}
}

static void returned(struct hv_qga *q, struct hv_qga_span value)
{
	struct hv_qga_span v;
	char word[16];
	int64_t id;

	if (q->phase == SYNC && (!hv_qga_i64(value, &id) || id != q->sync_id)) {
		q->ignored_lines++;
		return;
	}
	cm_timer_disarm(&q->limit);
	q->seen_ns = cm_now_ns();
	if (q->phase == SYNC) {
		q->phase = INFO;
		execute(q, "guest-info", HANDSHAKE_LIMIT_MS);
	} else if (q->phase == INFO) {
		if (hv_qga_member(value, "version", &v))
			(void)hv_qga_text(v, q->version, sizeof q->version);
		q->phase = FSSTATUS;
		execute(q, "guest-fsfreeze-status", HANDSHAKE_LIMIT_MS);
	} else if (q->phase == FSSTATUS) {
		q->frozen = hv_qga_text(value, word, sizeof word) && strcmp(word, "frozen") == 0;
		q->phase = IDLE;
		cm_notice("the guest agent answers, version %s", q->version);
	} else {
		answered(q, value);
	}
}

static void refused(struct hv_qga *q, struct hv_qga_span error)
{
	struct hv_qga_span v;
	char text[160] = "the agent refused";

	if (hv_qga_member(error, "desc", &v))
		(void)hv_qga_text(v, text, sizeof text);
	if (q->phase == SYNC) { /* what it says to the delimiter */
		q->ignored_lines++;
		return;
	}
	cm_timer_disarm(&q->limit);
	q->seen_ns = cm_now_ns();
	if (q->phase == INFO) {
		q->phase = FSSTATUS;
		execute(q, "guest-fsfreeze-status", HANDSHAKE_LIMIT_MS);
		return;
	}
	if (q->phase == FSSTATUS) { /* an agent without fsfreeze is fine */
		q->phase = IDLE;
		return;
	}
	q->phase = IDLE;
	finish(q, CM_E_VM_STATE, text);
}

static void take_line(struct hv_qga *q, const char *p, size_t n)
{
	const char *mark = memrchr(p, DELIMITER, n);
	struct hv_qga_span line = {p, n}, value;

	if (mark)
		line = (struct hv_qga_span){mark + 1, n - (size_t)(mark + 1 - p)};
	if (q->phase == CLOSED || q->phase == IDLE)
		q->ignored_lines++;
	else if (hv_qga_member(line, "return", &value))
		returned(q, value);
	else if (hv_qga_member(line, "error", &value))
		refused(q, value);
	else
		q->ignored_lines++;
}

static void take_lines(struct hv_qga *q)
{
	size_t from = 0;
	char *end;

	while (q->in_len > from && (end = memchr(q->in + from, '\n', q->in_len - from))) {
		size_t next = (size_t)(end - q->in) + 1;

		if (!q->skipping)
			take_line(q, q->in + from, next - 1 - from);
		q->skipping = false;
		if (!q->in_len) /* synchronised anew */
			return;
		from = next;
	}
	memmove(q->in, q->in + from, q->in_len - from);
	q->in_len -= from;
	if (q->in_len == sizeof q->in) {
		q->dropped_bytes += q->in_len;
		q->in_len = 0;
		q->skipping = true;
	}
}

/* --- the port ----------------------------------------------------------------------- */

static void closed(struct hv_qga *q)
{
	bool shutdown = q->phase == BUSY && q->command == HV_QGA_SHUTDOWN;

	q->phase = CLOSED;
	q->in_len = q->out_len = q->out_sent = 0;
	q->version[0] = '\0';
	q->frozen = false;
	cm_timer_disarm(&q->limit);
	finish(q, shutdown ? 0 : CM_E_VM_STATE,
	       shutdown ? "{\"asked\":true}" : "the agent closed its port");
}

static void on_work(struct cm_timer *t, void *arg)
{
	struct hv_qga *q = arg;
	uint64_t openings;
	bool open;

	(void)t;
	hv_lock_take(q->lock);
	open = q->open;
	openings = q->openings;
	hv_lock_drop(q->lock);
	if (q->phase != CLOSED && (!open || openings != q->served_opening))
		closed(q);
	if (q->phase == CLOSED && open) {
		q->served_opening = openings;
		synchronise(q);
	}
	if (q->phase != CLOSED)
		take_lines(q);
	flush(q);
}

static void on_limit(struct cm_timer *t, void *arg)
{
	struct hv_qga *q = arg;
	bool shutdown = q->phase == BUSY && q->command == HV_QGA_SHUTDOWN;
	bool sent = q->out_sent == q->out_len;

	(void)t;
	if (q->phase == CLOSED)
		return;
	if (!shutdown)
		q->timeouts++;
	synchronise(q); /* never IDLE before it is known that no late answer can come */
	if (shutdown && sent) /* the agent does not answer a shutdown that goes well */
		finish(q, 0, "{\"asked\":true}");
	else
		finish(q, CM_E_TIMEOUT, "the guest agent did not answer in time");
	on_work(&q->work, q);
}

/* Machine lock held in the port's callbacks; all but the shutting are [loop]. */
static void port_opened(void *arg, bool open)
{
	struct hv_qga *q = arg;

	if (open && !q->open)
		q->openings++;
	q->open = open;
	if (open)
		cm_timer_arm_ns(&q->work, 0);
}

static void port_output(void *arg, const uint8_t *data, size_t len)
{
	struct hv_qga *q = arg;
	size_t n = CM_MIN(len, sizeof q->in - q->in_len);

	memcpy(q->in + q->in_len, data, n);
	q->in_len += n;
	q->dropped_bytes += len - n;
	cm_timer_arm_ns(&q->work, 0);
}

static void port_room(void *arg)
{
	struct hv_qga *q = arg;

	cm_timer_arm_ns(&q->work, 0);
}

/* --- for others --------------------------------------------------------------------------- */

int hv_qga_new(struct hv_qga **out, struct cm_loop *loop, struct hv_lock *lock,
	       struct hv_port *port)
{
	struct hv_qga *q = calloc(1, sizeof *q);

	*out = q;
	if (!q)
		return CM_E_NO_MEMORY;
	q->loop = loop;
	q->lock = lock;
	q->port = port;
	cm_timer_init(&q->work, loop, on_work, q);
	cm_timer_init(&q->limit, loop, on_limit, q);
	hv_lock_take(lock);
	port->arg = q;
	port->opened = port_opened;
	port->output = port_output;
	port->room = port_room;
	hv_lock_drop(lock);
	return 0;
}

void hv_qga_free(struct hv_qga *q)
{
	if (!q)
		return;
	hv_lock_take(q->lock);
	q->port->opened = NULL;
	q->port->output = NULL;
	q->port->room = NULL;
	hv_lock_drop(q->lock);
	closed(q);
	cm_timer_fini(&q->work);
	cm_timer_fini(&q->limit);
	free(q);
}

bool hv_qga_connected(struct hv_qga *q)
{
	bool open;

	if (!q)
		return false;
	hv_lock_take(q->lock);
	open = q->open && q->openings == q->served_opening;
	hv_lock_drop(q->lock);
	return open && (q->phase == IDLE || q->phase == BUSY);
}

int hv_qga_ask(struct hv_qga *q, enum hv_qga_command command, hv_qga_done_fn done, void *arg,
	       struct cm_err *err)
{
	if (!hv_qga_connected(q))
		return cm_err_set(err, CM_E_VM_STATE, "no guest agent answers in this VM");
	if (q->phase == BUSY)
		return cm_err_set(err, CM_E_VM_STATE, "the guest agent is busy with %s",
				  commands[q->command].name);
	q->phase = BUSY;
	q->command = command;
	q->done = done;
	q->arg = arg;
	execute(q, commands[command].name, commands[command].limit_ms);
	return 0;
}

void hv_qga_status(struct hv_qga *q, struct hv_json *j)
{
	bool connected = hv_qga_connected(q);

	hv_json_open(j, "agent", '{');
	hv_json_bool(j, "connected", connected);
	if (connected) {
		hv_json_str(j, "version", q->version);
		hv_json_bool(j, "frozen", q->frozen);
	}
	if (q && q->seen_ns)
		hv_json_u64(j, "last_seen_ms", (cm_now_ns() - q->seen_ns) / CM_NS_PER_MS);
	if (q && q->timeouts)
		hv_json_u64(j, "timeouts", q->timeouts);
	hv_json_close(j, '}');
}
