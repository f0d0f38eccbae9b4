/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labsan_main.c - an iSCSI target for tests: options and the one event loop.
 *
 * One thread, one epoll. Each turn: events, due commands, write log, answers, dead connections, in
 * that order, so that an answer is never seen before its line is in the write log. No privilege is
 * needed. Parses the operator's options; it is not a product and defends nothing but its own
 * memory.
 */
#include "config.h"

#include "tests/san/san.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t san_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int san_watch(struct san *san, struct san_io *io, uint32_t events, bool add)
{
	struct epoll_event ev = {.events = events, .data.ptr = io};

	return epoll_ctl(san->epfd, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, io->fd, &ev) < 0 ? -errno
											  : 0;
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: labsan --iqn NAME --lun FILE[,OPTION...] [OPTION...]\n"
		"  --portal ADDR:PORT[,tpg=N]  listen there (several; [ADDR] for IPv6; port 0 = "
		"any;\n"
		"                              default 127.0.0.1:3260)\n"
		"  --lun FILE[,thin][,readonly][,blocksize=512|4096][,size=N[KMGT]][,serial=TEXT|none][,ids=naa|eui|t10|none]\n"
		"                              next logical unit, from 0; size= makes the file\n"
		"  --control SOCKET            UNIX socket for commands, see README.md\n"
		"  --chap USER:SECRETFILE      initiators must authenticate\n"
		"  --chap-mutual USER:SECRETFILE  what labsan proves itself with\n"
		"  --acl IQN                   only these initiators (several)\n"
		"  --cache volatile|writethrough  default writethrough\n"
		"  --state DIR                 reservations with APTPL are kept there\n"
		"  --write-log FILE            one JSON line per change (appended)\n"
		"  --reinstate strict|sloppy   a new login of the same nexus waits for the "
		"commands of\n"
		"                              the old session (default), or lets them land later\n"
		"  --lacks NAME,...            play a lesser array: these commands are not there\n"
		"  --leaks NAME,...            ... these pass all reservations\n"
		"  --exit-with-parent          end when the process that started labsan ends\n"
		"  --real-sync                 SYNCHRONIZE CACHE and FUA call fdatasync\n"
		"  --verbose                   say on stderr why sessions end\n");
}

static int add_portal(struct san *san, char *arg)
{
	struct san_portal *p = &san->portals[san->nportals];
	char *comma = strchr(arg, ','), *colon, *end;
	unsigned long port;

	if (san->nportals == SAN_MAX_PORTALS)
		return -ENOSPC;
	p->tpgt = 1;
	p->io.fd = -1;
	p->io.san = san;
	if (comma) {
		*comma++ = 0;
		if (strncmp(comma, "tpg=", 4) != 0)
			return -EINVAL;
		p->tpgt = (uint16_t)strtoul(comma + 4, NULL, 10);
	}
	colon = strrchr(arg, ':');
	if (!colon || !p->tpgt)
		return -EINVAL;
	*colon++ = 0;
	port = strtoul(colon, &end, 10);
	if (!*colon || *end || port > 65535)
		return -EINVAL;
	p->port = (uint16_t)port;
	if (arg[0] == '[' && arg[strlen(arg) - 1] == ']') {
		p->v6 = true;
		arg[strlen(arg) - 1] = 0;
		arg++;
	}
	if (strlen(arg) >= sizeof p->addr)
		return -EINVAL;
	strcpy(p->addr, arg);
	san->nportals++;
	return 0;
}

int san_parse_size(const char *s, uint64_t *out)
{
	static const char units[] = "KMGT";
	char *end;
	const char *u;

	*out = strtoull(s, &end, 10);
	if (end == s)
		return -EINVAL;
	u = *end ? strchr(units, *end) : NULL;
	if (*end && (!u || end[1]))
		return -EINVAL;
	if (u)
		*out <<= 10 * (u - units + 1);
	return *out ? 0 : -EINVAL;
}

static int lun_option(struct san_lun *lun, const char *word, uint64_t *size)
{
	if (strcmp(word, "thin") == 0)
		lun->thin = true;
	else if (strcmp(word, "readonly") == 0)
		lun->readonly = true;
	else if (strcmp(word, "blocksize=512") == 0)
		lun->bs = 512;
	else if (strcmp(word, "blocksize=4096") == 0)
		lun->bs = 4096;
	else if (strncmp(word, "serial=", 7) == 0 && strlen(word + 7) < sizeof lun->serial)
		strcpy(lun->serial, word + 7);
	else if (strncmp(word, "ids=", 4) == 0 && strlen(word + 4) < sizeof lun->ids)
		strcpy(lun->ids, word + 4);
	else if (strncmp(word, "size=", 5) == 0)
		return san_parse_size(word + 5, size);
	else
		return -EINVAL;
	return 0;
}

static int add_lun(struct san *san, char *arg)
{
	char *save = NULL, *file = strtok_r(arg, ",", &save), *word;
	struct san_lun *lun;
	uint64_t size = 0;
	int rc;

	if (san->nluns == SAN_MAX_LUNS || !file || strlen(file) >= sizeof lun->path)
		return -EINVAL;
	lun = calloc(1, sizeof *lun);
	if (!lun)
		return -ENOMEM;
	san->luns[san->nluns] = lun;
	lun->san = san;
	lun->no = san->nluns;
	lun->bs = 512;
	strcpy(lun->path, file);
	TAILQ_INIT(&lun->tasks);
	TAILQ_INIT(&lun->pr.regs);
	while ((word = strtok_r(NULL, ",", &save))) {
		rc = lun_option(lun, word, &size);
		if (rc < 0)
			return rc;
	}
	san->nluns++;
	return san_medium_open(lun, size);
}

static int read_secret(struct san_secret *s, char *arg)
{
	char *colon = strchr(arg, ':');
	FILE *f;

	if (!colon || colon == arg || (size_t)(colon - arg) >= sizeof s->user)
		return -EINVAL;
	*colon = 0;
	strcpy(s->user, arg);
	f = fopen(colon + 1, "re");
	if (!f)
		return -errno;
	s->len = fread(s->secret, 1, sizeof s->secret, f);
	fclose(f);
	while (s->len && (s->secret[s->len - 1] == '\n' || s->secret[s->len - 1] == '\r'))
		s->len--;
	return s->len ? 0 : -EINVAL;
}

static int copy(char *dst, size_t cap, const char *src)
{
	return snprintf(dst, cap, "%s", src) < (int)cap ? 0 : -ENAMETOOLONG;
}

static int choose(bool *out, const char *arg, const char *yes, const char *no)
{
	*out = strcmp(arg, yes) == 0;
	return *out || strcmp(arg, no) == 0 ? 0 : -EINVAL;
}

static const struct option options[] = {
	{"portal", required_argument, NULL, 'p'},
	{"iqn", required_argument, NULL, 'i'},
	{"lun", required_argument, NULL, 'l'},
	{"control", required_argument, NULL, 'c'},
	{"chap", required_argument, NULL, 'u'},
	{"chap-mutual", required_argument, NULL, 'm'},
	{"acl", required_argument, NULL, 'a'},
	{"cache", required_argument, NULL, 'w'},
	{"state", required_argument, NULL, 's'},
	{"write-log", required_argument, NULL, 'o'},
	{"reinstate", required_argument, NULL, 'r'},
	{"real-sync", no_argument, NULL, 'f'},
	{"lacks", required_argument, NULL, 'x'},
	{"leaks", required_argument, NULL, 'k'},
	{"exit-with-parent", no_argument, NULL, 'e'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int one_option(struct san *san, int opt, char *arg)
{
	switch (opt) {
	case 'p':
		return add_portal(san, arg);
	case 'i':
		return copy(san->iqn, sizeof san->iqn, arg);
	case 'l':
		return add_lun(san, arg);
	case 'c':
		return san_ctl_open(san, arg);
	case 'u':
		return read_secret(&san->chap_in, arg);
	case 'm':
		return read_secret(&san->chap_out, arg);
	case 'a':
		if (san->nacl == SAN_MAX_ACL)
			return -ENOSPC;
		return copy(san->acl[san->nacl++], sizeof san->acl[0], arg);
	case 'w':
		return choose(&san->volatile_cache, arg, "volatile", "writethrough");
	case 's':
		return copy(san->state_dir, sizeof san->state_dir, arg);
	case 'o':
		return san_log_open(san, arg);
	case 'r':
		return choose(&san->strict_reinstate, arg, "strict", "sloppy");
	case 'x':
		return san_scsi_mask(arg, &san->lacks);
	case 'k':
		return san_scsi_mask(arg, &san->leaks);
	case 'e':
		/* a test that is killed must not leave us behind */
		return prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() == 1 ? -ESRCH : 0;
	case 'f':
		san->real_sync = true;
		return 0;
	case 'v':
		san->verbose = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 0, or the exit code + 1. */
static int parse_options(struct san *san, int argc, char **argv)
{
	char local[] = "127.0.0.1:3260";
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return 1;
		}
		if (opt == '?') {
			usage(stderr);
			return 3;
		}
		rc = one_option(san, opt, optarg);
		if (rc < 0) {
			fprintf(stderr, "labsan: %s: %s\n", optarg ? optarg : "option",
				strerror(-rc));
			return 3;
		}
	}
	if (optind != argc || !san->iqn[0] || !san->nluns) {
		usage(stderr);
		return 3;
	}
	if (!san->nportals)
		(void)add_portal(san, local);
	return 0;
}

static void signal_event(struct san_io *io, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	if (read(io->fd, &si, sizeof si) > 0)
		io->san->quit = true;
}

static int watch_signals(struct san *san, struct san_io *io)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	io->san = san;
	io->cb = signal_event;
	io->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return io->fd < 0 ? -errno : san_watch(san, io, EPOLLIN, true);
}

static int start(struct san *san)
{
	unsigned int i;
	int rc;

	if (san->state_dir[0] && mkdir(san->state_dir, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "labsan: %s: %s\n", san->state_dir, strerror(errno));
		return -errno;
	}
	for (i = 0; i < san->nluns; i++) {
		san->luns[i]->cache.on = san->volatile_cache;
		rc = san_pr_load(san->luns[i]);
		if (rc < 0) {
			fprintf(stderr, "labsan: reservations of LUN %u: %s\n", i, strerror(-rc));
			return rc;
		}
	}
	for (i = 0; i < san->nportals; i++) {
		rc = san_portal_listen(&san->portals[i]);
		if (rc < 0) {
			fprintf(stderr, "labsan: %s:%u: %s\n", san->portals[i].addr,
				san->portals[i].port, strerror(-rc));
			return rc;
		}
	}
	san->powered = true;
	san_log_event(san, "start", "");
	printf("ready");
	for (i = 0; i < san->nportals; i++)
		printf(san->portals[i].v6 ? " [%s]:%u" : " %s:%u", san->portals[i].addr,
		       san->portals[i].port);
	printf("\n");
	fflush(stdout);
	return 0;
}

static void loop(struct san *san)
{
	struct epoll_event ev[64];

	while (!san->quit) {
		int timeout =
			TAILQ_EMPTY(&san->parked) ? -1 : san_cmd_next_timeout_ms(san, san_now_ns());
		int n = epoll_wait(san->epfd, ev, SAN_LEN(ev), timeout), i;

		for (i = 0; i < n; i++) {
			struct san_io *io = ev[i].data.ptr;

			io->cb(io, ev[i].events);
		}
		if (!TAILQ_EMPTY(&san->parked))
			san_cmd_unpark(san, san_now_ns());
		san_log_flush(san);
		san_conns_flush(san);
		san_conns_reap(san);
	}
}

static void stop(struct san *san)
{
	struct san_nexus *n;
	struct san_conn *c;
	unsigned int i;

	for (i = 0; i < san->nportals; i++)
		san_portal_close(&san->portals[i]);
	TAILQ_FOREACH (c, &san->conns, link)
		san_conn_close(c, "target stops");
	san_cmds_power_cut(san);
	san_conns_reap(san);
	(void)san_inject_clear(san, 0);
	for (i = 0; i < san->nluns; i++) {
		struct san_reg *r;

		while ((r = TAILQ_FIRST(&san->luns[i]->pr.regs)))
			san_pr_remove(san->luns[i], r);
		if (san->luns[i]->fd >= 0)
			san_medium_close(san->luns[i]);
		free(san->luns[i]);
	}
	while ((n = TAILQ_FIRST(&san->nexuses))) {
		TAILQ_REMOVE(&san->nexuses, n, link);
		free(n);
	}
	san_log_event(san, "stop", "");
	san_log_close(san);
	san_ctl_close(san);
}

int main(int argc, char **argv)
{
	static struct san san;
	struct san_io signals;
	int rc;

	/* big buffers come and go all the time: keep their pages */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	san.log.fd = -1;
	san.control.fd = -1;
	san.strict_reinstate = true;
	san.window = SAN_QUEUE;
	TAILQ_INIT(&san.nexuses);
	TAILQ_INIT(&san.conns);
	TAILQ_INIT(&san.dirty);
	TAILQ_INIT(&san.rules);
	TAILQ_INIT(&san.parked);
	san.epfd = epoll_create1(EPOLL_CLOEXEC);
	if (san.epfd < 0 || watch_signals(&san, &signals) < 0) {
		perror("labsan");
		return 2;
	}
	rc = parse_options(&san, argc, argv);
	if (rc) {
		san_ctl_close(&san);
		return rc - 1;
	}
	rc = start(&san);
	if (rc == 0)
		loop(&san);
	stop(&san);
	close(signals.fd);
	close(san.epfd);
	return rc == 0 ? 0 : 2;
}
