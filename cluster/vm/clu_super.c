/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clu_super.c - starts, watches and finds hvcore processes. Parses replies of hvcore (px_chan, and
 * the JSON of its status); never guest or stream bytes.
 */
#include "config.h"

#include "cluster/vm/clu_super.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cluster/node/clu_conf.h"
#include "cluster/node/clu_event.h"
#include "cluster/vm/clu_spawn.h"
#include "common/cm_log.h"
#include "proto/px_req.h"
#include "proto/px_words.h"

#define SUPER_START_MS                                                                             \
	120000u /* a kernel loads under load; the OCF start's time-out is the real limit */
#define SUPER_STATUS_MS 5000u

struct clu_vm {
	struct clu_vm *next;
	struct clu_super *super;
	char name[64], uuid[37];
	Hv__VmState state; /* last known; STARTING also: it only lets a block go */
	uint64_t memory_bytes;
	pid_t pid;
	int pidfd;
	struct cm_io exit_io;
	struct px_client *core;
	bool child, clean, collected;
	bool refused; /* it said that it cannot start: it owned nothing */
	/* while it starts */
	struct cm_io start_io;
	struct cm_timer start_timer;
	struct cm_buf start_in;
	int start_fd; /* -1 once decided */
	clu_spawn_fn started;
	void *started_arg;
};

struct clu_super {
	struct cm_loop *loop;
	const struct clu_conf *conf;
	const struct px_self *self;
	struct clu_events *events;
	const struct clu_super_ops *ops;
	void *arg;
	struct clu_vm *vms;
	unsigned adopting;
	void (*adopted)(void *arg);
	void *adopted_arg;
};

static void vm_collect(struct cm_io *io, unsigned events, void *arg);

void clu_vm_socket(const struct clu_conf *conf, const char *vm, char *out, size_t cap)
{
	snprintf(out, cap, "%s/vm/%s.sock", conf->run_dir, vm);
}

/* --- the table ----------------------------------------------------------- */

struct clu_super *clu_super_new(struct cm_loop *loop, const struct clu_conf *conf,
				const struct px_self *self, struct clu_events *events,
				const struct clu_super_ops *ops, void *arg)
{
	struct clu_super *s = calloc(1, sizeof *s);

	CM_ASSERT(s);
	*s = (struct clu_super){
		.loop = loop, .conf = conf, .self = self, .events = events, .ops = ops, .arg = arg};
	return s;
}

static struct clu_vm *vm_new(struct clu_super *s, const char *name)
{
	struct clu_vm *vm = calloc(1, sizeof *vm);

	CM_ASSERT(vm);
	vm->super = s;
	vm->pidfd = vm->start_fd = -1;
	snprintf(vm->name, sizeof vm->name, "%s", name);
	vm->state = HV__VM_STATE__VM_STARTING;
	vm->next = s->vms;
	s->vms = vm;
	return vm;
}

static void vm_free(void *arg)
{
	struct clu_vm *vm = arg;

	if (vm->pidfd >= 0)
		close(vm->pidfd);
	if (vm->start_fd >= 0)
		close(vm->start_fd);
	cm_buf_fini(&vm->start_in);
	free(vm);
}

/* Out of the table; memory goes at the end of the turn. */
static void vm_drop(struct clu_vm *vm)
{
	struct clu_super *s = vm->super;

	for (struct clu_vm **p = &s->vms; *p; p = &(*p)->next)
		if (*p == vm) {
			*p = vm->next;
			break;
		}
	if (vm->core)
		px_client_forget(vm->core, vm);
	if (vm->collected)
		px_client_linger(vm->core); /* its last answers may lie in the socket */
	else
		px_client_close(vm->core);
	vm->core = NULL;
	cm_timer_fini(&vm->start_timer);
	cm_io_close(&vm->start_io, NULL, NULL);
	cm_io_close(&vm->exit_io, NULL, NULL);
	cm_loop_defer(s->loop, vm_free, vm);
}

void clu_super_free(struct clu_super *s)
{
	while (s->vms)
		vm_drop(s->vms);
	free(s);
}

struct clu_vm *clu_super_find(struct clu_super *s, const char *name)
{
	for (struct clu_vm *vm = s->vms; vm; vm = vm->next)
		if (strcmp(vm->name, name) == 0)
			return vm;
	return NULL;
}

void clu_super_each(struct clu_super *s, void (*fn)(struct clu_vm *vm, void *arg), void *arg)
{
	struct clu_vm *next;

	for (struct clu_vm *vm = s->vms; vm; vm = next) {
		next = vm->next;
		fn(vm, arg);
	}
}

const char *clu_vm_name(const struct clu_vm *vm)
{
	return vm->name;
}

const char *clu_vm_uuid(const struct clu_vm *vm)
{
	return vm->uuid;
}

pid_t clu_vm_pid(const struct clu_vm *vm)
{
	return vm->pid;
}

Hv__VmState clu_vm_state(const struct clu_vm *vm)
{
	return vm->state;
}

bool clu_vm_incoming(const struct clu_vm *vm)
{
	return vm->state == HV__VM_STATE__VM_INCOMING;
}

uint64_t clu_vm_memory_bytes(const struct clu_vm *vm)
{
	return vm->memory_bytes;
}

/* --- the control connection ---------------------------------------------- */

static void core_event(struct px_client *c, const Hv__Event *e, void *arg)
{
	struct clu_vm *vm = arg;

	(void)c;
	if (strcmp(e->kind, "state") != 0) {
		vm->super->ops->event(vm, e, vm->super->arg);
		return;
	}
	cm_info("vm=%s: %s", vm->name, px_vm_state_word(e->state));
	vm->state = e->state;
	if (e->state == HV__VM_STATE__VM_STOPPED)
		vm->clean = true;
}

static void core_closed(struct px_client *c, const struct cm_err *err, void *arg)
{
	struct clu_vm *vm = arg;

	(void)err;
	/* The process may be ending: the pidfd tells. Otherwise the next question connects anew. */
	px_client_close(c);
	vm->core = NULL;
}

static void core_watching(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	(void)arg;
	if (!r || r->code)
		cm_debug("watch: %s", err->text);
}

struct px_client *clu_vm_core(struct clu_vm *vm, struct cm_err *err)
{
	static const struct px_client_ops ops = {.event = core_event, .closed = core_closed};
	struct px_ask ask;
	char path[192];

	if (vm->core && px_client_alive(vm->core))
		return vm->core;
	clu_vm_socket(vm->super->conf, vm->name, path, sizeof path);
	vm->core = px_client_unix(vm->super->loop, path, vm->super->self, &ops, vm, err);
	if (vm->core) {
		px_ask_init(&ask, "watch", vm->name);
		px_client_call(vm->core, &ask.req, 0, core_watching, vm);
	}
	return vm->core;
}

struct ask_fail {
	px_answer_fn done;
	void *arg;
	struct cm_err err;
};

static void ask_failed(void *arg)
{
	struct ask_fail *f = arg;

	f->done(NULL, &f->err, f->arg);
	free(f);
}

void clu_vm_ask(struct clu_vm *vm, const char *verb, unsigned timeout_ms, px_answer_fn done,
		void *arg)
{
	struct cm_err err = CM_ERR_INIT;
	struct px_client *core = clu_vm_core(vm, &err);
	struct px_ask ask;

	if (!core) {
		struct ask_fail *f = calloc(1, sizeof *f);

		CM_ASSERT(f);
		*f = (struct ask_fail){.done = done, .arg = arg, .err = err};
		cm_loop_defer(vm->super->loop, ask_failed, f);
		return;
	}
	px_ask_init(&ask, verb, vm->name);
	px_client_call(core, &ask.req, timeout_ms, done, arg);
}

void clu_vm_kill(struct clu_vm *vm)
{
	if (vm->pidfd >= 0 && pidfd_send_signal(vm->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		cm_error("cannot kill hvcore of %s: %s", vm->name, strerror(errno));
}

/* --- its end ------------------------------------------------------------- */

static void vm_start_decided(struct clu_vm *vm, const Hv__Reply *r, const struct cm_err *err)
{
	clu_spawn_fn started = vm->started;
	void *arg = vm->started_arg;

	if (!started)
		return;
	vm->started = NULL;
	cm_timer_disarm(&vm->start_timer);
	cm_io_close(&vm->start_io, NULL, NULL);
	started(err->code ? NULL : vm, r, err, arg);
}

static void vm_collect(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_vm *vm = arg;
	struct clu_super *s = vm->super;
	struct cm_err err = CM_ERR_INIT;
	char path[192];
	siginfo_t si;

	(void)io;
	(void)events;
	memset(&si, 0, sizeof si);
	if (vm->child && waitid(P_PIDFD, (id_t)vm->pidfd, &si, WEXITED | WNOHANG) < 0 &&
	    errno != ECHILD)
		cm_warning("waitid for %s: %s", vm->name, strerror(errno));
	if (vm->child && si.si_code == CLD_EXITED && si.si_status == 0)
		vm->clean = true;
	vm->collected = true;
	clu_vm_socket(s->conf, vm->name, path, sizeof path);
	unlink(path);
	if (vm->started) {
		if (si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED)
			cm_err_set(&err, CM_E_GUEST_FAILED,
				   "hvcore of %s was killed by signal %d while it started",
				   vm->name, si.si_status);
		else
			cm_err_set(&err, CM_E_GUEST_FAILED,
				   "hvcore of %s ended (status %d) before it said why; see "
				   "%s/log/%s.log",
				   vm->name, si.si_status, s->conf->state_dir, vm->name);
		vm_start_decided(vm, NULL, &err);
	} else if (!vm->refused) {
		s->ops->gone(vm, vm->clean, s->arg);
	}
	vm_drop(vm);
}

static int vm_watch(struct clu_vm *vm)
{
	vm->pidfd = pidfd_open(vm->pid, 0);
	if (vm->pidfd < 0)
		return -errno;
	fcntl(vm->pidfd, F_SETFD, FD_CLOEXEC);
	cm_io_init(&vm->exit_io, vm->super->loop, vm->pidfd, vm_collect, vm);
	return cm_io_want(&vm->exit_io, CM_READ);
}

/* --- its start ----------------------------------------------------------- */

static void vm_start_read(struct cm_io *io, unsigned events, void *arg)
{
	struct clu_vm *vm = arg;
	struct cm_err err = CM_ERR_INIT;
	struct px_msg m;
	size_t used;
	uint8_t *p = cm_buf_reserve(&vm->start_in, 4096);
	ssize_t n = p ? recv(vm->start_fd, p, 4096, MSG_DONTWAIT) : -1;

	(void)events;
	if (n < 0 && p && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* it ended without a word: the pidfd says how */
		cm_io_want(io, 0);
		return;
	}
	cm_buf_commit(&vm->start_in, (size_t)n);
	if (px_frame_get(vm->start_in.data, vm->start_in.len, &used, &m)) {
		cm_err_set(&err, CM_E_PROTO, "hvcore of %s speaks nonsense", vm->name);
		vm_start_decided(vm, NULL, &err);
		clu_vm_kill(vm);
		return;
	}
	if (!used)
		return;
	if (m.type == PX_REPLY) {
		const Hv__Reply *r = m.msg;

		if (r->code == 0) {
			/* A process that only lets a block go never ran: a start must wait for
			 * its end, not take it for the VM. */
			if (r->state != HV__VM_STATE__VM_STOPPING)
				vm->state = r->state;
			clu_vm_core(vm, NULL); /* to hear its events */
		} else {
			cm_err_set(&err, r->code, "%s", r->error);
			vm->refused = true;
		}
		vm_start_decided(vm, r, &err);
	}
	px_msg_free(&m);
}

static void vm_start_timeout(struct cm_timer *t, void *arg)
{
	struct clu_vm *vm = arg;
	struct cm_err err = CM_ERR_INIT;

	(void)t;
	cm_err_set(&err, CM_E_TIMEOUT, "hvcore of %s did not start within %u s", vm->name,
		   SUPER_START_MS / 1000);
	vm_start_decided(vm, NULL, &err);
	clu_vm_kill(vm);
}

int clu_super_spawn(struct clu_super *s, Hv__CoreStart *start, clu_spawn_fn done, void *arg,
		    struct cm_err *err)
{
	struct clu__spawned child;
	struct clu_vm *vm;
	char path[192];
	int rc;

	if (clu_super_find(s, start->vm->name))
		return cm_err_set(err, CM_E_VM_STATE, "VM %s has a process on this node already",
				  start->vm->name);
	clu_vm_socket(s->conf, start->vm->name, path, sizeof path);
	rc = clu__spawn(s->conf, path, start, &child, err);
	if (rc)
		return rc;
	vm = vm_new(s, start->vm->name);
	vm->pid = child.pid;
	vm->child = true;
	vm->memory_bytes = start->vm->memory_bytes;
	snprintf(vm->uuid, sizeof vm->uuid, "%s", start->vm->uuid);
	vm->start_fd = child.start_fd;
	vm->started = done;
	vm->started_arg = arg;
	cm_buf_init(&vm->start_in, 1u << 20);
	cm_io_init(&vm->start_io, s->loop, vm->start_fd, vm_start_read, vm);
	cm_io_want(&vm->start_io, CM_READ);
	cm_timer_init(&vm->start_timer, s->loop, vm_start_timeout, vm);
	cm_timer_arm_ms(&vm->start_timer, SUPER_START_MS);
	rc = vm_watch(vm);
	CM_ASSERT(rc == 0); /* our own child, not collected yet */
	return 0;
}

/* --- after a restart of ours --------------------------------------------- */

static void adopt_one_done(struct clu_super *s)
{
	if (--s->adopting == 0 && s->adopted)
		s->adopted(s->adopted_arg);
}

static const char *doc_str(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : "";
}

static void adopt_status(const Hv__Reply *r, const struct cm_err *err, void *arg)
{
	struct clu_vm *vm = arg;
	struct clu_super *s = vm->super;
	struct json_object *o = r && r->code == 0 ? json_tokener_parse(r->doc) : NULL, *v;

	if (o && json_object_object_get_ex(o, "pid", &v))
		vm->pid = json_object_get_int(v);
	if (o && json_object_object_get_ex(o, "memory_bytes", &v))
		vm->memory_bytes = (uint64_t)json_object_get_int64(v);
	if (o) {
		snprintf(vm->uuid, sizeof vm->uuid, "%s", doc_str(o, "uuid"));
		vm->state = r->state;
		json_object_put(o);
	}
	if (vm->pid > 0 && vm_watch(vm) == 0) {
		clu_event(s->events, CLU_NOTICE, "vm-found", vm->name, NULL,
			  "found running (pid %d, %s)", (int)vm->pid, px_vm_state_word(vm->state));
	} else {
		cm_warning("%s: a socket without a VM that answers: %s", vm->name, err->text);
		vm_drop(vm);
	}
	adopt_one_done(s);
}

void clu_super_adopt(struct clu_super *s, void (*done)(void *arg), void *arg)
{
	char dir[128], path[192];
	struct dirent *e;
	DIR *d;

	s->adopted = done;
	s->adopted_arg = arg;
	s->adopting = 1;
	snprintf(dir, sizeof dir, "%s/vm", s->conf->run_dir);
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);
		struct cm_err err = CM_ERR_INIT;
		struct clu_vm *vm;
		char name[64];

		if (n < 6 || n >= sizeof name || strcmp(e->d_name + n - 5, ".sock") != 0)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(n - 5), e->d_name);
		vm = vm_new(s, name);
		if (!clu_vm_core(vm, &err)) {
			clu_vm_socket(s->conf, name, path, sizeof path);
			unlink(path); /* its process is gone */
			vm_drop(vm);
			continue;
		}
		s->adopting++;
		clu_vm_ask(vm, "status", SUPER_STATUS_MS, adopt_status, vm);
	}
	if (d)
		closedir(d);
	adopt_one_done(s);
}
