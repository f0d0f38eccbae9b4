/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power and cables of one machine: a machine is a pid-1 process (labinit) in its own network, mount,
 * pid, uts and ipc namespaces; SIGKILL to it is the power cut. Parses nobody's data.
 */
#include "config.h"

#include "tests/lab/lab_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lab/lab_net.h"
#include "tests/lab/lab_util.h"

#define OFF_TIMEOUT_MS 15000

static void machine_main(const struct lab_machine *m, const struct lab_machine_env *env, int go_fd)
{
	char host[16], log[LAB_PATH_MAX], init[LAB_PATH_MAX], go = 0;
	sigset_t none;
	int fd;

	if (read(go_fd, &go, 1) != 1)
		_exit(1);
	lab_fmt(host, sizeof host, "%d", m->host);
	lab_fmt(init, sizeof init, "%s/tests/lab/labinit", env->build);
	lab_fmt(log, sizeof log, "%s/nodes/%s/log/labinit.log", env->dir, m->name);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	closefrom(3);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	execl(init, "labinit", m->name, host, env->dir, env->build, env->src, env->san, (char *)NULL);
	lab_warn("cannot run %s: %s", init, strerror(errno));
	_exit(1);
}

int lab_machine_on(struct lab_machine *m, const struct lab_machine_env *env)
{
	int go[2];
	int rc = -1;
	pid_t pid;

	if (m->pid > 0)
		return 0;
	if (pipe2(go, O_CLOEXEC) != 0)
		return -1;
	pid = lab_fork_ns(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
	if (pid == 0) {
		close(go[1]);
		machine_main(m, env, go[0]);
	}
	close(go[0]);
	if (pid < 0) {
		lab_warn("cannot make namespaces for %s: %s", m->name, strerror(errno));
		goto out;
	}
	if (lab_net_plug(m->tag, m->host, pid, m->nets, m->cut) != 0 || write(go[1], "g", 1) != 1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		lab_net_unplug(m->tag, m->nets);
		goto out;
	}
	m->pid = pid;
	m->frozen = false;
	m->boots++;
	lab_event("bmc", "on", m->name, NULL);
	rc = 0;
out:
	close(go[1]);
	return rc;
}

bool lab_machine_exited(struct lab_machine *m, int status)
{
	bool again = WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP; /* reboot(2) in a pid namespace */

	m->pid = 0;
	m->frozen = false;
	lab_net_unplug(m->tag, m->nets);
	lab_event("bmc", again ? "rebooting" : "off", m->name, NULL);
	return again;
}

int lab_machine_off(struct lab_machine *m)
{
	int status = 0;

	if (m->pid <= 0)
		return 0;
	lab_event("bmc", "power-cut", m->name, NULL);
	for (int i = 0; i < LAB_NET_COUNT; i++)
		if (m->nets & (1u << i))
			lab_net_link(m->tag, (enum lab_net)i, false);
	kill(m->pid, SIGKILL);
	/* The kernel reaps a whole pid namespace before its first process can be waited for. */
	for (int waited = 0; waited < OFF_TIMEOUT_MS; waited += 5) {
		pid_t pid = waitpid(m->pid, &status, WNOHANG);

		if (pid == m->pid) {
			lab_machine_exited(m, 0);
			return 0;
		}
		if (pid < 0 && errno != EINTR)
			return -errno;
		lab_sleep_ms(5);
	}
	return -ETIMEDOUT;
}

int lab_machine_soft(struct lab_machine *m)
{
	if (m->pid <= 0)
		return 0;
	lab_event("bmc", "button", m->name, NULL);
	return kill(m->pid, SIGTERM) == 0 ? 0 : -errno;
}

static int signal_all(pid_t init, int sig)
{
	char path[64];
	int status = 0;
	pid_t pid;

	lab_fmt(path, sizeof path, "/proc/%d/ns/pid", (int)init);
	pid = fork();
	if (pid == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		pid_t inner;

		if (fd < 0 || setns(fd, CLONE_NEWPID) != 0)
			_exit(1);
		inner = fork();
		if (inner == 0)
			_exit(kill(-1, sig) == 0 || errno == ESRCH ? 0 : 1);
		if (inner < 0 || waitpid(inner, &status, 0) != inner)
			_exit(1);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int lab_machine_freeze(struct lab_machine *m, bool freeze)
{
	int sig = freeze ? SIGSTOP : SIGCONT;
	int rc;

	if (m->pid <= 0)
		return -EHOSTDOWN;
	if (freeze)
		kill(m->pid, sig);
	rc = signal_all(m->pid, sig);
	if (!freeze)
		kill(m->pid, sig);
	if (rc == 0)
		m->frozen = freeze;
	lab_event("bmc", freeze ? "freeze" : "thaw", m->name, rc ? "failed" : NULL);
	return rc;
}

int lab_machine_cut(struct lab_machine *m, unsigned int nets, bool cut)
{
	int rc = 0;

	for (int i = 0; i < LAB_NET_COUNT; i++) {
		if (!(nets & m->nets & (1u << i)))
			continue;
		m->cut = cut ? m->cut | (1u << i) : m->cut & ~(1u << i);
		if (m->pid > 0 && rc == 0)
			rc = lab_net_link(m->tag, (enum lab_net)i, !cut);
		lab_event("bmc", cut ? "cut" : "heal", m->name, lab_net_name((enum lab_net)i));
	}
	return rc;
}
