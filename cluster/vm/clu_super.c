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
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>

#include "cluster/node/clu_conf.h"
#include "cluster/node/clu_event.h"
#include "cluster/vm/clu_tap.h"
#include "common/cm_log.h"
#include "proto/px_req.h"
#include "proto/px_words.h"

#define SUPER_START_MS                                                                             \
	120000u /* loading a kernel under load; the OCF start time-out is the real limit */
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
	if (strcmp(e->kind, "state") == 0) {
		vm->state = e->state;
		if (e->state == HV__VM_STATE__VM_STOPPED)
			vm->clean = true;
	}
	vm->super->ops->event(vm, e, vm->super->arg);
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
			/* A process that only lets a block go never ran: a start must wait for its end, not
			 * take it for the VM. */
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

static int super_listen(const char *path, struct cm_err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	if (fd < 0 || strlen(path) >= sizeof un.sun_path)
		goto fail;
	strcpy(un.sun_path, path);
	unlink(path);
	mask = umask(0117);
	rc = bind(fd, (struct sockaddr *)&un, sizeof un);
	umask(mask);
	if (rc < 0 || listen(fd, 32) < 0)
		goto fail;
	return fd;
fail:
	cm_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return err ? err->code : -EIO;
}

struct spawn_fds {
	int start[2], control, log, tap[4];
	unsigned n_taps;
};

static void fds_close(struct spawn_fds *f)
{
	int all[] = {f->start[0], f->start[1], f->control, f->log,
		     f->tap[0],	  f->tap[1],   f->tap[2],  f->tap[3]};

	for (size_t i = 0; i < CM_ARRAY_LEN(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

static int fds_open(struct clu_super *s, Hv__CoreStart *start, struct spawn_fds *f,
		    struct cm_err *err)
{
	char path[256];

	*f = (struct spawn_fds){
		.start = {-1, -1}, .control = -1, .log = -1, .tap = {-1, -1, -1, -1}};
	for (; f->n_taps < start->vm->n_nets && f->n_taps < 4; f->n_taps++) {
		Hv__NetConfig *net = start->vm->nets[f->n_taps];

		f->tap[f->n_taps] = clu_tap_open(net->bridge, start->vm->name, err);
		if (f->tap[f->n_taps] < 0)
			return f->tap[f->n_taps];
		net->tap_fd = CLU_TAP_FD + (int)f->n_taps;
	}
	clu_vm_socket(s->conf, start->vm->name, path, sizeof path);
	f->control = super_listen(path, err);
	if (f->control < 0)
		return f->control;
	start->control_fd = CLU_CONTROL_FD;
	snprintf(path, sizeof path, "%s/log/%s.log", s->conf->state_dir, start->vm->name);
	f->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (f->log < 0)
		return cm_err_set(err, CM_E_NO_FILE, "cannot write %s: %s", path, strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->start) < 0)
		return cm_err_set(err, -errno, "socketpair: %s", strerror(errno));
	return 0;
}

/* In the child: descriptors to their numbers, everything else closed. Only async-signal-safe calls.
 */
static _Noreturn void child_exec(const char *hvcore, const struct spawn_fds *f)
{
	char *const argv[] = {(char *)(uintptr_t) "hvcore", NULL};
	char *const envp[] = {(char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL, NULL};
	int high[7], n = 0;
	sigset_t none;

	setsid();
	/* First out of the way of the target numbers, then into place. */
	high[n++] = fcntl(f->start[1], F_DUPFD, 64);
	high[n++] = fcntl(f->control, F_DUPFD, 64);
	high[n++] = fcntl(f->log, F_DUPFD, 64);
	for (unsigned i = 0; i < f->n_taps; i++)
		high[n++] = fcntl(f->tap[i], F_DUPFD, 64);
	for (int i = 0; i < n; i++)
		if (high[i] < 0)
			_exit(126);
	if (open("/dev/null", O_RDWR) < 0)
		_exit(126);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(high[2], 1);
	dup2(high[2], 2);
	dup2(high[0], CLU_START_FD);
	dup2(high[1], CLU_CONTROL_FD);
	for (unsigned i = 0; i < f->n_taps; i++)
		dup2(high[3 + i], CLU_TAP_FD + (int)i);
	close_range(CLU_CONTROL_FD + 1, CLU_TAP_FD - 1, 0);
	close_range(CLU_TAP_FD + f->n_taps, ~0u, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(hvcore, argv, envp);
	_exit(127);
}

static int send_start(int fd, const Hv__CoreStart *start, struct cm_err *err)
{
	struct cm_buf b;
	int rc;

	cm_buf_init(&b, 1u << 20);
	rc = px_frame_put(&b, PX_CORE_START, start);
	if (rc == 0 && send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len)
		rc = -EIO;
	cm_buf_fini(&b);
	return rc ? cm_err_set(err, rc, "cannot hand the configuration to hvcore") : 0;
}

int clu_super_spawn(struct clu_super *s, Hv__CoreStart *start, clu_spawn_fn done, void *arg,
		    struct cm_err *err)
{
	struct spawn_fds f;
	struct clu_vm *vm;
	pid_t pid;
	int rc;

	if (clu_super_find(s, start->vm->name))
		return cm_err_set(err, CM_E_VM_STATE, "VM %s has a process on this node already",
				  start->vm->name);
	if (access(s->conf->hvcore, X_OK) < 0)
		return cm_err_set(err, CM_E_NO_FILE, "cannot run %s: %s", s->conf->hvcore,
				  strerror(errno));
	rc = fds_open(s, start, &f, err);
	if (rc == 0)
		rc = send_start(f.start[0], start, err);
	if (rc) {
		fds_close(&f);
		return rc;
	}
	pid = fork();
	if (pid == 0)
		child_exec(s->conf->hvcore, &f);
	if (pid < 0) {
		rc = cm_err_set(err, -errno, "fork: %s", strerror(errno));
		fds_close(&f);
		return rc;
	}
	vm = vm_new(s, start->vm->name);
	vm->pid = pid;
	vm->child = true;
	vm->memory_bytes = start->vm->memory_bytes;
	snprintf(vm->uuid, sizeof vm->uuid, "%s", start->vm->uuid);
	vm->start_fd = f.start[0];
	f.start[0] = -1;
	fds_close(&f);
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
		clu_event(s->events, "notice", "vm-found", vm->name, NULL,
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
