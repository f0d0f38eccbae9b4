/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system that a machine of the test bed sees: the host's, with its own /run, /tmp, /dev/shm,
 * /proc, /sys, /etc, /var/lib, /var/log, the project's programs added to /usr, and everything hidden
 * that could reach the host (sysrq, watchdogs). Called once, by labinit, in its own mount namespace.
 */
#ifndef LAB_MOUNTS_H
#define LAB_MOUNTS_H

struct lab_mounts {
	const char *name;  /* of the machine */
	const char *dir;   /* state directory of the lab */
	const char *build; /* build tree */
	const char *src;   /* source tree */
};

/* Builds it or ends the process with a reason. */
void lab_mounts_setup(const struct lab_mounts *lm);

#endif
