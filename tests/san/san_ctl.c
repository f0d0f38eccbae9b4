/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_ctl.c - the control socket: a line of words in, one line of JSON out.
 *
 * Parses what a test writes (trusted, but checked). README.md lists the commands.
 */
#include "config.h"

#include "tests/san/san.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_WORDS 32

struct client {
	struct san_io io;
	char line[2048];
	size_t len;
	FILE *out;
};

struct verb {
	const char *name;
	void (*run)(struct san *san, FILE *out, char **w, int n);
	const char *args;
};

void san_ctl_fail(FILE *out, const char *why, const char *what)
{
	const char *p;

	fprintf(out, "{\"ok\":false,\"error\":\"%s: ", why);
	for (p = what; *p; p++)
		if (isprint((unsigned char)*p) && *p != '"' && *p != '\\')
			fputc(*p, out);
	fprintf(out, "\"}");
}

/* --- showing ---------------------------------------------------------------------------- */

static void show_nexus(FILE *out, const struct san_nexus *n)
{
	fprintf(out,
		"{\"nexus\":%u,\"initiator\":\"%s\",\"isid\":\"%02x%02x%02x%02x%02x%02x\","
		"\"tpgt\":%u,\"connected\":%s,\"peer\":\"%s\",\"hung\":%s,\"queued\":%u,"
		"\"on_medium\":%u}",
		n->id, n->name, n->isid[0], n->isid[1], n->isid[2], n->isid[3], n->isid[4],
		n->isid[5], n->tpgt, n->conn ? "true" : "false", n->conn ? n->conn->peer : "",
		n->conn && n->conn->hung ? "true" : "false", n->conn ? n->conn->queued : 0,
		n->inflight);
}

static void list_nexuses(struct san *san, FILE *out, bool connected_only)
{
	const struct san_nexus *n;
	const char *sep = "";

	TAILQ_FOREACH (n, &san->nexuses, link) {
		if (connected_only && !n->conn)
			continue;
		fprintf(out, "%s", sep);
		show_nexus(out, n);
		sep = ",";
	}
}

static void do_sessions(struct san *san, FILE *out, char **w, int n)
{
	(void)w;
	(void)n;
	fprintf(out, "{\"ok\":true,\"sessions\":[");
	list_nexuses(san, out, true);
	fprintf(out, "]}");
}

static void do_nexuses(struct san *san, FILE *out, char **w, int n)
{
	(void)w;
	(void)n;
	fprintf(out, "{\"ok\":true,\"nexuses\":[");
	list_nexuses(san, out, false);
	fprintf(out, "]}");
}

static void show_pr(FILE *out, const struct san_pr *pr)
{
	const struct san_reg *r;
	const char *sep = "";

	fprintf(out, "\"type\":%u,\"generation\":%u,\"aptpl\":%s,\"registrations\":[", pr->type,
		pr->generation, pr->aptpl ? "true" : "false");
	TAILQ_FOREACH (r, &pr->regs, link) {
		bool holder = pr->type && (pr->holder == r->nexus || san_pr_is_all(pr->type));

		fprintf(out,
			"%s{\"key\":\"%016llx\",\"nexus\":%u,\"initiator\":\"%s\",\"holder\":%s}",
			sep, (unsigned long long)r->key, r->nexus->id, r->nexus->name,
			holder ? "true" : "false");
		sep = ",";
	}
	fprintf(out, "]");
}

static void do_luns(struct san *san, FILE *out, char **w, int n)
{
	unsigned int i;

	(void)w;
	(void)n;
	fprintf(out, "{\"ok\":true,\"powered\":%s,\"luns\":[", san->powered ? "true" : "false");
	for (i = 0; i < san->nluns; i++) {
		const struct san_lun *lun = san->luns[i];
		const struct san_cmd *cmd;
		unsigned int tasks = 0;

		TAILQ_FOREACH (cmd, &lun->tasks, in_lun)
			tasks++;
		fprintf(out,
			"%s{\"lun\":%u,\"blocksize\":%u,\"blocks\":%llu,\"thin\":%s,\"cache\":\"%"
			"s\","
			"\"dirty_bytes\":%llu,\"tasks\":%u,\"stalled\":%s,\"reads\":%llu,"
			"\"writes\":%llu,\"read_bytes\":%llu,\"write_bytes\":%llu,\"pr\":{",
			i ? "," : "", i, lun->bs, (unsigned long long)lun->blocks,
			lun->thin ? "true" : "false", lun->cache.on ? "volatile" : "writethrough",
			(unsigned long long)san_medium_dirty_bytes(lun), tasks,
			lun->stalled ? "true" : "false", (unsigned long long)lun->reads,
			(unsigned long long)lun->writes, (unsigned long long)lun->read_bytes,
			(unsigned long long)lun->write_bytes);
		show_pr(out, &lun->pr);
		fprintf(out, "}}");
	}
	fprintf(out, "]}");
}

static void do_rules(struct san *san, FILE *out, char **w, int n)
{
	static const char *const kinds[] = {"delay",	   "sense",	 "status",
					    "drop-before", "drop-after", "lose"};
	const struct san_rule *r;
	const char *sep = "";

	(void)w;
	(void)n;
	fprintf(out, "{\"ok\":true,\"rules\":[");
	TAILQ_FOREACH (r, &san->rules, link) {
		fprintf(out,
			"%s{\"rule\":%u,\"kind\":\"%s\",\"lun\":%d,\"nexus\":%u,\"ms\":%llu,"
			"\"count\":%ld,\"skip\":%ld}",
			sep, r->id, kinds[r->kind], r->lun, r->nexus, (unsigned long long)r->ms,
			r->count, r->skip);
		sep = ",";
	}
	fprintf(out, "]}");
}

/* --- trouble ---------------------------------------------------------------------------- */

static void add_rule(struct san *san, FILE *out, enum san_rule_kind kind, char **w, int n)
{
	const char *why = "no memory";
	int id = san_inject_add(san, kind, w, n, &why);

	if (id < 0)
		san_ctl_fail(out, "bad rule", why);
	else
		fprintf(out, "{\"ok\":true,\"rule\":%d}", id);
}

static void do_delay(struct san *san, FILE *out, char **w, int n)
{
	add_rule(san, out, SAN_RULE_DELAY, w, n);
}

static void do_error(struct san *san, FILE *out, char **w, int n)
{
	add_rule(san, out, SAN_RULE_SENSE, w, n);
}

static void do_clear(struct san *san, FILE *out, char **w, int n)
{
	unsigned int id = n ? (unsigned int)strtoul(w[0], NULL, 10) : 0;

	fprintf(out, "{\"ok\":true,\"removed\":%u}", san_inject_clear(san, id));
}

enum nexus_act { DROP, HANG, UNHANG };

static void on_nexuses(struct san *san, FILE *out, char **w, int n, enum nexus_act act)
{
	struct san_conn *c;
	unsigned int hits = 0;

	if (n < 1) {
		san_ctl_fail(out, "missing", "NEXUS");
		return;
	}
	if (strcmp(w[0], "all") == 0 && act != DROP)
		san->hang_new = act == HANG;
	TAILQ_FOREACH (c, &san->conns, link) {
		if (c->dead ||
		    (c->nexus ? !san_inject_nexus_match(c->nexus, w[0]) : strcmp(w[0], "all") != 0))
			continue;
		hits++;
		if (act == DROP) {
			san_conn_close(c, "dropped, as told");
			continue;
		}
		c->hung = act == HANG;
		san_conn_rearm(c);
		if (!c->hung && !c->is_dirty) { /* its answers waited */
			c->is_dirty = true;
			TAILQ_INSERT_TAIL(&san->dirty, c, dirty);
		}
	}
	fprintf(out, "{\"ok\":true,\"sessions\":%u}", hits);
}

static void do_drop(struct san *san, FILE *out, char **w, int n)
{
	on_nexuses(san, out, w, n, DROP);
}

static void do_hang(struct san *san, FILE *out, char **w, int n)
{
	on_nexuses(san, out, w, n, HANG);
}

static void do_unhang(struct san *san, FILE *out, char **w, int n)
{
	on_nexuses(san, out, w, n, UNHANG);
}

static void set_stall(struct san *san, FILE *out, char **w, int n, bool stalled)
{
	unsigned int i, hits = 0;
	char no[16];

	for (i = 0; n && i < san->nluns; i++) {
		snprintf(no, sizeof no, "%u", i);
		if (strcmp(w[0], "all") != 0 && strcmp(w[0], no) != 0)
			continue;
		san->luns[i]->stalled = stalled;
		hits++;
	}
	if (!hits)
		san_ctl_fail(out, "no such", "LUN");
	else
		fprintf(out, "{\"ok\":true,\"luns\":%u}", hits);
}

static void do_stall(struct san *san, FILE *out, char **w, int n)
{
	set_stall(san, out, w, n, true);
}

static void do_unstall(struct san *san, FILE *out, char **w, int n)
{
	set_stall(san, out, w, n, false);
}

/* Delayed commands land now; the deterministic end of a very long delay. */
static void do_release(struct san *san, FILE *out, char **w, int n)
{
	struct san_cmd *cmd;
	unsigned int hits = 0;

	TAILQ_FOREACH (cmd, &san->parked, in_park) {
		if (!cmd->due_ns || (n && !san_inject_nexus_match(cmd->nexus, w[0])))
			continue;
		cmd->due_ns = 0;
		hits++;
	}
	fprintf(out, "{\"ok\":true,\"commands\":%u}", hits);
}

static void do_remap(struct san *san, FILE *out, char **w, int n)
{
	fputs(n == 2 && san_inject_remap(san, w) ? "{\"ok\":true}" : "{\"ok\":false,\"error\":\"remap LUN LUN\"}", out);
}

static void do_attention(struct san *san, FILE *out, char **w, int n)
{
	unsigned int i, asc, ascq, hits = 0;
	struct san_nexus *nx;

	if (n < 2 || sscanf(w[1], "%x/%x", &asc, &ascq) != 2 || asc > 255 || ascq > 255) {
		san_ctl_fail(out, "usage", "attention NEXUS ASC/ASCQ");
		return;
	}
	TAILQ_FOREACH (nx, &san->nexuses, link)
		for (i = 0; i < san->nluns && san_inject_nexus_match(nx, w[0]); i++) {
			san_ua_add(nx, san->luns[i], (uint16_t)(asc << 8 | ascq));
			hits++;
		}
	fprintf(out, "{\"ok\":true,\"queued\":%u}", hits);
}

/* --- power and cache -------------------------------------------------------------------- */

static void do_power_cut(struct san *san, FILE *out, char **w, int n)
{
	unsigned int keep = 0;
	uint64_t seed = 1;
	int i;

	for (i = 0; i < n; i++) {
		if (strncmp(w[i], "keep=", 5) == 0)
			keep = (unsigned int)strtoul(w[i] + 5, NULL, 10);
		else if (strncmp(w[i], "seed=", 5) == 0)
			seed = strtoull(w[i] + 5, NULL, 0);
		else {
			san_ctl_fail(out, "unknown word", w[i]);
			return;
		}
	}
	san_power_cut(san, keep, seed);
	fprintf(out, "{\"ok\":true}");
}

static void do_power_on(struct san *san, FILE *out, char **w, int n)
{
	int rc = san_power_on(san);

	(void)w;
	(void)n;
	if (rc < 0)
		san_ctl_fail(out, "power-on", strerror(-rc));
	else
		fprintf(out, "{\"ok\":true}");
}

static void do_cache(struct san *san, FILE *out, char **w, int n)
{
	bool on = n && strcmp(w[0], "volatile") == 0;
	unsigned int i;
	int rc = 0;

	if (!on && (!n || strcmp(w[0], "writethrough") != 0)) {
		san_ctl_fail(out, "usage", "cache volatile|writethrough");
		return;
	}
	for (i = 0; i < san->nluns && rc == 0; i++) {
		san->luns[i]->cache.on = on;
		rc = san_medium_sync(san->luns[i], 0, san->luns[i]->blocks * san->luns[i]->bs);
	}
	if (rc < 0)
		san_ctl_fail(out, "sync", strerror(-rc));
	else
		fprintf(out, "{\"ok\":true}");
}

static void do_reinstate(struct san *san, FILE *out, char **w, int n)
{
	if (!n || (strcmp(w[0], "strict") != 0 && strcmp(w[0], "sloppy") != 0)) {
		san_ctl_fail(out, "usage", "reinstate strict|sloppy");
		return;
	}
	san->strict_reinstate = strcmp(w[0], "strict") == 0;
	fprintf(out, "{\"ok\":true}");
}

static void set_mask(FILE *out, char **w, int n, uint64_t *mask)
{
	if (!n || san_scsi_mask(w[0], mask) < 0)
		san_ctl_fail(out, "no such command", n ? w[0] : "");
	else
		fprintf(out, "{\"ok\":true}");
}

static void do_lacks(struct san *san, FILE *out, char **w, int n)
{
	set_mask(out, w, n, &san->lacks);
}

static void do_leaks(struct san *san, FILE *out, char **w, int n)
{
	set_mask(out, w, n, &san->leaks);
}

/* Grows a unit and tells everybody: CAPACITY DATA HAS CHANGED. */
static void do_grow(struct san *san, FILE *out, char **w, int n)
{
	unsigned long no = n == 2 ? strtoul(w[0], NULL, 10) : SAN_MAX_LUNS;
	uint64_t bytes;
	int rc;

	if (no >= san->nluns || san_parse_size(w[1], &bytes) < 0) {
		san_ctl_fail(out, "usage", "grow LUN SIZE");
		return;
	}
	rc = san_medium_grow(san->luns[no], bytes);
	if (rc < 0) {
		san_ctl_fail(out, "grow", strerror(-rc));
		return;
	}
	san_ua_all(san, san->luns[no], NULL, 0x2a09);
	fprintf(out, "{\"ok\":true,\"blocks\":%llu}", (unsigned long long)san->luns[no]->blocks);
}

static void do_mark(struct san *san, FILE *out, char **w, int n)
{
	char text[200] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < n && len < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", w[i]);
	for (i = 0; text[i]; i++)
		if (!isprint((unsigned char)text[i]) || strchr("\"\\", text[i]))
			text[i] = '?';
	san_log_event(san, "mark", text);
	san_log_flush(san);
	fprintf(out, "{\"ok\":true,\"seq\":%llu}", (unsigned long long)san->log.seq);
}

static void do_die(struct san *san, FILE *out, char **w, int n)
{
	(void)san;
	(void)out;
	(void)w;
	(void)n;
	kill(getpid(), SIGKILL);
}

static void do_quit(struct san *san, FILE *out, char **w, int n)
{
	(void)w;
	(void)n;
	san->quit = true;
	fprintf(out, "{\"ok\":true}");
}

static void do_help(struct san *san, FILE *out, char **w, int n);

static const struct verb verbs[] = {
	{"help", do_help, ""},
	{"sessions", do_sessions, ""},
	{"nexuses", do_nexuses, ""},
	{"luns", do_luns, ""},
	{"rules", do_rules, ""},
	{"delay", do_delay, "ms=N [lun=N] [nexus=ID|IQN] [class=C,C] [count=N] [skip=N]"},
	{"error", do_error,
	 "what=K/ASC/ASCQ|busy|full|conflict|aborted|drop-before|drop-after|lose [done=yes] [...]"},
	{"clear", do_clear, "[RULE]"},
	{"drop", do_drop, "NEXUS|IQN|all"},
	{"hang", do_hang, "NEXUS|IQN|all"},
	{"unhang", do_unhang, "NEXUS|IQN|all"},
	{"stall", do_stall, "LUN|all"},
	{"unstall", do_unstall, "LUN|all"},
	{"release", do_release, "[NEXUS|IQN|all]"},
	{"remap", do_remap, "LUN LUN"},
	{"attention", do_attention, "NEXUS|IQN|all ASC/ASCQ"},
	{"power-cut", do_power_cut, "[keep=PERCENT] [seed=N]"},
	{"power-on", do_power_on, ""},
	{"cache", do_cache, "volatile|writethrough"},
	{"reinstate", do_reinstate, "strict|sloppy"},
	{"lacks", do_lacks, "NAME,...|none"},
	{"leaks", do_leaks, "NAME,...|none"},
	{"grow", do_grow, "LUN SIZE"},
	{"window", san_array_window, "1..128"},
	{"redirect", san_array_redirect, "PORTAL ADDRESS[:PORT][,TPGT]|none [permanent]"},
	{"mark", do_mark, "TEXT"},
	{"die", do_die, ""},
	{"quit", do_quit, ""},
};

static void do_help(struct san *san, FILE *out, char **w, int n)
{
	size_t i;

	(void)san;
	(void)w;
	(void)n;
	fprintf(out, "{\"ok\":true,\"commands\":[");
	for (i = 0; i < SAN_LEN(verbs); i++)
		fprintf(out, "%s\"%s %s\"", i ? "," : "", verbs[i].name, verbs[i].args);
	fprintf(out, "]}");
}

/* --- socket ----------------------------------------------------------------------------- */

static void run_line(struct san *san, char *line, FILE *out)
{
	char *w[MAX_WORDS], *save = NULL, *p;
	int n = 0;
	size_t i;

	for (p = strtok_r(line, " \t\r", &save); p && n < MAX_WORDS;
	     p = strtok_r(NULL, " \t\r", &save))
		w[n++] = p;
	if (n == 0) {
		san_ctl_fail(out, "empty", "command");
	} else {
		for (i = 0; i < SAN_LEN(verbs); i++)
			if (strcmp(verbs[i].name, w[0]) == 0)
				break;
		if (i < SAN_LEN(verbs))
			verbs[i].run(san, out, w + 1, n - 1);
		else
			san_ctl_fail(out, "unknown command", w[0]);
	}
	fputc('\n', out);
	fflush(out);
}

static void client_free(struct client *c)
{
	fclose(c->out);
	close(c->io.fd);
	free(c);
}

static void client_event(struct san_io *io, uint32_t events)
{
	struct client *c = (struct client *)io;
	ssize_t n = recv(io->fd, c->line + c->len, sizeof c->line - 1 - c->len, MSG_DONTWAIT);
	char *nl;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = 0;
	while ((nl = memchr(c->line, '\n', c->len))) {
		*nl = 0;
		run_line(io->san, c->line, c->out);
		c->len -= (size_t)(nl + 1 - c->line);
		memmove(c->line, nl + 1, c->len);
	}
	if (c->len == sizeof c->line - 1)
		client_free(c); /* nobody writes such lines */
}

static void control_event(struct san_io *io, uint32_t events)
{
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
	struct client *c;

	(void)events;
	if (fd < 0)
		return;
	c = calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return;
	}
	c->io.fd = fd;
	c->io.san = io->san;
	c->io.cb = client_event;
	c->out = fdopen(dup(fd), "w");
	if (!c->out || san_watch(io->san, &c->io, EPOLLIN, true) < 0) {
		close(fd);
		free(c);
	}
}

int san_ctl_open(struct san *san, const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof sa.sun_path)
		return -ENAMETOOLONG;
	strcpy(sa.sun_path, path);
	strcpy(san->control_path, path);
	(void)unlink(path);
	san->control.san = san;
	san->control.cb = control_event;
	san->control.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (san->control.fd < 0)
		return -errno;
	if (bind(san->control.fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
	    listen(san->control.fd, 16) < 0 || san_watch(san, &san->control, EPOLLIN, true) < 0)
		return -errno;
	return 0;
}

void san_ctl_close(struct san *san)
{
	if (san->control.fd < 0)
		return;
	close(san->control.fd);
	(void)unlink(san->control_path);
	san->control.fd = -1;
}
