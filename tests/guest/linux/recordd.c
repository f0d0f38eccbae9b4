/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recordd.c - the record service inside the Linux test guest: the protocol of tests/guest/README.md
 *over a file.
 *
 *	recordd FILE PORT [READY]
 *
 * READY is a file that is made when the port is open.
 *
 * Each record becomes one line of FILE, exactly as it came; it is acknowledged after fdatasync().
 *All records that are waiting share one write and one sync. At start the file is read: whole lines
 *are the safe records, an unfinished last line is cut off (it was never acknowledged). A write or
 *sync that fails ends the program: what is on the disk is unknown then.
 *
 * Static, single-threaded, no allocation after start. Parses lines of any peer and the file.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "record_proto.h"

#define CLIENTS 16
#define IN_BYTES                                                                                   \
	16384 /* the answers to all lines that fit always fit in three quarters of OUT_BYTES */
#define OUT_BYTES 65536
#define BATCH_MAX 1024

struct client {
	int fd; /* 0: none */
	size_t in_len, out_len;
	char in[IN_BYTES], out[OUT_BYTES];
};

static struct client clients[CLIENTS];
static struct {
	struct client *c;
	uint64_t seq;
} waiting[BATCH_MAX];
static unsigned waiting_count;
static char batch[BATCH_MAX * (RECORD_LINE_MAX + 1)];
static size_t batch_len;
static struct record_ranges safe;
static uint64_t bad;
static int file_fd;
static char boot_id[17];

static void read_boot_id(void)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	unsigned n = 0;
	int c;

	if (!f)
		err(1, "boot_id");
	while (n < 16 && (c = fgetc(f)) != EOF)
		if (c != '-')
			boot_id[n++] = (char)c;
	fclose(f);
}

static void take_line(const char *line, size_t n)
{
	const char *payload;
	uint64_t seq;
	size_t len;

	if (record_parse(line, n, &seq, &payload, &len))
		bad++;
	else
		record_ranges_add(&safe, seq, seq);
}

static void open_file(const char *path)
{
	size_t have = 0;
	off_t whole = 0;
	ssize_t n;

	file_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file_fd < 0)
		err(1, "%s", path);
	while ((n = read(file_fd, batch + have, sizeof batch - have)) > 0) {
		char *at = batch, *end;

		have += (size_t)n;
		while ((end = memchr(at, '\n', (size_t)(batch + have - at)))) {
			take_line(at, (size_t)(end - at));
			whole += end + 1 - at;
			at = end + 1;
		}
		have = (size_t)(batch + have - at);
		memmove(batch, at, have);
		if (have > RECORD_LINE_MAX)
			errx(1, "%s holds something else", path);
	}
	if (n < 0 || ftruncate(file_fd, whole) < 0 || lseek(file_fd, whole, SEEK_SET) < 0 ||
	    fsync(file_fd) < 0)
		err(1, "%s", path);
}

static int open_port(int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1, off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
		if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, CLIENTS) == 0)
			return fd;
		close(fd);
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, (struct sockaddr *)&a4, sizeof a4) < 0 || listen(fd, CLIENTS) < 0)
		err(1, "port %d", port);
	return fd;
}

static void put(struct client *c, const char *text, size_t n)
{
	if (c->fd && c->out_len + n <= OUT_BYTES) {
		memcpy(c->out + c->out_len, text, n);
		c->out_len += n;
	}
}

static void put_answer(struct client *c, char kind, uint64_t seq, const char *why)
{
	char line[64];

	put(c, line,
	    (size_t)snprintf(line, sizeof line, "%c %llu%s%s\n", kind, (unsigned long long)seq,
			     *why ? " " : "", why));
}

static void put_verdict(struct client *c)
{
	char line[64];

	if (safe.overflowed)
		put(c, line,
		    (size_t)snprintf(line, sizeof line, "V many %llu", (unsigned long long)bad));
	else
		put(c, line,
		    (size_t)snprintf(line, sizeof line, "V %u %llu", safe.n,
				     (unsigned long long)bad));
	for (unsigned i = 0; i < safe.n && !safe.overflowed; i++)
		put(c, line,
		    (size_t)snprintf(line, sizeof line, " %llu-%llu",
				     (unsigned long long)safe.r[i].first,
				     (unsigned long long)safe.r[i].last));
	put(c, "\n", 1);
}

static void commit(void)
{
	for (size_t at = 0; at < batch_len;) {
		ssize_t n = write(file_fd, batch + at, batch_len - at);

		if (n < 0)
			err(1, "write");
		at += (size_t)n;
	}
	if (batch_len && fdatasync(file_fd) < 0)
		err(1, "fdatasync");
	for (unsigned i = 0; i < waiting_count; i++) {
		record_ranges_add(&safe, waiting[i].seq, waiting[i].seq);
		put_answer(waiting[i].c, 'A', waiting[i].seq, "");
	}
	batch_len = waiting_count = 0;
}

static void take_request(struct client *c, const char *line, size_t n)
{
	const char *payload, *why;
	char hello[64];
	uint64_t seq;
	size_t len;

	if (n == 1 && line[0] == 'H') {
		put(c, hello,
		    (size_t)snprintf(hello, sizeof hello, "H hvrec1 %s linux\n", boot_id));
		return;
	}
	if (n == 1 && line[0] == 'V') {
		commit();
		put_verdict(c);
		return;
	}
	why = record_parse(line, n, &seq, &payload, &len);
	if (why) {
		put_answer(c, 'E', seq, why);
		return;
	}
	memcpy(batch + batch_len, line, n);
	batch[batch_len + n] = '\n';
	batch_len += n + 1;
	waiting[waiting_count].c = c;
	waiting[waiting_count++].seq = seq;
	if (waiting_count == BATCH_MAX)
		commit();
}

static void close_client(struct client *c)
{
	commit(); /* nobody waits with a pointer to this place */
	close(c->fd);
	c->fd = 0;
	c->in_len = c->out_len = 0;
}

static void serve(struct client *c)
{
	ssize_t n = read(c->fd, c->in + c->in_len, IN_BYTES - c->in_len);
	char *at = c->in, *end;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close_client(c);
		return;
	}
	c->in_len += (size_t)n;
	while ((end = memchr(at, '\n', (size_t)(c->in + c->in_len - at)))) {
		take_request(c, at, (size_t)(end - at));
		at = end + 1;
	}
	c->in_len = (size_t)(c->in + c->in_len - at);
	memmove(c->in, at, c->in_len);
	if (c->in_len > RECORD_LINE_MAX)
		close_client(c);
}

static void drain(struct client *c)
{
	ssize_t n = c->out_len ? write(c->fd, c->out, c->out_len) : 0;

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_client(c);
	} else if (n > 0) {
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
}

static void take_client(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (unsigned i = 0; i < CLIENTS && fd >= 0; i++) {
		if (!clients[i].fd) {
			clients[i].fd = fd;
			return;
		}
	}
	if (fd >= 0)
		close(fd);
}

static void turn(int listener)
{
	struct pollfd p[CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};

	for (unsigned i = 0; i < CLIENTS; i++) {
		p[i + 1].fd = clients[i].fd ? clients[i].fd : -1;
		/* Who does not read its answers is not read either. */
		p[i + 1].events = (short)((clients[i].out_len < OUT_BYTES / 4 ? POLLIN : 0) |
					  (clients[i].out_len ? POLLOUT : 0));
	}
	if (poll(p, CLIENTS + 1, -1) < 0) {
		if (errno != EINTR)
			err(1, "poll");
		return;
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].fd && p[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			serve(&clients[i]);
	commit();
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].fd)
			drain(&clients[i]);
	if (p[0].revents)
		take_client(listener);
}

int main(int argc, char **argv)
{
	int listener;

	if (argc < 3 || argc > 4)
		errx(2, "usage: recordd FILE PORT [READY]");
	signal(SIGPIPE, SIG_IGN);
	read_boot_id();
	open_file(argv[1]);
	listener = open_port(atoi(argv[2]));
	printf("recordd: ready records=%llu bad=%llu boot=%s\n",
	       (unsigned long long)record_ranges_count(&safe), (unsigned long long)bad, boot_id);
	fflush(stdout);
	if (argc == 4 && close(open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
		err(1, "%s", argv[3]);
	for (;;)
		turn(listener);
}
