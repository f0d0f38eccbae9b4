/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts of one machine. /usr, /etc and /var/lib become read-only overlays (the host's are never
 * written), writable parts are bind mounts from the state directory and outlive a power cut.
 * Parses nobody's data.
 */
#include "config.h"

#include "tests/lab/lab_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lab/lab_util.h"

static void must_mount(const char *what, const char *where, const char *type, unsigned long flags,
		       const char *data)
{
	const char *name = type ? type : what ? what : "(propagation)";

	if (mount(what, where, type, flags, data) != 0)
		lab_die("cannot mount %s on %s: %s", name, where, strerror(errno));
}

static void overlay(const char *upper, const char *where)
{
	char data[LAB_PATH_MAX * 2];

	lab_fmt(data, sizeof data, "lowerdir=%s:%s", upper, where);
	must_mount("overlay", where, "overlay", MS_RDONLY, data);
}

static void bind_from(const struct lab_mounts *lm, const char *part, const char *where)
{
	char from[LAB_PATH_MAX];

	lab_fmt(from, sizeof from, "%s/nodes/%s/%s", lm->dir, lm->name, part);
	must_mount(from, where, NULL, MS_BIND, NULL);
}

/* A directory that our private /run or /tmp covers is put back at its own path. */
static void bind_back(int fd, const char *path)
{
	char from[64];

	if (strncmp(path, "/run/", 5) != 0 && strncmp(path, "/tmp/", 5) != 0)
		return;
	lab_fmt(from, sizeof from, "/proc/self/fd/%d", fd);
	if (lab_mkdirs(path, 0755) != 0)
		lab_die("cannot make %s", path);
	must_mount(from, path, NULL, MS_BIND | MS_REC, NULL);
}

static void system_mounts(int cgroup_fd)
{
	char from[64];

	must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (cgroup_fd >= 0) {
		lab_fmt(from, sizeof from, "/proc/self/fd/%d", cgroup_fd);
		must_mount(from, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL);
	}
	must_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	must_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	must_mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	if (lab_mkdirs("/run/lock", 01777) != 0 || lab_mkdirs("/run/hvcluster", 0755) != 0)
		lab_die("cannot make directories in /run");
}

/* hvcore sends its guest's heartbeat there if somebody listens: a witness outside, when there is one. */
static void heartbeat_link(const struct lab_mounts *lm)
{
	char to[LAB_PATH_MAX];

	lab_fmt(to, sizeof to, "%s/beat/%s.sock", lm->dir, lm->name);
	if (symlink(to, "/run/hvcluster/heartbeat.sock") != 0)
		lab_die("cannot make /run/hvcluster/heartbeat.sock: %s", strerror(errno));
}

static void mask(const char *path)
{
	if (access(path, F_OK) == 0)
		must_mount("/dev/null", path, NULL, MS_BIND, NULL);
}

/* What pacemaker or corosync could use to reset the machine that all nodes share. */
static void mask_host(void)
{
	glob_t g;

	mask("/proc/sysrq-trigger");
	mask("/proc/kcore");
	if (glob("/dev/watchdog*", 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		mask(g.gl_pathv[i]);
	globfree(&g);
}

static void new_boot_id(const struct lab_mounts *lm)
{
	char path[LAB_PATH_MAX], uuid[64], text[80];

	lab_fmt(path, sizeof path, "%s/nodes/%s/boot_id", lm->dir, lm->name);
	if (lab_read_file("/proc/sys/kernel/random/uuid", uuid, sizeof uuid) != 0)
		lab_die("cannot read a random uuid");
	lab_fmt(text, sizeof text, "%s\n", uuid);
	if (lab_write_file(path, text) != 0)
		lab_die("cannot write %s", path);
	must_mount(path, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL);
}

void lab_mounts_setup(const struct lab_mounts *lm)
{
	static const char *const etc[] = {"corosync", "pacemaker", "hvcluster"};
	static const char *const varlib[] = {"corosync", "pacemaker", "hvcluster"};
	int dir_fd = open(lm->dir, O_PATH | O_CLOEXEC), build_fd = open(lm->build, O_PATH | O_CLOEXEC);
	int src_fd = open(lm->src, O_PATH | O_CLOEXEC);
	int cgroup_fd = open("/sys/fs/cgroup", O_PATH | O_CLOEXEC);
	char part[LAB_PATH_MAX], where[LAB_PATH_MAX], usr[LAB_PATH_MAX];

	must_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	lab_fmt(usr, sizeof usr, "%s/stage/usr", lm->dir);
	overlay(usr, "/usr");
	lab_fmt(part, sizeof part, "%s/nodes/%s/etc", lm->dir, lm->name);
	overlay(part, "/etc");
	lab_fmt(part, sizeof part, "%s/nodes/%s/varlib", lm->dir, lm->name);
	overlay(part, "/var/lib");
	for (size_t i = 0; i < LAB_ARRAY_LEN(etc); i++) {
		lab_fmt(part, sizeof part, "etc/%s", etc[i]);
		lab_fmt(where, sizeof where, "/etc/%s", etc[i]);
		bind_from(lm, part, where);
	}
	for (size_t i = 0; i < LAB_ARRAY_LEN(varlib); i++) {
		lab_fmt(part, sizeof part, "varlib/%s", varlib[i]);
		lab_fmt(where, sizeof where, "/var/lib/%s", varlib[i]);
		bind_from(lm, part, where);
	}
	bind_from(lm, "log", "/var/log");
	system_mounts(cgroup_fd);
	bind_back(dir_fd, lm->dir);
	bind_back(build_fd, lm->build);
	bind_back(src_fd, lm->src);
	if (lab_mkdirs("/run/hvlab/build", 0755) != 0)
		lab_die("cannot make /run/hvlab/build");
	lab_fmt(part, sizeof part, "/proc/self/fd/%d", build_fd);
	must_mount(part, "/run/hvlab/build", NULL, MS_BIND, NULL);
	mask_host();
	new_boot_id(lm);
	heartbeat_link(lm);
	close(dir_fd);
	close(build_fd);
	close(src_fd);
	close(cgroup_fd);
}
