/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_core_answer.c - the one answer to who started us: it runs, or why not. Parses nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cm_log.h"
#include "hvcore/hv_core_int.h"
#include "proto/px_frame.h"

static void send_answer(struct hv_core *core, Hv__Reply *r)
{
	struct cm_buf b;

	if (core->start_fd < 0)
		return;
	cm_buf_init(&b, 1u << 20);
	/* Whoever started us may be gone by now; that is no trouble of the VM. */
	if (px_frame_put(&b, PX_REPLY, r) == 0 &&
	    send(core->start_fd, b.data, b.len, MSG_NOSIGNAL) < 0)
		cm_info("nobody waits for the answer to the start: %s", strerror(errno));
	cm_buf_fini(&b);
	close(core->start_fd);
	core->start_fd = -1;
}

void hv_core_started(struct hv_core *core, enum hv_core_state state, const char *doc)
{
	Hv__Reply r = HV__REPLY__INIT;
	struct hv_json j;

	hv_core_set_state(core, state);
	hv_json_init(&j);
	hv_json_open(&j, NULL, '{');
	hv_json_str(&j, "state", hv_core_state_word(state));
	hv_json_u64(&j, "pid", (uint64_t)getpid());
	hv_json_u64(&j, "epoch", hv_core_epoch(core));
	hv_json_bool(&j, "restored", core->restore);
	hv_json_close(&j, '}');
	r.doc = (char *)(uintptr_t)(doc ? doc : hv_json_text(&j));
	r.state = (Hv__VmState)state;
	r.epoch = hv_core_epoch(core);
	send_answer(core, &r);
	hv_json_fini(&j);
}

void hv_core_start_failed(struct hv_core *core, int code, const char *doc, const char *fmt, ...)
{
	Hv__Reply r = HV__REPLY__INIT;
	char text[CM_ERR_TEXT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* In the foreground whoever started us says it to the person. */
	if (!core->start->foreground)
		cm_error("start failed: %s (%s)", text, cm_err_name(code));
	hv_core_set_state(core, HV_CORE_FAILED);
	r.code = code;
	r.error = text;
	r.doc = (char *)(uintptr_t)(doc ? doc : "");
	r.state = HV__VM_STATE__VM_FAILED;
	send_answer(core, &r);
	hv_core_end(core, 1, core->owned);
}

void hv__core_failed(struct hv_core *core, const struct cm_err *err)
{
	hv_core_start_failed(core, err->code, NULL, "%s", err->text);
}
