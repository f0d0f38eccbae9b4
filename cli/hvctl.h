/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl.h - the operator's command: verbs, their arguments, and how answers are shown.
 *
 * Exit codes are stable (hvctl(8)): 0 done, 1 failed, 2 wrong usage or value, 3 no such thing, 4
 * not in a state that allows it, 5 daemon, cluster or quorum missing, 6 storage, 7 denied, 8 timed
 * out, 9 migration failed and the VM runs on the source.
 *
 * Thread: main only.
 */
#ifndef HVCTL_H
#define HVCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/cm_err.h"
#include "proto/px_req.h"

struct hvctl_verb;
struct json_object;

struct hvctl {
	const struct hvctl_verb *verbs; /* the table, handed down by main: what is in it knows only this */
	size_t n_verbs;
	bool json;
	const char *socket;
	const char *program; /* argv[0], to find hvcore beside it */
	bool tty;	     /* progress is shown */
};

/* One option of a verb: --NAME VALUE, or a flag. It becomes the request's argument of that name. */
struct hvctl_opt {
	const char *name, *value; /* value NULL: a flag */
	const char *arg;	  /* request argument, NULL: as name */
	const char *text;
};

#define HVCTL_OPTS 14u
struct hvctl_verb {
	const char *name;     /* one or two words */
	const char *operands; /* for usage: "VM NODE" */
	unsigned min, max;    /* operands */
	const char *request;  /* verb of the daemon; NULL: fn does all */
	const char *where; /* how operands are sent, letter by letter: v VM, n node, or u volume, d
			      disk, r url */
	int (*fn)(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
	void (*show)(struct json_object *doc); /* text for people; NULL: nothing or generic */
	const char *text;		       /* one line of help */
	struct hvctl_opt opt[HVCTL_OPTS];
};

extern const struct hvctl_verb hvctl_verbs[];
extern const size_t hvctl_n_verbs;

/* Runs the command line after the global options. Returns the exit code. */
int hvctl_main(struct hvctl *h, int argc, char **argv);

/* Reports an error (text or JSON) and returns its exit code. */
int hvctl_fail(const struct hvctl *h, const struct cm_err *err);
int hvctl_exit_code(int code);
/* Sends the request, shows progress, prints the answer. */
int hvctl_call(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
int hvctl_console(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
int hvctl_events(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
int hvctl_error(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
int hvctl_help(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
int hvctl_run(struct hvctl *h, const struct hvctl_verb *v, struct px_ask *ask);
void hvctl_usage(const struct hvctl *h, FILE *to);

/* hvctl_text.c */
void hvctl_show_list(struct json_object *doc);
void hvctl_show_tree(struct json_object *doc);
void hvctl_show_structures(struct json_object *doc);
void hvctl_show_why(struct json_object *doc);
void hvctl_show_nodes(struct json_object *doc);
void hvctl_show_status(struct json_object *doc);
void hvctl_show_volumes(struct json_object *doc);
void hvctl_show_volume(struct json_object *doc);
void hvctl_show_volume_vms(struct json_object *doc);
void hvctl_show_checks(struct json_object *doc);
void hvctl_show_event(struct json_object *ev);
void hvctl_show_events(struct json_object *doc);
void hvctl_show_started(struct json_object *doc);
void hvctl_show_created(struct json_object *doc);
void hvctl_show_migrated(struct json_object *doc);
void hvctl_show_progress(struct json_object *doc);
void hvctl_clear_progress(void);

/* hvctl_debug.c */
void hvctl_show_dump(struct json_object *doc);
void hvctl_show_counters(struct json_object *doc);
void hvctl_show_trace(struct json_object *doc);

#endif
