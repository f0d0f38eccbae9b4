/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of the engine tests' payload: compiled into the payload, and natively into the test, which so knows what
 * must come out. Freestanding but for memset and memcpy.
 */
#include "rig_work.h"

#include <stddef.h>

#include "rig_abi.h"

void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

uint64_t rig_mix(uint64_t h, uint64_t v)
{
	h ^= v;
	h *= 0x100000001b3ull;
	return h ^ h >> 29;
}

static uint64_t integer(uint64_t amount)
{
	uint64_t a = 1, b = 2, c = 3;

	for (uint64_t i = 0; i < amount; i++) {
		a += b ^ i;
		b = b << 7 | b >> 57;
		c ^= a;
		if (c & 1)
			b += c;
	}
	return a ^ b ^ c;
}

static uint32_t ror32(uint32_t v, int n)
{
	return v >> n | v << (32 - n);
}

static void sha256_block(uint32_t *h, const uint8_t *p)
{
	static const uint32_t k[64] = {
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	};
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + (ror32(w[i - 15], 7) ^ ror32(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
		       (ror32(w[i - 2], 17) ^ ror32(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (int i = 0; i < 8; i++)
		s[i] = h[i];
	for (int i = 0; i < 64; i++) {
		uint32_t t1 = s[7] + (ror32(s[4], 6) ^ ror32(s[4], 11) ^ ror32(s[4], 25)) +
			      ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
		uint32_t t2 = (ror32(s[0], 2) ^ ror32(s[0], 13) ^ ror32(s[0], 22)) +
			      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		for (int j = 7; j > 0; j--)
			s[j] = s[j - 1];
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

/* The message is amount blocks of 64 counting bytes; no padding. */
static uint64_t sha256(uint64_t amount)
{
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	uint8_t block[64];

	for (uint64_t i = 0; i < amount; i++) {
		for (unsigned int j = 0; j < 64; j++)
			block[j] = (uint8_t)(i + j);
		sha256_block(h, block);
	}
	return (uint64_t)h[0] << 32 | h[7];
}

static uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t string(uint64_t amount, uint8_t *heap)
{
	uint64_t h = 0;

	for (uint64_t i = 0; i < amount; i++) {
		size_t at = i * 4093 % 0x100000, n = 1 + i * 977 % 9000;

		memset(heap + at, (int)i, n);
		memcpy(heap + (at ^ 0x80000), heap + at, n);
		h = rig_mix(h, word(heap + (at ^ 0x80000) + n / 2));
	}
	return h;
}

static double square_root(double v)
{
	__asm__("sqrtsd %0, %0" : "+x"(v));
	return v;
}

static uint64_t floating(uint64_t amount)
{
	float f[16];
	double d[8];
	uint64_t h = 0;

	for (int i = 0; i < 16; i++)
		f[i] = (float)i * 1.25f + 1;
	for (int i = 0; i < 8; i++)
		d[i] = 1.0 / (i + 1);
	for (uint64_t n = 0; n < amount; n++) {
		for (int i = 0; i < 16; i++)
			f[i] = f[i] * 0.999f + (float)(n & 15) * f[(i + 1) & 15] / (f[i] + 3);
		for (int i = 0; i < 8; i++)
			d[i] = square_root(d[i] * d[i] + (double)n) - (double)(int)d[(i + 3) & 7];
	}
	for (int i = 0; i < 8; i++)
		h = rig_mix(h, (uint64_t)(int64_t)(d[i] * 1e6) ^ (uint64_t)(int64_t)(f[i] * 1e3f));
	return h;
}

static uint64_t x87(uint64_t amount)
{
	long double x = 1.0L, y = 0.5L;
	int64_t r;

	for (uint64_t n = 0; n < amount; n++) {
		x = x * 1.0000001L + y / (x + 1);
		y = y + 1.0L / (long double)(n + 1) - x * 1e-9L;
	}
	__asm__ volatile("fistpll %0" : "=m"(r) : "t"(x * y * 1e6L) : "st");
	return (uint64_t)r;
}

static uint64_t sort(uint64_t amount, uint8_t *heap)
{
	uint32_t *a = (uint32_t *)(void *)heap;
	uint64_t h = 0, seed = 1;

	for (uint64_t i = 0; i < amount; i++)
		a[i] = (uint32_t)((seed = seed * 6364136223846793005ull + 1442695040888963407ull) >> 33);
	for (uint64_t gap = amount / 2; gap; gap /= 2)
		for (uint64_t i = gap; i < amount; i++) {
			uint32_t v = a[i];
			uint64_t j = i;

			for (; j >= gap && a[j - gap] > v; j -= gap)
				a[j] = a[j - gap];
			a[j] = v;
		}
	for (uint64_t i = 0; i < amount; i++)
		h = rig_mix(h, a[i]);
	return h;
}


uint64_t rig_service(uint64_t argument)
{
	return argument * 0x9e3779b97f4a7c15ull;
}

uint64_t rig_user_step(uint64_t h, uint64_t served)
{
	return rig_mix(h, served + integer(20));
}

/* Without the kernel around it: system calls are calls, and every touch of the window is a fault. */
static uint64_t user(uint64_t amount)
{
	uint64_t h = 0;

	for (uint64_t n = 0; n < amount; n++)
		h = rig_user_step(h, rig_service(n));
	return h;
}

static uint64_t faults(uint64_t amount, uint8_t *heap)
{
	volatile uint64_t *window = (volatile uint64_t *)(void *)heap;
	uint64_t h = 0;

	for (uint64_t n = 0; n < amount; n++) {
		window[n % 512] = n;
		h = rig_mix(h, window[(n * 7) % 512] + n + 1);
	}
	return h;
}

uint64_t rig_work(unsigned int work, uint64_t amount, void *heap)
{
	switch (work) {
	case RIG_INTEGER:
		return integer(amount);
	case RIG_SHA256:
		return sha256(amount);
	case RIG_STRING:
		return string(amount, heap);
	case RIG_FLOAT:
		return floating(amount);
	case RIG_X87:
		return x87(amount);
	case RIG_SORT:
		return sort(amount, heap);
	case RIG_USER:
		return user(amount);
	default:
		return faults(amount, heap);
	}
}
