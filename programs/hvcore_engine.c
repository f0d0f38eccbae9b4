/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvcore_engine.c - chooses the engine, and becomes the other program where that has it. Parses the
 * operator's word for the engine.
 */
#include "config.h"

#include "programs/hvcore_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cm_sys.h"
#include "proto/px_frame.h"

/* Option of the start message: what the program before us found out about auto. */
#define WHY_OPTION  "engine-why"
#define OPTIONS_MAX 64u

static const char *why_of(const Hv__CoreStart *start)
{
	for (size_t i = 0; i < start->n_options; i++)
		if (strcmp(start->options[i]->key, WHY_OPTION) == 0)
			return start->options[i]->value;
	return "";
}

/* Stays open over the exec. */
static int memfd_with(const struct cm_buf *b)
{
	int fd = memfd_create("hvcore-start", 0);

	if (fd < 0)
		return -errno;
	if (write(fd, b->data, b->len) == (ssize_t)b->len && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -EIO;
}

/* The message for the other program. Returns its descriptor. */
static int hand_on(const struct hvcore_program *program, const Hv__CoreStart *start,
		   const char *why)
{
	Hv__Arg said = HV__ARG__INIT, *options[OPTIONS_MAX];
	Hv__VmConfig vm = *start->vm;
	Hv__CoreStart copy = *start;
	struct cm_buf b;
	int rc;

	if (start->n_options >= OPTIONS_MAX)
		return -E2BIG;
	for (size_t i = 0; i < start->n_options; i++)
		options[i] = start->options[i];
	said.key = (char *)(uintptr_t)WHY_OPTION;
	said.value = (char *)(uintptr_t)why;
	options[copy.n_options++] = &said;
	copy.options = options;
	vm.engine = (char *)(uintptr_t)program->other_engine;
	copy.vm = &vm;
	cm_buf_init(&b, 1u << 20);
	rc = px_frame_put(&b, PX_CORE_START, &copy);
	if (rc == 0)
		rc = memfd_with(&b);
	cm_buf_fini(&b);
	return rc;
}

/* It lies beside our own file, also when that was replaced meanwhile. */
static void other_path(const char *name, char out[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash = NULL;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
	}
	if (!slash ||
	    snprintf(out, PATH_MAX, "%.*s/%s", (int)(slash - self), self, name) >= PATH_MAX)
		snprintf(out, PATH_MAX, "%s/%s", HV_LIBEXECDIR, name);
}

/* Comes back only if it could not be done. */
static void become_other(const struct hvcore_program *program, const Hv__CoreStart *start,
			 const char *why, struct cm_err *err)
{
	char path[PATH_MAX], number[16];
	char *const argv[] = {(char *)(uintptr_t)program->other, number, NULL};
	int fd = hand_on(program, start, why);

	if (fd < 0) {
		cm_err_set(err, fd, "handing the configuration to %s: %s", program->other,
			   cm_err_text(fd));
		return;
	}
	other_path(program->other, path);
	snprintf(number, sizeof number, "%d", fd);
	execv(path, argv);
	cm_err_set(err, CM_E_NO_ENGINE, "engine %s is in %s, which cannot be run: %s",
		   program->other_engine, path, strerror(errno));
	close(fd);
}

void hvcore_engine_choose(const struct hvcore_program *program, const Hv__CoreStart *start,
			  struct hv_engine_choice *out)
{
	const char *word = start->vm ? start->vm->engine : "";

	hv_engine_choose(program->engines, word, out);
	if (!out->ops && start->vm && program->other &&
	    (hv_engine_word_is_auto(word) || strcmp(word, program->other_engine) == 0)) {
		cm_err_clear(&out->err);
		become_other(program, start, out->why, &out->err);
	}
	if (out->ops && !out->why[0])
		snprintf(out->why, sizeof out->why, "%s", why_of(start));
	if (out->ops && program->kvm) /* -1: the engine says why */
		out->kvm_fd = cm_sys.open(program->kvm, O_RDWR | O_CLOEXEC, 0);
}
