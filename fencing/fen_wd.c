/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd.c - the messages of hvwatchdogd and its clients' side. Parses the daemon's or a client's
 * 16 bytes.
 */
#include "config.h"

#include "fencing/fen_wd.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cm_buf.h"

static const char wd_magic[4] = {'H', 'V', 'W', 'D'};
#define WD_VERSION 1

void fen_wd_encode(enum fen_wd_type type, uint64_t until_ns, uint8_t out[FEN_WD_MESSAGE])
{
	memcpy(out, wd_magic, sizeof wd_magic);
	cm_put_le16(out + 4, (uint16_t)type);
	cm_put_le16(out + 6, WD_VERSION);
	cm_put_le64(out + 8, until_ns);
}

int fen_wd_decode(const uint8_t *in, size_t n, enum fen_wd_type *type, uint64_t *until_ns)
{
	unsigned t;

	if (n != FEN_WD_MESSAGE || memcmp(in, wd_magic, sizeof wd_magic) ||
	    cm_le16(in + 6) != WD_VERSION)
		return CM_E_PROTO;
	t = cm_le16(in + 4);
	if (t == FEN_WD_NONE || t > FEN_WD_ERROR)
		return CM_E_PROTO;
	*type = t;
	*until_ns = cm_le64(in + 8);
	return 0;
}

int fen_wd_connect(const char *path, struct cm_err *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(path) >= sizeof a.sun_path)
		return cm_err_set(err, CM_E_BAD_VALUE,
				  "the path of hvwatchdogd's socket is too long");
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cm_err_set(err, -errno, "no socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
		rc = cm_err_set(err, -errno, "hvwatchdogd does not answer on %s: %s", path,
				strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

static int wd_say(int fd, enum fen_wd_type type, uint64_t until_ns)
{
	uint8_t m[FEN_WD_MESSAGE], drop[FEN_WD_MESSAGE];

	fen_wd_encode(type, until_ns, m);
	if (send(fd, m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof m)
		return -errno;
	/* Answers are for tools and tests; here they only must not fill the queue. */
	while (recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0)
		;
	return 0;
}

int fen_wd_alive(int fd, uint64_t until_ns)
{
	return wd_say(fd, FEN_WD_ALIVE, until_ns);
}

int fen_wd_bye(int fd)
{
	return wd_say(fd, FEN_WD_BYE, 0);
}
