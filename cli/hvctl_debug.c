/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvctl_debug.c - dumps, counters and traces of a VM as text for engineers. Scripts use --json.
 *
 * Shows the documents of hvcore's verbs dump, counters and trace (hvcore/control/hv_ctl_debug.h). What a
 * document lacks is left out.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cli/hvctl.h"

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	return o && json_object_object_get_ex(o, key, &v) ? v : NULL;
}

static const char *str(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);
	const char *s = v ? json_object_get_string(v) : NULL;

	return s ? s : "";
}

static uint64_t u64(struct json_object *o, const char *key)
{
	struct json_object *v = get(o, key);

	return v ? json_object_get_uint64(v) : 0;
}

/* Registers are hexadecimal strings. */
static uint64_t hex(struct json_object *o, const char *key)
{
	return strtoull(str(o, key), NULL, 16);
}

static size_t length(struct json_object *array)
{
	return array && json_object_is_type(array, json_type_array)
		       ? json_object_array_length(array)
		       : 0;
}

#define EACH(i, element, array)                                                                    \
	for (size_t i = 0, n_##i = length(array);                                                  \
	     i < n_##i && ((element) = json_object_array_get_idx(array, i), true); i++)

/* Text of several lines, each moved to the right. */
static void indented(const char *text, int by)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("%*s%.*s\n", by, "", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

/* Is it 0x0, or 00 00 00 ...? */
static bool is_zero(const char *value)
{
	return value[strspn(value, "0x: ")] == '\0';
}

/* "name = value" lines side by side; what is 0 is left out. */
static void packed(const char *text, int by)
{
	bool any = false;
	int column = 0;

	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[512];
		char *value;

		snprintf(line, sizeof line, "%.*s", (int)n, text);
		text += n + (text[n] == '\n');
		value = strstr(line, " = ");
		if (value && is_zero(value + 3))
			continue;
		if (!value) { /* a sentence of the device's own */
			printf("%s%*s%s\n", column ? "\n" : "", by, "", line);
			column = 0;
			any = true;
			continue;
		}
		any = true;
		if (column && column + (int)strlen(line) > 100) {
			putchar('\n');
			column = 0;
		}
		column += printf("%*s%s", column ? 3 : by, "", line);
	}
	if (column)
		putchar('\n');
	else if (!any)
		printf("%*s(all 0)\n", by, "");
}

/* --- dump ------------------------------------------------------------------- */

static void show_general(struct json_object *g)
{
	static const char *const order[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

	printf("  rip %016" PRIx64 "  rflags %08" PRIx64 " [%s]\n", hex(g, "rip"), hex(g, "rflags"),
	       str(g, "rflags_bits"));
	for (size_t i = 0; i < CM_ARRAY_LEN(order); i++)
		printf("  %-3s %016" PRIx64 "%s", order[i], hex(g, order[i]),
		       i % 4 == 3 ? "\n" : "");
}

static void show_segments(struct json_object *c)
{
	struct json_object *t = get(c, "tables"), *s;

	EACH (i, s, get(c, "segments"))
		printf("  %-3s %04" PRIx64 "  base %016" PRIx64 "  limit %08" PRIx64
		       "  dpl %" PRIu64 "  %s\n",
		       str(s, "name"), hex(s, "selector"), hex(s, "base"), hex(s, "limit"),
		       u64(s, "dpl"), str(s, "words"));
	printf("  gdt       base %016" PRIx64 "  limit %08" PRIx64 "\n", hex(t, "gdt_base"),
	       hex(t, "gdt_limit"));
	printf("  idt       base %016" PRIx64 "  limit %08" PRIx64 "\n", hex(t, "idt_base"),
	       hex(t, "idt_limit"));
}

static void show_system(struct json_object *c)
{
	struct json_object *k = get(c, "control"), *d = get(c, "debug");

	printf("  cr0 %08" PRIx64 " [%s]\n", hex(k, "cr0"), str(k, "cr0_bits"));
	printf("  cr2 %016" PRIx64 "  cr3 %016" PRIx64 "  cr8 %" PRIx64 "\n", hex(k, "cr2"),
	       hex(k, "cr3"), hex(k, "cr8"));
	printf("  cr4 %08" PRIx64 " [%s]\n", hex(k, "cr4"), str(k, "cr4_bits"));
	printf("  efer %" PRIx64 " [%s]  xcr0 %" PRIx64 "\n", hex(k, "efer"), str(k, "efer_bits"),
	       hex(k, "xcr0"));
	printf("  dr0 %" PRIx64 "  dr1 %" PRIx64 "  dr2 %" PRIx64 "  dr3 %" PRIx64 "\n",
	       hex(d, "dr0"), hex(d, "dr1"), hex(d, "dr2"), hex(d, "dr3"));
	printf("  dr6 %08" PRIx64 " [%s]  dr7 %08" PRIx64 " [%s]\n", hex(d, "dr6"),
	       str(d, "dr6_bits"), hex(d, "dr7"), str(d, "dr7_bits"));
}

static void show_words(const char *what, struct json_object *list)
{
	struct json_object *e;

	printf("  %s:", what);
	EACH (i, e, list)
		printf("%s %s", i ? "," : "", json_object_get_string(e));
	puts(length(list) ? "" : " none");
}

static void show_lapic(struct json_object *l)
{
	struct json_object *t = get(l, "timer");

	printf("  lapic: id %" PRIx64 ", %s%s, tpr %" PRIx64 ", ppr %" PRIx64 ", svr %" PRIx64
	       ", esr %" PRIx64 "\n",
	       hex(l, "id") >> 24,
	       json_object_get_boolean(get(l, "enabled")) ? "enabled" : "disabled",
	       json_object_get_boolean(get(l, "x2apic")) ? " x2apic" : "", hex(l, "tpr"),
	       hex(l, "ppr"), hex(l, "svr"), hex(l, "esr"));
	printf("  lapic timer: %s, vector %" PRIx64 "%s, initial %" PRIu64 ", current %" PRIu64
	       ", deadline %" PRIx64 "\n",
	       str(t, "mode"), hex(t, "vector"),
	       json_object_get_boolean(get(t, "masked")) ? " (masked)" : "", u64(t, "initial"),
	       u64(t, "current"), hex(t, "deadline"));
	show_words("interrupts in service", get(l, "in_service"));
	show_words("interrupts requested", get(l, "requested"));
}

static void show_fpu(struct json_object *f)
{
	struct json_object *e;

	if (!f)
		return;
	printf("  fcw %04" PRIx64 "  fsw %04" PRIx64 "  ftw %02" PRIx64 "  mxcsr %08" PRIx64 "\n",
	       hex(f, "fcw"), hex(f, "fsw"), hex(f, "ftw"), hex(f, "mxcsr"));
	EACH (i, e, get(f, "st"))
		if (!is_zero(json_object_get_string(e)))
			printf("  st%zu   %s\n", i, json_object_get_string(e));
	EACH (k, e, get(f, "xmm"))
		if (!is_zero(json_object_get_string(e)))
			printf("  xmm%-2zu %s\n", k, json_object_get_string(e));
}

static void show_vcpu(struct json_object *c)
{
	struct json_object *m;

	if (*str(c, "error")) {
		printf("\nvCPU %" PRIu64 ": %s\n", u64(c, "index"), str(c, "error"));
		return;
	}
	printf("\nvCPU %" PRIu64 ": %s, %s, CPL %" PRIu64 ", tsc %" PRIx64 " at %" PRIu64 " kHz\n",
	       u64(c, "index"), str(c, "run_state"), str(c, "mode"), u64(c, "cpl"), hex(c, "tsc"),
	       u64(c, "tsc_khz"));
	show_general(get(c, "general"));
	show_words("pending", get(c, "pending"));
	show_segments(c);
	show_system(c);
	show_lapic(get(c, "lapic"));
	show_fpu(get(c, "fpu"));
	EACH (i, m, get(c, "msrs"))
		if (hex(m, "value"))
			printf("  msr %08" PRIx64 " %016" PRIx64 "  %s\n", hex(m, "index"),
			       hex(m, "value"), str(m, "name"));
	indented(str(c, "engine"), 2);
}

void hvctl_show_dump(struct json_object *doc)
{
	struct json_object *e;
	uint64_t held = u64(doc, "held_us");

	printf("VM %s, %s engine, %s%s%s", str(doc, "vm"), str(doc, "engine"), str(doc, "state"),
	       *str(doc, "why") ? ": " : "", str(doc, "why"));
	if (held)
		printf(" (its vCPUs were held for %" PRIu64 ".%03" PRIu64 " ms)", held / 1000,
		       held % 1000);
	putchar('\n');
	EACH (i, e, get(doc, "vcpus"))
		show_vcpu(e);
	printf("\nmemory\n");
	EACH (k, e, get(doc, "slots"))
		printf("  slot %zu: %016" PRIx64 " to %016" PRIx64 "\n", k, hex(e, "gpa"),
		       hex(e, "end"));
	EACH (m, e, get(doc, "devices")) {
		if (strncmp(str(e, "name"), "empty", 5) == 0) /* a slot without a device */
			continue;
		printf("\n%s\n", str(e, "name"));
		packed(str(e, "text"), 2);
	}
	printf("\nbus\n");
	indented(str(doc, "bus"), 2);
	printf("\nflight recorder\n");
	indented(str(doc, "recorder"), 2);
}

/* --- counters --------------------------------------------------------------- */

static void show_rate(struct json_object *rates, const char *key, const char *what,
		      const char *unit)
{
	struct json_object *v = get(rates, key);

	if (v)
		printf("    %-28s %12.2f %s\n", what, json_object_get_double(v), unit);
}

static void show_period(struct json_object *p, const char *title)
{
	struct json_object *r = get(p, "rates"), *counts = get(p, "counts");

	if (!p)
		return;
	printf("  %s (%" PRIu64 ".%03" PRIu64 " s)\n", title, u64(p, "wall_ms") / 1000,
	       u64(p, "wall_ms") % 1000);
	show_rate(r, "mips_cpu", "instructions, of CPU time", "MIPS");
	show_rate(r, "mips_wall", "instructions, of wall time", "MIPS");
	show_rate(r, "cpu_percent", "host CPU", "% of a CPU");
	show_rate(r, "halted_percent", "halted", "% of a vCPU's time");
	show_rate(r, "exits_per_s", "exits", "/s");
	show_rate(r, "tlb_read_hit_percent", "TLB hits, reads (sampled)", "%");
	show_rate(r, "tlb_write_hit_percent", "TLB hits, writes (sampled)", "%");
	show_rate(r, "tlb_exec_hit_percent", "TLB hits, fetches (sampled)", "%");
	show_rate(r, "block_hit_percent", "block cache hits (sampled)", "%");
	show_rate(r, "tlb_misses_per_1000_insns", "TLB misses", "per 1000 instructions");
	show_rate(r, "blocks_decoded_per_million_insns", "blocks decoded",
		  "per million instructions");
	if (!counts)
		return;
	json_object_object_foreach(counts, group, rows)
	{
		printf("    %s:", group);
		json_object_object_foreach(rows, name, v)
			printf(" %s %" PRIu64, name, json_object_get_uint64(v));
		putchar('\n');
	}
}

static void show_counted(struct json_object *c)
{
	show_period(get(c, "boot"), "since the VM first ran");
	show_period(get(c, "recent"), "recent");
}

void hvctl_show_counters(struct json_object *doc)
{
	struct json_object *e, *vcpus = get(doc, "vcpus");

	printf("VM %s, %s engine, %s\n", str(doc, "vm"), str(doc, "engine"), str(doc, "state"));
	EACH (i, e, vcpus) {
		printf("\nvCPU %" PRIu64 "\n", u64(e, "index"));
		show_counted(e);
	}
	if (length(vcpus) > 1) {
		printf("\nall vCPUs\n");
		show_counted(get(doc, "sum"));
	}
	EACH (k, e, get(doc, "unknown"))
		printf("%sunknown instruction on vCPU %" PRIu64 " at %016" PRIx64 ": %s\n",
		       k ? "" : "\n", u64(e, "vcpu"), hex(e, "rip"), str(e, "bytes"));
}

/* --- trace ------------------------------------------------------------------ */

static const char *exception_name(uint64_t vector)
{
	static const char *const name[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
					   "#NM", "#DF", "9",	"#TS", "#NP", "#SS", "#GP",
					   "#PF", "15",	 "#MF", "#AC", "#MC", "#XM"};

	return vector < CM_ARRAY_LEN(name) ? name[vector] : "exception";
}

static void show_step(struct json_object *e)
{
	const char *kind = str(e, "kind");
	uint64_t vector = u64(e, "vector");

	printf("  %14" PRIu64 "  cpl %" PRIu64 "  %016" PRIx64 "  ", u64(e, "at"), u64(e, "cpl"),
	       hex(e, "rip"));
	if (strcmp(kind, "block") == 0) {
		printf("block at %010" PRIx64 ", %" PRIu64 " insns", hex(e, "gpa"),
		       u64(e, "insns"));
		if (u64(e, "times") > 1)
			printf(" in %" PRIu64 " turns", u64(e, "times"));
	} else if (strcmp(kind, "exception") == 0) {
		printf("-> %s error %" PRIx64, exception_name(vector), hex(e, "error"));
		if (vector == 14)
			printf(" cr2 %016" PRIx64, hex(e, "cr2"));
	} else {
		printf("-> %s 0x%02" PRIx64, kind, vector);
	}
	putchar('\n');
}

void hvctl_show_trace(struct json_object *doc)
{
	struct json_object *c, *e, *vcpus = get(doc, "vcpus");
	bool on = json_object_get_boolean(get(doc, "recording"));

	printf("VM %s, %s engine, %s; recording is %s\n", str(doc, "vm"), str(doc, "engine"),
	       str(doc, "state"), on ? "on: the guest is slow until --off" : "off");
	EACH (i, c, vcpus) {
		struct json_object *events = get(c, "events");

		printf("\nvCPU %" PRIu64 ": the last %zu of %" PRIu64
		       " steps (instructions before, where, what)\n",
		       u64(c, "index"), length(events), u64(c, "total"));
		EACH (k, e, events)
			show_step(e);
	}
}
