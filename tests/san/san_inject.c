/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_inject.c - trouble by command: rules that delay, fail, lose or cut chosen SCSI commands.
 *
 * Parses the words of a test's control command ("lun=0 nexus=3 class=caw ms=1500 count=1").
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const class_names[SAN_CLASS_COUNT] = {
	[SAN_CLASS_OTHER] = "other", [SAN_CLASS_READ] = "read", [SAN_CLASS_WRITE] = "write",
	[SAN_CLASS_UNMAP] = "unmap", [SAN_CLASS_CAW] = "caw",	[SAN_CLASS_SYNC] = "sync",
	[SAN_CLASS_PR] = "pr",
};

const char *san_class_name(enum san_class cls)
{
	return class_names[cls];
}

static int parse_classes(const char *s, uint32_t *out)
{
	*out = 0;
	while (*s) {
		size_t n = strcspn(s, ","), i;
		bool found = n == 3 && memcmp(s, "all", 3) == 0;

		if (found)
			*out = (1u << SAN_CLASS_COUNT) - 1;
		for (i = 0; i < SAN_CLASS_COUNT; i++)
			if (strlen(class_names[i]) == n && memcmp(s, class_names[i], n) == 0) {
				*out |= 1u << i;
				found = true;
			}
		if (!found)
			return -EINVAL;
		s += n + (s[n] == ',');
	}
	return *out ? 0 : -EINVAL;
}

static int parse_number(const char *s, long low, long high, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(s, &end, 0);
	return errno || end == s || *end || *out < low || *out > high ? -EINVAL : 0;
}

static int parse_sense(struct san_rule *r, const char *s)
{
	unsigned int key, asc, ascq;

	static const struct {
		const char *word;
		uint8_t status;
	} statuses[] = {{"busy", SAN_BUSY},
			{"full", SAN_TASK_FULL},
			{"conflict", SAN_CONFLICT},
			{"aborted", SAN_TASK_ABORTED},
			{"nothing", SAN_GOOD}};

	for (size_t i = 0; i < SAN_LEN(statuses); i++)
		if (strcmp(s, statuses[i].word) == 0) {
			r->kind = SAN_RULE_STATUS;
			r->status = statuses[i].status;
			return 0;
		}
	if (strcmp(s, "drop-before") == 0 || strcmp(s, "drop-after") == 0 ||
	    strcmp(s, "lose") == 0) {
		r->kind = *s == 'l'	? SAN_RULE_LOSE
			  : s[5] == 'b' ? SAN_RULE_DROP_BEFORE
					: SAN_RULE_DROP_AFTER;
		return 0;
	}
	if (sscanf(s, "%x/%x/%x", &key, &asc, &ascq) != 3 || key > 15 || asc > 255 || ascq > 255)
		return -EINVAL;
	r->kind = SAN_RULE_SENSE;
	r->key = (uint8_t)key;
	r->asc = (uint8_t)asc;
	r->ascq = (uint8_t)ascq;
	return 0;
}

static int parse_word(struct san *san, struct san_rule *r, const char *w)
{
	long v = 0;
	int rc;

	if (strncmp(w, "lun=", 4) == 0) {
		rc = parse_number(w + 4, 0, (long)san->nluns - 1, &v);
		r->lun = (int)v;
	} else if (strncmp(w, "nexus=", 6) == 0) {
		if (strcmp(w + 6, "all") == 0)
			return 0;
		rc = parse_number(w + 6, 1, 1L << 30, &v);
		if (rc == 0)
			r->nexus = (unsigned int)v;
		else
			rc = snprintf(r->name, sizeof r->name, "%s", w + 6) > 0 ? 0 : -EINVAL;
	} else if (strncmp(w, "class=", 6) == 0) {
		rc = parse_classes(w + 6, &r->classes);
	} else if (strncmp(w, "count=", 6) == 0) {
		rc = parse_number(w + 6, 1, 1L << 30, &r->count);
	} else if (strncmp(w, "skip=", 5) == 0) {
		rc = parse_number(w + 5, 0, 1L << 30, &r->skip);
	} else if (strncmp(w, "ms=", 3) == 0) {
		rc = parse_number(w + 3, 1, 86400000, &v);
		r->ms = (uint64_t)v;
	} else if (strncmp(w, "portal=", 7) == 0) {
		rc = snprintf(r->portal, sizeof r->portal, "%s", w + 7) > 0 ? 0 : -EINVAL;
	} else if (strcmp(w, "done=yes") == 0) {
		r->done = true;
		rc = 0;
	} else if (strcmp(w, "deferred=yes") == 0) {
		r->deferred = true;
		rc = 0;
	} else if (strncmp(w, "what=", 5) == 0) {
		rc = parse_sense(r, w + 5);
	} else {
		rc = -EINVAL;
	}
	return rc;
}

/* Adds a rule; returns its id, or -errno with the reason in why. */
int san_inject_add(struct san *san, enum san_rule_kind kind, char **words, int nwords,
		   const char **why)
{
	struct san_rule *r = calloc(1, sizeof *r);
	int i;

	if (!r)
		return -ENOMEM;
	r->kind = kind;
	r->lun = -1;
	r->count = -1;
	r->classes = (1u << SAN_CLASS_COUNT) - 1;
	if (kind != SAN_RULE_DELAY)
		r->key = 0xff; /* what= is still owed */
	for (i = 0; i < nwords; i++)
		if (parse_word(san, r, words[i]) < 0) {
			*why = words[i];
			free(r);
			return -EINVAL;
		}
	if (kind == SAN_RULE_DELAY ? !r->ms : (r->kind == SAN_RULE_SENSE && r->key == 0xff)) {
		*why = kind == SAN_RULE_DELAY ? "ms= is missing" : "what= is missing";
		free(r);
		return -EINVAL;
	}
	r->id = ++san->last_rule;
	TAILQ_INSERT_TAIL(&san->rules, r, link);
	return (int)r->id;
}

static void rule_free(struct san *san, struct san_rule *r)
{
	TAILQ_REMOVE(&san->rules, r, link);
	free(r);
}

/* Removes one rule, or with id 0 all; returns how many went. */
unsigned int san_inject_clear(struct san *san, unsigned int id)
{
	struct san_rule *r, *next;
	unsigned int n = 0;

	for (r = TAILQ_FIRST(&san->rules); r; r = next) {
		next = TAILQ_NEXT(r, link);
		if (id && r->id != id)
			continue;
		rule_free(san, r);
		n++;
	}
	return n;
}

/* What a test calls a nexus: its number, its initiator's name, or "all". */
bool san_inject_nexus_match(const struct san_nexus *n, const char *what)
{
	char id[16];

	snprintf(id, sizeof id, "%u", n->id);
	return strcmp(what, "all") == 0 || strcmp(what, id) == 0 || strcasecmp(what, n->name) == 0;
}

static bool matches(const struct san_rule *r, const struct san_cmd *cmd)
{
	if (!(r->classes & 1u << cmd->op->cls))
		return false;
	if (r->lun >= 0 && (unsigned int)r->lun != cmd->lun->no)
		return false;
	if (r->nexus && r->nexus != cmd->nexus->id)
		return false;
	if (r->portal[0] && (!cmd->conn || strcmp(r->portal, cmd->conn->portal->addr) != 0))
		return false;
	return !r->name[0] || strcasecmp(r->name, cmd->nexus->name) == 0;
}

/* Applies one rule; false: the command ends here. */
static bool apply(struct san_cmd *cmd, const struct san_rule *r)
{
	switch (r->kind) {
	case SAN_RULE_DELAY:
		cmd->due_ns = san_now_ns() + r->ms * 1000000;
		break;
	case SAN_RULE_SENSE:
		if (r->done) {
			cmd->told = true;
			cmd->told_key = r->key;
			cmd->told_code = (uint16_t)(r->asc << 8 | r->ascq);
			break;
		}
		san_sense(cmd, r->key, (uint16_t)(r->asc << 8 | r->ascq));
		cmd->sense[0] = r->deferred ? 0x71 : 0x70;
		return false;
	case SAN_RULE_STATUS:
		cmd->status = r->status;
		cmd->nothing = r->status == SAN_GOOD;
		return false;
	case SAN_RULE_DROP_BEFORE:
		cmd->cut = true;
		return false;
	case SAN_RULE_DROP_AFTER:
		cmd->drop_after = true;
		break;
	case SAN_RULE_LOSE:
		cmd->silent = true;
		break;
	}
	return true;
}

/* Called when a command is accepted. False: it has its status, or its session is to be cut. */
bool san_inject_apply(struct san_cmd *cmd)
{
	struct san_rule *r, *next;

	for (r = TAILQ_FIRST(&cmd->san->rules); r; r = next) {
		bool go_on;

		next = TAILQ_NEXT(r, link);
		if (!matches(r, cmd))
			continue;
		if (r->skip > 0) {
			r->skip--;
			continue;
		}
		go_on = apply(cmd, r);
		if (r->count > 0 && --r->count == 0)
			rule_free(cmd->san, r);
		if (!go_on)
			return false;
	}
	return true;
}

/* Two LUN numbers stand for each other's disk from now on, and all are told as arrays tell it. False: no such LUNs. */
bool san_inject_remap(struct san *san, char **words)
{
	struct san_lun *was;
	long no[2];

	for (int i = 0; i < 2; i++)
		if (parse_number(words[i], 0, (long)san->nluns - 1, &no[i]))
			return false;
	was = san->luns[no[0]];
	san->luns[no[0]] = san->luns[no[1]];
	san->luns[no[1]] = was;
	for (int i = 0; i < 2; i++) {
		san->luns[no[i]]->no = (unsigned int)no[i];
		san_ua_all(san, san->luns[no[i]], NULL, 0x3f0e);
	}
	return true;
}
