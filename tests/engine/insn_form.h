/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of instruction forms that the interpreter claims and the differential test covers. */
#ifndef INSN_FORM_H
#define INSN_FORM_H

#include <stdint.h>

/* insn_form.flags: the shape of the encoding */
#define F_RM	  0x00000001u /* ModRM; register or memory */
#define F_MEM	  0x00000003u /* ModRM, memory only */
#define F_REG	  0x00000005u /* ModRM, register only */
#define F_IB	  0x00000008u /* 8-bit immediate */
#define F_IZ	  0x00000010u /* 16 or 32 bits by operand size */
#define F_IV	  0x00000020u /* 16, 32 or 64 bits */
#define F_IW	  0x00000040u /* 16 bits */
#define F_MOFFS	  0x00000080u /* 64-bit address in the instruction */
#define F_PLUSR	  0x00000100u /* register in the opcode */
#define F_BYTE	  0x00000200u /* 8-bit operand */
#define F_SIZED	  0x00000400u /* 66 and REX.W choose the operand size */
#define F_W	  0x00000800u /* REX.W means something, 66 does not */
#define F_LOCKABLE	  0x00001000u /* LOCK is allowed with a memory destination */
#define F_SIZE64  0x00002000u /* 64 bits by default, 66 makes it 16 */
#define F_REP	  0x00004000u /* REP/REPNE prefixes allowed */
#define F_STI	  0x00008000u /* x87 register form: ModRM is 0xc0 + something */
/* ... and the values that it needs */
#define F_STACK	  0x00010000u /* RSP points to memory */
#define F_STRING  0x00020000u /* RSI, RDI point to memory, RCX is small */
#define F_DIV	  0x00040000u /* RDX:RAX so that a division often works */
#define F_CMPXCHG 0x00080000u /* accumulator often equals the destination */
#define F_BITOFF  0x00100000u /* a register is a bit offset from the operand */
#define F_XLAT	  0x00200000u
#define F_BRANCH  0x00400000u /* relative branch; with F_IB or F_IZ */
#define F_JUMP	  0x00800000u /* target in register or memory */
#define F_RET	  0x01000000u /* target on the stack */
#define F_ALIGN	  0x02000000u /* memory operand mostly aligned to 16 bytes */
#define F_FLOAT	  0x04000000u /* vector registers and memory hold floats */
#define F_X87	  0x08000000u
#define F_FRAME	  0x10000000u /* RBP points to memory too */
#define F_RDI	  0x20000000u /* RDI points to memory */
#define F_XIMM	  0x40000000u /* x87 control words and images in memory */
#define F_ROUNDS  0x80000000u /* rounds several times: which flags come with #XM is up to the CPU */

enum insn_kind {
	K_PLAIN,
	K_SHIFT,	/* shl shr sar */
	K_ROTATE,	/* rol ror rcl rcr */
	K_DOUBLE,	/* shld shrd */
	K_RANDOM,	/* rdrand rdseed: the register's value is not compared */
};

struct insn_form {
	const char *name;
	uint32_t flags;
	uint16_t undefined;	/* arithmetic flags that the manuals leave undefined */
	uint8_t map;		/* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
	uint8_t prefix;		/* mandatory: 0, 66, F3, F2 */
	uint8_t opcode;
	int8_t ext;		/* reg field of ModRM, -1: free */
	uint8_t kind;		/* enum insn_kind */
};

extern const struct insn_form insn_forms[];
extern const unsigned int insn_form_count;

#endif
