/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_pcmk_xml.h - builds the pieces of configuration that we give to pacemaker, and checks the names
 * and values that go into them. Pure. Inside cluster/ only. Strings returned are the caller's (free()).
 */
#ifndef CLU_PCMK_XML_H
#define CLU_PCMK_XML_H

#include <stdint.h>

#include "cluster/pcmk/clu_pcmk.h"

/* A resource or node name that may be part of an XML id: letters, digits, "-_.", not first a digit. */
int clu__pcmk_check_name(const char *kind, const char *name, struct cm_err *err);
/* Text without control characters, valid UTF-8, at most CLU_PCMK_VALUE-1 bytes. */
int clu__pcmk_check_value(const char *name, const char *value, struct cm_err *err);
/* The whole primitive of a new VM; NULL and err for bad names or values. */
char *clu__pcmk_vm_xml(const char *vm, const struct clu_pcmk_param *params, size_t n, bool started,
		       struct cm_err *err);
/* The same VM with nothing but the parameters given, for a modification. */
char *clu__pcmk_vm_params_xml(const char *vm, const struct clu_pcmk_param *params, size_t n,
			      struct cm_err *err);
/* A location constraint that counts until the wall clock time. */
char *clu__pcmk_prefer_xml(const char *vm, const char *node, int64_t until_wall_s, struct cm_err *err);

#endif
