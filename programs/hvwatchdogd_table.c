/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvwatchdogd_table.c - see hvwatchdogd_table.h. Parses the table, which may be anything, and /proc/PID/stat.
 */
#include "config.h"

#include "programs/hvwatchdogd_table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void hvwatchdogd_say(const char *fmt, ...)
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

uint64_t hvwatchdogd_born(int pid)
{
	char path[32], text[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')'); /* the name may have anything in it */
	for (int i = 0; p && i < 20; i++) /* field 22 */
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

void hvwatchdogd_row_put(struct daemon *d, const struct client *c)
{
	struct row *r = &d->table->row[c - d->client];

	if (c->state < CLIENT_WATCHED) {
		r->until_ns = 0;
		return;
	}
	if (r->pid != (uint64_t)c->pid || r->born != c->born) {
		r->until_ns = 0; /* we may be killed at any instruction */
		r->pid = (uint64_t)c->pid;
		r->born = c->born;
	}
	r->until_ns = c->until_ns;
}

static bool pidfd_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* Whom our predecessor watched, we watch. -1: of one of them it is not known whether it has ended. */
static int rows_take(struct daemon *d)
{
	unsigned n = 0;

	for (int i = 0; i < MAX_CLIENTS; i++) {
		struct row *r = &d->table->row[i];
		struct client *c = &d->client[i];
		uint64_t born;

		if (!r->until_ns)
			continue;
		c->pidfd = (int)syscall(SYS_pidfd_open, (int)r->pid, 0);
		if (c->pidfd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENODEV)) {
			hvwatchdogd_say("process %d cannot be watched: %s", (int)r->pid, strerror(errno));
			return -1;
		}
		born = c->pidfd >= 0 ? hvwatchdogd_born((int)r->pid) : 0;
		if (c->pidfd >= 0 && !born && !pidfd_ended(c->pidfd)) {
			hvwatchdogd_say("the start of process %d cannot be read", (int)r->pid);
			return -1;
		}
		if (born && born == r->born) {
			c->state = CLIENT_WATCHED;
			c->pid = (int)r->pid;
			c->born = r->born;
			c->until_ns = r->until_ns;
			n++;
			continue;
		}
		if (c->pidfd >= 0)
			close(c->pidfd);
		c->pidfd = -1;
		r->until_ns = 0; /* it has ended */
	}
	if (n)
		hvwatchdogd_say("watching %u processes that an earlier hvwatchdogd watched", n);
	return 0;
}

/* Of two with one table each would hear half of what is said, and kill by it. The lock goes with the descriptor, at our end. */
static bool table_is_ours(int fd, const char *path)
{
	struct stat here, there;

	return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 && lstat(path, &there) == 0 &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

int hvwatchdogd_table_open(struct daemon *d, const char *path)
{
	char boot[40] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, boot, sizeof boot - 1) < 36) {
		hvwatchdogd_say("the boot id of this host cannot be read");
		return -1;
	}
	close(fd);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && !table_is_ours(fd, path)) {
		hvwatchdogd_say("another hvwatchdogd has the table %s", path);
		return -1;
	}
	if (fd >= 0 && posix_fallocate(fd, 0, sizeof *d->table) == 0)
		d->table = mmap(NULL, sizeof *d->table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!d->table || d->table == MAP_FAILED) {
		hvwatchdogd_say("cannot open the table %s: %s", path, strerror(errno));
		return -1;
	}
	if (memcmp(d->table->magic, "HVWDTAB1", 8) || memcmp(d->table->boot, boot, sizeof boot)) {
		memset(d->table, 0, sizeof *d->table);
		memcpy(d->table->boot, boot, sizeof boot);
		memcpy(d->table->magic, "HVWDTAB1", 8);
	}
	return rows_take(d);
}
