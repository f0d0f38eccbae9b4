/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_frame.h - frames of the control plane: 8-byte header {u32 payload bytes, u16 type, u16 zero},
 * little-endian, then a packed protobuf message. Part of format.
 *
 * Every type has its own maximum size; a longer frame ends the connection before any of it is stored.
 * Decoding is pure over (buffer, length). Thread: [any].
 */
#ifndef PX_FRAME_H
#define PX_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "common/cm_buf.h"

#define PX_HEADER_BYTES 8u

/* XX(value, NAME, protobuf descriptor, max bytes) */
#define PX_TYPE_MAP(XX) \
	XX(1, HELLO, hv__hello__descriptor, 4096u) \
	XX(2, REQUEST, hv__request__descriptor, 256u << 10) \
	XX(3, REPLY, hv__reply__descriptor, 8u << 20) \
	XX(4, EVENT, hv__event__descriptor, 256u << 10) \
	XX(5, DATA, hv__data__descriptor, 64u << 10) \
	XX(6, CORE_START, hv__core_start__descriptor, 256u << 10)

enum px_type {
	PX_NONE = 0,
#define XX(value, name, desc, max) PX_##name = value,
	PX_TYPE_MAP(XX)
#undef XX
};

/* A decoded message: msg is a protobuf-c message of the type's descriptor, owned; free with px_msg_free. */
struct px_msg {
	enum px_type type;
	void *msg;
};

/* Largest payload of a type; 0 for an unknown one. */
uint32_t px_type_max(uint16_t type);
const char *px_type_name(uint16_t type);
/* Appends one frame. msg: a protobuf-c message of that type. 0, CM_E_PROTO_TOO_BIG or -ENOMEM. */
int px_frame_put(struct cm_buf *out, enum px_type type, const void *msg);
/*
 * Takes one frame from the front of (data, len). *used is 0 while more bytes are needed (return 0,
 * out->msg NULL). Errors: CM_E_PROTO, CM_E_PROTO_TOO_BIG: close the connection.
 */
int px_frame_get(const uint8_t *data, size_t len, size_t *used, struct px_msg *out);
void px_msg_free(struct px_msg *m);

#endif
