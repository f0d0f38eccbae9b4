/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last means of a stop: finds the hvcore process behind a control socket without asking it, and kills
 * it. Also one blocking question. Parses /proc (the kernel's words) and replies of our own daemons.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "cluster/ocf/clu_ocf_int.h"
#include "proto/px_call.h"

int clu__ocf_ask(const char *path, Hv__Request *req, unsigned timeout_ms, Hv__VmState *state,
		 struct cm_err *err)
{
	static const struct px_self self = {.program = "ocf", .node = ""};
	Hv__Reply *r = NULL;
	int rc = px_call(path, &self, req, timeout_ms, NULL, &r, err);

	if (rc != 0)
		return rc;
	rc = r->code;
	if (rc > 0) /* not a code of ours */
		rc = CM_E_PROTO;
	if (rc != 0)
		cm_err_set(err, rc, "%s", r->error[0] ? r->error : cm_err_text(rc));
	else if (state)
		*state = r->state;
	hv__reply__free_unpacked(r, NULL);
	return rc;
}

/* Inode of the listening socket with this path in /proc/net/unix; 0 none. */
static unsigned long socket_inode(const char *path)
{
	FILE *f = fopen("/proc/net/unix", "re");
	unsigned long found = 0;
	char line[512];

	while (f && fgets(line, sizeof line, f)) {
		unsigned long inode = 0;
		unsigned flags = 0;
		int at = 0;

		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%*x: %*x %*x %x %*x %*x %lu %n", &flags, &inode, &at) != 2 || at == 0)
			continue;
		if ((flags & 0x10000) && strcmp(line + at, path) == 0) /* __SO_ACCEPTCON */
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static bool is_hvcore(const char *pid)
{
	char path[64], exe[512], *base, *end;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%.16s/exe", pid);
	n = readlink(path, exe, sizeof exe - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	end = strstr(exe, " (deleted)");
	if (end)
		*end = '\0';
	base = strrchr(exe, '/');
	return base && (strcmp(base + 1, "hvcore") == 0 || strcmp(base + 1, "hvcore-soft") == 0);
}

static bool has_socket(const char *pid, unsigned long inode)
{
	char path[64], want[64], link[64];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
	snprintf(want, sizeof want, "socket:[%lu]", inode);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);

		if (n > 0) {
			link[n] = '\0';
			found = strcmp(link, want) == 0;
		}
	}
	if (dir)
		closedir(dir);
	return found;
}

pid_t clu__ocf_find_process(const char *socket_path)
{
	unsigned long inode = socket_inode(socket_path);
	struct dirent *e;
	pid_t pid = 0;
	DIR *dir;

	if (!inode)
		return 0;
	dir = opendir("/proc");
	while (dir && !pid && (e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]) && is_hvcore(e->d_name) && has_socket(e->d_name, inode))
			pid = (pid_t)strtol(e->d_name, NULL, 10);
	if (dir)
		closedir(dir);
	return pid;
}

int clu__ocf_kill(pid_t pid, unsigned timeout_ms)
{
	struct pollfd p = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int rc;

	if (p.fd < 0)
		return errno == ESRCH ? 0 : -errno;
	pidfd_send_signal(p.fd, SIGKILL, NULL, 0);
	rc = poll(&p, 1, (int)timeout_ms);
	close(p.fd);
	return rc == 1 ? 0 : -ETIMEDOUT;
}
