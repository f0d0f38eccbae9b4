/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stor_url.h - storage URLs: parsing only, no access.
 *
 *   file:PATH[?option=value&...][#DISK]
 *   iscsi://[user@]host[:port][,host[:port]]/iqn/lun[?option=value&...][#DISK]
 *   VOLUME/DISK              (a configured volume; the caller maps VOLUME to one of the above)
 *
 * #DISK names a disk of the cluster volume that lies on that file or LUN. Hosts are numeric
 * addresses ([..] around IPv6): looking up a name would block the event loop. Options:
 *   lock=LUN              iscsi: a small LUN of the same target that carries the shared metadata
 *                         where the target has no COMPARE AND WRITE of its own
 *   unmap=yes|no          iscsi: may UNMAP and WRITE SAME be used (default yes); no where the self-test
 *                         (stor_probe.h) finds that a shut-out host could still use them
 *   data-timeout=SECONDS  iscsi: how long a read or write of the guest may take before its session counts as dead
 *                         (1..600, default 30); leases have the VM's io_timeout, whatever this says
 *   header-digest=yes|no  iscsi: CRC32C over headers (default yes)
 *   secret-file=PATH      iscsi: CHAP secret of user (mode 0400 or 0600)
 *   target-user=NAME, target-secret-file=PATH
 *                         iscsi: what the target must answer (mutual CHAP)
 *   sector=512|4096       file: sector size shown (default 512)
 *   direct=yes|no         file: O_DIRECT (default: yes where the file system can)
 *   volume=UUID           the only cluster volume that may lie there (checked when it is opened)
 *   tag=HEX               iscsi: stor_lun_tag() of the LUN when its volume was made; not checked
 *
 * The cluster's list of volumes has the last two: hvctl volume create and attach put them there.
 *
 * Data of the operator. Thread: [any], pure functions.
 */
#ifndef STOR_URL_H
#define STOR_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "sharedstorage/dev/stor_uuid.h"

#define STOR_URL_MAX	 1024 /* bytes of a whole URL with its NUL */
#define STOR_URL_PORTALS 2
#define STOR_DISK_NAME	 64 /* with its NUL */
#define STOR_ISCSI_PORT	 3260

enum stor_url_kind { STOR_URL_NONE = 0, STOR_URL_FILE, STOR_URL_ISCSI, STOR_URL_VOLUME };

struct stor_url {
	enum stor_url_kind kind;
	char path[512];			   /* file: */
	char portal[STOR_URL_PORTALS][64]; /* iscsi: "127.0.0.1:3260", "[::1]:3260" */
	unsigned portals;
	char target[224]; /* iscsi: iqn */
	unsigned lun;
	int lock_lun; /* -1: none */
	bool header_digest, no_unmap;
	unsigned data_timeout_ms;	  /* iscsi */
	char user[64], target_user[64];
	char secret_file[256], target_secret_file[256];
	unsigned sector_bytes;	     /* file */
	int direct;		     /* file: -1 as possible, 0 no, 1 yes or fail */
	struct stor_uuid volume_id;  /* volume=; zero: none */
	uint32_t tag;		     /* tag=; 0: none */
	char volume[STOR_DISK_NAME]; /* VOLUME/DISK */
	char disk[STOR_DISK_NAME];   /* "" if the URL names the whole file or LUN */
};

int stor_url_parse(const char *text, struct stor_url *url, struct cm_err *err) cm_must_check;
/* A numeric address[:port] of n bytes as "address:port"; false: it is none, or does not fit. */
bool stor_url_portal(const char *text, size_t n, char *out, size_t cap);
/* The URL of a whole file or LUN with volume= and tag= as given (0: without). CM_E_BAD_URL: too long. */
int stor_url_bind(const char *text, const struct stor_uuid *volume, uint32_t tag, char *out,
		  size_t cap, struct cm_err *err) cm_must_check;
/* Do both mean one file path, or one LUN of one target that they reach by one portal? Their lock
 * LUNs count as theirs. */
bool stor_url_same(const struct stor_url *a, const struct stor_url *b);
/* Names of volumes and disks: 1..63 of [A-Za-z0-9._-], not beginning with '.' or '-'. */
bool stor_name_valid(const char *name);

#endif
