/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hv_char.h - the host end of a character device (serial port, virtio console port).
 *
 * Output of the guest goes into a ring that keeps the latest bytes (so that whoever attaches late
 * sees what was said), and to the attached descriptor, if any. A reader that is too slow loses
 * bytes, and the count of lost ones is kept; the guest never waits for a terminal. Input from the
 * descriptor goes to the device, which takes what it has room for.
 *
 * Threads: everything with the machine lock held; attach, detach [loop].
 */
#ifndef HV_CHAR_H
#define HV_CHAR_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"
#include "hvcore/machine/hv_lock.h"

struct cm_loop;
struct hv_char;

/* Gives len bytes to the device; returns how many it took. */
typedef size_t (*hv_char_input_fn)(void *arg, const uint8_t *data, size_t len);
/* The attached descriptor saw end of file or an error; it is detached already. */
typedef void (*hv_char_gone_fn)(void *arg);

int hv_char_new(struct hv_char **out, struct cm_loop *loop, struct hv_lock *lock) cm_must_check;
void hv_char_free(struct hv_char *c);

/* For the device: where input goes. NULL when the device goes away. */
void hv_char_set_input(struct hv_char *c, hv_char_input_fn fn, void *arg);
/* For the device: it has room again. */
void hv_char_input_ready(struct hv_char *c);
/* For the device: the guest said this. Never blocks, never fails. [vcpu] or [loop] */
void hv_char_output(struct hv_char *c, const uint8_t *data, size_t len);

/*
 * One attached pair at a time, in_fd may be -1; both stay the caller's but are non-blocking until
 * detached. replay: bytes of history first. Without a gone function the end of input does not
 * detach.
 */
int hv_char_attach(struct hv_char *c, int in_fd, int out_fd, size_t replay, hv_char_gone_fn gone,
		   void *arg);
void hv_char_detach(struct hv_char *c);
/* Ctrl-A x typed at the attached descriptor calls fn instead of going to the guest; Ctrl-A twice
 * sends one. */
void hv_char_set_escape(struct hv_char *c, hv_char_gone_fn fn, void *arg);
/*
 * From now on all output also goes to fd (a log file; stays the caller's); what it cannot take is
 * lost. -1: no more. Beside the attached pair.
 */
void hv_char_tap(struct hv_char *c, int fd);
/* Copies the latest history, at most cap bytes; returns how many. */
size_t hv_char_history(struct hv_char *c, uint8_t *out, size_t cap);
uint64_t hv_char_lost(const struct hv_char *c);

#endif
