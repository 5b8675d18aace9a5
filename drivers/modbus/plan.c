/*
 * Points sorted by interval, alignment, function, address (longer first) lie in `order`; each read
 * is a slice of it. That slices are enough: of reads that serve all points at the least cost none
 * lies within another, so sorted by start they are sorted by end; each point may then go to the
 * last read that begins at or before it, and in the order of addresses those never go back. Taking
 * points out of a read never makes it longer, nor reach across a cut.
 *
 * So the best plan of the first i points is the best of the first j and one read of the rest, for
 * some j: dynamic programming, over as many j as one read can hold. There are never more reads than
 * points, so the arrays are made once.
 */
#include "drivers/modbus/plan.h"

#include <stdlib.h>

struct sorted {
    struct plan_point point;
    size_t index;   /* among the points given */
    uint32_t reach; /* how far it and those before it go */
};

struct read_plan {
    struct sorted *order;
    struct plan_read *reads;
    size_t *read_of; /* by point given */
    size_t points;
    size_t count;
};

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_place(const void *a, const void *b)
{
    const struct sorted *left = a;
    const struct sorted *right = b;
    int order = compare(left->point.interval_ms, right->point.interval_ms);

    if (order == 0)
        order = compare(left->point.aligned, right->point.aligned);
    if (order == 0)
        order = compare(left->point.function, right->point.function);
    if (order == 0)
        order = compare(left->point.address, right->point.address);
    if (order == 0)
        order = compare(right->point.length, left->point.length);
    if (order == 0)
        order = compare((int64_t)left->index, (int64_t)right->index);
    return order;
}

static uint32_t point_end(const struct plan_point *point)
{
    return (uint32_t)point->address + point->length;
}

static uint32_t bound(uint16_t wanted, uint32_t most)
{
    return wanted == 0 || wanted > most ? most : wanted;
}

static uint32_t read_bound(const struct plan_limits *limits, uint8_t function)
{
    return function <= 2 ? bound(limits->max_bits, PLAN_MAX_BITS)
                         : bound(limits->max_registers, PLAN_MAX_REGISTERS);
}

/* Does a cut stand between the first register and the last? */
static bool is_cut(const struct plan_limits *limits, uint8_t function, uint32_t start, uint32_t end)
{
    for (size_t i = 0; i < limits->cut_count; i++) {
        const struct plan_cut *cut = &limits->cuts[i];
        if ((cut->function == 0 || cut->function == function) && start < cut->below &&
            end > cut->from)
            return true;
    }
    return false;
}

static bool alike(const struct plan_point *a, const struct plan_point *b)
{
    return a->interval_ms == b->interval_ms && a->aligned == b->aligned &&
           a->function == b->function;
}

/* Makes the read span what its points need. */
static void fit(struct read_plan *plan, struct plan_read *read)
{
    uint32_t end = 0;

    read->start = plan->order[read->first].point.address;
    for (size_t k = 0; k < read->points; k++) {
        uint32_t own = point_end(&plan->order[read->first + k].point);
        end = own > end ? own : end;
    }
    read->count = (uint16_t)(end - read->start);
}

static void note_reach(struct read_plan *plan)
{
    uint32_t reach = 0;

    for (size_t i = 0; i < plan->points; i++) {
        const struct plan_point *point = &plan->order[i].point;
        if (i > 0 && !alike(point, &plan->order[i - 1].point))
            reach = 0;
        reach = point_end(point) > reach ? point_end(point) : reach;
        plan->order[i].reach = reach;
    }
}

/* The best way to serve the points so far: what it costs, and where its last read begins. */
struct best {
    int64_t ns;
    size_t from;
    bool begins; /* a read of the best plan of all begins with this point */
};

/* Of all reads that end with point `i`, the one that makes the whole cheapest; of equal ones the
 * longest, so that there are few. */
static struct best best_through(const struct read_plan *plan, size_t i, const struct best *before,
                                const struct plan_limits *limits)
{
    const struct plan_point *last = &plan->order[i].point;
    int64_t latency_us =
        limits->latency_us > 0 ? limits->latency_us : wire_latency_us(&limits->wire);
    struct best best = {.ns = INT64_MAX};
    uint32_t end = 0;
    uint32_t next = last->address;

    for (size_t j = i + 1; j-- > 0;) {
        const struct plan_point *first = &plan->order[j].point;
        end = point_end(first) > end ? point_end(first) : end;
        if (!alike(first, last) || end - first->address > read_bound(limits, last->function) ||
            next > plan->order[j].reach + bound(limits->max_hole, UINT16_MAX) ||
            is_cut(limits, last->function, first->address, end))
            break;
        int64_t ns = wire_read_ns(&limits->wire, latency_us, last->function, end - first->address);
        ns += j > 0 ? before[j - 1].ns : 0;
        if (ns <= best.ns)
            best = (struct best){.ns = ns, .from = j};
        next = first->address;
    }
    return best;
}

static void add_read(struct read_plan *plan, size_t first, size_t points)
{
    const struct plan_point *point = &plan->order[first].point;
    struct plan_read *read = &plan->reads[plan->count];

    *read = (struct plan_read){.function = point->function,
                               .interval_ms = point->interval_ms,
                               .aligned = point->aligned,
                               .points = points,
                               .first = first};
    fit(plan, read);
    for (size_t k = 0; k < points; k++)
        plan->read_of[plan->order[first + k].index] = plan->count;
    plan->count++;
}

static int make_reads(struct read_plan *plan, const struct plan_limits *limits)
{
    struct best *best = calloc(plan->points + 1, sizeof best[0]);
    size_t next;

    if (best == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < plan->points; i++)
        best[i] = best_through(plan, i, best, limits);
    for (size_t end = plan->points; end > 0; end = best[end - 1].from)
        best[best[end - 1].from].begins = true;
    for (size_t i = 0; i < plan->points; i = next) {
        next = i + 1;
        while (next < plan->points && !best[next].begins)
            next++;
        add_read(plan, i, next - i);
    }
    free(best);
    return 0;
}

static int check_point(const struct plan_point *point, const struct plan_limits *limits,
                       struct message *message)
{
    if (point->function < 1 || point->function > 4)
        return message_set(message, ERR_RANGE, "function %d does not read", point->function);
    if (point->length < 1 || point_end(point) > UINT16_MAX + 1u)
        return message_set(message, ERR_RANGE,
                           "address %d: nothing to read, or beyond the last address",
                           point->address);
    if (point->length > read_bound(limits, point->function))
        return message_set(message, ERR_RANGE,
                           "address %d: a value of %d registers does not fit into reads of at "
                           "most %u",
                           point->address, point->length, read_bound(limits, point->function));
    for (size_t i = 0; i < limits->cut_count; i++) {
        const struct plan_cut *cut = &limits->cuts[i];
        if (cut->forbidden && (cut->function == 0 || cut->function == point->function) &&
            point->address < cut->from && point_end(point) > cut->below)
            return message_set(message, ERR_RANGE,
                               "address %d: lies in %u-%u, where nothing may be read",
                               point->address, cut->below, cut->from - 1);
    }
    return 0;
}

int read_plan_new(const struct plan_point *points, size_t count, const struct plan_limits *limits,
                  struct read_plan **ret_plan, struct message *message)
{
    struct read_plan *plan = calloc(1, sizeof *plan);
    int err = ERR_NO_MEMORY;

    if (plan == NULL)
        goto out;
    plan->points = count;
    plan->order = calloc(count + 1, sizeof plan->order[0]);
    plan->reads = calloc(count + 1, sizeof plan->reads[0]);
    plan->read_of = calloc(count + 1, sizeof plan->read_of[0]);
    if (plan->order == NULL || plan->reads == NULL || plan->read_of == NULL)
        goto out;
    for (size_t i = 0; i < count; i++) {
        err = check_point(&points[i], limits, message);
        if (err != 0)
            goto out;
        plan->order[i] = (struct sorted){.point = points[i], .index = i};
    }
    qsort(plan->order, count, sizeof plan->order[0], by_place);
    note_reach(plan);
    err = make_reads(plan, limits);
    if (err != 0)
        goto out;
    *ret_plan = plan;
    plan = NULL;
    err = 0;
out:
    read_plan_free(plan);
    return err == ERR_NO_MEMORY ? message_set(message, err, "out of memory") : err;
}

void read_plan_free(struct read_plan *plan)
{
    if (plan == NULL)
        return;
    free(plan->order);
    free(plan->reads);
    free(plan->read_of);
    free(plan);
}

size_t read_plan_count(const struct read_plan *plan)
{
    return plan->count;
}

const struct plan_read *read_plan_at(const struct read_plan *plan, size_t read)
{
    return &plan->reads[read];
}

size_t read_plan_point(const struct read_plan *plan, size_t read, size_t k)
{
    return plan->order[plan->reads[read].first + k].index;
}

uint16_t read_plan_offset(const struct read_plan *plan, size_t read, size_t k)
{
    const struct plan_read *at = &plan->reads[read];
    return (uint16_t)(plan->order[at->first + k].point.address - at->start);
}

size_t read_plan_read_of(const struct read_plan *plan, size_t point)
{
    return plan->read_of[point];
}

/* How many points stay in the earlier part: 0 when every point overlaps the next. */
static size_t split_place(const struct read_plan *plan, const struct plan_read *read)
{
    uint32_t end = point_end(&plan->order[read->first].point);
    uint32_t widest = 0;
    size_t place = 0;
    size_t off_middle = 0;

    for (size_t k = 1; k < read->points; k++) {
        const struct plan_point *point = &plan->order[read->first + k].point;
        if (point->address >= end) {
            uint32_t hole = point->address - end;
            size_t off = 2 * k > read->points ? 2 * k - read->points : read->points - 2 * k;
            if (place == 0 || hole > widest || (hole == widest && off < off_middle)) {
                place = k;
                widest = hole;
                off_middle = off;
            }
        }
        end = point_end(point) > end ? point_end(point) : end;
    }
    return place;
}

int read_plan_split(struct read_plan *plan, size_t read, size_t *ret_new)
{
    struct plan_read *early = &plan->reads[read];
    size_t place = split_place(plan, early);
    struct plan_read *late;

    if (place == 0)
        return ERR_NOT_FOUND;
    late = &plan->reads[plan->count];
    *late = *early;
    late->first += place;
    late->points -= place;
    early->points = place;
    fit(plan, early);
    fit(plan, late);
    for (size_t k = 0; k < late->points; k++)
        plan->read_of[plan->order[late->first + k].index] = plan->count;
    *ret_new = plan->count++;
    return 0;
}
