/* SPDX-License-Identifier: MIT */
/* Lets go of pages, segment by segment of all that the dynamic linker has loaded. */
#include "diplex/os/memory.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Such a library's code was written to when it was loaded, and would come back without that. */
static bool has_text_relocations(const struct dl_phdr_info *object)
{
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const ElfW(Dyn) *)(object->dlpi_addr + segment->p_vaddr);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
                return true;
    }
    return false;
}

static int let_go(struct dl_phdr_info *object, size_t n, void *arg)
{
    const uintptr_t page = *(const uintptr_t *)arg;
    (void)n;
    if (has_text_relocations(object))
        return 0;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* at worst they stay */
    }
    return 0;
}

void dx_memory_settle(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    (void)dl_iterate_phdr(let_go, &page);
}
