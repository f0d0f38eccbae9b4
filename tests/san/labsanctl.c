/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsanctl.c - sends one command to labsan's control socket and prints the answer.
 *
 * labsanctl SOCKET COMMAND [WORD...]; exit 0 if labsan said ok, 1 if not, 2 if it could not be
 * asked.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int ask(int fd, char **words, int n)
{
	char line[2048] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < n; i++) {
		int got = snprintf(line + len, sizeof line - len, "%s%c", words[i],
				   i + 1 < n ? ' ' : '\n');

		if (got < 0 || (size_t)got >= sizeof line - len)
			return -E2BIG;
		len += (size_t)got;
	}
	return send(fd, line, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -errno;
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	FILE *in;
	int fd, ch, rc;
	char head[16] = "";
	size_t n = 0;

	if (argc < 3 || strlen(argv[1]) >= sizeof sa.sun_path) {
		fprintf(stderr, "usage: labsanctl SOCKET COMMAND [WORD...]\n");
		return 2;
	}
	strcpy(sa.sun_path, argv[1]);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		fprintf(stderr, "labsanctl: %s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	rc = ask(fd, argv + 2, argc - 2);
	if (rc < 0) {
		fprintf(stderr, "labsanctl: %s\n", strerror(-rc));
		return 2;
	}
	in = fdopen(fd, "r");
	if (!in)
		return 2;
	while ((ch = getc(in)) != EOF) {
		if (n < sizeof head - 1)
			head[n++] = (char)ch;
		putchar(ch);
		if (ch == '\n')
			break;
	}
	fclose(in);
	if (n == 0) /* "die" takes labsan away before it can answer */
		return strcmp(argv[2], "die") == 0 ? 0 : 2;
	return strncmp(head, "{\"ok\":true", 10) == 0 ? 0 : 1;
}
