/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_store.h - where definitions live: VMs, volumes and notes of saved states, in pacemaker's CIB
 * (VMs are resources, the rest are cluster-wide properties), or standalone in files.
 *
 * Thread: [loop]. Ownership: configs that are handed out are the caller's.
 */
#ifndef CLU_STORE_H
#define CLU_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "cluster/pcmk/clu_pcmk.h"
#include "common/cm_buf.h"
#include "proto/ctl.pb-c.h"

struct clu_agent;

/* --- VMs --- */
/* The VM's configuration as the administrator gave it (new object), or CM_E_NO_VM. */
int clu_store_vm(struct clu_agent *a, const char *vm, Hv__VmConfig **out, struct cm_err *err);
/* All defined VMs, wherever definitions are. */
void clu_store_each_config(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg),
			   void *arg);
/* Standalone only: the files. */
int clu_store_save_vm(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err);
int clu_store_drop_vm(struct clu_agent *a, const char *vm, struct cm_err *err);
void clu_store_each_vm(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg),
		       void *arg);
/* The VM as lines name=value: what a file of ours and a volume's copy have. b: initialised. */
int clu_store_text(const Hv__VmConfig *c, struct cm_buf *b, struct cm_err *err);
/* The reverse; text of n bytes from a volume, so anything may be in it. */
int clu_store_from_text(const char *vm, const char *text, size_t n, Hv__VmConfig **out,
			struct cm_err *err);

/* --- volumes --- */
/* URL of a volume, CM_E_NO_DISK. */
int clu_store_volume(struct clu_agent *a, const char *volume, char *url, size_t cap,
		     struct cm_err *err);
void clu_store_each_volume(struct clu_agent *a,
			   void (*fn)(const char *name, const char *url, void *arg), void *arg);
/* url NULL forgets it. */
void clu_store_set_volume(struct clu_agent *a, const char *volume, const char *url,
			  clu_pcmk_done_fn done, void *arg);
/* VOLUME/DISK and volume names become URLs that hvcore can open (in place). */
int clu_store_resolve(struct clu_agent *a, Hv__VmConfig *c, struct cm_err *err);

/* --- notes of saved states (clu_saved_note.h) --- */
/* False: none. */
bool clu_store_saved(struct clu_agent *a, const char *vm, char *text, size_t cap);
/* text NULL forgets it. */
void clu_store_set_saved(struct clu_agent *a, const char *vm, const char *text,
			 clu_pcmk_done_fn done, void *arg);

#endif
