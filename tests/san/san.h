/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * san.h - the objects of labsan and the calls between its files.
 *
 * One thread runs everything: every function here is [loop]. Ownership:
 *   struct san        the target; lives in main()
 *   struct san_lun    a logical unit; owned by san
 *   struct san_nexus  an I_T nexus = initiator name + ISID + portal group; kept over logins,
 *                     because registrations, unit attentions and late commands belong to it
 *   struct san_conn   one TCP connection (one connection per session); owned by san
 *   struct san_cmd    one SCSI command; owned by its connection until it reaches the medium,
 *                     after that it ends by itself even when the connection is gone
 * Errors: 0 or -errno; SCSI errors go into the command as status and sense.
 */
#ifndef SAN_H
#define SAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#define SAN_MAX_LUNS	64
#define SAN_MAX_PORTALS 16
#define SAN_MAX_ACL	32
#define SAN_MAX_XFER	(32u << 20)  /* most data of one READ or WRITE */
#define SAN_MAX_WSAME	(128u << 20) /* most bytes that one WRITE SAME changes */
#define SAN_MAX_CAW	128u	     /* most blocks of one COMPARE AND WRITE */
#define SAN_MAX_RECV	262144u	     /* our MaxRecvDataSegmentLength */
#define SAN_MAX_BURST	1048576u
#define SAN_MAX_R2T	8u
#define SAN_QUEUE	128u /* CmdSN window of a session */
#define SAN_BHS		48u
#define SAN_RBUF	(256u << 10)
#define SAN_OUT_HIGH	(64u << 20) /* stop reading from a peer that does not take its answers */
#define SAN_NAME_MAX	224
#define SAN_UA_MAX	8
#define SAN_NO_TAG	0xffffffffu

#define SAN_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct san;
struct san_cmd;
struct san_conn;
struct san_lun;
struct san_nexus;

struct san_io {
	int fd;
	void (*cb)(struct san_io *io, uint32_t events);
	struct san *san;
};

/* --- commands -------------------------------------------------------------------------- */

enum san_class {
	SAN_CLASS_OTHER,
	SAN_CLASS_READ,
	SAN_CLASS_WRITE, /* all that changes blocks, except the two below */
	SAN_CLASS_UNMAP,
	SAN_CLASS_CAW,
	SAN_CLASS_SYNC,
	SAN_CLASS_PR, /* PERSISTENT RESERVE OUT */
	SAN_CLASS_COUNT,
};

enum san_cmd_state {
	SAN_CMD_GATHER, /* immediate and unsolicited data still arrive, or CmdSN has a gap */
	SAN_CMD_R2T,	/* accepted, waits for data it asked for */
	SAN_CMD_MEDIUM, /* cannot be taken back: it will land */
};

struct san_buf {
	unsigned int refs;
	uint32_t len;
	uint8_t data[];
};

struct san_r2t {
	uint32_t off, len, done, datasn;
	bool open;
};

TAILQ_HEAD(san_cmd_list, san_cmd);

struct san_cmd {
	TAILQ_ENTRY(san_cmd) in_conn, in_lun, in_park;
	struct san *san;
	struct san_conn *conn; /* NULL when the session is gone */
	struct san_nexus *nexus;
	struct san_lun *lun;
	const struct san_op *op;
	uint64_t start_ns, due_ns, seq;
	uint64_t barriers; /* bit per barrier that waits for us */
	uint64_t key;	   /* registration key of the nexus when the command began */
	enum san_cmd_state state;
	bool aborted, parked, stalled, in_order, immediate, is_read, is_write, unsol_open;
	bool durable; /* what it changed survives a power cut */
	bool data_error, cut, drop_after, silent, on_lun, own_barrier, logged;
	bool told; /* its answer is to be told_key and told_code, though it is executed */
	uint8_t told_key;
	uint16_t told_code;
	bool nothing; /* it moves no byte, and GOOD says so */
	uint8_t bhs[SAN_BHS];
	uint8_t cdb[16];
	uint16_t lun_no;
	uint32_t itt, cmdsn, edtl;
	/* data out */
	uint8_t *out;
	uint32_t out_cap, out_len, unsol_sn, want;
	uint32_t cdb_len; /* bytes that the CDB asks to move, for residuals */
	uint32_t r2t_off, r2t_sn;
	struct san_r2t r2t[SAN_MAX_R2T];
	/* what the CDB says */
	uint64_t lba;
	uint64_t blocks;
	/* answer */
	struct san_buf *in;
	uint32_t in_len;
	uint8_t status, sense_len;
	uint8_t sense[18];
};

/* --- nexus, reservations, logical units ------------------------------------------------- */

struct san_uaq {
	uint8_t count;
	uint16_t code[SAN_UA_MAX];
};

struct san_nexus {
	TAILQ_ENTRY(san_nexus) link;
	struct san_conn *conn;
	unsigned int id;
	unsigned int inflight; /* commands on the medium, of any session of this nexus */
	uint16_t tpgt;
	uint8_t isid[6];
	char name[SAN_NAME_MAX];
	struct san_uaq ua[SAN_MAX_LUNS];
};

struct san_reg {
	TAILQ_ENTRY(san_reg) link;
	struct san_nexus *nexus;
	uint64_t key;
	bool hit; /* scratch of PREEMPT */
};

struct san_pr {
	TAILQ_HEAD(, san_reg) regs;
	unsigned int count;
	uint32_t generation;
	uint8_t type;		  /* 0 = no reservation */
	struct san_nexus *holder; /* NULL for the all-registrants types */
	bool aptpl;
};

struct san_page;

struct san_cache {
	bool on;
	struct san_page **slot;
	size_t slots, used;
	TAILQ_HEAD(, san_page) order;
};

struct san_lun {
	struct san *san;
	unsigned int no;
	int fd;
	bool thin, readonly, stalled;
	uint32_t bs;
	uint64_t blocks;
	uint64_t reads, writes, read_bytes, write_bytes;
	char path[256];
	char serial[32]; /* "none": it has no such page; "": made up */
	char ids[32];	 /* of VPD page 0x83: "naa", "eui", "t10", "none", "" as an array has it */
	struct san_cache cache;
	struct san_pr pr;
	struct san_nexus *reserved; /* RESERVE(6) */
	struct san_cmd_list tasks;
};

/* --- connections ------------------------------------------------------------------------ */

struct san_out {
	TAILQ_ENTRY(san_out) link;
	uint8_t hdr[SAN_BHS + 4];
	uint32_t hlen, dlen, tlen, sent;
	const uint8_t *data;
	struct san_buf *buf; /* keeps data alive, may be NULL */
	uint8_t tail[8];     /* padding and data digest */
};

struct san_params {
	bool header_digest, data_digest, initial_r2t, immediate_data;
	uint32_t max_xmit, max_burst, first_burst, max_r2t;
};

struct san_chap {
	int step;
	int algorithm;
	uint8_t id;
	uint8_t challenge[24];
	bool done;
};

enum san_rx { SAN_RX_HEADER, SAN_RX_DATA, SAN_RX_TAIL };

struct san_portal;
struct san_conn {
	struct san_io io;
	TAILQ_ENTRY(san_conn) link, dirty;
	struct san *san;
	struct san_nexus *nexus; /* set when a normal session is in full feature phase */
	bool full, discovery, closing, dead, hung, unwatched, is_dirty, close_after, want_out,
		login_wait;
	uint16_t tpgt;
	const struct san_portal *portal; /* it came by */
	char peer[64];
	/* login */
	struct san_params par;
	struct san_chap chap;
	bool named, said_tpgt, said_recv;
	int csg;
	uint16_t tsih;
	uint8_t isid[6];
	char initiator[SAN_NAME_MAX];
	uint8_t *text; /* text gathered over PDUs with the C bit */
	uint32_t text_len;
	uint8_t login_bhs[SAN_BHS];
	/* sequence numbers */
	uint32_t exp_cmdsn, max_cmdsn, statsn, queued;
	bool seen[SAN_QUEUE]; /* CmdSN after a gap whose PDU was no SCSI command */
	/* receive */
	enum san_rx rx;
	uint8_t *rbuf;
	uint32_t rpos, rend;
	uint8_t bhs[SAN_BHS];
	uint32_t rx_left, rx_len, rx_crc;
	uint8_t *rx_dst;	/* NULL: throw the data away */
	struct san_cmd *rx_cmd; /* command that owns rx_dst */
	bool rx_ignore;		/* outside the CmdSN window: as if it never came */
	uint8_t *rx_tmp;	/* data of a PDU that is no SCSI data */
	/* send */
	TAILQ_HEAD(, san_out) outq;
	uint64_t out_bytes;
	struct san_cmd_list cmds;
};

/* --- injected trouble ------------------------------------------------------------------- */

enum san_rule_kind {
	SAN_RULE_DELAY,
	SAN_RULE_SENSE,
	SAN_RULE_STATUS,
	SAN_RULE_DROP_BEFORE, /* cut the session, do not execute */
	SAN_RULE_DROP_AFTER,  /* execute, then cut the session instead of answering */
	SAN_RULE_LOSE,	      /* execute, never answer */
};

struct san_rule {
	TAILQ_ENTRY(san_rule) link;
	unsigned int id;
	enum san_rule_kind kind;
	int lun;		 /* -1 = any */
	unsigned int nexus;	 /* 0 = any */
	char name[SAN_NAME_MAX]; /* initiator name, "" = any */
	char portal[64];	 /* address, "" = any */
	uint32_t classes;	 /* bit per san_class */
	long count;		 /* commands it still hits, -1 = for ever */
	long skip;		 /* commands it lets pass first */
	uint64_t ms;
	bool done; /* SENSE: the command is executed, and answered so */
	bool deferred; /* SENSE: of an earlier command (SPC-4 4.5.7); this one is not executed */
	uint8_t status, key, asc, ascq;
};

struct san_barrier {
	bool used;
	unsigned int pending;
	void (*done)(struct san *san, void *arg);
	void *arg;
};

struct san_log {
	int fd;
	char *buf;
	size_t len, cap;
	uint64_t seq;
};

struct san_portal {
	struct san_io io;
	char moved_to[96]; /* logins are redirected there; "" no */
	bool moved_for_good;
	char addr[64];
	uint16_t port;
	uint16_t tpgt;
	bool v6;
};

struct san_secret {
	char user[64];
	uint8_t secret[256];
	size_t len;
};

struct san {
	int epfd;
	bool quit, powered, hang_new, strict_reinstate, real_sync, volatile_cache, verbose;
	char iqn[SAN_NAME_MAX];
	char state_dir[256];
	struct san_portal portals[SAN_MAX_PORTALS];
	unsigned int nportals;
	struct san_lun *luns[SAN_MAX_LUNS];
	unsigned int nluns;
	struct san_secret chap_in, chap_out;
	char acl[SAN_MAX_ACL][SAN_NAME_MAX];
	unsigned int nacl;
	TAILQ_HEAD(, san_nexus) nexuses;
	unsigned int last_nexus;
	uint16_t last_tsih;
	TAILQ_HEAD(, san_conn) conns;
	TAILQ_HEAD(, san_conn) dirty;
	TAILQ_HEAD(, san_rule) rules;
	unsigned int last_rule;
	struct san_cmd_list parked;
	struct san_barrier barriers[64];
	struct san_log log;
	struct san_io control;
	uint64_t cmd_seq;
	uint32_t window; /* CmdSN window of a session: at most SAN_QUEUE */
	uint64_t lacks; /* bit per row of san_ops: a lesser array, that has not got it */
	uint64_t leaks; /* ... that lets it pass all reservations */
	char control_path[108];
};

/* san_conn.c: sockets, PDU framing, send queue */
int san_portal_listen(struct san_portal *p);
void san_portal_close(struct san_portal *p);
void san_conn_close(struct san_conn *c, const char *why);
void san_conn_rearm(struct san_conn *c);
void san_conns_flush(struct san *san);
void san_conns_reap(struct san *san);
struct san_buf *san_buf_new(uint32_t len);
void san_buf_put(struct san_buf *b);
void san_send(struct san_conn *c, uint8_t *bhs, const uint8_t *data, uint32_t len,
	      struct san_buf *owner);
uint32_t san_crc32c(uint32_t crc, const void *data, size_t len);

/* san_login.c, san_text.c, san_chap.c */
void san_login_pdu(struct san_conn *c, const uint8_t *bhs, const uint8_t *data, uint32_t len);
void san_login_finish(struct san_conn *c);
const char *san_text_get(const uint8_t *text, uint32_t len, const char *key);
int san_text_add(char *out, size_t cap, size_t *len, const char *key, const char *value);
int san_text_negotiate(struct san_conn *c, const uint8_t *text, uint32_t len, char *out, size_t cap,
		       size_t *out_len);
bool san_text_valid(const uint8_t *text, uint32_t len);
int san_chap_step(struct san_conn *c, const uint8_t *text, uint32_t len, char *out, size_t cap,
		  size_t *out_len);

/* san_session.c: PDUs of the full feature phase */
int san_session_header(struct san_conn *c);
void san_session_pdu(struct san_conn *c);
void san_session_start(struct san_conn *c);
void san_session_stat(struct san_conn *c, uint8_t *bhs, bool advance);
struct san_nexus *san_nexus_get(struct san *san, const char *name, const uint8_t *isid,
				uint16_t tpgt, bool *fresh);
struct san_nexus *san_nexus_by_id(struct san *san, unsigned int id);
void san_ua_add(struct san_nexus *n, const struct san_lun *lun, uint16_t code);
void san_ua_all(struct san *san, const struct san_lun *lun, const struct san_nexus *except,
		uint16_t code);

/* san_cmd.c: life of a command, barriers, aborts */
struct san_cmd *san_cmd_new(struct san_conn *c);
void san_cmd_free(struct san_cmd *cmd);
void san_cmd_begin(struct san_cmd *cmd);
void san_cmd_data_done(struct san_cmd *cmd);
void san_cmd_unpark(struct san *san, uint64_t now_ns);
int san_cmd_next_timeout_ms(struct san *san, uint64_t now_ns);
void san_cmd_done(struct san_cmd *cmd);
void san_cmd_detach(struct san_conn *c);
void san_cmd_send_r2t(struct san_cmd *cmd);
void san_cmds_power_cut(struct san *san);
int san_barrier_new(struct san *san, void (*done)(struct san *san, void *arg), void *arg);
void san_barrier_add(struct san *san, int slot, struct san_cmd *cmd);
void san_barrier_go(struct san *san, int slot);
void san_abort(struct san_cmd *cmd, int slot);

/* san_respond.c */
void san_respond(struct san_cmd *cmd);

/* san_tmf.c */
void san_tmf_pdu(struct san_conn *c, const uint8_t *bhs);

/* san_scsi.c: the table of commands and what is checked before any of them */
struct san_op {
	uint8_t opcode;
	int16_t action; /* service action, -1 = none */
	uint8_t flags;
	enum san_class cls;
	int (*prep)(struct san_cmd *cmd); /* looks at the CDB, 0 or -1 with sense set */
	bool (*run)(struct san_cmd *cmd); /* false: the command will end later */
	const char *name;
	uint8_t usage[16];
};

#define SAN_OP_NO_UA	0x01 /* answers although a unit attention waits */
#define SAN_OP_NO_LUN	0x02 /* answers for a logical unit that is not there */
#define SAN_OP_PR_READ	0x04 /* conflicts with exclusive access */
#define SAN_OP_PR_WRITE 0x08 /* conflicts with every reservation of others */
#define SAN_OP_R6_FREE	0x10 /* allowed under a RESERVE(6) of others */
#define SAN_OP_CHANGES	0x20 /* goes into the write log */
#define SAN_OP_THIN	0x40 /* only on thin logical units */

extern const struct san_op san_ops[];
extern const unsigned int san_nops;
int san_scsi_prepare(struct san_cmd *cmd);
int san_scsi_mask(const char *list, uint64_t *mask);
void san_sense(struct san_cmd *cmd, uint8_t key, uint16_t code);
void san_miscompare(struct san_cmd *cmd, uint32_t offset);
void san_reply(struct san_cmd *cmd, const void *data, uint32_t len, uint32_t alloc);

#define SAN_KEY_MEDIUM	   0x03
#define SAN_KEY_ILLEGAL	   0x05
#define SAN_KEY_ATTENTION  0x06
#define SAN_KEY_PROTECT	   0x07
#define SAN_KEY_ABORTED	   0x0b
#define SAN_KEY_MISCOMPARE 0x0e
#define SAN_GOOD	   0x00
#define SAN_CHECK	   0x02
#define SAN_BUSY	   0x08
#define SAN_CONFLICT	   0x18
#define SAN_TASK_FULL	   0x28
#define SAN_TASK_ABORTED   0x40

/* san_spc.c: INQUIRY, MODE SENSE, REPORT ... */
bool san_run_inquiry(struct san_cmd *cmd);
bool san_run_mode_sense(struct san_cmd *cmd);
bool san_run_report_luns(struct san_cmd *cmd);
bool san_run_opcodes(struct san_cmd *cmd);
bool san_run_request_sense(struct san_cmd *cmd);
bool san_run_good(struct san_cmd *cmd);
bool san_run_reserve6(struct san_cmd *cmd);
bool san_run_release6(struct san_cmd *cmd);

/* san_block.c: commands that touch blocks */
int san_prep_read(struct san_cmd *cmd);
int san_prep_write(struct san_cmd *cmd);
int san_prep_verify(struct san_cmd *cmd);
int san_prep_range(struct san_cmd *cmd);
int san_prep_caw(struct san_cmd *cmd);
int san_prep_write_same(struct san_cmd *cmd);
int san_prep_unmap(struct san_cmd *cmd);
bool san_run_read(struct san_cmd *cmd);
bool san_run_write(struct san_cmd *cmd);
bool san_run_orwrite(struct san_cmd *cmd);
bool san_run_verify(struct san_cmd *cmd);
bool san_run_caw(struct san_cmd *cmd);
bool san_run_write_same(struct san_cmd *cmd);
bool san_run_unmap(struct san_cmd *cmd);
bool san_run_sync(struct san_cmd *cmd);
bool san_run_capacity10(struct san_cmd *cmd);
bool san_run_capacity16(struct san_cmd *cmd);
bool san_run_lba_status(struct san_cmd *cmd);

/* san_pr.c, san_pr_out.c, san_pr_state.c */
int san_prep_pr_out(struct san_cmd *cmd);
bool san_run_pr_in(struct san_cmd *cmd);
bool san_run_pr_out(struct san_cmd *cmd);
bool san_pr_conflict(const struct san_lun *lun, const struct san_nexus *n, uint8_t op_flags);
uint64_t san_pr_key(const struct san_lun *lun, const struct san_nexus *n);
struct san_reg *san_pr_find(const struct san_lun *lun, const struct san_nexus *n);
bool san_pr_is_all(uint8_t type);
struct san_reg *san_pr_add(struct san_lun *lun, struct san_nexus *n, uint64_t key);
void san_pr_remove(struct san_lun *lun, struct san_reg *r);
void san_pr_wipe(struct san_lun *lun);
void san_pr_save(struct san_lun *lun);
int san_pr_load(struct san_lun *lun);

/* san_medium.c: the file and the volatile cache over it; offsets in bytes, multiples of 512 */
int san_medium_open(struct san_lun *lun, uint64_t create_bytes);
void san_medium_close(struct san_lun *lun);
int san_medium_grow(struct san_lun *lun, uint64_t bytes);
int san_medium_read(struct san_lun *lun, uint64_t off, uint8_t *buf, uint32_t len);
int san_medium_write(struct san_lun *lun, uint64_t off, const uint8_t *buf, uint32_t len,
		     bool durable);
int san_medium_sync(struct san_lun *lun, uint64_t off, uint64_t len);
int san_medium_discard(struct san_lun *lun, uint64_t off, uint64_t len);
bool san_medium_mapped(struct san_lun *lun, uint64_t off, uint64_t max, uint64_t *run);
uint64_t san_medium_power_cut(struct san_lun *lun, unsigned int keep_percent, uint64_t seed);
uint64_t san_medium_dirty_bytes(const struct san_lun *lun);

/* san_inject.c */
int san_inject_add(struct san *san, enum san_rule_kind kind, char **words, int nwords,
		   const char **why);
unsigned int san_inject_clear(struct san *san, unsigned int id);
bool san_inject_apply(struct san_cmd *cmd);
bool san_inject_remap(struct san *san, char **words);
bool san_inject_nexus_match(const struct san_nexus *n, const char *what);
const char *san_class_name(enum san_class cls);

/* san_log.c: one JSON line per change */
int san_log_open(struct san *san, const char *path);
void san_log_cmd(struct san_cmd *cmd);
void san_log_event(struct san *san, const char *event, const char *text);
void san_log_flush(struct san *san);
void san_log_close(struct san *san);

/* san_array.c: control verbs, and what they switch */
void san_array_window(struct san *san, FILE *out, char **w, int n);
void san_array_redirect(struct san *san, FILE *out, char **w, int n);

/* san_ctl.c, san_power.c */
void san_ctl_fail(FILE *out, const char *why, const char *what);
int san_ctl_open(struct san *san, const char *path);
void san_ctl_close(struct san *san);
void san_power_cut(struct san *san, unsigned int keep_percent, uint64_t seed);
int san_power_on(struct san *san);

/* labsan_main.c */
uint64_t san_now_ns(void);
int san_parse_size(const char *s, uint64_t *out);
int san_watch(struct san *san, struct san_io *io, uint32_t events, bool add);

#endif
