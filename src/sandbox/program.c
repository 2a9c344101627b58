/* SPDX-License-Identifier: MIT */
/* Instructions of classic BPF, one after another. All jumps go over a few instructions, so none is ever too
 * far. */
#include "sandbox/program.h"

#include <linux/audit.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define X32_BIT      0x40000000u
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#define ARCHITECTURE 0u /* none has this: filter.c offers no filter here */
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW  0u
#define HIGH 4u
#else
#define LOW  4u
#define HIGH 0u
#endif

static void add(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
    DX_ASSERT(p->n < PROGRAM_MAX);
    p->at[p->n++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *p, size_t offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void load_argument(struct program *p, unsigned argument, unsigned half)
{
    load(p, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t) + half);
}

static void say(struct program *p, uint32_t verdict) { add(p, BPF_RET | BPF_K, 0, 0, verdict); }

void program_begin(struct program *p)
{
    p->n = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCHITECTURE);
    say(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef X32_BIT
    add(p, BPF_JMP | BPF_JSET | BPF_K, 0, 1, X32_BIT);
    say(p, SECCOMP_RET_KILL_PROCESS);
#endif
}

void program_answer(struct program *p, int call, uint32_t verdict)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)call);
    say(p, verdict);
}

void program_end(struct program *p, uint32_t verdict) { say(p, verdict); }

unsigned short block_begin(struct program *p, int call)
{
    unsigned short here = p->n;
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, (uint32_t)call);
    return here;
}

static void test(struct program *p, unsigned argument, uint32_t mask, uint32_t value)
{
    load_argument(p, argument, LOW);
    if (mask != UINT32_MAX)
        add(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, value);
}

void block_if(struct program *p, unsigned argument, uint32_t mask, uint32_t value, uint32_t verdict)
{
    test(p, argument, mask, value);
    p->at[p->n - 1].jf = 1;
    say(p, verdict);
}

void block_unless(struct program *p, unsigned argument, uint32_t mask, uint32_t value, uint32_t verdict)
{
    test(p, argument, mask, value);
    p->at[p->n - 1].jt = 1;
    say(p, verdict);
}

void block_unless_null(struct program *p, unsigned argument, uint32_t verdict)
{
    block_unless(p, argument, UINT32_MAX, 0, verdict);
    load_argument(p, argument, HIGH);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
    say(p, verdict);
}

void block_end(struct program *p, unsigned short block, uint32_t verdict)
{
    say(p, verdict);
    unsigned over = p->n - block - 1u;
    DX_ASSERT(over <= UINT8_MAX);
    p->at[block].jf = (uint8_t)over;
}
