/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cm_err.h - the one error convention: 0 is success, a negative value is -errno or a code of this list.
 *
 * A call that a human will ask about also takes a struct cm_err (on the stack of the edge that will
 * report it); it is filled where the error happens, the first one wins, and it is reported once.
 * `hvctl error CODE` explains every code from this same list.
 *
 * Thread: [any]; a struct cm_err belongs to its caller.
 */
#ifndef CM_ERR_H
#define CM_ERR_H

#include <stdarg.h>
#include <stddef.h>

#define cm_must_check __attribute__((warn_unused_result))
#define cm_printf(f, a) __attribute__((format(printf, f, a)))

/*
 * XX(code, NAME, "what it means", "what to do"). Codes are stable: never renumber, never reuse.
 * Grouped by the operation that returns them.
 */
#define CM_ERR_MAP(XX) \
	/* input of the operator */ \
	XX(2001, USAGE, "the command line is wrong", "see the usage line, or hvctl help VERB") \
	XX(2002, BAD_VALUE, "a value is out of its range or malformed", "the message names the value and its range") \
	XX(2003, NO_VM, "there is no VM of that name", "hvctl list shows the VMs") \
	XX(2004, NO_NODE, "there is no node of that name", "hvctl node list shows the nodes") \
	XX(2005, VM_EXISTS, "a VM of that name exists already", "choose another name, or hvctl delete it") \
	XX(2006, VM_STATE, "the VM is not in a state that allows this", "hvctl show VM tells its state") \
	XX(2007, NO_FILE, "a file is missing or cannot be read", "check the path and its permissions on that node") \
	XX(2008, BAD_KERNEL, "the kernel image cannot be booted", "give a bzImage or an x86-64 ELF vmlinux") \
	XX(2009, NO_DISK, "there is no such disk or volume", "hvctl volume list and hvctl volume show tell what is there") \
	XX(2010, DISK_EXISTS, "a disk or volume of that name exists already", "choose another name") \
	XX(2011, BAD_URL, "a storage URL is malformed", "file:PATH, iscsi://[user@]host[:port]/iqn/lun or VOLUME/DISK") \
	/* host and engine */ \
	XX(2101, NO_ENGINE, "no CPU engine can run this VM here", "hvctl host check tells why; --engine soft runs anywhere on x86-64") \
	XX(2102, KVM, "a KVM call failed", "hvctl host check; the message has the call and errno") \
	XX(2103, NO_MEMORY, "the host has not enough memory for this VM", "choose a smaller --memory, or another node") \
	XX(2104, GUEST_FAILED, "the guest cannot run on", "hvctl debug dump VM shows registers; hvctl reset VM restarts it") \
	XX(2105, DEVICE, "a device could not be set up", "the message names the device") \
	/* state and stream */ \
	XX(2201, STREAM_MAGIC, "this is no hvcluster stream or image", "check the file or the peer") \
	XX(2202, STREAM_VERSION, "the format version is not supported", "update this node; current and previous version load") \
	XX(2203, STREAM_CORRUPT, "a checksum or footer does not match", "the source goes on; try again, and check the network or disk") \
	XX(2204, STREAM_TRUNCATED, "the stream ended early", "the source goes on; try again") \
	XX(2205, STREAM_SECTION, "a section is unknown, doubled, missing or too long", "both sides must offer the same machine type") \
	XX(2206, INCOMPATIBLE, "the destination cannot run this VM's CPU contract", "hvctl show VM lists the contract; migrate to a host that offers it") \
	/* migration */ \
	XX(2301, MIG_BUSY, "a migration of this VM is under way", "wait for it, or hvctl migrate --cancel VM") \
	XX(2302, MIG_CANCELLED, "the migration was cancelled; the VM runs on the source", "start it again when wanted") \
	XX(2303, MIG_NO_CONVERGE, "the guest dirties memory faster than the link carries it", "raise --max-blackout or use --quick") \
	XX(2304, MIG_PEER, "the other end failed or vanished before the commit", "the VM runs on the source; see the events of the other node") \
	XX(2305, MIG_TICKET, "the migration ticket is wrong, used or expired", "start the migration again through hvctl") \
	XX(2306, MIG_UNKNOWN, "the outcome of the commit is not known yet", "the ownership block decides; hvctl show VM") \
	XX(2307, MIG_SAME_NODE, "the VM runs on that node already", "choose another node") \
	/* ownership */ \
	XX(2401, LEASE_HELD, "another process owns the VM", "hvctl why VM names the owner") \
	XX(2402, LEASE_LOST, "the VM's ownership was lost; its vCPUs were stopped", "hvctl events tells why; check the SAN") \
	XX(2403, LEASE_CORRUPT, "the ownership block is unreadable", "hvctl volume check") \
	XX(2404, LEASE_NO_PROOF, "the last owner did not release the VM and is not proven dead", "wait for fencing, or confirm with stonith_admin --confirm NODE after you made sure that it is off") \
	XX(2405, LEASE_MISCOMPARE, "somebody else changed the ownership block first", "hvctl why VM names the owner") \
	XX(2409, LEASE_FORMAT, "the ownership block has a format of another release", "update the older nodes; a block of an older release is released by that release: stop the VM there first") \
	XX(2406, LEASE_UNKNOWN, "the outcome of a compare-and-write is unknown", "it is read back at once; nothing to do") \
	/* storage */ \
	XX(2501, SAN_LOGIN, "the iSCSI login failed", "check address, IQN, CHAP secret and ACL of the target") \
	XX(2502, SAN_LOST, "the session with the SAN broke", "it is set up again by itself; check the SAN network if it lasts") \
	XX(2503, SAN_TIMEOUT, "the SAN did not answer in time", "check the SAN network and the target") \
	XX(2504, SAN_SENSE, "the target refused a command", "the message has the sense data") \
	XX(2505, SAN_CONFLICT, "a reservation conflict: this initiator is shut out", "the VM was taken over or fenced; hvctl why VM") \
	XX(2506, SAN_UNSAFE, "the target cannot protect shared disks", "hvctl volume check names what is missing; use another target or a lock LUN") \
	XX(2507, IO, "a read or write failed", "check the disk or the SAN") \
	XX(2508, VOL_FORMAT, "this is no hvcluster volume", "hvctl volume create formats one (all data on it is lost)") \
	XX(2509, VOL_FULL, "the volume is full", "delete a disk, or grow the LUN and then hvctl volume grow") \
	XX(2510, VOL_LIMIT, "a limit of the volume is reached", "docs/DISK.md lists the limits") \
	XX(2511, VOL_CORRUPT, "a structure of the volume is damaged", "hvctl volume check --repair") \
	XX(2512, DISK_BUSY, "the disk is in use", "stop the VM that uses it first") \
	XX(2513, DISK_CLAIMED, "a VM claims the disk, and whether it runs cannot be seen", "start that VM and stop it; if it will never run again: hvctl disk release VOLUME/DISK --sure") \
	XX(2514, VOL_OTHER, "another volume lies there than the one that is meant", "check the URL; hvctl volume forget VOLUME, then hvctl volume attach VOLUME URL, takes the one that is there") \
	XX(2515, VOL_DATA, "there is data on it", "hvctl volume attach makes an existing volume known; hvctl volume create --force destroys what is there") \
	XX(2516, VOL_LISTED, "a volume of this cluster lies there already", "hvctl volume list; hvctl volume forget VOLUME first") \
	/* cluster */ \
	XX(2601, NO_DAEMON, "hvclusterd does not answer on this node", "start it: systemctl start hvclusterd") \
	XX(2602, NO_QUORUM, "this node's partition has no quorum", "wait until enough nodes are back; hvctl cluster status") \
	XX(2603, NO_CLUSTER, "corosync or pacemaker does not run here", "systemctl start corosync pacemaker, or use hvclusterd --standalone") \
	XX(2604, PACEMAKER, "pacemaker refused the request", "the message has its words") \
	XX(2605, NODE_OFFLINE, "the node is not an online member", "hvctl node list") \
	XX(2606, TARGET_FULL, "the node has no room for this VM", "choose another node, or free memory there") \
	XX(2607, FENCING, "fencing failed", "stonith_admin --history NODE; repair the fence device, or --confirm after you made sure") \
	XX(2608, NO_FENCING, "no fence device is configured; HA VMs need one", "configure a fence device (stonith) and set stonith-enabled=true; fence_hvsan needs nothing but the SAN") \
	XX(2609, NO_WATCHDOG, "hvwatchdogd does not watch over VMs on this node", "systemctl enable --now hvwatchdogd there; or watchdog_required = no in hvcluster.conf where a power switch fences every node") \
	/* protocol */ \
	XX(2701, PROTO, "a message is malformed", "both ends must be hvcluster of a supported version") \
	XX(2702, PROTO_VERSION, "the peer speaks no version that we do", "update the older node") \
	XX(2703, PROTO_TOO_BIG, "a message is longer than its type allows", "none; the connection was closed") \
	XX(2704, PROTO_CLOSED, "the peer closed the connection", "see the peer's log") \
	XX(2705, TLS, "the TLS handshake or record layer failed", "check the node certificates (hvctl host check)") \
	XX(2706, DENIED, "you are not allowed to do this", "run as root or as a member of the hvcluster group") \
	XX(2707, TIMEOUT, "no answer in time", "try again; see the log of the other side") \
	XX(2708, UNSUPPORTED, "not supported by this version or build", "see the manual")

enum {
#define XX(code, name, text, fix) CM_E_##name = -(code),
	CM_ERR_MAP(XX)
#undef XX
};

#define CM_ERR_TEXT 384

struct cm_err {
	int code; /* 0 none, else negative */
	char text[CM_ERR_TEXT];
};
#define CM_ERR_INIT { .code = 0, .text = "" }

/* Fills err if it is not NULL and still empty; always returns code. The text is one line, no newline. */
int cm_err_set(struct cm_err *err, int code, const char *fmt, ...) cm_printf(3, 4);
int cm_err_vset(struct cm_err *err, int code, const char *fmt, va_list ap) cm_printf(3, 0);
/* Puts "PREFIX: " before the text that is there (context on the way up). Returns err's code. */
int cm_err_prefix(struct cm_err *err, const char *fmt, ...) cm_printf(2, 3);
void cm_err_clear(struct cm_err *err);

/* Name of any code: "NO_VM", "ENOENT"; never NULL. */
const char *cm_err_name(int code);
/* What it means; never NULL. */
const char *cm_err_text(int code);
/* What to do about it; "" if the list does not know. */
const char *cm_err_fix(int code);
/* Finds a code by name or number ("NO_VM", "2003", "-2003", "ENOENT"); 0 if there is none. */
int cm_err_find(const char *word);
/* Calls fn for every project code, in order. */
void cm_err_each(void (*fn)(int code, void *arg), void *arg);

/* "We did it" errors: kept in release builds; writes the flight recorder and aborts. */
#define CM_ASSERT(x) \
	do { \
		if (__builtin_expect(!(x), 0)) \
			cm_assert_failed(#x, __FILE__, __LINE__, __func__); \
	} while (0)
_Noreturn void cm_assert_failed(const char *expr, const char *file, int line, const char *func);

#define CM_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CM_MAX(a, b) ((a) > (b) ? (a) : (b))
#define CM_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#endif
