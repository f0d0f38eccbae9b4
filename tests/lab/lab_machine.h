/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One machine of the test bed (a node or the SAN): power, cables, freezing. All functions are called
 * by bmcd's only thread. Machine names are the operator's words: "node1".."node64", "san".
 */
#ifndef LAB_MACHINE_H
#define LAB_MACHINE_H

#include <stdbool.h>
#include <sys/types.h>

struct lab_machine {
	char name[16];
	char tag[8];	   /* prefix of its cables */
	int host;	   /* last byte of its addresses */
	unsigned int nets; /* networks it has cables to */
	unsigned int cut;  /* of these, pulled */
	pid_t pid;	   /* of its pid 1, 0 = power off */
	bool frozen;
	bool bmc_dead; /* its BMC does not answer (fault injection) */
	int boots;
};

/* What every machine is started with; borrowed for the life of bmcd. */
struct lab_machine_env {
	const char *dir;
	const char *build;
	const char *src;
	const char *san; /* "tgt" or "labsan" */
};

/* Power on; 0 also when it is on already, -1 = it did not start. */
int lab_machine_on(struct lab_machine *m, const struct lab_machine_env *env);
/* Power off: cables first (nothing it had queued may leave), then SIGKILL; returns 0 only when no
 * process of the machine is left, -ETIMEDOUT otherwise. */
int lab_machine_off(struct lab_machine *m);
/* Tells m that its pid 1 was reaped with this wait status; true when it asked for a reboot. */
bool lab_machine_exited(struct lab_machine *m, int status);
/* Presses the power button (a clean stop is asked for, not awaited); 0 or -errno. */
int lab_machine_soft(struct lab_machine *m);
/* SIGSTOP (true) or SIGCONT to every process; 0 or -errno. */
int lab_machine_freeze(struct lab_machine *m, bool freeze);
/* Pulls or plugs the cables in the mask; 0 or -errno. */
int lab_machine_cut(struct lab_machine *m, unsigned int nets, bool cut);

#endif
