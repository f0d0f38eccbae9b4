/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_store.c - where configurations live: in pacemaker's CIB (VMs are resources, volumes are
 * cluster-wide properties), or standalone in files "key=value" under the state directory.
 *
 * Parses data of the administrator.
 */
#include "config.h"

#include "cluster/vm/clu_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cluster/node/clu_agent_int.h"
#include "cluster/pcmk/clu_pcmk.h"
#include "cluster/vm/clu_vmconf.h"
#include "sharedstorage/dev/stor_url.h"

#define STORE_LINE  4608u
#define VOLUME_PROP "hvcluster-volume-"
#define SAVED_PROP  "hvcluster-saved-"

/* --- pairs read from a file ---------------------------------------------- */

struct pairs {
	unsigned n;
	char *name[32], *value[32];
};

static void pairs_free(struct pairs *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		free(p->name[i]);
		free(p->value[i]);
	}
	p->n = 0;
}

static void pairs_read(FILE *f, struct pairs *p)
{
	char line[STORE_LINE];

	p->n = 0;
	while (p->n < CM_ARRAY_LEN(p->name) && fgets(line, sizeof line, f)) {
		char *eq = strchr(line, '=');

		line[strcspn(line, "\n")] = '\0';
		if (!eq)
			continue;
		*eq = '\0';
		p->name[p->n] = strdup(line);
		p->value[p->n] = strdup(eq + 1);
		CM_ASSERT(p->name[p->n] && p->value[p->n]);
		p->n++;
	}
}

static int pairs_load(const char *path, struct pairs *p)
{
	FILE *f = fopen(path, "re");

	p->n = 0;
	if (!f)
		return -errno;
	pairs_read(f, p);
	fclose(f);
	return 0;
}

static const char *pairs_get(const char *name, void *arg)
{
	struct pairs *p = arg;

	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->name[i], name) == 0)
			return p->value[i];
	return NULL;
}

static void store_path(struct clu_agent *a, const char *kind, const char *name, char *out,
		       size_t cap)
{
	snprintf(out, cap, "%s/%s/%s", a->conf->state_dir, kind, name);
}

/* Whole or not at all: written beside, synced, renamed. */
static int store_write(const char *path, const char *text, size_t n, struct cm_err *err)
{
	char tmp[512];
	FILE *f;

	snprintf(tmp, sizeof tmp, "%s.new", path);
	f = fopen(tmp, "we");
	if (!f)
		return cm_err_set(err, CM_E_NO_FILE, "cannot write %s: %s", tmp, strerror(errno));
	if (fwrite(text, 1, n, f) != n || fflush(f) || fsync(fileno(f))) {
		int e = errno;

		fclose(f);
		unlink(tmp);
		return cm_err_set(err, CM_E_IO, "cannot write %s: %s", tmp, strerror(e));
	}
	fclose(f);
	if (rename(tmp, path) < 0)
		return cm_err_set(err, CM_E_IO, "cannot rename %s: %s", tmp, strerror(errno));
	return 0;
}

static void store_put_pair(const char *name, const char *value, void *arg)
{
	struct cm_buf *b = arg;

	cm_buf_put(b, name, strlen(name));
	cm_buf_put(b, "=", 1);
	cm_buf_put(b, value, strlen(value));
	cm_buf_put(b, "\n", 1);
}

int clu_store_text(const Hv__VmConfig *c, struct cm_buf *b, struct cm_err *err)
{
	clu_vmconf_each(c, store_put_pair, b);
	return b->err ? cm_err_set(err, b->err, "the configuration is too long") : 0;
}

int clu_store_save_vm(struct clu_agent *a, const Hv__VmConfig *c, struct cm_err *err)
{
	struct cm_buf b;
	char path[256];
	int rc;

	cm_buf_init(&b, 64u << 10);
	rc = clu_store_text(c, &b, err);
	store_path(a, "vms", c->name, path, sizeof path);
	rc = rc ? rc : store_write(path, (const char *)b.data, b.len, err);
	cm_buf_fini(&b);
	return rc;
}

int clu_store_drop_vm(struct clu_agent *a, const char *vm, struct cm_err *err)
{
	char path[256];

	store_path(a, "vms", vm, path, sizeof path);
	if (unlink(path) < 0)
		return cm_err_set(err, errno == ENOENT ? CM_E_NO_VM : CM_E_IO, "no VM '%s'", vm);
	return 0;
}

static int store_load_vm(struct clu_agent *a, const char *vm, Hv__VmConfig **out,
			 struct cm_err *err)
{
	struct pairs p;
	char path[256];
	int rc;

	if (!stor_name_valid(vm))
		return cm_err_set(err, CM_E_NO_VM, "no VM '%s'", vm);
	store_path(a, "vms", vm, path, sizeof path);
	rc = pairs_load(path, &p);
	if (rc)
		return cm_err_set(err, CM_E_NO_VM, "no VM '%s'", vm);
	rc = clu_vmconf_build(vm, pairs_get, &p, out, err);
	pairs_free(&p);
	return rc;
}

int clu_store_from_text(const char *vm, const char *text, size_t n, Hv__VmConfig **out,
			struct cm_err *err)
{
	FILE *f = n ? fmemopen((void *)(uintptr_t)text, n, "r") : NULL;
	struct pairs p = {.n = 0};
	int rc;

	if (f) {
		pairs_read(f, &p);
		fclose(f);
	}
	rc = clu_vmconf_build(vm, pairs_get, &p, out, err);
	pairs_free(&p);
	return rc;
}

void clu_store_each_vm(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg), void *arg)
{
	char dir[256];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/vms", a->conf->state_dir);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		Hv__VmConfig *c;

		if (e->d_name[0] == '.' || store_load_vm(a, e->d_name, &c, NULL))
			continue;
		fn(c, arg);
		hv__vm_config__free_unpacked(c, NULL);
	}
	if (d)
		closedir(d);
}

static const char *pcmk_get(const char *name, void *arg)
{
	return clu_pcmk_vm_param(arg, name);
}

int clu_store_vm(struct clu_agent *a, const char *vm, Hv__VmConfig **out, struct cm_err *err)
{
	const struct clu_pcmk_picture *pic;
	const struct clu_pcmk_vm *v;

	if (!a->pcmk)
		return store_load_vm(a, vm, out, err);
	pic = clu_pcmk_picture(a->pcmk);
	if (!pic)
		return cm_err_set(err, CM_E_NO_CLUSTER,
				  "pacemaker does not answer on node %s (yet)", a->node);
	v = clu_pcmk_find_vm(pic, vm);
	if (!v || !v->configured)
		return cm_err_set(err, CM_E_NO_VM, "no VM '%s' in this cluster", vm);
	/* The parameters are only read. */
	return clu_vmconf_build(vm, pcmk_get, (void *)(uintptr_t)v, out, err);
}

void clu_store_each_config(struct clu_agent *a, void (*fn)(const Hv__VmConfig *c, void *arg),
			   void *arg)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	Hv__VmConfig *c;

	if (!a->pcmk)
		clu_store_each_vm(a, fn, arg);
	for (size_t i = 0; pic && i < pic->n_vms; i++) {
		if (!pic->vms[i].configured || clu_store_vm(a, pic->vms[i].name, &c, NULL))
			continue;
		fn(c, arg);
		hv__vm_config__free_unpacked(c, NULL);
	}
}

/* --- volumes ------------------------------------------------------------- */

int clu_store_volume(struct clu_agent *a, const char *volume, char *url, size_t cap,
		     struct cm_err *err)
{
	const char *found = NULL;
	char key[128], path[256], line[1024] = "";

	if (!stor_name_valid(volume))
		return cm_err_set(err, CM_E_NO_DISK, "'%s' is no volume name", volume);
	if (a->pcmk) {
		const struct clu_pcmk_picture *pic = clu_pcmk_picture(a->pcmk);

		snprintf(key, sizeof key, VOLUME_PROP "%s", volume);
		found = pic ? clu_pcmk_property(pic, key) : NULL;
	} else {
		FILE *f;

		store_path(a, "volumes", volume, path, sizeof path);
		f = fopen(path, "re");
		if (f && fgets(line, sizeof line, f)) {
			line[strcspn(line, "\n")] = '\0';
			found = line;
		}
		if (f)
			fclose(f);
	}
	if (!found || strlen(found) >= cap)
		return cm_err_set(err, CM_E_NO_DISK,
				  "no volume '%s': hvctl volume list shows what is there", volume);
	strcpy(url, found);
	return 0;
}

void clu_store_each_volume(struct clu_agent *a,
			   void (*fn)(const char *name, const char *url, void *arg), void *arg)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	char dir[256], url[1024];
	struct dirent *e;
	DIR *d;

	for (size_t i = 0; pic && i < pic->n_properties; i++)
		if (strncmp(pic->properties[i].name, VOLUME_PROP, strlen(VOLUME_PROP)) == 0)
			fn(pic->properties[i].name + strlen(VOLUME_PROP), pic->properties[i].value,
			   arg);
	if (a->pcmk)
		return;
	snprintf(dir, sizeof dir, "%s/volumes", a->conf->state_dir);
	d = opendir(dir);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' &&
		    clu_store_volume(a, e->d_name, url, sizeof url, NULL) == 0)
			fn(e->d_name, url, arg);
	if (d)
		closedir(d);
}

struct set_done {
	clu_pcmk_done_fn done;
	void *arg;
	struct cm_err err;
};

static void note_done(void *arg)
{
	struct set_done *s = arg;

	s->done(s->err.code, &s->err, s->arg);
	free(s);
}

/* A line by name: a property of the cluster, or standalone a file. text NULL: removed. */
static void note_set(struct clu_agent *a, const char *prop, const char *dir, const char *name,
		     const char *text, clu_pcmk_done_fn done, void *arg)
{
	char key[128], path[256];
	struct set_done *s;

	if (a->pcmk) {
		snprintf(key, sizeof key, "%s%s", prop, name);
		clu_pcmk_set_property(a->pcmk, key, text, done, arg);
		return;
	}
	s = calloc(1, sizeof *s);
	CM_ASSERT(s);
	s->done = done;
	s->arg = arg;
	store_path(a, dir, name, path, sizeof path);
	if (text)
		store_write(path, text, strlen(text), &s->err);
	else if (unlink(path) < 0)
		cm_err_set(&s->err, CM_E_NO_DISK, "no '%s' is known", name);
	cm_loop_defer(a->loop, note_done, s);
}

static bool note_get(struct clu_agent *a, const char *prop, const char *dir, const char *name,
		     char *text, size_t cap)
{
	const struct clu_pcmk_picture *pic = a->pcmk ? clu_pcmk_picture(a->pcmk) : NULL;
	char key[128], path[256];
	const char *found = NULL;
	bool ok = false;
	FILE *f;

	if (a->pcmk) {
		snprintf(key, sizeof key, "%s%s", prop, name);
		found = pic ? clu_pcmk_property(pic, key) : NULL;
		return found && (size_t)snprintf(text, cap, "%s", found) < cap;
	}
	store_path(a, dir, name, path, sizeof path);
	f = fopen(path, "re");
	if (f && fgets(text, (int)cap, f)) {
		text[strcspn(text, "\n")] = '\0';
		ok = true;
	}
	if (f)
		fclose(f);
	return ok;
}

void clu_store_set_volume(struct clu_agent *a, const char *volume, const char *url,
			  clu_pcmk_done_fn done, void *arg)
{
	note_set(a, VOLUME_PROP, "volumes", volume, url, done, arg);
}

bool clu_store_saved(struct clu_agent *a, const char *vm, char *text, size_t cap)
{
	return note_get(a, SAVED_PROP, "saved", vm, text, cap);
}

void clu_store_set_saved(struct clu_agent *a, const char *vm, const char *text,
			 clu_pcmk_done_fn done, void *arg)
{
	note_set(a, SAVED_PROP, "saved", vm, text, done, arg);
}

static int resolve_one(struct clu_agent *a, char **field, bool whole_volume, struct cm_err *err)
{
	struct stor_url u;
	char url[1024], full[1200], name[64];
	int rc;

	if (whole_volume && stor_name_valid(*field)) {
		snprintf(name, sizeof name, "%s", *field);
		rc = clu_store_volume(a, name, full, sizeof full, err);
	} else {
		rc = stor_url_parse(*field, &u, err);
		if (rc || u.kind != STOR_URL_VOLUME)
			return rc;
		rc = clu_store_volume(a, u.volume, url, sizeof url, err);
		if (rc == 0)
			snprintf(full, sizeof full, "%s#%s", url, u.disk);
	}
	if (rc)
		return rc;
	if (*field != protobuf_c_empty_string)
		free(*field);
	*field = strdup(full);
	CM_ASSERT(*field);
	return 0;
}

int clu_store_resolve(struct clu_agent *a, Hv__VmConfig *c, struct cm_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < c->n_disks && rc == 0; i++)
		rc = resolve_one(a, &c->disks[i]->url, false, err);
	if (rc == 0 && c->lease[0])
		rc = resolve_one(a, &c->lease, true, err);
	if (rc == 0 && !c->lease[0] && a->pcmk)
		rc = cm_err_set(err, CM_E_SAN_UNSAFE,
				"VM %s has no ownership block: give it a disk on a volume, or "
				"--lease VOLUME",
				c->name);
	return rc;
}
