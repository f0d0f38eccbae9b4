/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_host.c - what this host has for VMs. Decides nothing. Parses the kernel's /proc/meminfo.
 */
#include "config.h"

#include "cluster/node/clu_host.h"

#include <stdio.h>
#include <unistd.h>

#include "cluster/node/clu_conf.h"

uint64_t clu_host_total_bytes(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t clu_host_free_bytes(const struct clu_conf *conf)
{
	unsigned long long kb = 0, reserve = (unsigned long long)conf->reserve_mb << 10;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb > reserve ? (uint64_t)(kb - reserve) << 10 : 0;
}

void clu_host_watchdog_path(const struct clu_conf *conf, char *out, size_t cap)
{
	snprintf(out, cap, "%s/watchdog.sock", conf->run_dir);
}
