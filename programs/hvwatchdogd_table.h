/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvwatchdogd_table.h - what hvwatchdogd knows of its clients, and the part of it that outlives it: one row for each
 * client whom it has promised to kill, in a file that is mapped. For hvwatchdogd_main.c, which says what it is for.
 *
 * One thread. Nothing here allocates memory.
 */
#ifndef HVWATCHDOGD_TABLE_H
#define HVWATCHDOGD_TABLE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_CLIENTS 1024

enum client_state { CLIENT_FREE, CLIENT_QUIET, CLIENT_WATCHED, CLIENT_KILLED };

/* One connection; or, sock closed, the watch that it left behind. */
struct client {
	enum client_state state;
	int sock;  /* -1: closed */
	int pidfd; /* -1: gone */
	int pid;
	uint64_t born;	/* its start, in ticks of the kernel: pid and born are a process */
	uint64_t order; /* of connections: a later one has a greater number */
	bool spoke;
	uint64_t until_ns, killed_ns;
};

/* The file: whom the next hvwatchdogd has to kill, and when. until_ns 0: an empty row. */
struct row {
	_Atomic uint64_t until_ns;
	uint64_t pid, born;
};
struct table {
	char magic[8], boot[40];
	struct row row[MAX_CLIENTS]; /* of the client with the same index */
};

struct daemon {
	struct client client[MAX_CLIENTS];
	struct table *table;
	uint64_t orders;
	const char *path; /* of the device; NULL: none */
	bool test_device, failed;
	int timeout_s, timeout_ms; /* as wanted; as the device has it */
	struct pollfd poll[2 * MAX_CLIENTS + 2];
	int owner[2 * MAX_CLIENTS + 2]; /* client of each poll entry */
	int listener, signals, device;
	uint64_t feed_every_ns, fed_ns, grace_ns;
	bool starving; /* somebody is overdue beyond help: the device is not fed any more */
	bool stop;
};

/* One line for the journal; cut off if it is too long. */
void hvwatchdogd_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The start of a process, in ticks of the kernel; 0: there is none. */
uint64_t hvwatchdogd_born(int pid);
/* Writes the row of that client. The process may be killed at any instruction: never is there another one's promise. */
void hvwatchdogd_row_put(struct daemon *d, const struct client *c);
/*
 * Opens and locks the table, makes it if it is not there or of another boot, and takes over whom the predecessor
 * watched. -1, with words: it cannot be opened, another hvwatchdogd has it, or of somebody in it nobody can tell
 * whether he has ended.
 */
int hvwatchdogd_table_open(struct daemon *d, const char *path);

#endif
