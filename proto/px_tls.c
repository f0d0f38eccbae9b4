/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * px_tls.c - TLS 1.3 by OpenSSL: node identities for channels (memory BIOs, non-blocking) and
 * blocking streams with a single-use external PSK (RFC 8446 section 4.2.11) for migrations.
 *
 * Does not decide who may do what. Parses records of any peer, by OpenSSL.
 */
#include "config.h"

#include "proto/px_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* AES-GCM must not protect more than 2^24.5 records under one key (RFC 8446 section 5.5). */
#define STREAM_REKEY_BYTES (64ull << 30)

struct px_tls {
	SSL_CTX *ctx;
};

struct px__tls_conn {
	SSL *ssl;
	BIO *in, *out; /* owned by ssl */
};

static int tls_err(struct cm_err *err, const char *what)
{
	unsigned long e = ERR_get_error();
	char text[160];

	ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return cm_err_set(err, CM_E_TLS, "%s: %s", what, e ? text : "connection failed");
}

static void tls_common(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
}

struct px_tls *px_tls_new(const char *cert, const char *key, const char *ca, struct cm_err *err)
{
	struct px_tls *t = calloc(1, sizeof *t);
	struct stat st;

	if (!t) {
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (stat(key, &st) < 0) {
		cm_err_set(err, CM_E_TLS, "cannot read the node key %s: %s", key, strerror(errno));
		goto fail;
	}
	if (st.st_mode & 077) {
		cm_err_set(err, CM_E_TLS, "the node key %s is readable by others: chmod 0400 it",
			   key);
		goto fail;
	}
	t->ctx = SSL_CTX_new(TLS_method());
	if (!t->ctx) {
		tls_err(err, "TLS context");
		goto fail;
	}
	tls_common(t->ctx);
	if (SSL_CTX_use_certificate_chain_file(t->ctx, cert) != 1) {
		tls_err(err, cert);
		goto fail;
	}
	if (SSL_CTX_use_PrivateKey_file(t->ctx, key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(t->ctx) != 1) {
		tls_err(err, key);
		goto fail;
	}
	if (SSL_CTX_load_verify_file(t->ctx, ca) != 1) {
		tls_err(err, ca);
		goto fail;
	}
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return t;
fail:
	px_tls_free(t);
	return NULL;
}

void px_tls_free(struct px_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

struct px__tls_conn *px__tls_conn_new(struct px_tls *t, bool server, const char *expect)
{
	struct px__tls_conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->ssl = SSL_new(t->ctx);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	if (!c->ssl || !c->in || !c->out) {
		BIO_free(c->in);
		BIO_free(c->out);
		SSL_free(c->ssl);
		free(c);
		return NULL;
	}
	BIO_set_mem_eof_return(c->in, -1);
	SSL_set_bio(c->ssl, c->in, c->out);
	if (expect) {
		SSL_set_hostflags(c->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		SSL_set1_host(c->ssl, expect);
	}
	if (server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	return c;
}

void px__tls_conn_free(struct px__tls_conn *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	free(c);
}

int px__tls_feed(struct px__tls_conn *c, const uint8_t *wire, size_t n)
{
	while (n) {
		int m = BIO_write(c->in, wire, (int)CM_MIN(n, (size_t)1 << 20));

		if (m <= 0)
			return -ENOMEM;
		wire += m;
		n -= (size_t)m;
	}
	return 0;
}

int px__tls_handshake(struct px__tls_conn *c, struct cm_err *err)
{
	int rc, e;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1)
		return 1;
	e = SSL_get_error(c->ssl, rc);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return 0;
	return tls_err(err, "TLS handshake");
}

int px__tls_read(struct px__tls_conn *c, uint8_t *plain, size_t cap, size_t *got, bool *end)
{
	int rc, e;

	*got = 0;
	ERR_clear_error();
	rc = SSL_read(c->ssl, plain, (int)CM_MIN(cap, (size_t)1 << 20));
	if (rc > 0) {
		*got = (size_t)rc;
		return 0;
	}
	e = SSL_get_error(c->ssl, rc);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return 0;
	if (e == SSL_ERROR_ZERO_RETURN) {
		*end = true;
		return 0;
	}
	ERR_clear_error();
	return CM_E_TLS;
}

int px__tls_write(struct px__tls_conn *c, const uint8_t *plain, size_t n)
{
	while (n) {
		int rc;

		ERR_clear_error();
		rc = SSL_write(c->ssl, plain, (int)CM_MIN(n, (size_t)1 << 20));
		if (rc <= 0)
			return CM_E_TLS;
		plain += rc;
		n -= (size_t)rc;
	}
	return 0;
}

size_t px__tls_wire(struct px__tls_conn *c, uint8_t *out, size_t cap)
{
	int n = BIO_read(c->out, out, (int)cap);

	return n > 0 ? (size_t)n : 0;
}

void px__tls_peer_name(struct px__tls_conn *c, char *out, size_t cap)
{
	X509 *x = SSL_get1_peer_certificate(c->ssl);

	out[0] = '\0';
	if (x &&
	    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, out, (int)cap) < 0)
		out[0] = '\0';
	X509_free(x);
}

/* --- blocking streams ---------------------------------------------------- */

struct px_stream {
	SSL_CTX *ctx;
	SSL *ssl; /* NULL: plain */
	struct px_psk psk;
	uint64_t bytes, since_rekey;
	unsigned io_timeout_ms;
	int fd;
	atomic_bool aborted;
};

int px_random(void *out, size_t n)
{
	uint8_t *p = out;

	while (n) {
		ssize_t m = getrandom(p, n, 0);

		if (m < 0 && errno == EINTR)
			continue;
		if (m <= 0)
			return -EIO;
		p += m;
		n -= (size_t)m;
	}
	return 0;
}

int px_psk_make(struct px_psk *psk)
{
	int rc = px_random(psk->id, sizeof psk->id);

	return rc ? rc : px_random(psk->key, sizeof psk->key);
}

void px_psk_wipe(struct px_psk *psk)
{
	OPENSSL_cleanse(psk, sizeof *psk);
}

static SSL_SESSION *stream_session(SSL *ssl, const struct px_psk *psk)
{
	static const unsigned char suite[] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256 */
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
	SSL_SESSION *s = SSL_SESSION_new();

	if (!s || !cipher || SSL_SESSION_set1_master_key(s, psk->key, sizeof psk->key) != 1 ||
	    SSL_SESSION_set_cipher(s, cipher) != 1 ||
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) != 1) {
		SSL_SESSION_free(s);
		return NULL;
	}
	return s;
}

static int stream_psk_use(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idlen,
			  SSL_SESSION **sess)
{
	struct px_stream *s = SSL_get_app_data(ssl);

	(void)md;
	*sess = stream_session(ssl, &s->psk);
	*id = s->psk.id;
	*idlen = sizeof s->psk.id;
	return *sess != NULL;
}

static int stream_psk_find(SSL *ssl, const unsigned char *id, size_t idlen, SSL_SESSION **sess)
{
	struct px_stream *s = SSL_get_app_data(ssl);

	*sess = NULL;
	if (idlen != sizeof s->psk.id || CRYPTO_memcmp(id, s->psk.id, idlen) != 0)
		return 1; /* not found: without certificates the handshake fails */
	*sess = stream_session(ssl, &s->psk);
	return *sess != NULL;
}

static int stream_wait(struct px_stream *s, short events)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	int rc;

	do
		rc = poll(&p, 1, (int)s->io_timeout_ms);
	while (rc < 0 && errno == EINTR);
	if (atomic_load(&s->aborted))
		return -ECANCELED;
	return rc > 0 ? 0 : rc == 0 ? CM_E_TIMEOUT : -errno;
}

/* After a failed SSL call: 0 = waited, try again. */
static int stream_again(struct px_stream *s, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		return stream_wait(s, POLLIN);
	case SSL_ERROR_WANT_WRITE:
		return stream_wait(s, POLLOUT);
	case SSL_ERROR_ZERO_RETURN:
		return CM_E_PROTO_CLOSED;
	case SSL_ERROR_SYSCALL:
		return atomic_load(&s->aborted) ? -ECANCELED : CM_E_PROTO_CLOSED;
	default:
		return atomic_load(&s->aborted) ? -ECANCELED : CM_E_TLS;
	}
}

static int stream_start_tls(struct px_stream *s, bool server, struct cm_err *err)
{
	int rc;

	s->ctx = SSL_CTX_new(TLS_method());
	if (!s->ctx)
		return tls_err(err, "TLS context");
	tls_common(s->ctx);
	SSL_CTX_set_mode(s->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(s->ctx, 1);
	SSL_CTX_set_default_read_buffer_len(s->ctx, 128u << 10);
	if (server)
		SSL_CTX_set_psk_find_session_callback(s->ctx, stream_psk_find);
	else
		SSL_CTX_set_psk_use_session_callback(s->ctx, stream_psk_use);
	s->ssl = SSL_new(s->ctx);
	if (!s->ssl || SSL_set_fd(s->ssl, s->fd) != 1)
		return tls_err(err, "TLS connection");
	SSL_set_app_data(s->ssl, s);
	if (server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	for (;;) {
		ERR_clear_error();
		rc = SSL_do_handshake(s->ssl);
		if (rc == 1)
			break;
		rc = stream_again(s, rc);
		if (rc == CM_E_TLS)
			return tls_err(err, "the migration key does not fit (TLS)");
		if (rc)
			return cm_err_set(err, rc, "TLS handshake: %s", cm_err_text(rc));
	}
	/* A server without certificates can only have come here by the PSK; look all the same. */
	if (!SSL_session_reused(s->ssl))
		return cm_err_set(err, CM_E_TLS, "the migration key was not used");
	px_psk_wipe(&s->psk);
	return 0;
}

struct px_stream *px_stream_new(int fd, bool server, const struct px_psk *psk,
				unsigned io_timeout_ms, struct cm_err *err)
{
	struct px_stream *s = calloc(1, sizeof *s);

	if (!s) {
		close(fd);
		cm_err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	s->fd = fd;
	s->io_timeout_ms = io_timeout_ms ? io_timeout_ms : 10000;
	/* Waiting is ours (poll with a limit), so the socket itself must not block. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		cm_err_set(err, -errno, "fcntl: %s", strerror(errno));
		px_stream_free(s);
		return NULL;
	}
	if (psk) {
		s->psk = *psk;
		if (stream_start_tls(s, server, err)) {
			px_stream_free(s);
			return NULL;
		}
	}
	return s;
}

static int stream_rekey(struct px_stream *s, size_t n)
{
	s->since_rekey += n;
	if (s->since_rekey < STREAM_REKEY_BYTES)
		return 0;
	s->since_rekey = 0;
	return SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? 0 : CM_E_TLS;
}

static int stream_write_some(struct px_stream *s, const uint8_t *p, size_t n, size_t *done)
{
	*done = 0;
	if (s->ssl) {
		int rc;

		ERR_clear_error();
		rc = SSL_write_ex(s->ssl, p, n, done);
		if (rc == 1)
			return stream_rekey(s, *done);
		return stream_again(s, rc);
	} else {
		ssize_t m = send(s->fd, p, n, MSG_NOSIGNAL);

		if (m >= 0) {
			*done = (size_t)m;
			return 0;
		}
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return stream_wait(s, POLLOUT);
		return errno == EINTR ? 0 : errno == EPIPE ? CM_E_PROTO_CLOSED : -errno;
	}
}

int px_stream_write(struct px_stream *s, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n) {
		size_t done;
		int rc = stream_write_some(s, p, CM_MIN(n, (size_t)1 << 20), &done);

		if (rc)
			return rc;
		p += done;
		n -= done;
		s->bytes += done;
	}
	return 0;
}

static int stream_read_some(struct px_stream *s, uint8_t *p, size_t n, size_t *done)
{
	*done = 0;
	if (s->ssl) {
		int rc;

		ERR_clear_error();
		rc = SSL_read_ex(s->ssl, p, n, done);
		return rc == 1 ? 0 : stream_again(s, rc);
	} else {
		ssize_t m = recv(s->fd, p, n, 0);

		if (m > 0) {
			*done = (size_t)m;
			return 0;
		}
		if (m == 0)
			return atomic_load(&s->aborted) ? -ECANCELED : CM_E_PROTO_CLOSED;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return stream_wait(s, POLLIN);
		return errno == EINTR ? 0 : -errno;
	}
}

int px_stream_read(struct px_stream *s, void *data, size_t n)
{
	uint8_t *p = data;

	while (n) {
		size_t done;
		int rc = stream_read_some(s, p, n, &done);

		if (rc)
			return rc;
		p += done;
		n -= done;
		s->bytes += done;
	}
	return 0;
}

void px_stream_abort(struct px_stream *s)
{
	atomic_store(&s->aborted, true);
	shutdown(s->fd, SHUT_RDWR);
}

uint64_t px_stream_bytes(const struct px_stream *s)
{
	return s->bytes;
}

int px_stream_fd(const struct px_stream *s)
{
	return s->fd;
}

void px_stream_free(struct px_stream *s)
{
	if (!s)
		return;
	if (s->ssl && SSL_is_init_finished(s->ssl) && !atomic_load(&s->aborted)) {
		ERR_clear_error();
		SSL_shutdown(s->ssl); /* one way: says the end was meant */
	}
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
	close(s->fd);
	px_psk_wipe(&s->psk);
	free(s);
}
