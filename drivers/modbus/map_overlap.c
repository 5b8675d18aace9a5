/*
 * Design notes.
 *
 * Rows are put in order of where they begin; each is then compared with those that begin before it
 * ends. A row is told once, with the nearest earlier one that it overlaps.
 */
#include "drivers/modbus/map_overlap.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>

struct place {
    const struct map_register *reg;
    const struct map_register *root; /* what it is a view of, or itself */
    bool told;
};

static int by_place(const void *a, const void *b)
{
    const struct map_register *left = ((const struct place *)a)->reg;
    const struct map_register *right = ((const struct place *)b)->reg;

    if (left->function != right->function)
        return left->function < right->function ? -1 : 1;
    if (left->address != right->address)
        return left->address < right->address ? -1 : 1;
    return left->line < right->line ? -1 : left->line > right->line;
}

static bool overlap(const struct map_register *a, const struct map_register *b)
{
    return a->function == b->function && a->address < b->address + b->words &&
           b->address < a->address + a->words;
}

static bool same_place(const struct map_register *a, const struct map_register *b)
{
    return a->address == b->address && a->words == b->words;
}

static bool are_views(const struct place *a, const struct place *b)
{
    return same_place(a->root, b->root) || same_place(a->reg, b->reg);
}

static void check_view(struct map_reader *reader, const struct map_register *registers,
                       const size_t *targets, size_t index)
{
    const struct map_register *reg = &registers[index];
    const struct map_register *target = &registers[targets[index]];

    if (*reg->view == '\0')
        return;
    if (target == reg)
        map_reader_complain_at(reader, reg->line, 1, "view '%s' of '%s' is no other row", reg->view,
                               reg->name);
    else if (*target->view != '\0')
        map_reader_complain_at(reader, reg->line, 1,
                               "view '%s' of '%s' is a view itself; name the row that it looks at",
                               reg->view, reg->name);
    else if (!overlap(reg, target))
        map_reader_complain_at(reader, reg->line, 1, "view '%s' of '%s' has none of its registers",
                               reg->view, reg->name);
}

static void tell_overlap(struct map_reader *reader, struct place *a, struct place *b)
{
    struct place *later = a->reg->line > b->reg->line ? a : b;
    const struct map_register *first = later == a ? b->reg : a->reg;

    if (!later->told)
        map_reader_complain_at(reader, later->reg->line, 1,
                               "'%s', registers %d to %d, overlaps '%s' of line %zu, %d to %d; is "
                               "it another look at them, say '%s' under view",
                               later->reg->name, later->reg->address,
                               later->reg->address + later->reg->words - 1, first->name,
                               first->line, first->address, first->address + first->words - 1,
                               first->name);
    later->told = true;
}

int map_overlap_check(struct map_reader *reader, const struct map_register *registers,
                      const size_t *targets, size_t count)
{
    struct place *places = calloc(count + 1, sizeof places[0]);

    if (places == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){.reg = &registers[i], .root = &registers[targets[i]]};
        check_view(reader, registers, targets, i);
    }
    qsort(places, count, sizeof places[0], by_place);
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count && overlap(places[i].reg, places[k].reg); k++)
            if (!are_views(&places[i], &places[k]))
                tell_overlap(reader, &places[i], &places[k]);
    free(places);
    return 0;
}
