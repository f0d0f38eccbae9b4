/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_ctl_console.c - the serial console over the control socket: DATA frames on one side, a
 * socketpair to the character device on the other, so that slow readers are the character device's
 * business. The bytes are not looked at.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hvcore/control/hv_ctl_int.h"
#include "hvcore/machine/hv_char.h"

#define CONSOLE_CHUNK	16384u
#define CONSOLE_PENDING (256u << 10)
#define CONSOLE_REPLAY	8192u

static void console_close(struct ctl_conn *k)
{
	struct hv_vm *vm = hv_core_vm(k->ctl->core);

	cm_io_fini(&k->console_io);
	if (vm) {
		hv_lock_take(hv_vm_lock(vm));
		hv_char_detach(hv_vm_serial(vm));
		hv_lock_drop(hv_vm_lock(vm));
	}
	for (int i = 0; i < 2; i++) {
		if (k->console_fd[i] >= 0)
			close(k->console_fd[i]);
		k->console_fd[i] = -1;
	}
}

void hv__ctl_console_gone(struct ctl_conn *k)
{
	struct px_req *q = k->console;

	if (!q)
		return;
	k->console = NULL;
	console_close(k);
	px_req_ok(q, NULL);
}

static void request_gone(struct px_req *q)
{
	struct ctl_conn *k = q->work;

	k->console = NULL;
	console_close(k);
	px_req_ok(q, NULL);
}

/* The guest said something. */
static void console_out(struct cm_io *io, unsigned events, void *arg)
{
	struct ctl_conn *k = arg;
	uint8_t bytes[CONSOLE_CHUNK];
	Hv__Data d = HV__DATA__INIT;
	ssize_t n;

	(void)events;
	/* A reader that does not read: the rest stays in the socket, then in the device's ring. */
	if (px_chan_pending(k->chan) > CONSOLE_PENDING)
		return;
	n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n <= 0) {
		if (n == 0)
			hv__ctl_console_gone(k);
		return;
	}
	d.id = k->console->id;
	d.bytes.data = bytes;
	d.bytes.len = (size_t)n;
	(void)px_chan_send(k->chan, PX_DATA, &d);
}

void hv__ctl_console_data(struct ctl_conn *k, const Hv__Data *d)
{
	if (!k->console || d->id != k->console->id)
		return;
	if (d->bytes.len)
		(void)send(k->console_fd[0], d->bytes.data, d->bytes.len,
			   MSG_NOSIGNAL | MSG_DONTWAIT);
	if (d->end)
		hv__ctl_console_gone(k);
}

void hv__ctl_console(struct px_req *q, void *ctx)
{
	struct hv_core *core = ctx;
	struct ctl_conn *k = hv__ctl_conn(q);
	struct hv_vm *vm = hv_core_vm(core);
	int rc;

	if (!vm) { /* of one that is ending the last words are wanted */
		px_req_failf(q, CM_E_VM_STATE, "the VM is %s",
			     hv_core_state_word(hv_core_state(core)));
		return;
	}
	if (k->console) {
		px_req_failf(q, CM_E_USAGE, "this connection has a console already");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, k->console_fd) < 0) {
		px_req_failf(q, -errno, "socketpair: %s", strerror(errno));
		return;
	}
	hv_lock_take(hv_vm_lock(vm));
	rc = hv_char_attach(hv_vm_serial(vm), k->console_fd[1], k->console_fd[1], CONSOLE_REPLAY,
			    NULL, NULL);
	hv_lock_drop(hv_vm_lock(vm));
	if (rc < 0) {
		close(k->console_fd[0]);
		close(k->console_fd[1]);
		k->console_fd[0] = k->console_fd[1] = -1;
		px_req_failf(q, CM_E_VM_STATE, "somebody is attached to the console already");
		return;
	}
	k->console = q;
	q->work = k;
	q->gone = request_gone;
	px_req_progress(q, "{\"console\":\"attached\"}");
	cm_io_init(&k->console_io, hv_core_loop(core), k->console_fd[0], console_out, k);
	(void)cm_io_want(&k->console_io, CM_READ);
}
