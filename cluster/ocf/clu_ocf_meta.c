/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Meta-data of the resource agent, made from the one table of VM parameters. Parses nothing.
 */
#include "config.h"

#include <stddef.h>

#include "cluster/ocf/clu_ocf_int.h"
#include "cluster/vm/clu_vmconf.h"

static const struct {
	const char *name, *timeout, *interval;
} actions[] = {
	{"start", "180s", NULL},	{"stop", "180s", NULL},	       {"monitor", "30s", "10s"},
	{"migrate_to", "3600s", NULL},	{"migrate_from", "180s", NULL}, {"validate-all", "20s", NULL},
	{"meta-data", "5s", NULL},
};

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void put_param(FILE *out, const struct clu_vmconf_param *p)
{
	fprintf(out, "<parameter name=\"%s\" unique=\"%d\" required=\"%d\">\n<longdesc lang=\"en\">", p->name,
		p->name[0] == 'u' && p->required, p->required);
	put_text(out, p->text);
	fputs("</longdesc>\n<shortdesc lang=\"en\">", out);
	put_text(out, p->text);
	fprintf(out, "</shortdesc>\n<content type=\"%s\"", p->type);
	if (p->dflt[0]) {
		fputs(" default=\"", out);
		put_text(out, p->dflt);
		fputc('"', out);
	}
	fputs("/>\n</parameter>\n", out);
}

void clu__ocf_meta_data(FILE *out)
{
	fputs("<?xml version=\"1.0\"?>\n"
	      "<resource-agent name=\"VirtualMachine\" version=\"" VERSION "\">\n<version>1.1</version>\n"
	      "<longdesc lang=\"en\">A virtual machine of hvcluster: started, watched and moved (live where "
	      "allow-migrate is true) on the nodes of the cluster, with its ownership and its disks on shared "
	      "storage. Use hvctl to create and manage VMs.</longdesc>\n"
	      "<shortdesc lang=\"en\">Manages an hvcluster virtual machine</shortdesc>\n<parameters>\n",
	      out);
	for (size_t i = 0; i < clu_vmconf_n_params; i++)
		put_param(out, &clu_vmconf_params[i]);
	fputs("</parameters>\n<actions>\n", out);
	for (size_t i = 0; i < CM_ARRAY_LEN(actions); i++) {
		fprintf(out, "<action name=\"%s\" timeout=\"%s\"", actions[i].name, actions[i].timeout);
		if (actions[i].interval)
			fprintf(out, " interval=\"%s\"", actions[i].interval);
		fputs("/>\n", out);
	}
	fputs("</actions>\n</resource-agent>\n", out);
}
