/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_main.c - the operator's command. Privilege: that of its caller; the daemon's socket
 * decides.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/hvctl.h"
#include "common/cm_log.h"

int main(int argc, char **argv)
{
	struct hvctl h = {
		.verbs = hvctl_verbs, .n_verbs = hvctl_n_verbs,
		.socket = "/run/hvcluster/hvclusterd.sock", .program = argv[0], .tty = isatty(2)};
	int i = 1;

	signal(SIGPIPE, SIG_IGN);
	cm_log_init("hvctl", CM_LOG_CRIT, 2);
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			h.json = true;
		} else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
			h.socket = argv[++i];
		} else if (strcmp(argv[i], "--version") == 0) {
			puts("hvctl " PACKAGE_VERSION);
			return 0;
		} else if (strcmp(argv[i], "--help") == 0) {
			hvctl_usage(&h, stdout);
			return 0;
		} else {
			fprintf(stderr, "hvctl: unknown option '%s'\n", argv[i]);
			hvctl_usage(&h, stderr);
			return 2;
		}
	}
	i = hvctl_main(&h, argc - i, argv + i);
	cm_log_fini();
	return i;
}
