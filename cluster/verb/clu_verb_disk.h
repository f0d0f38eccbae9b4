/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_verb_disk.h - disks of volumes. Thread: [loop].
 */
#ifndef CLU_VERB_DISK_H
#define CLU_VERB_DISK_H

struct px_req;
struct stor_disk_info;

void clu_verb_disk_create(struct px_req *q, void *agent);
void clu_verb_disk_inspect(struct px_req *q, void *agent);
void clu_verb_disk_resize(struct px_req *q, void *agent);
void clu_verb_disk_rename(struct px_req *q, void *agent);
void clu_verb_disk_delete(struct px_req *q, void *agent);
void clu_verb_disk_release(struct px_req *q, void *agent);

/* A disk as a row of a document: list, an array. */
void clu__disk_row(const struct stor_disk_info *d, void *list);

#endif
