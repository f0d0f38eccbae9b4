/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvwatchdogd_main.c - kills processes whose "alive until" has passed, and feeds the hardware watchdog only while all of
 * them are in time or dead.
 *
 * Purpose and failure case first: a frozen or hanging hvcore cannot stop its own vCPUs when its lease runs out.
 * It told us the time until which it may live; at that time we send SIGKILL through its pidfd, which ends a stopped
 * process, too. If it is not gone within --grace after that (the kernel hangs), we stop feeding the watchdog device and
 * the node is reset. The same happens if this process itself hangs or does not come back.
 *
 * What was promised outlives this process: each promise is in a table (a file in /run) before it is answered, and the next
 * hvwatchdogd keeps it. It opens the device, which feeds it, only when nobody of that table is overdue and alive.
 *
 * Deliberately small, to be read as a whole with hvwatchdogd_table.c: one poll loop, fixed tables, no memory allocation once
 * armed, memory locked, no log thread. It parses 24-byte messages of local processes (fencing/fen_wd.h), its own table, and
 * nothing else. Privilege: CAP_KILL to kill other users' processes, the device, the socket. Read fen_wd.h and
 * stor_timing.h first.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/watchdog.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "fencing/fen_wd.h"
#include "programs/hvwatchdogd_table.h"

/* Two descriptors for each client: as many as we may have. */
static void files_raise(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r))
		hvwatchdogd_say("the limit of descriptors cannot be raised: %s", strerror(errno));
}

/* --- clients ------------------------------------------------------------------------ */

static void client_drop(struct daemon *d, struct client *c)
{
	if (c->sock >= 0)
		close(c->sock);
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct client){.state = CLIENT_FREE, .sock = -1, .pidfd = -1};
	hvwatchdogd_row_put(d, c);
}

static bool client_same_process(const struct client *a, const struct client *b)
{
	return a != b && b->state != CLIENT_FREE && a->pid == b->pid && a->born == b->born;
}

/* One that is needed, and some that are being closed: nobody takes the table from the others. */
#define MAX_OF_ONE 8

static bool client_has_many(const struct daemon *d, const struct client *c)
{
	int n = 0;

	for (int i = 0; i < MAX_CLIENTS; i++)
		n += client_same_process(c, &d->client[i]);
	return n >= MAX_OF_ONE;
}

static bool client_accept(struct daemon *d)
{
	int sock = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), i;
	struct ucred cred;
	socklen_t n = sizeof cred;
	struct client *c = NULL;

	if (sock < 0)
		return false;
	for (i = 0; i < MAX_CLIENTS && !c; i++)
		if (d->client[i].state == CLIENT_FREE)
			c = &d->client[i];
	if (!c || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &n) || cred.pid <= 0) {
		hvwatchdogd_say("a client was refused: %s", c ? "no credentials" : "the table is full");
		close(sock);
		return true;
	}
	*c = (struct client){.state = CLIENT_QUIET, .sock = sock, .pid = cred.pid, .order = ++d->orders};
	c->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	c->born = hvwatchdogd_born(cred.pid);
	if (c->pidfd < 0 || !c->born || client_has_many(d, c)) {
		client_drop(d, c);
	} else if (syscall(SYS_pidfd_send_signal, c->pidfd, 0, NULL, 0) && errno == EPERM) {
		hvwatchdogd_say("a client was refused: process %d may not be killed by this one: it needs CAP_KILL", c->pid);
		client_drop(d, c); /* else an heir would wait for what never happens */
	}
	return true;
}

static void client_answer(const struct daemon *d, const struct client *c, enum fen_wd_type type)
{
	struct fen_wd_msg m = {.type = type, .until_ns = c->until_ns};

	if (d->device >= 0 && !d->starving)
		m.reset_ms = (uint32_t)d->timeout_ms + (uint32_t)(d->grace_ns / CM_NS_PER_MS);
	if (fen_wd_send(c->sock, &m))
		return; /* a client that does not read its answers hurts nobody */
}

/* It speaks. False: its process has spoken by a newer connection. Whom we have killed stays so, by whatever connection. */
static bool client_is_newest(const struct daemon *d, struct client *c)
{
	c->spoke = true;
	for (int i = 0; i < MAX_CLIENTS; i++) {
		const struct client *o = &d->client[i];

		if (!client_same_process(c, o))
			continue;
		if (o->order > c->order && o->spoke)
			return false;
		if (o->order < c->order && o->state == CLIENT_KILLED) {
			c->state = CLIENT_KILLED;
			c->killed_ns = o->killed_ns;
			c->until_ns = o->until_ns;
		}
	}
	return true;
}

/* What its process said by older connections counts no more. After the new word is in the table: never is none there. */
static void client_replaces_older(struct daemon *d, const struct client *c)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *o = &d->client[i];

		if (!client_same_process(c, o) || o->order > c->order)
			continue;
		if (o->sock < 0) {
			client_drop(d, o);
		} else {
			o->state = CLIENT_QUIET;
			hvwatchdogd_row_put(d, o);
		}
	}
}

/* One message. False: there is none. */
static bool client_hear(struct daemon *d, struct client *c)
{
	struct fen_wd_msg m;
	int rc = fen_wd_recv(c->sock, &m);

	if (rc == -EAGAIN)
		return false;
	if (rc == -ECONNRESET) { /* closed: whoever is watched stays watched, by its pidfd */
		close(c->sock);
		c->sock = -1;
		if (c->state == CLIENT_QUIET)
			client_drop(d, c);
		return false;
	}
	if (rc || m.type == FEN_WD_ERROR ||
	    (m.type == FEN_WD_ALIVE && (!m.until_ns || m.until_ns > cm_now_ns() + FEN_WD_MAX_NS))) {
		client_answer(d, c, FEN_WD_ERROR);
		return true;
	}
	if (m.type == FEN_WD_HELLO) {
		client_answer(d, c, FEN_WD_HELLO);
		return true;
	}
	if (!client_is_newest(d, c))
		return true;
	if (c->state != CLIENT_KILLED) {
		c->state = m.type == FEN_WD_BYE ? CLIENT_QUIET : CLIENT_WATCHED;
		c->until_ns = m.type == FEN_WD_BYE ? 0 : m.until_ns;
	}
	hvwatchdogd_row_put(d, c);
	client_replaces_older(d, c);
	if (c->state != CLIENT_KILLED)
		client_answer(d, c, m.type);
	return true;
}

/* More than a socket holds (net.unix.max_dgram_qlen): who sends without end has no right to all of our time. */
#define HEAR_MOST 1024

/* Everything that clients had said when this is called. */
static void clients_hear(struct daemon *d)
{
	for (int n = 0; n < HEAR_MOST && client_accept(d); n++)
		;
	for (int i = 0; i < MAX_CLIENTS; i++)
		for (int n = 0; n < HEAR_MOST && d->client[i].sock >= 0 && client_hear(d, &d->client[i]); n++)
			;
}

static bool somebody_is_overdue(const struct daemon *d, uint64_t now)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (d->client[i].state == CLIENT_WATCHED && now >= d->client[i].until_ns)
			return true;
	return false;
}

/* Whose time is over dies; who does not die starves the watchdog. */
static void clients_judge(struct daemon *d, uint64_t now)
{
	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct client *c = &d->client[i];

		if (c->state == CLIENT_WATCHED && now >= c->until_ns) {
			hvwatchdogd_say("process %d outlived its time by %llu ms: killed", c->pid,
			    (unsigned long long)((now - c->until_ns) / CM_NS_PER_MS));
			syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
			c->state = CLIENT_KILLED;
			c->killed_ns = now;
		}
		if (c->state == CLIENT_KILLED && now >= c->killed_ns + d->grace_ns && !d->starving) {
			hvwatchdogd_say("process %d does not die: the hardware watchdog is not fed any more", c->pid);
			d->starving = true;
		}
	}
}

/* --- the device ------------------------------------------------------------------------ */

/* It is armed, and fed, by being opened. */
static int device_open(struct daemon *d)
{
	int s = d->timeout_s;

	d->device = open(d->path, O_WRONLY | O_CLOEXEC);
	if (d->device < 0) {
		hvwatchdogd_say("cannot open %s: %s", d->path, strerror(errno));
		return -1;
	}
	if (!d->test_device) {
		if (ioctl(d->device, WDIOC_SETTIMEOUT, &s))
			hvwatchdogd_say("%s does not take a time-out of %d s: %s", d->path, s, strerror(errno));
		if (ioctl(d->device, WDIOC_GETTIMEOUT, &s) || s < 1 || s > 3600) {
			hvwatchdogd_say("%s does not say its time-out: it is no watchdog that can be relied on", d->path);
			return -1;
		}
	}
	d->timeout_ms = s * 1000;
	d->feed_every_ns = (uint64_t)s * CM_NS_PER_S / 4;
	hvwatchdogd_say("%s resets this host %d s after it was fed for the last time", d->path, s);
	return 0;
}

/* Not while somebody that an earlier hvwatchdogd watched is overdue and not dead: its device runs out, and shall. */
static void device_open_when_safe(struct daemon *d)
{
	if (!d->path || d->device >= 0 || d->starving)
		return;
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (d->client[i].state == CLIENT_KILLED)
			return;
	d->failed = device_open(d) != 0;
}

/* Whoever waits for a host to be reset counts from what was promised, not from when we got to it. */
static bool device_may_be_fed(const struct daemon *d, uint64_t now)
{
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (d->client[i].state == CLIENT_KILLED && now >= d->client[i].until_ns + d->grace_ns)
			return false;
	return d->device >= 0 && !d->starving;
}

static void device_feed(struct daemon *d, uint64_t now)
{
	if (now < d->fed_ns + d->feed_every_ns || !device_may_be_fed(d, now))
		return;
	if (write(d->device, "\0", 1) == 1)
		d->fed_ns = now;
}

/* The magic character: only if nobody is watched, else the node must be reset unless a successor comes. True: somebody is. */
static bool device_close(struct daemon *d)
{
	bool watched = d->starving;

	for (int i = 0; i < MAX_CLIENTS; i++)
		watched |= d->client[i].state >= CLIENT_WATCHED;
	if (watched)
		hvwatchdogd_say("ending with watched processes alive%s",
		    d->device < 0 ? "" : ": the hardware watchdog stays armed");
	if (d->device < 0)
		return watched;
	if (!watched && write(d->device, "V", 1) != 1)
		hvwatchdogd_say("the hardware watchdog could not be disarmed");
	close(d->device);
	return watched;
}

/* --- the loop ----------------------------------------------------------------------------- */

static int wait_ms(const struct daemon *d, uint64_t now)
{
	uint64_t next = now + CM_NS_PER_S;

	if (device_may_be_fed(d, now) && d->fed_ns + d->feed_every_ns < next)
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
	uint64_t now = cm_now_ns();

	/* What was said by now counts, however late we were called. */
	for (int i = 2; got > 0 && i < n; i++) {
		struct client *c = &d->client[d->owner[i]];

		if (!d->poll[i].revents || c->state == CLIENT_FREE)
			continue;
		if (d->poll[i].fd == c->pidfd)
			client_drop(d, c); /* dead: that is all we want to know */
		else if (d->poll[i].fd == c->sock)
			client_hear(d, c);
	}
	if (got > 0 && d->poll[0].revents)
		client_accept(d);
	if (got > 0 && d->poll[1].revents)
		d->stop = true;
	if (somebody_is_overdue(d, now))
		clients_hear(d);
	clients_judge(d, now);
	device_open_when_safe(d);
	device_feed(d, now);
}

static int listen_on(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path) {
		hvwatchdogd_say("the socket's path is too long");
		return -1;
	}
	memcpy(a.sun_path, path, strlen(path));
	unlink(path); /* of an earlier one */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || chmod(path, 0666) || listen(fd, 64)) {
		hvwatchdogd_say("cannot listen on %s: %s", path, strerror(errno));
		return -1;
	}
	return fd;
}

static int usage(void)
{
	fputs("usage: hvwatchdogd --socket PATH [--device PATH] [--timeout S] [--grace MS] [--table PATH]\n"
	      "Kills processes whose stated lifetime is over; feeds the watchdog device while none outlives it.\n"
	      "  --socket PATH   where clients connect\n"
	      "  --device PATH   hardware watchdog to feed (default: none)\n"
	      "  --timeout S     its time-out (default 10)\n"
	      "  --grace MS      from SIGKILL until the watchdog is not fed any more (default 2000)\n"
	      "  --table PATH    who is watched, for the next hvwatchdogd (default: the socket's path and .table)\n"
	      "  --test-device PATH  a file or pipe that is believed to be a watchdog: for tests only\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", 1, NULL, 's'}, {"device", 1, NULL, 'd'}, {"test-device", 1, NULL, 'D'}, {"timeout", 1, NULL, 't'},
		{"grace", 1, NULL, 'g'},  {"table", 1, NULL, 'T'},  {"help", 0, NULL, 'h'},	    {NULL, 0, NULL, 0}};
	static struct daemon d;
	static char table_path[256];
	const char *path = NULL, *table = NULL;
	int grace_ms = 2000, o;
	sigset_t set;

	d.timeout_s = 10;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 's':
			path = optarg;
			break;
		case 'd':
		case 'D':
			d.path = optarg;
			d.test_device = o == 'D';
			break;
		case 't':
			d.timeout_s = atoi(optarg);
			break;
		case 'g':
			grace_ms = atoi(optarg);
			break;
		case 'T':
			table = optarg;
			break;
		default:
			return usage();
		}
	}
	if (!path || optind != argc || d.timeout_s < 1 || d.timeout_s > 3600 || grace_ms < 0)
		return usage();
	if (snprintf(table_path, sizeof table_path, "%s%s", table ? table : path, table ? "" : ".table") >=
	    (int)sizeof table_path)
		return usage();
	for (int i = 0; i < MAX_CLIENTS; i++)
		d.client[i].sock = d.client[i].pidfd = -1;
	d.grace_ns = (uint64_t)grace_ms * CM_NS_PER_MS;
	d.device = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d.signals = signalfd(-1, &set, SFD_CLOEXEC);
	files_raise();
	if (d.signals < 0 || hvwatchdogd_table_open(&d, table_path))
		return 1;
	/* Whom we have to kill already, before anybody can wait for us. */
	clients_judge(&d, cm_now_ns());
	device_open_when_safe(&d);
	d.listener = d.failed ? -1 : listen_on(path);
	if (d.listener < 0)
		return 1;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		hvwatchdogd_say("memory cannot be locked: %s", strerror(errno));
	hvwatchdogd_say("ready");
	while (!d.stop && !d.failed)
		turn(&d);
	if (!device_close(&d) && !d.failed)
		unlink(table_path);
	unlink(path);
	return d.failed;
}
