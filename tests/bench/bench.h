/*
 * Benchmarks: a subject and its reference in turn, the medians, and a line that says both.
 * One thread. QUICK in the environment makes rounds short.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BENCH_ROUNDS 5

static inline bool bench_quick(void)
{
    const char *quick = getenv("QUICK");
    return quick && quick[0];
}

/* Seconds of the monotonic clock. */
static inline double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds of processor time of this process. */
static inline double bench_cpu(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int bench_by_value(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return *left < *right ? -1 : *left > *right ? 1 : 0;
}

/* What a run took, in whatever unit it likes. */
typedef double bench_run(void *self);

struct bench_result {
    double subject, reference;
};

/* Both in turn, after one round of each that is not counted. */
static inline struct bench_result bench_compare(bench_run *subject, bench_run *reference,
                                                void *self)
{
    double of_subject[BENCH_ROUNDS], of_reference[BENCH_ROUNDS];
    subject(self);
    reference(self);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        of_reference[i] = reference(self);
        of_subject[i] = subject(self);
    }
    qsort(of_subject, BENCH_ROUNDS, sizeof(double), bench_by_value);
    qsort(of_reference, BENCH_ROUNDS, sizeof(double), bench_by_value);
    return (struct bench_result){of_subject[BENCH_ROUNDS / 2], of_reference[BENCH_ROUNDS / 2]};
}

enum bench_better { BENCH_LESS, BENCH_MORE };

/* "NAME value unit (ratio R to REFERENCE, bound B, met)": the bound is of the ratio. */
static inline void bench_say(const char *name, struct bench_result result, const char *unit,
                             const char *reference, enum bench_better better, double bound)
{
    double ratio = result.subject / result.reference;
    bool met = better == BENCH_LESS ? ratio <= bound : ratio >= bound;
    printf("%s %.4g %s (ratio %.3g to %s, bound %s %.3g, %s)\n", name, result.subject, unit, ratio,
           reference, better == BENCH_LESS ? "at most" : "at least", bound, met ? "met" : "missed");
    fflush(stdout);
}

/* As bench_say, with a bound of the value itself. */
static inline void bench_say_value(const char *name, struct bench_result result, const char *unit,
                                   const char *reference, enum bench_better better, double bound)
{
    bool met = better == BENCH_LESS ? result.subject <= bound : result.subject >= bound;
    printf("%s %.4g %s (ratio %.3g to %s, bound %s %.3g %s, %s)\n", name, result.subject, unit,
           result.subject / result.reference, reference,
           better == BENCH_LESS ? "at most" : "at least", bound, unit, met ? "met" : "missed");
    fflush(stdout);
}

#endif
