/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_tls.h - TLS 1.3: node identities for channels, and blocking streams with a single-use key for
 * migrations. TLS 1.3 only; no tickets, no 0-RTT, no compression. px_tls.c is the only OpenSSL
 * user.
 *
 * The process must ignore SIGPIPE: OpenSSL writes to sockets without MSG_NOSIGNAL.
 *
 * Thread: px_tls [loop]; a px_stream belongs to one thread at a time ([any] for px_stream_abort).
 */
#ifndef PX_TLS_H
#define PX_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cm_err.h"

/* --- node identity ------------------------------------------------------- */
struct px_tls;
/* PEM files: own certificate, its key (must not be readable by others), the cluster's CA. */
struct px_tls *px_tls_new(const char *cert, const char *key, const char *ca, struct cm_err *err);
void px_tls_free(struct px_tls *t);

/* --- used by px_chan.c only ---------------------------------------------- */
struct px__tls_conn;
struct px__tls_conn *px__tls_conn_new(struct px_tls *t, bool server, const char *expect);
void px__tls_conn_free(struct px__tls_conn *c);
/* Bytes from the wire in, bytes for the wire out, plain bytes through. Counts by out-parameters. */
int px__tls_feed(struct px__tls_conn *c, const uint8_t *wire, size_t n);
/* 1 done, 0 more needed, negative failed (err says why). */
int px__tls_handshake(struct px__tls_conn *c, struct cm_err *err);
int px__tls_read(struct px__tls_conn *c, uint8_t *plain, size_t cap, size_t *got, bool *end);
int px__tls_write(struct px__tls_conn *c, const uint8_t *plain, size_t n);
size_t px__tls_wire(struct px__tls_conn *c, uint8_t *out,
		    size_t cap); /* takes pending wire bytes */
void px__tls_peer_name(struct px__tls_conn *c, char *out, size_t cap);

/* --- blocking streams with a single-use external PSK --------------------- */
#define PX_PSK_BYTES	32u
#define PX_PSK_ID_BYTES 16u
struct px_psk {
	uint8_t id[PX_PSK_ID_BYTES], key[PX_PSK_BYTES];
};
/* Random id and key. */
int px_psk_make(struct px_psk *psk);
void px_psk_wipe(struct px_psk *psk);

struct px_stream;
/* Takes fd (blocking, connected). psk NULL: plain (benchmarks and socketpairs in tests only). Does
 * the handshake; CM_E_TLS if the peer has not the key. io_timeout_ms limits every single wait. */
struct px_stream *px_stream_new(int fd, bool server, const struct px_psk *psk,
				unsigned io_timeout_ms, struct cm_err *err);
/* All n bytes or an error: CM_E_PROTO_CLOSED at an orderly end, CM_E_TIMEOUT, CM_E_TLS, -errno. */
int px_stream_write(struct px_stream *s, const void *data, size_t n);
int px_stream_read(struct px_stream *s, void *data, size_t n);
/* [any] Makes blocked and later calls fail soon (shutdown on the socket). */
void px_stream_abort(struct px_stream *s);
uint64_t px_stream_bytes(const struct px_stream *s); /* both directions, plain */
int px_stream_fd(const struct px_stream *s);
void px_stream_free(struct px_stream *s);

/* 16 random bytes and the like; -EIO if the kernel has none. */
int px_random(void *out, size_t n);

#endif
