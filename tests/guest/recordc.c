/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recordc.c - the client of the record service (README.md): the witness that nothing acknowledged
 *is lost.
 *
 *	recordc [options] HOST
 *	  -p PORT     (7000)
 *	  -r RATE     records a second (50; 0: as fast as they are acknowledged)
 *	  -s SECONDS  then verify and end (0: until SIGTERM or SIGINT)
 *	  -d SECONDS  how long to try the verification at the end (30)
 *	  -g MS       a silence longer than this is listed as a gap (100)
 *	  -w MS       after so much silence a second connection asks who is there (1000)
 *	  -b BYTES    payload (64)
 *	  -v          say gaps and reconnections on standard error as they end
 *
 * Sends numbered records, up to WINDOW of them unanswered, and notes every acknowledgement on
 *CLOCK_MONOTONIC. Survives the loss of its connection and of the guest: while nothing is heard it
 *asks on a second connection, and if another boot of the guest answers there (or the first is
 *broken), it goes on there and sends again what was not acknowledged. A guest that only moved keeps
 *the first connection: tcp_kept. At the end the guest says which records it has; acknowledged ones
 *that it has not are `lost`.
 *
 * Prints one JSON document. Exit code: 0 nothing lost; 1 lost records or damage; 2 usage; 3 could
 *not be verified.
 */
#include "config.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "record_proto.h"

#define WINDOW	   256
#define GAPS_MAX   256
#define PROBE_MS   200
#define MS	   1000000ull
#define BOOT_CHARS 17

struct conn {
	int fd; /* -1: none */
	bool connected;
	char boot[BOOT_CHARS];
	uint64_t since_ns;
	size_t in_len, out_len;
	char in[65536], out[65536];
};

struct gap {
	uint64_t from_ns, to_ns;
	bool reconnected;
};

static struct {
	const char *host, *port;
	unsigned long rate, seconds, verify_s, gap_ms, probe_ms, payload;
	bool verbose;
} opt = {NULL, "7000", 50, 0, 30, 100, 1000, 64, false};

static struct conn main_conn = {.fd = -1}, probe = {.fd = -1};
static struct sockaddr_storage address;
static socklen_t address_len;
static uint64_t unacked[WINDOW]; /* sequence numbers in the order they were sent */
static unsigned unacked_count, resend_at;
static uint64_t next_seq, sent, errors_seen, reconnects, last_ack_ns, next_probe_ns, bad_records,
	range_count;
static struct record_ranges acked, kept;
static struct gap gaps[GAPS_MAX];
static unsigned gap_count, boots;
static uint64_t max_gap_ns, begun_ns;
static bool verdict_here, was_lost, reconnected_now;
static char last_boot[BOOT_CHARS];
static volatile sig_atomic_t stop;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

/* --- connections ------------------------------------------------------------------------------ */
static void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->connected = false;
	c->boot[0] = 0;
	c->in_len = c->out_len = 0;
}

static void conn_put(struct conn *c, const char *line, size_t n)
{
	if (c->out_len + n <= sizeof c->out) {
		memcpy(c->out + c->out_len, line, n);
		c->out_len += n;
	}
}

static void conn_open(struct conn *c)
{
	int on = 1;

	conn_close(c);
	c->since_ns = now_ns();
	c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(2, "socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(c->fd, (struct sockaddr *)&address, address_len) < 0 && errno != EINPROGRESS)
		conn_close(c);
	else
		conn_put(c, "H\n", 2);
}

static bool conn_flush(struct conn *c)
{
	ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->connected = true;
	c->out_len -= (size_t)n;
	memmove(c->out, c->out + n, c->out_len);
	return true;
}

/* --- answers ---------------------------------------------------------------------------------- */
static void note_gap(uint64_t now)
{
	uint64_t silence = now - last_ack_ns;

	/* With nothing to wait for there is no gap: the rate is part of the silence that is normal.
	 */
	if (silence > max_gap_ns)
		max_gap_ns = silence;
	if (silence > opt.gap_ms * MS) {
		if (opt.verbose)
			fprintf(stderr, "recordc: %.1f ms without an acknowledgement%s\n",
				(double)silence / MS, reconnected_now ? ", reconnected" : "");
		if (gap_count < GAPS_MAX)
			gaps[gap_count++] = (struct gap){last_ack_ns, now, reconnected_now};
	}
	last_ack_ns = now;
	reconnected_now = false;
}

/* An answer to record seq: is it one that we wait for? Then we wait no longer. */
static bool answered(uint64_t seq)
{
	for (unsigned i = 0; i < unacked_count; i++) {
		if (unacked[i] != seq)
			continue;
		memmove(unacked + i, unacked + i + 1, (--unacked_count - i) * sizeof unacked[0]);
		resend_at -= resend_at > i;
		note_gap(now_ns());
		return true;
	}
	return false;
}

static void take_verdict(const char *line, size_t n)
{
	size_t at = 2, digits = record_number(line + at, n - at, &range_count);
	uint64_t first, last;

	if (!digits)
		return; /* "many": nothing can be said */
	at += digits + (at + digits < n);
	at += record_number(line + at, n - at, &bad_records);
	memset(&kept, 0, sizeof kept);
	while (at < n && line[at] == ' ') {
		at++;
		digits = record_number(line + at, n - at, &first);
		at += digits;
		if (!digits || at >= n || line[at++] != '-')
			return;
		digits = record_number(line + at, n - at, &last);
		at += digits;
		if (!digits || last < first)
			return;
		record_ranges_add(&kept, first, last);
	}
	verdict_here = at == n && range_count == kept.n;
}

static void take_hello(struct conn *c, const char *line, size_t n)
{
	if (n < 9 + 16 || strncmp(line, "H hvrec1 ", 9) != 0)
		return;
	memcpy(c->boot, line + 9, 16);
	c->boot[16] = 0;
}

/* The main connection has said hello: is it a new one, is another boot behind it? */
static void note_boot(void)
{
	reconnects += was_lost;
	reconnected_now = reconnected_now || was_lost;
	was_lost = false;
	if (strcmp(main_conn.boot, last_boot) == 0)
		return;
	strcpy(last_boot, main_conn.boot);
	boots++;
}

static void take_line(struct conn *c, const char *line, size_t n)
{
	uint64_t seq;

	if (n > 2 && line[0] == 'H') {
		take_hello(c, line, n);
		if (c == &main_conn) {
			note_boot();
			conn_put(c, "V\n", 2); /* where to go on, or what it has after a failover */
		}
	} else if (n > 2 && line[0] == 'V') {
		take_verdict(line, n);
		if (!next_seq && verdict_here)
			next_seq = kept.n ? kept.r[kept.n - 1].last + 1 : 1;
	} else if (n > 2 && line[0] == 'A' && record_number(line + 2, n - 2, &seq)) {
		if (answered(seq))
			record_ranges_add(&acked, seq, seq);
	} else {
		errors_seen++;
		if (n > 2 && line[0] == 'E' && record_number(line + 2, n - 2, &seq))
			answered(seq); /* refused, so nothing is promised */
	}
}

static bool conn_read(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
	char *at = c->in, *end;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->in_len += (size_t)n;
	while ((end = memchr(at, '\n', (size_t)(c->in + c->in_len - at)))) {
		take_line(c, at, (size_t)(end - at));
		at = end + 1;
	}
	c->in_len = (size_t)(c->in + c->in_len - at);
	memmove(c->in, at, c->in_len);
	return n > 0 && c->in_len < sizeof c->in;
}

/* --- sending ---------------------------------------------------------------------------------- */
static void put_record(uint64_t seq)
{
	char payload[RECORD_LINE_MAX], line[RECORD_LINE_MAX + 64];
	int n = snprintf(payload, sizeof payload, "t=%llu ", (unsigned long long)now_ns());

	while ((size_t)n < opt.payload) {
		payload[n] = (char)('a' + (seq + (uint64_t)n) % 26);
		n++;
	}
	n = snprintf(line, sizeof line, "R %llu %08x %.*s\n", (unsigned long long)seq,
		     record_crc32(0, payload, (size_t)n), n, payload);
	conn_put(&main_conn, line, (size_t)n);
	sent++;
}

static uint64_t send_due(uint64_t now)
{
	static uint64_t due_ns;

	if (!main_conn.boot[0] || !next_seq)
		return UINT64_MAX;
	for (; resend_at < unacked_count; resend_at++)
		put_record(unacked[resend_at]);
	while (unacked_count < WINDOW && main_conn.out_len < sizeof main_conn.out / 2 && !stop &&
	       due_ns <= now) {
		if (!unacked_count && last_ack_ns < now && opt.rate &&
		    1000000000ull / opt.rate > opt.gap_ms * MS)
			last_ack_ns = now; /* a slow rate is no gap */
		unacked[unacked_count++] = next_seq;
		resend_at = unacked_count;
		put_record(next_seq++);
		if (opt.rate)
			due_ns = due_ns + 1000000000ull / opt.rate > now
					 ? due_ns + 1000000000ull / opt.rate
					 : now + 1000000000ull / opt.rate;
	}
	return unacked_count < WINDOW && !stop ? due_ns : UINT64_MAX;
}

static void start_over(void)
{
	was_lost = last_boot[0] != 0;
	resend_at = 0;
	verdict_here = false;
}

static void main_lost(void)
{
	conn_close(&main_conn);
	if (last_boot[0] && !was_lost && opt.verbose)
		fprintf(stderr, "recordc: connection lost\n");
	start_over();
}

/* Another boot answered on the second connection, or the first connection is gone: go on with the
 * second. */
static void adopt_probe(void)
{
	conn_close(&main_conn);
	start_over();
	memcpy(&main_conn, &probe, sizeof probe);
	probe.fd = -1;
	conn_close(&probe);
	note_boot();
	conn_put(&main_conn, "V\n", 2);
}

static void watch(uint64_t now)
{
	bool silent = unacked_count && now - last_ack_ns > opt.probe_ms * MS;

	if (main_conn.fd < 0 && probe.fd < 0 && now >= next_probe_ns) {
		next_probe_ns = now + PROBE_MS * MS;
		conn_open(&main_conn);
	} else if (main_conn.fd >= 0 && !main_conn.boot[0] &&
		   now - main_conn.since_ns > 5 * PROBE_MS * MS) {
		conn_close(&main_conn); /* no hello: try anew rather than wait for TCP's back-off */
	} else if (main_conn.boot[0] && silent && now >= next_probe_ns) {
		next_probe_ns = now + PROBE_MS * MS;
		if (probe.fd < 0 || now - probe.since_ns > 5 * PROBE_MS * MS)
			conn_open(&probe);
	}
	if (probe.fd >= 0 && probe.boot[0]) {
		if (main_conn.fd < 0 || strcmp(probe.boot, main_conn.boot) != 0)
			adopt_probe();
		else
			conn_close(&probe);
	}
}

static void turn(void)
{
	uint64_t now = now_ns(), due = send_due(now), wait = 20 * MS;
	struct conn *const both[2] = {&main_conn, &probe};
	struct pollfd p[2];

	if (due != UINT64_MAX && due < now + wait)
		wait = due > now ? due - now : 0;
	for (unsigned i = 0; i < 2; i++)
		p[i] = (struct pollfd){.fd = both[i]->fd,
				       .events =
					       (short)(POLLIN | (both[i]->out_len ? POLLOUT : 0))};
	ppoll(p, 2, &(struct timespec){0, (long)wait}, NULL);
	for (unsigned i = 0; i < 2; i++) {
		bool ok = true;

		if (both[i]->fd < 0)
			continue;
		if (p[i].revents & POLLOUT && both[i]->out_len)
			ok = conn_flush(both[i]);
		if (ok && p[i].revents & (POLLIN | POLLHUP | POLLERR))
			ok = conn_read(both[i]);
		if (!ok && i == 0)
			main_lost();
		else if (!ok)
			conn_close(both[i]);
	}
	watch(now_ns());
}

/* --- the end ---------------------------------------------------------------------------------- */
static bool verify(void)
{
	uint64_t end = now_ns() + opt.verify_s * 1000 * MS;
	bool asked = false;

	stop = 1;
	verdict_here = false;
	while (now_ns() < end) {
		turn();
		if (main_conn.fd < 0)
			asked = false;
		if (unacked_count || !main_conn.boot[0])
			continue;
		if (!asked) {
			verdict_here = false;
			conn_put(&main_conn, "V\n", 2);
			asked = true;
		} else if (verdict_here) {
			return true;
		}
	}
	return false;
}

static int report(bool verified)
{
	uint64_t first, lost = verified ? record_ranges_missing(&acked, &kept, &first) : 0;

	printf("{\"acked\":%llu,\"sent\":%llu,\"unanswered\":%u,\"verified\":%s,\"lost\":",
	       (unsigned long long)record_ranges_count(&acked), (unsigned long long)sent,
	       unacked_count, verified ? "true" : "false");
	if (verified)
		printf("%llu,\"first_lost\":%llu", (unsigned long long)lost,
		       (unsigned long long)first);
	else
		printf("null,\"first_lost\":null");
	printf(",\"bad\":%llu,\"errors\":%llu,\"tcp_kept\":%s,\"reconnects\":%llu,\"boots\":%u,"
	       "\"seconds\":%.3f",
	       (unsigned long long)bad_records, (unsigned long long)errors_seen,
	       reconnects ? "false" : "true", (unsigned long long)reconnects, boots,
	       (double)(now_ns() - begun_ns) / 1e9);
	printf(",\"max_gap_ms\":%.3f,\"gaps\":[", (double)max_gap_ns / MS);
	for (unsigned i = 0; i < gap_count; i++)
		printf("%s{\"from_ns\":%llu,\"ms\":%.3f,\"reconnected\":%s}", i ? "," : "",
		       (unsigned long long)gaps[i].from_ns,
		       (double)(gaps[i].to_ns - gaps[i].from_ns) / MS,
		       gaps[i].reconnected ? "true" : "false");
	printf("]}\n");
	if (!verified)
		return 3;
	return lost || bad_records ? 1 : 0;
}

static void resolve(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int ret = getaddrinfo(opt.host, opt.port, &hints, &list);

	if (ret)
		errx(2, "%s: %s", opt.host, gai_strerror(ret));
	memcpy(&address, list->ai_addr, list->ai_addrlen);
	address_len = list->ai_addrlen;
	freeaddrinfo(list);
}

static void parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "p:r:s:d:g:w:b:v")) != -1) {
		switch (c) {
		case 'p':
			opt.port = optarg;
			break;
		case 'r':
			opt.rate = strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt.seconds = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			opt.verify_s = strtoul(optarg, NULL, 10);
			break;
		case 'g':
			opt.gap_ms = strtoul(optarg, NULL, 10);
			break;
		case 'w':
			opt.probe_ms = strtoul(optarg, NULL, 10);
			break;
		case 'b':
			opt.payload = strtoul(optarg, NULL, 10);
			break;
		case 'v':
			opt.verbose = true;
			break;
		default:
			errx(2, "usage: recordc [-p port] [-r rate] [-s seconds] [-d seconds] [-g "
				"ms] [-w ms] [-b bytes] [-v] host");
		}
	}
	if (optind + 1 != argc || opt.payload > 400)
		errx(2, "one host is needed, and a payload of at most 400 bytes");
	opt.host = argv[optind];
}

int main(int argc, char **argv)
{
	struct sigaction on_stop = {.sa_handler = on_signal};

	parse_options(argc, argv);
	resolve();
	sigaction(SIGTERM, &on_stop, NULL);
	sigaction(SIGINT, &on_stop, NULL);
	begun_ns = last_ack_ns = now_ns();
	while (!stop && (!opt.seconds || now_ns() - begun_ns < opt.seconds * 1000 * MS)) {
		turn();
		if (!record_ranges_count(&acked))
			last_ack_ns = now_ns(); /* the guest may still have to start: no gap before
						   the first answer */
	}
	return report(verify() && !acked.overflowed);
}
