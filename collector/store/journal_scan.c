#include "store/journal_state.h"

#include <stdlib.h>
#include <string.h>

/* Reads a journal that nobody has open, for tools and tests. */

#define SCAN_SEGMENTS_MAX 100000

struct names {
    char (*list)[SEGMENT_NAME_SIZE];
    size_t count;
};

static int add_name(void *context, const char *name)
{
    struct names *names = context;
    size_t len = strlen(name);
    if (len < 5 || len >= SEGMENT_NAME_SIZE || strcmp(name + len - 4, ".seg") != 0 ||
        strncmp(name, "bad-", 4) == 0)
        return 0;
    if (names->count == SCAN_SEGMENTS_MAX)
        return ERR_FULL;
    char(*list)[SEGMENT_NAME_SIZE] = realloc(names->list, (names->count + 1) * sizeof(*list));
    if (!list)
        return ERR_NO_MEMORY;
    names->list = list;
    memcpy(list[names->count++], name, len + 1);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b); /* letter, then sequence: names are made so */
}

struct visiting {
    int (*visit)(void *self, const char *epoch, char letter, const struct journal_frame *frame);
    void *self;
    const struct segment_header *header;
};

static int visit_frame(void *self, const struct journal_frame *frame)
{
    struct visiting *visiting = self;
    return visiting->visit(visiting->self, visiting->header->epoch, visiting->header->letter,
                           frame);
}

int journal_scan(const char *folder,
                 int (*visit)(void *self, const char *epoch, char letter,
                              const struct journal_frame *frame),
                 void (*damage)(void *self, const char *file, uint64_t offset, uint64_t bytes),
                 void *self, struct message *message)
{
    const struct journal_io *io = journal_io_real();
    struct names names = {0};
    int err = io->list(io->self, folder, add_name, &names);
    if (err)
        message_set(message, err, "cannot list %s: %s", folder, err_name(err));
    if (names.count)
        qsort(names.list, names.count, sizeof(*names.list), by_name);
    for (size_t i = 0; !err && i < names.count; i++) {
        char path[FILE_PATH_SIZE];
        struct segment_header header;
        int fd;
        uint64_t size, end, damaged;
        err = path_join(folder, names.list[i], path);
        if (!err)
            err = segment_open(io, path, &header, NULL, &fd, &size);
        if (err == ERR_CORRUPT) {
            if (damage)
                damage(self, names.list[i], 0, 0);
            err = 0;
            continue;
        }
        if (err)
            break;
        struct visiting visiting = {visit, self, &header};
        err = segment_walk(io, fd, &header, SEGMENT_HEADER_SIZE + header.state_len, size,
                           visit_frame, &visiting, &end, &damaged);
        io->close(io->self, fd);
        if (!err && damaged && damage)
            damage(self, names.list[i], end, damaged);
    }
    free(names.list);
    return err;
}
