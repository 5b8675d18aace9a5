/*
 * Thousands of random histories: appends, commits, reads, receipts, drops, stops, power cuts,
 * failing writes, spoiled bytes. What must hold is told and checked by the model
 * (tests/unit/support/journal_model.h). A failing history prints its seed:
 *   JOURNAL_SEED=n runs that one alone, JOURNAL_RUNS=n that many of each kind.
 */
#include "tests/unit/support/journal_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUNS 400

struct plan {
    bool cuts, failures, damage, space;
};

static const uint32_t WRITING = 1U << SIM_WRITE | 1U << SIM_SYNC | 1U << SIM_OPEN |
                                1U << SIM_RENAME | 1U << SIM_UNLINK | 1U << SIM_RESERVE |
                                1U << SIM_TRUNCATE | 1U << SIM_SYNC_FOLDER;

static void spoil_file(struct model *model, const char *path)
{
    uint64_t size = sim_disk_size(&model->disk, path);
    uint32_t kind = sim_below(&model->seed, 10);
    if (!size)
        return;
    uint64_t at = sim_below(&model->seed, (uint32_t)size);
    if (kind < 6) { /* a few bits */
        for (uint32_t n = 1 + sim_below(&model->seed, 3); n > 0; n--)
            sim_disk_damage(&model->disk, path, sim_below(&model->seed, (uint32_t)size),
                            (uint8_t)(1U << sim_below(&model->seed, 8)));
    } else if (kind < 8) { /* a block of zeros */
        for (uint64_t i = at; i < at + 512; i++)
            sim_disk_damage(&model->disk, path, i, sim_disk_byte(&model->disk, path, i));
    } else if (kind < 9) {
        sim_disk_cut_file(&model->disk, path, at);
    } else {
        sim_disk_remove(&model->disk, path);
    }
}

static void spoil(struct model *model)
{
    size_t segments = sim_disk_count(&model->disk, ".seg");
    model->damaged = true;
    for (uint32_t n = 1 + sim_below(&model->seed, 2); n > 0; n--) {
        const char *path = sim_below(&model->seed, 8) == 0
                               ? sim_disk_path(&model->disk, "/marks", 0)
                               : sim_disk_path(&model->disk, ".seg",
                                               sim_below(&model->seed, (uint32_t)segments + 1));
        if (path)
            spoil_file(model, path);
    }
}

static void end_run(struct model *model, const struct plan *plan)
{
    uint32_t how = model->disk.dead ? 1 : sim_below(&model->seed, 3);
    if (how == 0)
        model_close(model);
    else
        model_crash(model, plan->cuts && how == 1);
    if (plan->damage && sim_below(&model->seed, 2))
        spoil(model);
}

static void step(struct model *model, const struct plan *plan)
{
    int stream = (int)sim_below(&model->seed, MODEL_STREAMS);
    uint32_t what = sim_below(&model->seed, 100);
    if (what < 60)
        model_append(model, stream,
                     sim_below(&model->seed, sim_below(&model->seed, 6) ? 300 : 3000));
    else if (what < 82)
        model_commit(model);
    else if (what < 88)
        model_check_reading(model, stream);
    else if (what < 92 && plan->space)
        model_receive(model, stream);
    else if (what < 96 && plan->space)
        model_make_room(model);
}

static void run(uint64_t seed, const struct plan *plan)
{
    struct model model;
    model_init(&model, seed);
    if (plan->space)
        model.options.limit_bytes = 64 * 1024;
    model_open(&model);
    for (uint32_t runs = 2 + sim_below(&model.seed, 5); runs > 0; runs--) {
        if (plan->failures) {
            model.disk.fail_ops = WRITING;
            model.disk.fail_one_in = 10 + sim_below(&model.seed, 100);
        }
        /* Half of the cuts come within a call, at any of what it asks of the disk. */
        if (plan->cuts && sim_below(&model.seed, 2))
            model.disk.dead_at = model.disk.ops + 1 + sim_below(&model.seed, 200);
        for (uint32_t steps = sim_below(&model.seed, 120); steps > 0 && !model.disk.dead; steps--)
            step(&model, plan);
        end_run(&model, plan);
        if (plan->cuts && sim_below(&model.seed, 4) == 0)
            model.disk.dead_at = model.disk.ops + 1 + sim_below(&model.seed, 60);
        model_open(&model);
    }
    model.disk.fail_one_in = 0;
    model_close(&model);
    model_open(&model);
    model_release(&model);
}

static void run_many(const struct plan *plan)
{
    const char *only = getenv("JOURNAL_SEED"), *runs = getenv("JOURNAL_RUNS");
    uint64_t count = runs ? strtoull(runs, NULL, 10) : RUNS;
    for (uint64_t seed = 1; seed <= count; seed++) {
        uint64_t now = only ? strtoull(only, NULL, 10) : seed;
        fprintf(stderr, "\rseed %llu ", (unsigned long long)now);
        run(now, plan);
        if (only)
            break;
    }
    fprintf(stderr, "\r");
}

static void stops_and_power_cuts_lose_nothing_committed(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true});
}

static void failing_writes_lose_nothing_committed(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true, .failures = true});
}

static void a_small_disk_drops_only_what_it_told(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true, .space = true});
}

static void failures_on_a_small_disk_lose_nothing_untold(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true, .failures = true, .space = true});
}

static void damage_is_told_and_stops_nothing(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true, .damage = true});
}

static void all_at_once(void **state)
{
    (void)state;
    run_many(&(struct plan){.cuts = true, .failures = true, .damage = true, .space = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_and_power_cuts_lose_nothing_committed),
        cmocka_unit_test(failing_writes_lose_nothing_committed),
        cmocka_unit_test(a_small_disk_drops_only_what_it_told),
        cmocka_unit_test(failures_on_a_small_disk_lose_nothing_untold),
        cmocka_unit_test(damage_is_told_and_stops_nothing),
        cmocka_unit_test(all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
