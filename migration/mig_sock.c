/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mig_sock.c - connects to, listens for and lets in the other end of a migration. Speaks nothing:
 * who it is, TLS tells (proto/px_tls.c).
 *
 * Parses addresses of the agent.
 */
#include "config.h"

#include "migration/mig_sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20)

struct sock_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

static int sock_parse(struct sock_address *a, const char *text, uint16_t port, struct cm_err *err)
{
	*a = (struct sock_address){.len = 0};
	if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		a->len = sizeof a->v4;
	} else if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
		a->v6.sin6_family = AF_INET6;
		a->v6.sin6_port = htons(port);
		a->len = sizeof a->v6;
	} else {
		return cm_err_set(err, CM_E_BAD_VALUE, "%s is no numeric address", text);
	}
	return 0;
}

static int sock_new(const struct sock_address *a)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

static int sock_block(int fd)
{
	return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0 ? -errno : 0;
}

static int connect_wait(int fd, unsigned ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0, n = poll(&p, 1, (int)ms);
	socklen_t len = sizeof error;

	if (n <= 0)
		return n < 0 ? -errno : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int mig_sock_connect(const char *address, uint16_t port, unsigned ms, int *out, struct cm_err *err)
{
	struct sock_address a;
	int one = 1, size = SOCKET_BUFFER, fd, rc = sock_parse(&a, address, port, err);

	if (rc < 0)
		return rc;
	fd = sock_new(&a);
	if (fd < 0)
		return cm_err_set(err, fd, "socket: %s", strerror(-fd));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	if (connect(fd, &a.any, a.len) < 0)
		rc = errno == EINPROGRESS ? connect_wait(fd, ms) : -errno;
	if (rc == 0)
		rc = sock_block(fd);
	if (rc < 0) {
		close(fd);
		return cm_err_set(err, CM_E_MIG_PEER,
				  "the destination %s port %u cannot be reached: %s", address, port,
				  strerror(-rc));
	}
	*out = fd;
	return 0;
}

int mig_sock_listen(const char *address, uint16_t *port, int *out, struct cm_err *err)
{
	struct sock_address a;
	int size = SOCKET_BUFFER, fd, rc = sock_parse(&a, address, 0, err);

	if (rc < 0)
		return rc;
	fd = rc = sock_new(&a);
	if (fd >= 0) {
		/* Before listen: what is let in has it from the first segment. */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
		rc = bind(fd, &a.any, a.len) < 0 || listen(fd, 4) < 0 ||
				     getsockname(fd, &a.any, &a.len) < 0
			     ? -errno
			     : 0;
	}
	if (rc < 0) {
		cm_err_set(err, rc, "cannot listen on %s: %s", address, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	*port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	*out = fd;
	return 0;
}

int mig_sock_accept(int listen_fd, unsigned ms)
{
	struct pollfd p = {.fd = listen_fd, .events = POLLIN};
	int one = 1, fd;

	if (poll(&p, 1, (int)ms) <= 0)
		return -EAGAIN;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -EAGAIN;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (sock_block(fd) < 0) {
		close(fd);
		return -EAGAIN;
	}
	return fd;
}
