/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_mark.c - marks are empty files named as the node. Parses nothing.
 */
#include "config.h"

#include "fencing/fen_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARK_PATH 256

static int mark_path(const char *dir, const char *node, char out[MARK_PATH])
{
	int n = snprintf(out, MARK_PATH, "%s/%s", dir, node);

	return !*node || *node == '.' || strchr(node, '/') || n < 0 || n >= MARK_PATH ? -EINVAL : 0;
}

/* The directory and the one above it, which hvclusterd makes too. */
static int mark_dirs(const char *dir)
{
	char above[MARK_PATH], *slash;

	if (snprintf(above, sizeof above, "%s", dir) >= MARK_PATH)
		return -EINVAL;
	slash = strrchr(above, '/');
	if (slash && slash != above) {
		*slash = '\0';
		if (mkdir(above, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int fen_mark_set(const char *dir, const char *node)
{
	char path[MARK_PATH];
	int fd, rc = mark_path(dir, node, path);

	if (rc == 0)
		rc = mark_dirs(dir);
	if (rc)
		return rc;
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	rc = futimens(fd, NULL) < 0 || fsync(fd) < 0 ? -errno : 0; /* as old as its last use */
	close(fd);
	return rc ? rc : dir_sync(dir);
}

bool fen_mark_is_set(const char *dir, const char *node)
{
	char path[MARK_PATH];
	struct stat st;

	if (mark_path(dir, node, path))
		return true;
	return lstat(path, &st) == 0 || errno != ENOENT;
}

void fen_mark_clear(const char *dir, const char *node, unsigned older_than_s)
{
	char path[MARK_PATH];
	struct stat st;

	if (mark_path(dir, node, path) || lstat(path, &st) < 0)
		return;
	if (st.st_mtime + (time_t)older_than_s <= time(NULL))
		unlink(path);
}
