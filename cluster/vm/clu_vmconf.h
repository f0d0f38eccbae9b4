/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_vmconf.h - a VM's configuration as name/value pairs: the parameters of its pacemaker
 * resource, and the arguments of `hvctl create`. One table of parameters serves both, and the
 * agent's meta-data.
 *
 * Pure functions. Thread: [any]. Ownership: configs are freed by hv__vm_config__free_unpacked.
 */
#ifndef CLU_VMCONF_H
#define CLU_VMCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cm_err.h"
#include "proto/ctl.pb-c.h"

/* A parameter: what meta-data and help say of it, and how it is set and read. */
struct clu_vmconf_param {
	const char *name, *type; /* OCF types: string, integer */
	bool required;
	const char *dflt; /* "" none */
	const char *text; /* one line for people */
	/* clu_vmconf.c's own: where it is in the configuration, its range, its functions. get:
	 * NULL if it has no value, else text (CLU_VMCONF_TEXT bytes) or a string of the
	 * configuration. */
	size_t at;
	uint64_t min, max;
	int (*set)(Hv__VmConfig *c, const struct clu_vmconf_param *p, const char *value,
		   struct cm_err *err);
	const char *(*get)(const Hv__VmConfig *c, const struct clu_vmconf_param *p, char *text);
};
extern const struct clu_vmconf_param clu_vmconf_params[];
extern const size_t clu_vmconf_n_params;

#define CLU_VMCONF_TEXT 4096u /* longest value */

/* Calls fn for every parameter that has a value. */
typedef void (*clu_vmconf_fn)(const char *name, const char *value, void *arg);
void clu_vmconf_each(const Hv__VmConfig *config, clu_vmconf_fn fn, void *arg);

/* Value of a parameter, or NULL. */
typedef const char *(*clu_vmconf_get_fn)(const char *name, void *arg);
/* Builds and checks a config; defaults are filled in. CM_E_BAD_VALUE or CM_E_USAGE with the name in
 * err. */
int clu_vmconf_build(const char *vm, clu_vmconf_get_fn get, void *arg, Hv__VmConfig **out,
		     struct cm_err *err);
/* All checks that need no host: names, ranges, URLs, addresses. */
int clu_vmconf_check(const Hv__VmConfig *config, struct cm_err *err);
/* Random UUID (version 4) and a locally administered MAC address made from it and an index. */
int clu_vmconf_make_uuid(char out[37]);
void clu_vmconf_make_mac(const char *uuid, unsigned index, char out[18]);
Hv__VmConfig *clu_vmconf_dup(const Hv__VmConfig *config);

#endif
