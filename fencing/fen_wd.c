/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fen_wd.c - the messages of hvwatchdogd and its clients' side. Parses the daemon's or a client's
 * 24 bytes.
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
#define WD_VERSION 2

void fen_wd_encode(const struct fen_wd_msg *msg, uint8_t out[FEN_WD_MESSAGE])
{
	memset(out, 0, FEN_WD_MESSAGE);
	memcpy(out, wd_magic, sizeof wd_magic);
	cm_put_le16(out + 4, (uint16_t)msg->type);
	cm_put_le16(out + 6, WD_VERSION);
	cm_put_le64(out + 8, msg->until_ns);
	cm_put_le32(out + 16, msg->reset_ms);
}

int fen_wd_decode(const uint8_t *in, size_t n, struct fen_wd_msg *msg)
{
	unsigned t;

	if (n != FEN_WD_MESSAGE || memcmp(in, wd_magic, sizeof wd_magic) ||
	    cm_le16(in + 6) != WD_VERSION)
		return CM_E_PROTO;
	t = cm_le16(in + 4);
	if (t == FEN_WD_NONE || t > FEN_WD_HELLO)
		return CM_E_PROTO;
	*msg = (struct fen_wd_msg){t, cm_le64(in + 8), cm_le32(in + 16)};
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
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

int fen_wd_send(int fd, const struct fen_wd_msg *msg)
{
	uint8_t m[FEN_WD_MESSAGE];

	fen_wd_encode(msg, m);
	return send(fd, m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof m ? 0 : -errno;
}

int fen_wd_recv(int fd, struct fen_wd_msg *msg)
{
	uint8_t m[FEN_WD_MESSAGE + 1];
	ssize_t n;

	do
		n = recv(fd, m, sizeof m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : -ECONNRESET;
	return n == 0 ? -ECONNRESET : fen_wd_decode(m, (size_t)n, msg);
}
