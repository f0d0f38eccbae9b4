/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - what the parts of the bare-metal test guest offer each other.
 *
 * A freestanding program of one address space. All C code runs at CPL 3 with IOPL 3 (see
 * guest_entry.S), except guest_trapped(). One processor (the boot one) runs the modules in turn
 * from guest_main(); the others only run guest_clock.c's checks. A module is {init, poll}: poll
 * does a slice of work and says when it wants to be called again, so a guest with nothing to do
 * sleeps in HLT.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_abi.h"

#define GUEST_NS_MS 1000000ul
#define GUEST_NS_S  1000000000ul
#define GUEST_NEVER (~0ul)

/* --- guest_lib.c: strings, text output -------------------------------------------------------- */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t guest_strlen(const char *s);
bool guest_starts(const char *s, const char *prefix);
uint64_t guest_number(const char **s); /* decimal or 0x; K, M, G suffixes */
size_t guest_format(char *out, size_t room, const char *fmt,
		    ...) /* %s %d %u %x %c, l for 64 bit, %08x */
	__attribute__((format(printf, 3, 4)));
void guest_say(const char *fmt, ...)
	__attribute__((format(printf, 1, 2))); /* a line on the serial port */
void guest_debug_line(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));		     /* on the debug port */
__attribute__((noreturn)) void guest_fail(const char *what); /* says it, tells the machine, stops */
uint64_t guest_random(void);

static inline void guest_outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t guest_inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t guest_mmio_read(uint64_t gpa)
{
	uint32_t v;

	__asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(gpa) : "memory");
	return v;
}

static inline void guest_mmio_write(uint64_t gpa, uint32_t v)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(v), "r"(gpa) : "memory");
}

/* --- guest_boot.c: what the loader said ------------------------------------------------------- */
struct guest_boot {
	char cmdline[2048];
	uint64_t ram_end; /* of the RAM that starts at 1 MiB, at most 3 GiB */
	uint64_t seed;
};

extern struct guest_boot guest_boot;

void guest_boot_read(const void *info, uint32_t kind);
/* The value of name= on the command line (ends at a blank), or NULL. */
const char *guest_param(const char *name);
uint64_t guest_param_number(const char *name, uint64_t otherwise);
bool guest_mode(const char *name); /* is it in the comma list of mode= ? */
/* Takes pages from the RAM above the image, zeroed by the host; fails the guest if there are none
 * left. */
void *guest_pages(uint64_t bytes);
uint64_t guest_pages_left(void);

/* --- guest_irq.c: interrupts, other processors, power ----------------------------------------- */
extern volatile uint32_t guest_irq_pending; /* set by the gates; forbids sleep */
extern volatile uint32_t guest_slot_isr[GUEST_MAX_SLOTS];
extern uint64_t guest_slot_base[GUEST_MAX_SLOTS];
extern uint32_t guest_slot_gsi[GUEST_MAX_SLOTS];
extern unsigned guest_slots;

void guest_irq_init(void);
void guest_irq_cpu_init(void);
void guest_irq_slot(unsigned slot);  /* unmask its pin */
unsigned guest_irq_start_cpus(void); /* INIT-SIPI to all others; how many came */
bool guest_power_button(void);	     /* was it pressed since the last call? */
__attribute__((noreturn)) void guest_power_off(void);
__attribute__((noreturn)) void guest_reset(void);
__attribute__((noreturn)) void guest_park_cpu(void);

/* --- guest_time.c ----------------------------------------------------------------------------- */
extern bool guest_has_kvmclock;

void guest_time_init(void);
void guest_time_cpu_init(unsigned cpu);
uint64_t guest_now_ns(void);		  /* of the boot processor */
uint64_t guest_kvmclock_ns(unsigned cpu); /* of that processor, on that processor */
uint32_t guest_time_lvt(void);		  /* timer mode and vector */
void guest_time_calm(void);		  /* boot processor, busy: no need for the timer now */
void guest_sleep(uint64_t ns);	   /* boot processor: until an interrupt or about ns have passed */
void guest_sleep_cpu(uint64_t ns); /* others */

/* So many a second, evenly: what is late by more than GUEST_PACE_LATE_NS is not made up for. rate
 * 0: always due. */
struct guest_pace {
	uint64_t rate, began_ns, done;
};

#define GUEST_PACE_LATE_NS (100 * GUEST_NS_MS)

void guest_pace_start(struct guest_pace *p, uint64_t rate);
uint64_t guest_pace_due_ns(struct guest_pace *p,
			   uint64_t now_ns); /* of the next one; the caller counts done */

static inline uint64_t guest_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

/* --- guest_main.c ----------------------------------------------------------------------------- */
struct guest_module {
	const char *mode; /* runs if this is in mode= */
	void (*init)(void);
	uint64_t (*poll)(
		uint64_t now_ns); /* returns when it wants to run again; now_ns or less: at once */
};

void guest_ap_main(unsigned cpu);
void guest_main(const void *info, uint32_t kind);
/* Keeps the heartbeat going and sleeps until *flag or an interrupt, at most ns: for code that
 * waits. */
void guest_wait_slice(uint64_t ns);

extern const struct guest_module guest_beat_module, guest_step_module, guest_dirty_module,
	guest_clock_module, guest_writer_module, guest_net_module;

/* --- guest_clock.c ---------------------------------------------------------------------------- */
__attribute__((noreturn)) void guest_clock_cpu(unsigned cpu);

/* --- guest_virtio.c --------------------------------------------------------------------------- */
#define GUEST_QUEUE_SIZE 64

struct guest_queue {
	unsigned slot, index, size;
	struct guest_desc *desc;
	struct guest_avail *avail;
	struct guest_used *used;
	uint16_t avail_next, used_next;
};

struct guest_buf {
	const void *data;
	uint32_t len;
	bool device_writes;
};

/* First slot with that virtio device id, at or after *slot; false if there is none. */
bool guest_virtio_find(uint32_t device_id, unsigned *slot);
/* Resets it and negotiates: wanted features that it offers, and VERSION_1. Returns what was agreed.
 */
uint64_t guest_virtio_start(unsigned slot, uint64_t wanted);
void guest_virtio_queue(struct guest_queue *q, unsigned slot, unsigned index);
void guest_virtio_ready(unsigned slot);
uint32_t guest_virtio_config(unsigned slot, unsigned at);
/* Puts a chain at descriptor `first` (the caller knows that those are free). */
void guest_queue_add(struct guest_queue *q, unsigned first, const struct guest_buf *bufs,
		     unsigned n);
void guest_queue_kick(struct guest_queue *q);
bool guest_queue_take(struct guest_queue *q, uint32_t *first, uint32_t *len);

/* --- guest_blk.c ------------------------------------------------------------------------------ */
bool guest_blk_init(void); /* false: no disk */
uint64_t guest_blk_sectors(void);
/* Whole sectors of 512 bytes; wait for the device. 0 or the virtio-blk status. */
int guest_blk_read(uint64_t sector, void *data, uint32_t bytes);
int guest_blk_write(uint64_t sector, const void *data, uint32_t bytes);
int guest_blk_flush(void);

/* --- guest_store.c: records on the disk ------------------------------------------------------- */
#define GUEST_RECORD_BYTES   512u
#define GUEST_RECORD_PAYLOAD 464u

bool guest_store_open(void); /* scans the disk; false: no disk */
/* Queues a record for guest_store_commit(); false: the disk or the batch is full. */
bool guest_store_add(uint64_t seq, const void *payload, uint32_t len);
bool guest_store_commit(void); /* writes and flushes what was added: only then it is safe */
uint64_t guest_store_last(void);
size_t guest_store_verdict(char *out, size_t room); /* "RANGES BAD FIRST-LAST ..." */
uint64_t guest_store_boot_id(void);

/* --- guest_net.c, guest_tcp.c ----------------------------------------------------------------- */
extern uint32_t guest_net_ip;

uint16_t guest_net_sum(const void *data, size_t len, uint32_t start);
/* A frame to send: room for the payload after `headers` bytes, or NULL if all are in use. */
uint8_t *guest_net_frame(void);
void guest_net_send(uint8_t *frame, uint32_t len);
/* Fills Ethernet and IPv4 headers in front of a payload of len bytes at frame + 34. */
void guest_net_ipv4(uint8_t *frame, const uint8_t *mac, uint32_t ip, uint8_t protocol,
		    uint32_t len);
void guest_tcp_input(const uint8_t *frame, uint32_t len);
uint64_t guest_tcp_poll(uint64_t now_ns);

#define GUEST_TCP_WINDOW 16384u

struct guest_tcp;
/* What a service does with received bytes: returns how many it took. */
struct guest_service {
	uint16_t port;
	uint32_t (*input)(struct guest_tcp *c, const char *data, uint32_t len);
};

extern const struct guest_service guest_service_echo, guest_service_record;

uint32_t guest_tcp_room(const struct guest_tcp *c);
bool guest_tcp_put(struct guest_tcp *c, const void *data,
		   uint32_t len); /* false: no room, nothing taken */

static inline uint16_t guest_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t guest_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void guest_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void guest_put32(uint8_t *p, uint32_t v)
{
	guest_put16(p, v >> 16);
	guest_put16(p + 2, v);
}

#endif
