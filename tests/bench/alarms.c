/* What judging a sample costs. */
#include "bench.h"

#include "alarm/engine.h"

#include <math.h>

#define SAMPLES 200000

struct judging {
    size_t step; /* time goes on after so many samples */
    struct rules rules;
    struct engine *engine;
    int64_t now_ms;
    double *limits, *values;
};

static volatile unsigned long events;

static void count_event(void *self, const struct alarm_event *event)
{
    (void)self, (void)event;
    events++;
}

static void prepare(struct judging *judging, size_t count, size_t step)
{
    *judging = (struct judging){.step = step, .now_ms = 1767576600000};
    judging->rules.points = calloc(count, sizeof(struct rule_point));
    judging->rules.list = calloc(count, sizeof(struct rule));
    judging->limits = calloc(count, sizeof(double));
    judging->values = calloc(count, sizeof(double));
    judging->rules.point_count = judging->rules.count = count;
    for (size_t i = 0; i < count; i++) {
        struct rule_point *point = &judging->rules.points[i];
        snprintf(point->id, sizeof(point->id), "s.u.p%zu", i);
        point->stale_after_ms = 3600000;
        judging->rules.list[i] =
            (struct rule){.point = i,
                          .kind = RULE_HIGH,
                          .limits = {{.at = 100, .priority = PRIORITY_HIGH, .on_delay_ms = 2000}},
                          .limit_count = 1,
                          .deadband = 2,
                          .ack_required = true};
        judging->limits[i] = 100;
    }
    judging->engine = engine_new(&judging->rules, count_event, NULL);
    engine_start(judging->engine, judging->now_ms);
}

/* One sample for each rule in turn, one in a thousand beyond. */
static double run_engine(void *self)
{
    struct judging *judging = self;
    size_t count = judging->rules.count, done = 0;
    double begin = bench_now();
    size_t samples = judging->step < count ? SAMPLES / 10 : SAMPLES;
    while (done < samples) {
        for (size_t i = 0; i < count && done < samples; i++, done++) {
            if (done % judging->step == 0) {
                engine_advance(judging->engine, judging->now_ms);
                judging->now_ms += 1000;
            }
            struct sample sample = {.t_ms = judging->now_ms,
                                    .value = {VALUE_DOUBLE, done % 1000 == 999 ? 120 : 50, ""}};
            engine_sample(judging->engine, i, &sample, judging->now_ms);
        }
    }
    engine_advance(judging->engine, judging->now_ms);
    return (double)done / (bench_now() - begin);
}

static double run_compare(void *self)
{
    struct judging *judging = self;
    size_t count = judging->rules.count, done = 0;
    double begin = bench_now();
    while (done < SAMPLES) {
        for (size_t i = 0; i < count; i++, done++) {
            judging->values[i] = done % 1000 == 999 ? 120 : 50;
            if (judging->values[i] >= judging->limits[i])
                events++;
        }
    }
    return (double)done / (bench_now() - begin);
}

static void bench_engine(const char *name, size_t count, size_t step)
{
    struct judging judging;
    prepare(&judging, count, step);
    bench_say_value(name, bench_compare(run_engine, run_compare, &judging), "samples/s",
                    "a bare comparison", BENCH_MORE, 5e6);
    engine_free(judging.engine);
    free(judging.rules.points);
    free(judging.rules.list);
    free(judging.limits);
    free(judging.values);
}

int main(void)
{
    bench_engine("alarms.engine_samples_per_s", 1000, 1000);
    bench_engine("alarms.engine_samples_per_s.100000", 100000, 100000);
    /* As the alarm reader does it: each record, here of 100 samples, brings a time of its own. */
    bench_engine("alarms.engine_samples_per_s.1000_by_record", 1000, 100);
    bench_engine("alarms.engine_samples_per_s.100000_by_record", 100000, 100);
    return EXIT_SUCCESS;
}
