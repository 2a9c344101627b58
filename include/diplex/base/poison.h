/* SPDX-License-Identifier: MIT */
/* For memory that is kept and given out again: under the address sanitizer nobody may touch it meanwhile, so
 * that recycling hides no use after return. Nothing otherwise. */
#ifndef DIPLEX_BASE_POISON_H
#define DIPLEX_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define DX_WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DX_WITH_ASAN 1
#endif
#endif

#ifdef DX_WITH_ASAN
#include <sanitizer/asan_interface.h>
#define DX_POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define DX_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define DX_POISON(p, n)   ((void)(p), (void)(n))
#define DX_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#endif
