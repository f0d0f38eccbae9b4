/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pid 1 of one machine of the test bed: mounts, network, then the daemons as an init system would run
 * them (corosync, pacemaker when cmap answers, hvwatchdogd and hvclusterd always restarted; the SAN
 * machine runs its target instead). SIGTERM is the power button: pacemaker stops first, while
 * everything it needs is still there. Reaps orphans. Parses nobody's data.
 *
 * labinit NAME HOST DIR BUILD SRC SAN
 */
#include "config.h"

#include <corosync/cmap.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/lab_mounts.h"
#include "tests/lab/lab_net.h"
#include "tests/lab/lab_util.h"

#define RESTART_MS 200

enum policy {
	POLICY_ONCE,   /* stays dead */
	POLICY_FAILED, /* again when it failed (pacemaker's unit: on-failure, 100 = do not) */
	POLICY_ALWAYS, /* again whenever it ended, and as soon as it is installed */
};

struct service {
	const char *name;
	const char *argv[8];
	enum policy policy;
	bool after_cmap;
	pid_t pid;
	long long not_before_ns;
	bool dead;
};

static const char *const env_node[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"LANG=C.UTF-8",
	"PCMK_logfile=/var/log/pacemaker.log",
	"PCMK_logfacility=none",
	"PCMK_logpriority=notice",
	NULL,
};

/* Start order; the power button stops them in the order of stop_order. */
static struct service services[] = {
	{.name = "corosync", .argv = {"/usr/sbin/corosync", "-f"}, .policy = POLICY_ONCE},
	{.name = "hvwatchdogd",
	 .argv = {"/usr/sbin/hvwatchdogd", "--socket", "/run/hvcluster/watchdog.sock"},
	 .policy = POLICY_ALWAYS},
	{.name = "hvclusterd", .argv = {"/usr/sbin/hvclusterd"}, .policy = POLICY_ALWAYS},
	{.name = "pacemakerd",
	 .argv = {"/usr/sbin/pacemakerd", "-f"},
	 .policy = POLICY_FAILED,
	 .after_cmap = true},
};
static const int stop_order[] = {3, 2, 0, 1};

static struct service san_service = {.name = "san", .policy = POLICY_ONCE};

static void start(struct service *s)
{
	char log[LAB_PATH_MAX];
	struct stat st;

	if (s->pid > 0 || s->dead || lab_now_ns() < s->not_before_ns)
		return;
	if (stat(s->argv[0], &st) != 0)
		return;
	lab_fmt(log, sizeof log, "/var/log/%s.out", s->name);
	s->pid = fork();
	if (s->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		sigset_t none;

		dup2(fd, 1);
		dup2(fd, 2);
		closefrom(3);
		setsid();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(s->argv[0], (char *const *)(void *)s->argv, (char *const *)(void *)env_node);
		lab_warn("cannot run %s: %s", s->argv[0], strerror(errno));
		_exit(127);
	}
	lab_warn("%s started, pid %d", s->name, (int)s->pid);
}

static void ended(struct service *s, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);

	lab_warn("%s ended: %s %d", s->name, code < 0 ? "signal" : "exit", code < 0 ? -code : code);
	s->pid = 0;
	s->not_before_ns = lab_now_ns() + RESTART_MS * 1000000LL;
	if (s->policy == POLICY_ONCE || (s->policy == POLICY_FAILED && (code == 0 || code == 100)))
		s->dead = true;
}

static void reap(struct service *list, size_t count)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < count; i++)
			if (list[i].pid == pid)
				ended(&list[i], status);
}

static bool cmap_answers(void)
{
	cmap_handle_t h;

	if (cmap_initialize(&h) != CS_OK)
		return false;
	cmap_finalize(h);
	return true;
}

static void stop_one(struct service *list, size_t count, struct service *s)
{
	s->dead = true;
	if (s->pid > 0)
		kill(s->pid, SIGTERM);
	while (s->pid > 0) {
		reap(list, count);
		lab_sleep_ms(10);
	}
}

static void run(struct service *list, size_t count, int signal_fd)
{
	bool cmap = false;

	for (;;) {
		struct pollfd p = {.fd = signal_fd, .events = POLLIN};
		struct signalfd_siginfo si;
		bool corosync = list[0].pid > 0;

		if (corosync && !cmap && count > 1)
			cmap = cmap_answers();
		for (size_t i = 0; i < count; i++)
			if (!list[i].after_cmap || (cmap && corosync))
				start(&list[i]);
		if (poll(&p, 1, cmap ? 100 : 30) == 1 &&
		    read(signal_fd, &si, sizeof si) == sizeof si && si.ssi_signo == SIGTERM)
			return;
		reap(list, count);
	}
}

static int node_main(int signal_fd)
{
	run(services, LAB_ARRAY_LEN(services), signal_fd);
	lab_warn("power button");
	for (size_t i = 0; i < LAB_ARRAY_LEN(stop_order); i++)
		stop_one(services, LAB_ARRAY_LEN(services), &services[stop_order[i]]);
	return 0;
}

static int san_main(int signal_fd, const struct lab_mounts *lm, const char *kind)
{
	static char script[LAB_PATH_MAX];

	lab_fmt(script, sizeof script, "%s/tests/lab/san.sh", lm->src);
	san_service.argv[0] = "/bin/sh";
	san_service.argv[1] = script;
	san_service.argv[2] = kind;
	san_service.argv[3] = lm->dir;
	san_service.argv[4] = lm->build;
	run(&san_service, 1, signal_fd);
	stop_one(&san_service, 1, &san_service);
	return 0;
}

int main(int argc, char **argv)
{
	bool san = argc > 1 && strcmp(argv[1], "san") == 0;
	struct lab_mounts lm;
	sigset_t set;
	int signal_fd;

	if (argc != 7 || getpid() != 1)
		lab_die("use scripts/lab, it starts me");
	lm = (struct lab_mounts){.name = argv[1], .dir = argv[3], .build = argv[4], .src = argv[5]};
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	umask(022);
	if (chdir("/") != 0 || sethostname(argv[1], strlen(argv[1])) != 0)
		lab_die("cannot set the host name: %s", strerror(errno));
	lab_mounts_setup(&lm);
	if (lab_net_configure(san ? 1u << LAB_NET_SAN : LAB_NET_ALL, atoi(argv[2])) != 0)
		lab_die("cannot set up the network");
	return san ? san_main(signal_fd, &lm, argv[6]) : node_main(signal_fd);
}
