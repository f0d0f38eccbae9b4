/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvclusterd_main.c - the cluster agent of one node.
 *
 * Privilege: runs as root, because it makes tap interfaces, starts hvcore under other users and
 * talks to pacemaker and corosync (root or haclient only). It parses operators' and peers'
 * requests, never guest bytes and never a RAM stream.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster/clu_agent.h"
#include "common/cm_fault.h"
#include "common/cm_log.h"
#include "common/cm_trace.h"

static const char usage[] =
	"usage: hvclusterd [--config FILE] [--standalone] [--log-level LEVEL] [--log-file FILE]\n"
	"\n"
	"The cluster agent of one node: starts and watches VMs, serves hvctl and the OCF agent.\n"
	"  --config FILE      default " HV_SYSCONFDIR "/hvcluster.conf (may be absent)\n"
	"  --standalone       one host without corosync and pacemaker\n"
	"  --log-level LEVEL  crit, err, warning, notice (default), info, debug\n"
	"  --log-file FILE    append the log to FILE instead of standard error\n"
	"  --version, --help\n";

static void on_signal(struct cm_signal *s, int signo, void *arg)
{
	(void)s;
	cm_notice("signal %d: ending; VMs go on running", signo);
	cm_loop_stop(arg, 0);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"standalone", no_argument, NULL, 's'},
		{"log-level", required_argument, NULL, 'l'},
		{"log-file", required_argument, NULL, 'f'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *config = HV_SYSCONFDIR "/hvcluster.conf", *log_file = NULL;
	enum cm_log_level level = CM_LOG_NOTICE;
	bool must = false, standalone = false;
	struct cm_err err = CM_ERR_INIT;
	struct cm_signal sig[2];
	struct clu_conf conf;
	struct clu_agent *agent;
	struct cm_loop *loop;
	int opt, fd = 2, rc;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			config = optarg;
			must = true;
			break;
		case 's':
			standalone = true;
			break;
		case 'l':
			level = cm_log_level_find(optarg);
			if (level == CM_LOG_NONE) {
				fprintf(stderr, "hvclusterd: unknown log level '%s'\n", optarg);
				return 2;
			}
			break;
		case 'f':
			log_file = optarg;
			break;
		case 'V':
			puts("hvclusterd " PACKAGE_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "hvclusterd: unexpected argument '%s'\n%s", argv[optind], usage);
		return 2;
	}
	clu_conf_default(&conf);
	if (clu_conf_load(config, must, &conf, &err)) {
		fprintf(stderr, "hvclusterd: %s\n", err.text);
		return 1;
	}
	conf.standalone |= standalone;
	if (log_file) {
		fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
		if (fd < 0) {
			fprintf(stderr, "hvclusterd: cannot write %s: %s\n", log_file,
				strerror(errno));
			return 1;
		}
	}
	signal(SIGPIPE, SIG_IGN); /* libiscsi and OpenSSL write without MSG_NOSIGNAL */
	cm_trace_install_handlers();
	cm_log_init("hvclusterd", level, fd);
	if (getenv("HV_FAULT") && cm_fault_arm(getenv("HV_FAULT"), &err)) {
		cm_error("HV_FAULT: %s", err.text);
		return 1;
	}
	loop = cm_loop_new(&err);
	agent = loop ? clu_agent_new(loop, &conf, &err) : NULL;
	if (!agent) {
		cm_crit("%s", err.text);
		cm_log_fini();
		return 1;
	}
	cm_signal_init(&sig[0], loop, SIGTERM, on_signal, loop);
	cm_signal_init(&sig[1], loop, SIGINT, on_signal, loop);
	rc = cm_loop_run(loop);
	clu_agent_free(agent);
	cm_signal_fini(&sig[0]);
	cm_signal_fini(&sig[1]);
	cm_loop_free(loop);
	cm_log_fini();
	return rc;
}
