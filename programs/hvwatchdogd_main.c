/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvwatchdogd_main.c - kills processes whose "alive until" has passed, and feeds the hardware watchdog only while all of
 * them are in time or dead.
 *
 * Purpose and failure case first: a frozen or hanging hvcore cannot stop its own vCPUs when its lease runs out.
 * It told us the time until which it may live; at that time we send SIGKILL through its pidfd, which ends a stopped
 * process, too. If it is not gone within --grace after that (the kernel hangs), we stop feeding the watchdog device and
 * the node is reset. The same happens if this process itself hangs.
 *
 * Deliberately small: one poll loop, fixed tables, no memory allocation once armed, memory locked, no log thread. It parses
 * 16-byte messages of local processes (fencing/fen_wd.h) and nothing else. Privilege: CAP_KILL to kill other
 * users' processes, the device, the socket. Read fen_wd.h and stor_timing.h first.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"

#define MAX_CLIENTS 1024

enum client_state { CLIENT_FREE, CLIENT_QUIET, CLIENT_WATCHED, CLIENT_KILLED };

struct client {
	enum client_state state;
	int sock;  /* -1: closed */
	int pidfd; /* -1: gone */
	int pid;   /* for words only */
	uint64_t until_ns, killed_ns;
};

struct daemon {
	struct client client[MAX_CLIENTS];
	struct pollfd poll[2 * MAX_CLIENTS + 2];
	int owner[2 * MAX_CLIENTS + 2]; /* client of each poll entry */
	int listener, signals, device;
	uint64_t feed_every_ns, fed_ns, grace_ns;
	bool starving; /* somebody is overdue beyond help: the device is not fed any more */
	bool stop;
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof line - 2)
		n = (int)sizeof line - 2;
	line[n++] = '\n';
	if (write(2, line, (size_t)n) < 0)
		return; /* nobody reads: no reason to stop */
}

/* --- clients ------------------------------------------------------------------------ */

static void client_drop(struct client *c)
{
	if (c->sock >= 0)
		close(c->sock);
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct client){.state = CLIENT_FREE, .sock = -1, .pidfd = -1};
}

static void client_accept(struct daemon *d)
{
	int sock = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), i;
	struct ucred cred;
	socklen_t n = sizeof cred;
	struct client *c = NULL;

	if (sock < 0)
		return;
	for (i = 0; i < MAX_CLIENTS && !c; i++)
		if (d->client[i].state == CLIENT_FREE)
			c = &d->client[i];
	if (!c || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) || cred.pid <= 0) {
		say("a client was refused: %s", c ? "no credentials" : "the table is full");
		close(sock);
		return;
	}
	*c = (struct client){.state = CLIENT_QUIET, .sock = sock, .pid = cred.pid};
	c->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	if (c->pidfd < 0)
		client_drop(c);
}

static void client_answer(const struct client *c, enum fen_wd_type type)
{
	uint8_t m[FEN_WD_MESSAGE];

	fen_wd_encode(type, c->until_ns, m);
	if (send(c->sock, m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* a client that does not read its answers hurts nobody */
}

static void client_hear(struct client *c)
{
	uint8_t m[FEN_WD_MESSAGE + 1];
	ssize_t n = recv(c->sock, m, sizeof m, MSG_DONTWAIT);
	enum fen_wd_type type;
	uint64_t until, now = cm_now_ns();

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* closed: whoever is watched stays watched, by its pidfd */
		close(c->sock);
		c->sock = -1;
		if (c->state == CLIENT_QUIET)
			client_drop(c);
		return;
	}
	if (fen_wd_decode(m, (size_t)n, &type, &until) || type == FEN_WD_ERROR ||
	    (type == FEN_WD_ALIVE && until > now + FEN_WD_MAX_NS)) {
		client_answer(c, FEN_WD_ERROR);
		return;
	}
	if (c->state == CLIENT_KILLED)
		return;
	if (type == FEN_WD_BYE) {
		c->state = CLIENT_QUIET;
		c->until_ns = 0;
	} else {
		c->state = CLIENT_WATCHED;
		c->until_ns = until;
	}
	client_answer(c, type);
}

/* Whose time is over dies; who does not die starves the watchdog. */
static void clients_judge(struct daemon *d, uint64_t now)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &d->client[i];

		if (c->state == CLIENT_WATCHED && now >= c->until_ns) {
			say("process %d outlived its time by %llu ms: killed", c->pid,
			    (unsigned long long)((now - c->until_ns) / CM_NS_PER_MS));
			syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
			c->state = CLIENT_KILLED;
			c->killed_ns = now;
		}
		if (c->state == CLIENT_KILLED && now >= c->killed_ns + d->grace_ns && !d->starving) {
			say("process %d does not die: the hardware watchdog is not fed any more", c->pid);
			d->starving = true;
		}
	}
}

/* --- the device ------------------------------------------------------------------------ */

static int device_open(struct daemon *d, const char *path, int timeout_s)
{
	d->device = open(path, O_WRONLY | O_CLOEXEC);
	if (d->device < 0) {
		say("cannot open %s: %s", path, strerror(errno));
		return -1;
	}
	/* A fake device (a file, a pipe) has no such call. */
	if (ioctl(d->device, WDIOC_SETTIMEOUT, &timeout_s) && errno != ENOTTY && errno != EINVAL)
		say("%s does not take a time-out of %d s: %s", path, timeout_s, strerror(errno));
	return 0;
}

static void device_feed(struct daemon *d, uint64_t now)
{
	if (d->device < 0 || d->starving || now < d->fed_ns + d->feed_every_ns)
		return;
	if (write(d->device, "\0", 1) == 1)
		d->fed_ns = now;
}

/* The magic character: only if nobody is watched, else the node must be reset when we are gone. */
static void device_close(struct daemon *d)
{
	bool watched = d->starving;

	for (int i = 0; i < MAX_CLIENTS; i++)
		watched |= d->client[i].state >= CLIENT_WATCHED;
	if (d->device < 0)
		return;
	if (watched)
		say("ending with watched processes alive: the hardware watchdog stays armed");
	else if (write(d->device, "V", 1) != 1)
		say("the hardware watchdog could not be disarmed");
	close(d->device);
}

/* --- the loop ----------------------------------------------------------------------------- */

static int wait_ms(const struct daemon *d, uint64_t now)
{
	uint64_t next = now + CM_NS_PER_S;

	if (d->device >= 0 && !d->starving && d->fed_ns + d->feed_every_ns < next)
		next = d->fed_ns + d->feed_every_ns;
	for (int i = 0; i < MAX_CLIENTS; i++) {
		const struct client *c = &d->client[i];

		if (c->state == CLIENT_WATCHED && c->until_ns < next)
			next = c->until_ns;
		if (c->state == CLIENT_KILLED && c->killed_ns + d->grace_ns < next && !d->starving)
			next = c->killed_ns + d->grace_ns;
	}
	return next <= now ? 0 : (int)((next - now + CM_NS_PER_MS - 1) / CM_NS_PER_MS);
}

static int fill_poll(struct daemon *d)
{
	int n = 0;

	d->poll[n++] = (struct pollfd){.fd = d->listener, .events = POLLIN};
	d->poll[n++] = (struct pollfd){.fd = d->signals, .events = POLLIN};
	for (int i = 0; i < MAX_CLIENTS; i++) {
		const struct client *c = &d->client[i];

		if (c->state == CLIENT_FREE)
			continue;
		d->owner[n] = i;
		d->poll[n++] = (struct pollfd){.fd = c->pidfd, .events = POLLIN};
		if (c->sock >= 0) {
			d->owner[n] = i;
			d->poll[n++] = (struct pollfd){.fd = c->sock, .events = POLLIN};
		}
	}
	return n;
}

static void turn(struct daemon *d)
{
	int n = fill_poll(d), got = poll(d->poll, (nfds_t)n, wait_ms(d, cm_now_ns()));
	uint64_t now;

	/* Messages first: one that came in time must count, however late we were called. */
	for (int i = 2; got > 0 && i < n; i++) {
		struct client *c = &d->client[d->owner[i]];

		if (!d->poll[i].revents || c->state == CLIENT_FREE)
			continue;
		if (d->poll[i].fd == c->pidfd)
			client_drop(c); /* dead: that is all we want to know */
		else if (d->poll[i].fd == c->sock)
			client_hear(c);
	}
	if (got > 0 && d->poll[0].revents)
		client_accept(d);
	if (got > 0 && d->poll[1].revents)
		d->stop = true;
	now = cm_now_ns();
	clients_judge(d, now);
	device_feed(d, now);
}

static int listen_on(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path) {
		say("the socket's path is too long");
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	unlink(path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || chmod(path, 0666) || listen(fd, 64)) {
		say("cannot listen on %s: %s", path, strerror(errno));
		return -1;
	}
	return fd;
}

static int usage(void)
{
	fputs("usage: hvwatchdogd --socket PATH [--device PATH] [--timeout S] [--grace MS]\n"
	      "Kills processes whose stated lifetime is over; feeds the watchdog device while none outlives it.\n"
	      "  --socket PATH   where clients connect\n"
	      "  --device PATH   hardware watchdog to feed (default: none)\n"
	      "  --timeout S     its time-out (default 10)\n"
	      "  --grace MS      from SIGKILL until the watchdog is not fed any more (default 2000)\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"socket", 1, NULL, 's'},  {"device", 1, NULL, 'd'},
						{"timeout", 1, NULL, 't'}, {"grace", 1, NULL, 'g'},
						{"help", 0, NULL, 'h'},	   {NULL, 0, NULL, 0}};
	static struct daemon d;
	const char *path = NULL, *device = NULL;
	int timeout_s = 10, grace_ms = 2000, o;
	sigset_t set;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's':
			path = optarg;
			break;
		case 'd':
			device = optarg;
			break;
		case 't':
			timeout_s = atoi(optarg);
			break;
		case 'g':
			grace_ms = atoi(optarg);
			break;
		default:
			return usage();
		}
	}
	if (!path || optind != argc || timeout_s < 1 || timeout_s > 3600 || grace_ms < 0)
		return usage();
	for (int i = 0; i < MAX_CLIENTS; i++)
		d.client[i].sock = d.client[i].pidfd = -1;
	d.grace_ns = (uint64_t)grace_ms * CM_NS_PER_MS;
	d.feed_every_ns = (uint64_t)timeout_s * CM_NS_PER_S / 4;
	d.device = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d.signals = signalfd(-1, &set, SFD_CLOEXEC);
	d.listener = listen_on(path);
	if (d.signals < 0 || d.listener < 0 || (device && device_open(&d, device, timeout_s)))
		return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		say("memory cannot be locked: %s", strerror(errno));
	say("ready");
	while (!d.stop)
		turn(&d);
	device_close(&d);
	unlink(path);
	return 0;
}
