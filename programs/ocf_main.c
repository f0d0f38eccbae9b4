/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ocf:hvcluster:VirtualMachine, run by pacemaker's executor: VirtualMachine ACTION, everything else in the
 * environment. Runs as root as every resource agent does, because only root may ask hvclusterd and hvcore;
 * it parses no guest bytes and no stream.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cluster/ocf/clu_ocf.h"

static const char *get(const char *name, void *arg)
{
	(void)arg;
	return getenv(name);
}

int main(int argc, char **argv)
{
	const char *run_dir = getenv("HV_RUN_DIR"); /* tests only; pacemaker does not pass it on */
	const struct clu_ocf o = {
		.run_dir = run_dir ? run_dir : "/run/hvcluster", .get = get, .out = stdout, .errs = stderr};

	if (argc != 2) {
		fprintf(stderr, "usage: %s start|stop|monitor|migrate_to|migrate_from|validate-all|meta-data\n",
			argv[0]);
		return CLU_OCF_ARGS;
	}
	signal(SIGPIPE, SIG_IGN);
	return clu_ocf_run(&o, argv[1]);
}
