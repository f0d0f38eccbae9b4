/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_server.c - listeners for channels. Accepts, and leaves everything else to its owner. Parses
 * nothing.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "proto/px_chan.h"

struct px_server {
	struct cm_io io;
	px_accept_fn accept;
	void *arg;
	int fd;
	char path[108]; /* made by us, "" otherwise */
};

static void server_ready(struct cm_io *io, unsigned events, void *arg)
{
	struct px_server *s = arg;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)io;
	(void)events;
	if (fd >= 0)
		s->accept(s, fd, s->arg);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		cm_warning("cannot accept a connection: %s", strerror(errno));
}

struct px_server *px_server_fd(struct cm_loop *loop, int fd, px_accept_fn accept, void *arg,
			       struct cm_err *err)
{
	struct px_server *s = calloc(1, sizeof *s);

	if (!s) {
		close(fd);
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	s->fd = fd;
	s->accept = accept;
	s->arg = arg;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	cm_io_init(&s->io, loop, fd, server_ready, s);
	cm_io_want(&s->io, CM_READ);
	return s;
}

struct px_server *px_server_unix(struct cm_loop *loop, const char *path, mode_t mode, gid_t gid,
				 px_accept_fn accept, void *arg, struct cm_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct px_server *s;
	mode_t mask;
	int fd, rc;

	if (strlen(path) >= sizeof un.sun_path) {
		cm_err_set(err, CM_E_BAD_VALUE, "socket path is too long: %s", path);
		return NULL;
	}
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		cm_err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
		return NULL;
	}
	/* A socket file that a dead process left is no reason to fail; a living listener is. */
	if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0) {
		close(fd);
		cm_err_set(err, -EADDRINUSE, "another process listens on %s", path);
		return NULL;
	}
	unlink(path);
	mask = umask(0777 & ~mode);
	rc = bind(fd, (struct sockaddr *)&un, sizeof un);
	umask(mask);
	if (rc == 0 && gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0)
		cm_warning("cannot give %s to its group: %s", path, strerror(errno));
	if (rc < 0 || listen(fd, 128) < 0) {
		cm_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
		close(fd);
		return NULL;
	}
	s = px_server_fd(loop, fd, accept, arg, err);
	if (s)
		strcpy(s->path, path);
	return s;
}

struct px_server *px_server_tcp(struct cm_loop *loop, const char *address, uint16_t port,
				px_accept_fn accept, void *arg, struct cm_err *err)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool v6 = inet_pton(AF_INET6, address, &in6.sin6_addr) == 1;
	int fd, one = 1;

	if (!v6 && inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		cm_err_set(err, CM_E_BAD_VALUE, "'%s' is no numeric address", address);
		return NULL;
	}
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 ||
	    bind(fd, v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
		 v6 ? sizeof in6 : sizeof in) < 0 ||
	    listen(fd, 128) < 0) {
		cm_err_set(err, -errno, "cannot listen on %s port %u: %s", address, port,
			   strerror(errno));
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	return px_server_fd(loop, fd, accept, arg, err);
}

uint16_t px_server_port(const struct px_server *s)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;

	if (getsockname(s->fd, (struct sockaddr *)&sa, &n) < 0)
		return 0;
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port);
}

static void server_free(void *arg)
{
	struct px_server *s = arg;

	close(s->fd);
	free(s);
}

void px_server_close(struct px_server *s)
{
	if (!s)
		return;
	if (s->path[0])
		unlink(s->path);
	cm_io_close(&s->io, server_free, s);
}
