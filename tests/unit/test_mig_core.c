/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_mig_core.c - migrations between two real hvcore processes, and either of them killed (SIGKILL) at each phase.
 *
 * Oracle: every beat of the guest, stamped by the process that let it run. Two processes never overlap, and after each case the
 * VM runs exactly where the ownership block says, or nowhere until somebody proves its owner dead. By default a few cases; all of
 * them with HV_TEST_FULL=1. Cleans up: children die with this process.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cm_clock.h"
#include "common/cm_log.h"
#include "proto/px_client.h"
#include "proto/px_req.h"
#include "proto/px_tls.h"
#include "proto/px_words.h"
#include "sharedstorage/lease/stor_lease_disk.h"

#define GUEST  "tests/guest/bare.elf"
#define HVCORE "programs/hvcore"
#define WAIT_NS (40 * CM_NS_PER_S)

#define CHECK(x, ...) \
	do { \
		if (!(x)) { \
			printf("FAIL: %s: ", now_case); \
			printf(__VA_ARGS__); \
			printf(" (%s:%d)\n", __FILE__, __LINE__); \
			exit(1); \
		} \
	} while (0)

struct core {
	pid_t pid;
	char node[8], sock[108], heart[108];
	int beat_listen, beat_fd, start_fd;
	char line[256];
	size_t line_len;
	unsigned long long first_beat, last_beat, beats, boots;
	int exit_status; /* -1 alive */
	struct px_client *client;
	char doc[8192];
	int code; /* 1: no answer yet */
	unsigned port;
	unsigned long long epoch;
};

static const char *now_case = "start";
static struct cm_loop *loop;
static char dir[64], kernel[PATH_MAX], hvcore[PATH_MAX], uuid_text[STOR_UUID_TEXT];
static const char *engine;
static struct core cores[2];
static struct px_psk psk;
static const struct px_self me = {.program = "test", .node = "test"};

/* --- beats ------------------------------------------------------------------------------------ */

static void beat_line(struct core *c)
{
	unsigned long long ns;
	unsigned byte;

	c->line[c->line_len] = 0;
	c->line_len = 0;
	if (sscanf(c->line, "%llu b %x", &ns, &byte) != 2)
		return;
	c->boots += byte == 0x40;
	c->beats++;
	if (!c->first_beat)
		c->first_beat = ns;
	c->last_beat = ns;
}

static void beat_read(struct core *c)
{
	char buf[4096];
	ssize_t n;

	if (c->beat_fd < 0)
		c->beat_fd = accept4(c->beat_listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (c->beat_fd >= 0 && (n = read(c->beat_fd, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] == '\n' || c->line_len + 1 == sizeof c->line)
				beat_line(c);
			else
				c->line[c->line_len++] = buf[i];
}

static void turn(void)
{
	cm_loop_turn(loop, 5);
	for (unsigned i = 0; i < 2; i++) {
		struct core *c = &cores[i];
		int status;

		if (!c->pid)
			continue;
		beat_read(c);
		if (c->exit_status == -1 && waitpid(c->pid, &status, WNOHANG) == c->pid) {
			beat_read(c);
			c->exit_status = status;
		}
	}
}

static void turn_for_ms(unsigned ms)
{
	uint64_t end = cm_now_ns() + ms * CM_NS_PER_MS;

	while (cm_now_ns() < end)
		turn();
}

/* --- processes -------------------------------------------------------------------------------- */

static int listen_unix(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
	unlink(path);
	CHECK(fd >= 0 && bind(fd, (void *)&un, sizeof un) == 0 && listen(fd, 2) == 0, "%s: %s", path, strerror(errno));
	return fd;
}

static void send_start(struct core *c, int fd, bool incoming)
{
	Hv__CoreStart s = HV__CORE_START__INIT;
	Hv__VmConfig v = HV__VM_CONFIG__INIT;
	Hv__DiskConfig disk = HV__DISK_CONFIG__INIT, *disks[1] = {&disk};
	Hv__Ticket t = HV__TICKET__INIT;
	char lease[160], url[160], boot[STOR_UUID_TEXT];
	struct stor_uuid id;
	struct cm_buf b;

	snprintf(lease, sizeof lease, "file:%s/block", dir);
	snprintf(url, sizeof url, "file:%s/disk", dir);
	CHECK(stor_boot_id(&id) == 0, "no boot id");
	stor_uuid_format(&id, boot);
	v.name = (char *)"guest";
	v.uuid = uuid_text;
	v.memory_bytes = 64 << 20;
	v.cpus = 1;
	v.engine = (char *)(uintptr_t)engine;
	v.kernel = kernel;
	v.cmdline = (char *)"mode=step,beat pages=512 rate=200";
	v.lease = lease;
	v.machine = (char *)"hv-1";
	v.io_timeout_ms = 10000; /* a lease of 40 s: no case waits for its end, and a busy machine must not bring it about */
	disk.url = url;
	v.n_disks = 1;
	v.disks = disks;
	s.vm = &v;
	s.node = c->node;
	s.boot_id = boot;
	s.host_slot = (uint32_t)(c - cores) + 1;
	s.control_socket = c->sock;
	s.control_fd = -1;
	s.heartbeat_socket = c->heart;
	if (incoming) {
		s.incoming = true;
		s.incoming_address = (char *)"127.0.0.1";
		t.vm_uuid = uuid_text;
		t.source = cores[0].node;
		t.destination = cores[1].node;
		t.epoch = cores[0].epoch;
		t.id = (ProtobufCBinaryData){sizeof psk.id, psk.id};
		t.psk = (ProtobufCBinaryData){sizeof psk.key, psk.key};
		s.ticket = &t;
	}
	cm_buf_init(&b, 1 << 20);
	CHECK(px_frame_put(&b, PX_CORE_START, &s) == 0 && write(fd, b.data, b.len) == (ssize_t)b.len, "start message");
	cm_buf_fini(&b);
}

static unsigned long long number(const char *doc, const char *key)
{
	const char *at = strstr(doc, key);

	return at ? strtoull(at + strlen(key) + 1, NULL, 10) : 0;
}

static void read_answer(struct core *c)
{
	uint8_t buf[8192];
	size_t len = 0, used = 0;
	struct px_msg m = {0};
	uint64_t end = cm_now_ns() + WAIT_NS;

	while (!used && cm_now_ns() < end) {
		ssize_t n = recv(c->start_fd, buf + len, sizeof buf - len, MSG_DONTWAIT);

		if (n > 0)
			len += (size_t)n;
		else
			turn();
		CHECK(n != 0, "hvcore %s ended before it answered (see its messages above)", c->node);
		CHECK(px_frame_get(buf, len, &used, &m) == 0, "bad answer");
	}
	CHECK(used && m.type == PX_REPLY, "no answer from hvcore %s", c->node);
	CHECK(((Hv__Reply *)m.msg)->code == 0, "hvcore %s: %s", c->node, ((Hv__Reply *)m.msg)->error);
	c->port = (unsigned)number(((Hv__Reply *)m.msg)->doc, "\"port\"");
	c->epoch = number(((Hv__Reply *)m.msg)->doc, "\"epoch\"");
	px_msg_free(&m);
}

static void spawn(unsigned i, bool incoming)
{
	struct core *c = &cores[i];
	struct cm_err err = CM_ERR_INIT;
	int sv[2];

	*c = (struct core){.beat_fd = -1, .exit_status = -1};
	snprintf(c->node, sizeof c->node, "n%u", i);
	snprintf(c->sock, sizeof c->sock, "%s/n%u.sock", dir, i);
	snprintf(c->heart, sizeof c->heart, "%s/n%u.beat", dir, i);
	c->beat_listen = listen_unix(c->heart);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0, "socketpair");
	c->pid = fork();
	CHECK(c->pid >= 0, "fork");
	if (c->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(sv[1], 3) == 3)
			execl(hvcore, hvcore, (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	c->start_fd = sv[0];
	send_start(c, c->start_fd, incoming);
	read_answer(c);
	c->client = px_client_unix(loop, c->sock, &me, NULL, NULL, &err);
	CHECK(c->client, "control socket: %s", err.text);
}

static void reap(unsigned i)
{
	struct core *c = &cores[i];

	if (!c->pid)
		return;
	if (c->exit_status == -1)
		kill(c->pid, SIGKILL);
	while (c->exit_status == -1)
		turn();
	px_client_close(c->client);
	close(c->start_fd);
	close(c->beat_listen);
	if (c->beat_fd >= 0)
		close(c->beat_fd);
	c->pid = 0;
}

static void answered(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct core *c = arg;

	if (r && r->more)
		return;
	c->code = err->code;
	snprintf(c->doc, sizeof c->doc, "%s", r && !err->code ? r->doc : err->text);
}

static void ask(struct core *c, struct px_ask *a)
{
	uint64_t end = cm_now_ns() + WAIT_NS;

	c->code = 1;
	px_client_call(c->client, &a->req, 0, answered, c);
	while (c->code == 1 && cm_now_ns() < end)
		turn();
	CHECK(c->code != 1, "no answer of %s to %s", c->node, a->req.verb);
}

static void ask_simple(struct core *c, const char *verb, const char *key, const char *value)
{
	struct px_ask a;

	px_ask_init(&a, verb, "guest");
	if (key)
		px_ask_arg(&a, key, value);
	ask(c, &a);
}

static void migrate(const char *mode)
{
	Hv__Ticket t = HV__TICKET__INIT;
	struct px_ask a;
	char port[16];

	snprintf(port, sizeof port, "%u", cores[1].port);
	px_ask_init(&a, "migrate", "guest");
	px_ask_arg(&a, "address", "127.0.0.1");
	px_ask_arg(&a, "port", port);
	a.req.mode = px_mig_mode_find(mode);
	px_ask_arg(&a, "max_blackout_ms", "60000");
	t.vm_uuid = uuid_text;
	t.source = cores[0].node;
	t.destination = cores[1].node;
	t.epoch = cores[0].epoch;
	t.id = (ProtobufCBinaryData){sizeof psk.id, psk.id};
	t.psk = (ProtobufCBinaryData){sizeof psk.key, psk.key};
	a.req.ticket = &t;
	ask(&cores[0], &a);
}

/* --- cases ------------------------------------------------------------------------------------ */

enum where { NOWHERE, AT_SOURCE, AT_DESTINATION };
static const struct kill_case {
	const char *point;
	enum where runs;
	bool brief; /* part of the short run */
} cases[] = {
	{"", AT_DESTINATION, true},
	{"mig.src.connect", NOWHERE, false}, {"mig.src.hello", NOWHERE, false}, {"mig.src.round.first", NOWHERE, false},
	{"mig.src.pause", NOWHERE, false}, {"mig.src.flushed", NOWHERE, false}, {"mig.src.round.last", NOWHERE, true},
	{"mig.src.state", NOWHERE, false}, {"mig.src.verified", NOWHERE, true}, {"mig.src.committed", AT_DESTINATION, true},
	{"mig.src.told", AT_DESTINATION, false},
	{"mig.dst.connected", AT_SOURCE, false}, {"mig.dst.hello", AT_SOURCE, false}, {"mig.dst.welcome", AT_SOURCE, false},
	{"mig.land.memory", AT_SOURCE, true}, {"mig.dst.landed", AT_SOURCE, true}, {"mig.dst.loaded", AT_SOURCE, false},
	{"mig.dst.verified", NOWHERE, false}, {"mig.dst.took", NOWHERE, true},
};

static void fresh_stores(void)
{
	static const char *const file[] = {"block", "disk"};
	char path[160];

	for (unsigned i = 0; i < 2; i++) {
		int fd;

		snprintf(path, sizeof path, "%s/%s", dir, file[i]);
		unlink(path);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		CHECK(fd >= 0 && ftruncate(fd, i ? 4 << 20 : 4096) == 0, "%s", path);
		close(fd);
	}
}

static bool beats_for(struct core *c, int rounds)
{
	unsigned long long had = c->beats;

	for (int i = 0; i < rounds && c->beats < had + 20 && c->exit_status == -1; i++)
		turn_for_ms(50);
	return c->beats >= had + 20;
}

static bool beats_on(struct core *c)
{
	return beats_for(c, 400);
}

/* Who should not run is given a second to prove us wrong. */
static bool beats_still(struct core *c)
{
	return beats_for(c, 20);
}

static void judge(const struct kill_case *k, const char *mode)
{
	struct core *s = &cores[0], *d = &cores[1];
	bool s_runs, d_runs;

	turn_for_ms(300);
	s_runs = s->exit_status == -1 && (k->runs == AT_SOURCE ? beats_on(s) : beats_still(s));
	d_runs = d->exit_status == -1 && (k->runs == AT_DESTINATION ? beats_on(d) : beats_still(d));
	CHECK(!(s_runs && d_runs), "runs on BOTH sides");
	CHECK(!d->first_beat || s->last_beat < d->first_beat, "both sides ran at the same time for a while");
	CHECK(s_runs == (k->runs == AT_SOURCE), "%s: source %s; it said: %s", mode, s_runs ? "runs" : "does not run",
	      s->doc);
	CHECK(d_runs == (k->runs == AT_DESTINATION), "%s: destination %s; the source said: %s", mode,
	      d_runs ? "runs" : "does not run", s->doc);
	CHECK(s->boots == 1 && d->boots == 0, "the guest was booted anew");
	if (d_runs)
		printf("ok: %-19s %-5s runs at the destination, %.1f ms between beats\n", now_case, mode,
		       (double)(d->first_beat - s->last_beat) / 1e6);
	else
		printf("ok: %-19s %-5s runs %s\n", now_case, mode, s_runs ? "at the source" : "nowhere, block decides");
}

static void one(const struct kill_case *k, const char *mode)
{
	struct core *dies = &cores[strncmp(k->point, "mig.src.", strlen("mig.src.")) != 0];
	char spec[64];

	now_case = k->point[0] ? k->point : "clean move";
	fresh_stores();
	CHECK(px_psk_make(&psk) == 0, "no random numbers");
	spawn(0, false);
	CHECK(beats_on(&cores[0]), "the guest does not beat");
	spawn(1, true);
	if (k->point[0]) {
		snprintf(spec, sizeof spec, "%s=kill@1", k->point);
		ask_simple(dies, "fault", "spec", spec);
		CHECK(dies->code == 0, "fault: %s", dies->doc);
	}
	migrate(mode);
	judge(k, mode);
	/* What still runs ends in an orderly way and gives the VM back. */
	for (unsigned i = 0; i < 2; i++)
		if (cores[i].exit_status == -1 && cores[i].code != 1 && beats_still(&cores[i])) {
			ask_simple(&cores[i], "stop", "force", "1");
			CHECK(cores[i].code == 0, "stop: %s", cores[i].doc);
		}
	reap(0);
	reap(1);
}

static void clean_up(void)
{
	static const char *const file[] = {"block", "disk", "n0.sock", "n1.sock", "n0.beat", "n1.beat"};
	char path[160];

	for (unsigned i = 0; i < CM_ARRAY_LEN(file); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, file[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	bool full = getenv("HV_TEST_FULL") != NULL;
	struct cm_err err = CM_ERR_INIT;
	struct stor_uuid id;

	signal(SIGPIPE, SIG_IGN);
	cm_log_set_level(CM_LOG_CRIT);
	engine = getenv("HV_TEST_ENGINE") ? getenv("HV_TEST_ENGINE") : "soft";
	if (!realpath(GUEST, kernel) || !realpath(HVCORE, hvcore)) {
		printf("skipped: %s and %s are needed (make all)\n", GUEST, HVCORE);
		return 77;
	}
	if (strcmp(engine, "kvm") == 0 && access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("skipped: /dev/kvm: %s\n", strerror(errno));
		return 77;
	}
	loop = cm_loop_new(&err);
	snprintf(dir, sizeof dir, "/tmp/mig-kill.XXXXXX");
	CHECK(loop && mkdtemp(dir), "no directory");
	atexit(clean_up);
	stor_uuid_random(&id);
	stor_uuid_format(&id, uuid_text);
	for (unsigned i = 0; i < CM_ARRAY_LEN(cases); i++) {
		if (argc > 1 ? strcmp(argv[1], cases[i].point) != 0 : !full && !cases[i].brief)
			continue;
		one(&cases[i], "live");
		if (full && strcmp(cases[i].point, "mig.src.round.first") != 0)
			one(&cases[i], "quick");
	}
	cm_loop_free(loop);
	return 0;
}
