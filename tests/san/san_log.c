/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san_log.c - the write log: one JSON line for every command that changes blocks or reservations,
 * and for events (power, sessions, marks).
 *
 * A line is in the file before the initiator can see the answer of its command: the main loop
 * flushes the log before it flushes the sockets. Parses nothing; strings in it were checked before.
 */
#include "config.h"

#include "tests/san/san.h"
#include "tests/san/san_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048u

int san_log_open(struct san *san, const char *path)
{
	struct san_log *log = &san->log;

	log->cap = 1u << 20;
	log->buf = malloc(log->cap);
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (!log->buf || log->fd < 0)
		return -errno;
	return 0;
}

void san_log_flush(struct san *san)
{
	struct san_log *log = &san->log;
	size_t done = 0;

	while (log->fd >= 0 && done < log->len) {
		ssize_t n = write(log->fd, log->buf + done, log->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* an oracle that misses lines is worse than a dead target */
			fprintf(stderr, "labsan: write log: %s\n", strerror(errno));
			exit(1);
		}
		done += (size_t)n;
	}
	log->len = 0;
}

void san_log_close(struct san *san)
{
	san_log_flush(san);
	if (san->log.fd >= 0)
		close(san->log.fd);
	san->log.fd = -1;
	free(san->log.buf);
	san->log.buf = NULL;
}

__attribute__((format(printf, 2, 3))) static void put(struct san *san, const char *fmt, ...)
{
	struct san_log *log = &san->log;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(log->buf + log->len, log->cap - log->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < log->cap - log->len)
		log->len += (size_t)n;
}

static bool room(struct san *san)
{
	if (san->log.fd < 0)
		return false;
	if (san->log.cap - san->log.len < LINE_MAX_BYTES)
		san_log_flush(san);
	return true;
}

void san_log_event(struct san *san, const char *event, const char *text)
{
	if (!room(san))
		return;
	put(san, "{\"seq\":%llu,\"event\":\"%s\",\"text\":\"%.200s\",\"ns\":%llu}\n",
	    (unsigned long long)++san->log.seq, event, text, (unsigned long long)san_now_ns());
}

static uint32_t crc_of(const uint8_t *p, uint32_t len)
{
	return ~san_crc32c(0xffffffff, p, len);
}

/* What UNMAP names, as pairs [lba, blocks]; a list too long for a line is cut with null. */
static void put_ranges(struct san_cmd *cmd)
{
	uint32_t i, n = cmd->out_len >= 8 ? (cmd->out_len - 8) / 16 : 0;

	put(cmd->san, ",\"ranges\":[");
	for (i = 0; i < n && i < 16; i++)
		put(cmd->san, "%s[%llu,%u]", i ? "," : "",
		    (unsigned long long)san_get64(cmd->out + 8 + 16 * i),
		    san_get32(cmd->out + 16 + 16 * i));
	put(cmd->san, n > 16 ? ",null]" : "]");
}

static void put_data(struct san_cmd *cmd)
{
	uint32_t half;

	switch (cmd->op->cls) {
	case SAN_CLASS_CAW:
		half = cmd->out_len / 2;
		put(cmd->san, ",\"crc\":\"%08x\",\"compare_crc\":\"%08x\"",
		    crc_of(cmd->out + half, half), crc_of(cmd->out, half));
		break;
	case SAN_CLASS_PR:
		if (cmd->out_len >= 24)
			put(cmd->san,
			    ",\"rk\":\"%016llx\",\"sark\":\"%016llx\",\"type\":%u,\"generation\":%"
			    "u",
			    (unsigned long long)san_get64(cmd->out),
			    (unsigned long long)san_get64(cmd->out + 8), cmd->cdb[2] & 0x0f,
			    cmd->lun->pr.generation);
		break;
	case SAN_CLASS_UNMAP:
		put_ranges(cmd);
		break;
	default:
		put(cmd->san, ",\"crc\":\"%08x\"", crc_of(cmd->out, cmd->out_len));
		break;
	}
}

/* Called once when the command has ended at the medium, also when it was refused. */
void san_log_cmd(struct san_cmd *cmd)
{
	struct san *san = cmd->san;

	if (!cmd->op || !cmd->lun || cmd->logged || !room(san) ||
	    !(cmd->op->flags & SAN_OP_CHANGES || cmd->op->cls == SAN_CLASS_SYNC))
		return;
	cmd->logged = true;
	put(san,
	    "{\"seq\":%llu,\"op\":\"%s\",\"nexus\":%u,\"initiator\":\"%s\",\"key\":\"%016llx\","
	    "\"lun\":%u,\"lba\":%llu,\"blocks\":%llu,\"bytes\":%u",
	    (unsigned long long)++san->log.seq, cmd->op->name, cmd->nexus->id, cmd->nexus->name,
	    (unsigned long long)cmd->key, cmd->lun->no, (unsigned long long)cmd->lba,
	    (unsigned long long)cmd->blocks, cmd->out_len);
	if (cmd->out_len)
		put_data(cmd);
	put(san, ",\"durable\":%s", cmd->durable ? "true" : "false");
	put(san, ",\"status\":%u,\"sense\":\"%02x/%02x/%02x\"", cmd->status, cmd->sense[2],
	    cmd->sense[12], cmd->sense[13]);
	put(san, ",\"answered\":%s,\"start_ns\":%llu,\"end_ns\":%llu}\n",
	    cmd->conn && !cmd->aborted && !cmd->silent && !cmd->drop_after ? "true" : "false",
	    (unsigned long long)cmd->start_ns, (unsigned long long)san_now_ns());
}
