/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_disk_grown.h - a disk grew: its VMs are told. Thread: [loop].
 */
#ifndef CLU_DISK_GROWN_H
#define CLU_DISK_GROWN_H

struct clu_agent;
struct json_object;

/* vms: [{vm, node, told, why}], to be owned. */
typedef void (*clu__grown_fn)(struct json_object *vms, void *arg);
/* Tells the VMs that have VOLUME/DISK its new size. done may come before this returns. */
void clu__disk_grown(struct clu_agent *a, const char *disk, clu__grown_fn done, void *arg);

#endif
