/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test bed's machine room: pid 1 of the LAB namespace and simulated BMC. Powers machines on and
 * off, pulls cables, freezes; answers one line per connection on a UNIX socket. A keeper process
 * outside the namespace waits for it and then removes the state directory: whoever kills either of
 * them ends the whole lab. Parses the operator's and the fence agent's request lines.
 *
 * bmcd --dir D --nodes N --san tgt|labsan --build B --src S [--leash FD]
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/lab_machine.h"
#include "tests/lab/lab_net.h"
#include "tests/lab/lab_util.h"

#define MAX_MACHINES 65

struct room {
	struct lab_machine_env env;
	struct lab_machine machine[MAX_MACHINES]; /* [0] is the SAN */
	int machines;
	int listen_fd;
	int signal_fd;
	int leash_fd; /* hang-up of its other end ends the lab; -1 = none */
	bool stop;
};

struct request {
	char verb[16];
	char name[16];
	char arg[32];
	char who[32];
};

typedef int (*verb_fn)(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		       size_t cap);

static struct lab_machine *find(struct room *room, const char *name)
{
	for (int i = 0; i < room->machines; i++)
		if (strcmp(room->machine[i].name, name) == 0)
			return &room->machine[i];
	return NULL;
}

static int do_on(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		 size_t cap)
{
	(void)rq;
	if (lab_machine_on(m, &room->env) == 0)
		return 0;
	snprintf(out, cap, "%s did not power on", m->name);
	return -EIO;
}

static int do_off(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		  size_t cap)
{
	(void)room;
	(void)rq;
	if (lab_machine_off(m) == 0)
		return 0;
	snprintf(out, cap, "%s did not power off", m->name);
	return -EIO;
}

static int do_reboot(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		     size_t cap)
{
	int rc = do_off(room, m, rq, out, cap);

	return rc ? rc : do_on(room, m, rq, out, cap);
}

static int do_soft(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		   size_t cap)
{
	(void)room;
	(void)rq;
	(void)out;
	(void)cap;
	return lab_machine_soft(m);
}

static int do_power(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		    size_t cap)
{
	(void)room;
	(void)rq;
	snprintf(out, cap, "%s", m->pid > 0 ? "on" : "off");
	return 0;
}

static int do_cut(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		  size_t cap)
{
	unsigned int nets = lab_net_mask(rq->arg[0] ? rq->arg : "all");

	(void)room;
	if (!nets) {
		snprintf(out, cap, "no network '%s': cluster, san or migration", rq->arg);
		return -EINVAL;
	}
	return lab_machine_cut(m, nets, strcmp(rq->verb, "cut") == 0);
}

static int do_freeze(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		     size_t cap)
{
	int rc = lab_machine_freeze(m, strcmp(rq->verb, "freeze") == 0);

	(void)room;
	if (rc == -EHOSTDOWN)
		snprintf(out, cap, "%s is off", m->name);
	return rc;
}

static int do_fault(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		    size_t cap)
{
	(void)room;
	(void)out;
	(void)cap;
	m->bmc_dead = strcmp(rq->arg, "on") == 0;
	lab_event("bmc", m->bmc_dead ? "bmc-dead" : "bmc-alive", m->name, NULL);
	return 0;
}

static int do_list(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		   size_t cap)
{
	size_t n = 0;

	(void)m;
	(void)rq;
	for (int i = 1; i < room->machines && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s ", room->machine[i].name);
	return 0;
}

static int do_status(struct room *room, struct lab_machine *m, const struct request *rq, char *out,
		     size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "[");

	(void)rq;
	for (int i = 0; i < room->machines && n + 256 < cap; i++) {
		const char *sep = "";

		m = &room->machine[i];
		n += (size_t)snprintf(out + n, cap - n,
				      "%s{\"name\":\"%s\",\"power\":\"%s\",\"pid\":%d,\"boots\":%d,"
				      "\"frozen\":%s,\"bmc\":\"%s\",\"cut\":[",
				      i ? "," : "", m->name, m->pid > 0 ? "on" : "off", (int)m->pid,
				      m->boots, m->frozen ? "true" : "false",
				      m->bmc_dead ? "dead" : "ok");
		for (int net = 0; net < LAB_NET_COUNT; net++) {
			if (!(m->cut & (1u << net)))
				continue;
			n += (size_t)snprintf(out + n, cap - n, "%s\"%s\"", sep,
					      lab_net_name((enum lab_net)net));
			sep = ",";
		}
		n += (size_t)snprintf(out + n, cap - n, "]}");
	}
	snprintf(out + n, cap - n, "]");
	return 0;
}

static const struct verb {
	const char *name;
	verb_fn fn;
	bool machine; /* needs one */
	bool by_bmc;  /* goes through that machine's BMC, so it fails when the BMC is dead */
} verbs[] = {
	{"on", do_on, true, true},	    {"off", do_off, true, true},
	{"reboot", do_reboot, true, true},  {"power", do_power, true, true},
	{"soft", do_soft, true, false},	    {"cut", do_cut, true, false},
	{"heal", do_cut, true, false},	    {"freeze", do_freeze, true, false},
	{"thaw", do_freeze, true, false},   {"fault", do_fault, true, false},
	{"list", do_list, false, false},    {"status", do_status, false, false},
};

static int serve(struct room *room, const struct request *rq, char *out, size_t cap)
{
	for (size_t i = 0; i < LAB_ARRAY_LEN(verbs); i++) {
		struct lab_machine *m = find(room, rq->name);

		if (strcmp(verbs[i].name, rq->verb) != 0)
			continue;
		if (verbs[i].machine && !m) {
			snprintf(out, cap, "no machine '%s'", rq->name);
			return -ENOENT;
		}
		if (rq->who[0])
			lab_event(rq->who, rq->verb, rq->name, "asked");
		/* A dead BMC is dead for the fence agent; the person at the lab still can pull the plug. */
		if (m && m->bmc_dead && verbs[i].by_bmc && strcmp(rq->who, "fence_hvlab") == 0) {
			snprintf(out, cap, "the BMC of %s does not answer", m->name);
			return -EHOSTUNREACH;
		}
		return verbs[i].fn(room, m, rq, out, cap);
	}
	snprintf(out, cap, "unknown request '%s'", rq->verb);
	return -EINVAL;
}

/* One connection: a line "verb [machine [argument]] [by=WHO]", an answer "ok ..." or "err ...". */
static void answer(struct room *room, int fd)
{
	char line[128] = "", out[16384] = "", *word, *save = NULL;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct request rq;
	char *const slot[] = {rq.verb, rq.name, rq.arg};
	const size_t cap[] = {sizeof rq.verb, sizeof rq.name, sizeof rq.arg};
	size_t nth = 0;
	ssize_t n;
	int rc;

	memset(&rq, 0, sizeof rq);
	if (poll(&p, 1, 10000) != 1)
		return;
	n = read(fd, line, sizeof line - 1);
	if (n <= 0)
		return;
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (strncmp(word, "by=", 3) == 0)
			snprintf(rq.who, sizeof rq.who, "%s", word + 3);
		else if (nth < LAB_ARRAY_LEN(slot)) {
			snprintf(slot[nth], cap[nth], "%s", word);
			nth++;
		}
	}
	rc = serve(room, &rq, out, sizeof out);
	if (rc != 0 && !out[0])
		snprintf(out, sizeof out, "%s", strerror(-rc));
	dprintf(fd, "%s %s\n", rc == 0 ? "ok" : "err", out);
}

static void reap(struct room *room)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < room->machines; i++) {
			if (room->machine[i].pid != pid)
				continue;
			if (lab_machine_exited(&room->machine[i], status))
				lab_machine_on(&room->machine[i], &room->env);
		}
}

static void room_loop(struct room *room)
{
	while (!room->stop) {
		struct pollfd p[] = {
			{.fd = room->listen_fd, .events = POLLIN},
			{.fd = room->signal_fd, .events = POLLIN},
			{.fd = room->leash_fd, .events = 0},
		};
		struct signalfd_siginfo si;

		if (poll(p, LAB_ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[2].revents & (POLLHUP | POLLERR | POLLNVAL))
			room->stop = true;
		if ((p[1].revents & POLLIN) && read(room->signal_fd, &si, sizeof si) == sizeof si) {
			if (si.ssi_signo == SIGCHLD)
				reap(room);
			else
				room->stop = true;
		}
		if (p[0].revents & POLLIN) {
			int fd = accept4(room->listen_fd, NULL, NULL, SOCK_CLOEXEC);

			if (fd >= 0) {
				answer(room, fd);
				close(fd);
			}
			reap(room);
		}
	}
}

static void add_machine(struct room *room, const char *name, const char *tag, int host,
			unsigned int nets)
{
	struct lab_machine *m = &room->machine[room->machines++];

	memset(m, 0, sizeof *m);
	lab_fmt(m->name, sizeof m->name, "%s", name);
	lab_fmt(m->tag, sizeof m->tag, "%s", tag);
	m->host = host;
	m->nets = nets;
}

static int listen_on(const char *dir)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	lab_fmt(un.sun_path, sizeof un.sun_path, "%s/bmc.sock", dir);
	unlink(un.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof un) != 0 || listen(fd, 64) != 0)
		lab_die("cannot listen on %s: %s", un.sun_path, strerror(errno));
	return fd;
}

/* pid 1 of the LAB namespace. */
static void room_main(struct room *room, int nodes, int ready_fd)
{
	char name[16], tag[8];
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "bmcd");
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	room->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		lab_die("cannot set up the mounts of the lab: %s", strerror(errno));
	if (sethostname("lab", 3) != 0 || lab_net_setup() != 0)
		lab_die("cannot set up the networks of the lab");
	room->listen_fd = listen_on(room->env.dir);
	add_machine(room, "san", "san", LAB_HOST_SAN, 1u << LAB_NET_SAN);
	for (int i = 1; i <= nodes; i++) {
		lab_fmt(name, sizeof name, "node%d", i);
		lab_fmt(tag, sizeof tag, "n%d", i);
		add_machine(room, name, tag, i, LAB_NET_ALL);
	}
	lab_event("lab", "up", "lab", NULL);
	for (int i = 0; i < room->machines; i++)
		if (lab_machine_on(&room->machine[i], &room->env) != 0)
			lab_die("cannot power on %s", room->machine[i].name);
	if (write(ready_fd, "ok", 2) != 2)
		lab_warn("nobody waits for the lab");
	close(ready_fd);
	room_loop(room);
	exit(0);
}

/* Outside the namespace: lives as long as the lab, then removes the state directory. */
static int keeper_main(struct room *room, int nodes, int ready_fd)
{
	char path[LAB_PATH_MAX], text[64];
	sigset_t set, old;
	pid_t pid;
	int rc, sig;

	setsid();
	prctl(PR_SET_NAME, "bmcd-keeper");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = lab_fork_ns(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		room_main(room, nodes, ready_fd);
	}
	close(ready_fd);
	if (pid < 0) {
		lab_warn("cannot make the lab's namespaces: %s", strerror(errno));
		return 1;
	}
	lab_fmt(path, sizeof path, "%s/lab.pid", room->env.dir);
	lab_fmt(text, sizeof text, "%d %d\n", (int)pid, (int)getpid());
	lab_write_file(path, text);
	for (;;) {
		if (sigwait(&set, &sig) != 0)
			continue;
		if (sig != SIGCHLD)
			kill(pid, SIGKILL);
		if (waitpid(pid, NULL, sig == SIGCHLD ? WNOHANG : 0) == pid)
			break;
	}
	rc = lab_rmtree(room->env.dir);
	if (rc != 0 && rc != -ENOENT)
		lab_warn("cannot remove %s: %s", room->env.dir, strerror(-rc));
	return rc ? 1 : 0;
}

static int lock_dir(const char *dir)
{
	char path[LAB_PATH_MAX];
	int fd;

	lab_fmt(path, sizeof path, "%s/lab.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		lab_die("a lab is already up in %s: run 'scripts/lab down' first", dir);
	return fd;
}

/* Waits until the lab says it is up; its errors came on our stderr. */
static int wait_ready(int fd)
{
	char text[8] = "";

	return read(fd, text, sizeof text) == 2 ? 0 : 1;
}

static int launch(struct room *room, int nodes)
{
	char log[LAB_PATH_MAX];
	int ready[2], fd;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) != 0)
		lab_die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		lab_die("fork: %s", strerror(errno));
	if (pid > 0) {
		close(ready[1]);
		return wait_ready(ready[0]);
	}
	close(ready[0]);
	lab_fmt(log, sizeof log, "%s/bmcd.log", room->env.dir);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(fd, 0);
	exit(keeper_main(room, nodes, ready[1]));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'd'},	{"nodes", required_argument, NULL, 'n'},
		{"san", required_argument, NULL, 's'},	{"build", required_argument, NULL, 'b'},
		{"src", required_argument, NULL, 'r'},	{"leash", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	static struct room room = {.leash_fd = -1, .env = {.san = "tgt"}};
	static char events[LAB_PATH_MAX];
	int nodes = 3, c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd': room.env.dir = optarg; break;
		case 'n': nodes = atoi(optarg); break;
		case 's': room.env.san = optarg; break;
		case 'b': room.env.build = optarg; break;
		case 'r': room.env.src = optarg; break;
		case 'l': room.leash_fd = atoi(optarg); break;
		default: return 2;
		}
	}
	if (!room.env.dir || !room.env.build || !room.env.src || nodes < 1 || nodes > 64)
		lab_die("use scripts/lab, it starts me");
	if (room.leash_fd >= 0)
		fcntl(room.leash_fd, F_SETFD, FD_CLOEXEC);
	lab_fmt(events, sizeof events, "%s/events.log", room.env.dir);
	lab_event_file(events);
	lock_dir(room.env.dir);
	return launch(&room, nodes);
}
