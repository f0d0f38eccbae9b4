/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest_lib.c - the little C library of the bare-metal test guest: memory, text, random numbers.
 *
 * No floating point, no allocation. Parses nothing but the operator's command line numbers.
 */
#include <stdarg.h>

#include "guest.h"

#define COM1 0x3f8

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
	return ret;
}

void *memset(void *to, int c, size_t n)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

size_t guest_strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

bool guest_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

uint64_t guest_number(const char **s)
{
	const char *p = *s;
	unsigned base = 10;
	uint64_t v = 0;

	if (p[0] == '0' && p[1] == 'x') {
		base = 16;
		p += 2;
	}
	for (; digit(*p) < (int)base; p++)
		v = v * base + (unsigned)digit(*p);
	if (*p == 'K' || *p == 'M' || *p == 'G') {
		v <<= *p == 'K' ? 10 : *p == 'M' ? 20 : 30;
		p++;
	}
	*s = p;
	return v;
}

struct text {
	char *out;
	size_t room, at;
};

static void put(struct text *t, char c)
{
	if (t->at + 1 < t->room)
		t->out[t->at++] = c;
}

static void put_number(struct text *t, uint64_t v, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width-- > n)
		put(t, pad);
	while (n)
		put(t, digits[--n]);
}

static const char *put_item(struct text *t, const char *f, va_list *ap)
{
	char pad = *f == '0' ? '0' : ' ';
	unsigned width = 0;
	bool big = false;
	uint64_t v;

	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (unsigned)(*f - '0');
	for (; *f == 'l'; f++)
		big = true;
	switch (*f) {
	case 's':
		for (const char *s = va_arg(*ap, const char *); *s; s++)
			put(t, *s);
		break;
	case 'c':
		put(t, (char)va_arg(*ap, int));
		break;
	case 'd':
		v = big ? va_arg(*ap, uint64_t) : (uint64_t)va_arg(*ap, int);
		if ((int64_t)v < 0) {
			put(t, '-');
			v = 0 - v;
		}
		put_number(t, v, 10, width, pad);
		break;
	case 'u':
	case 'x':
		v = big ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);
		put_number(t, v, *f == 'x' ? 16 : 10, width, pad);
		break;
	default:
		put(t, *f);
	}
	return *f ? f + 1 : f;
}

static size_t format_list(char *out, size_t room, const char *f, va_list *ap)
{
	struct text t = {out, room, 0};

	while (*f) {
		if (*f != '%')
			put(&t, *f++);
		else
			f = put_item(&t, f + 1, ap);
	}
	out[t.at] = 0;
	return t.at;
}

size_t guest_format(char *out, size_t room, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = format_list(out, room, fmt, &ap);
	va_end(ap);
	return n;
}

static void line_to(uint16_t port, const char *prefix, const char *fmt, va_list *ap)
{
	char line[256];

	format_list(line, sizeof line, fmt, ap);
	for (; *prefix; prefix++)
		guest_outb(port, (uint8_t)*prefix);
	for (const char *s = line; *s; s++)
		guest_outb(port, (uint8_t)*s);
	guest_outb(port, '\n');
}

void guest_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_to(COM1, "guest: ", fmt, &ap);
	va_end(ap);
}

void guest_debug_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line_to(GUEST_DEBUG_PORT, "", fmt, &ap);
	va_end(ap);
}

/* splitmix64 over the loader's seed and the time: unlike between boots, nothing more is promised.
 */
uint64_t guest_random(void)
{
	static uint64_t state;
	uint64_t z;

	if (!state)
		state = guest_boot.seed ^ guest_tsc();
	z = state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
