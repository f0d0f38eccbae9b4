/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_frame.c - framing of protobuf messages. Parses bytes of any peer: pure over (buffer, length).
 */
#include "config.h"

#include "proto/px_frame.h"

#include <errno.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "proto/ctl.pb-c.h"

static const struct {
	const char *name;
	const ProtobufCMessageDescriptor *desc;
	uint32_t max;
} px_types[] = {
#define XX(value, n, d, m) [value] = {#n, &d, m},
	PX_TYPE_MAP(XX)
#undef XX
};

static bool type_known(uint16_t type)
{
	return type < CM_ARRAY_LEN(px_types) && px_types[type].desc;
}

uint32_t px_type_max(uint16_t type)
{
	return type_known(type) ? px_types[type].max : 0;
}

const char *px_type_name(uint16_t type)
{
	return type_known(type) ? px_types[type].name : "?";
}

int px_frame_put(struct cm_buf *out, enum px_type type, const void *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	uint8_t *p;

	CM_ASSERT(type_known((uint16_t)type));
	if (n > px_types[type].max)
		return CM_E_PROTO_TOO_BIG;
	p = cm_buf_reserve(out, PX_HEADER_BYTES + n);
	if (!p)
		return out->err == -EMSGSIZE ? CM_E_PROTO_TOO_BIG : out->err;
	cm_put_le32(p, (uint32_t)n);
	cm_put_le16(p + 4, (uint16_t)type);
	cm_put_le16(p + 6, 0);
	protobuf_c_message_pack(msg, p + PX_HEADER_BYTES);
	cm_buf_commit(out, PX_HEADER_BYTES + n);
	return 0;
}

int px_frame_get(const uint8_t *data, size_t len, size_t *used, struct px_msg *out)
{
	uint32_t n;
	uint16_t type;

	*used = 0;
	*out = (struct px_msg){.type = PX_NONE};
	if (len < PX_HEADER_BYTES)
		return 0;
	n = cm_le32(data);
	type = cm_le16(data + 4);
	if (!type_known(type) || cm_le16(data + 6) != 0)
		return CM_E_PROTO;
	if (n > px_types[type].max)
		return CM_E_PROTO_TOO_BIG;
	if (len - PX_HEADER_BYTES < n)
		return 0;
	out->msg = protobuf_c_message_unpack(px_types[type].desc, NULL, n, data + PX_HEADER_BYTES);
	if (!out->msg)
		return CM_E_PROTO;
	out->type = (enum px_type)type;
	*used = PX_HEADER_BYTES + n;
	return 0;
}

void px_msg_free(struct px_msg *m)
{
	if (m->msg)
		protobuf_c_message_free_unpacked(m->msg, NULL);
	m->msg = NULL;
	m->type = PX_NONE;
}
