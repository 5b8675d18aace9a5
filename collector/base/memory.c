#include "base/memory.h"

#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_BLOCK (64 * 1024)

void memory_keep_small(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    (void)mallopt(M_TRIM_THRESHOLD, LARGE_BLOCK);
}

/* Segments that are never writable hold what is in the file, and nothing else. What the loader
 * relocates and then protects lies in a writable one. */
static int unmap_segments(struct dl_phdr_info *object, size_t size, void *self)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)size;
    (void)self;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W))
            continue;
        uintptr_t first = (object->dlpi_addr + segment->p_vaddr + page - 1) / page * page;
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) / page * page;
        if (first < end)
            (void)madvise((void *)first, end - first, MADV_DONTNEED);
    }
    return 0;
}

void memory_settle(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(unmap_segments, NULL);
}
