/* SPDX-License-Identifier: MIT */
/*
 * Assertions, always on. An impossible thing panics; a possible thing returns an error; never one for the
 * other. Every long-lived heap object starts with a magic number that each face checks.
 */
#ifndef DIPLEX_BASE_CHECK_H
#define DIPLEX_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#define DX_CHECKED           __attribute__((warn_unused_result))
#define DX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define DX_LIKELY(c)         __builtin_expect(!!(c), 1)
#define DX_UNLIKELY(c)       __builtin_expect(!!(c), 0)

/* Prints the reason and what the panic hook adds to standard error, then aborts. Never returns. */
_Noreturn void dx_panic(const char *file, int line, const char *what);

/* The hook prints what the program was doing (for instance the exchange at hand). Called at most once. NULL:
 * none. */
void dx_panic_set_hook(void (*hook)(void));

#define DX_ASSERT(c)   (DX_LIKELY(c) ? (void)0 : dx_panic(__FILE__, __LINE__, #c))
#define DX_NEVER(what) dx_panic(__FILE__, __LINE__, what)

/* An object's magic: `uint32_t magic;` as its first member, DX_MAGIC_SET at birth, DX_MAGIC_OK at each
 * face. */
#define DX_MAGIC_SET(obj, value) ((void)((obj)->magic = (value)))
#define DX_MAGIC_OK(obj, value)  DX_ASSERT((obj) != NULL && (obj)->magic == (value))
#define DX_MAGIC_CLEAR(obj)      ((void)((obj)->magic = 0xDEADDEADu))

#define DX_COUNT(array)                 (sizeof(array) / sizeof((array)[0]))
#define DX_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
