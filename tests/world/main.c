/*
 * Runs seeds of the simulated world (world.h), some processes side by side.
 *
 *   world [--from N] [--seeds N] [--jobs N] [--reached]   prints a failing seed, and counts
 *   … --until WORDS                                       no further than to a failure told so
 *   world --seed N [--shrink]                             one, with its plan and what it reached
 *
 * The last line is cmocka's: "[  PASSED  ]", or "[  FAILED  ] n test(s)". Exit 1 on a failure.
 */
#include "base/crypto.h"
#include "base/log.h"
#include "tests/world/shrink.h"
#include "tests/world/sim_vfs.h"
#include "tests/world/world.h"

#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX     64
#define FAILURES_MAX 16
#define ENOUGH_SEEDS 500 /* by then every fault must have struck */

/* What the processes share. */
struct tally {
    _Atomic uint64_t next, done, failed;
    _Atomic bool told;                  /* the failure that was waited for */
    _Atomic uint64_t running[JOBS_MAX]; /* the seed of each, 0: none */
    _Atomic uint64_t reached[SITE_COUNT];
};

struct settings {
    uint64_t from, seeds, seed;
    unsigned jobs;
    bool one, shrink, reached;
    const char *until; /* words of the failure that is waited for, or NULL */
};

static double seconds_since(const struct timespec *begin)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
}

static bool run_seed(uint64_t seed, struct tally *tally, const struct settings *settings)
{
    struct plan plan;
    struct world *world = malloc(sizeof(*world));
    if (!world)
        abort();
    plan_make(&plan, seed);
    bool well = world_run(world, &plan);
    for (int site = 0; site < SITE_COUNT; site++)
        atomic_fetch_add(&tally->reached[site], world->reached[site]);
    if (!well)
        printf("FAILED seed %" PRIu64 " at %.1f s: %s\n", seed, (double)world->failed_us / US_PER_S,
               world->failure);
    if (!well && settings->until && strstr(world->failure, settings->until))
        atomic_store(&tally->told, true);
    world_release(world);
    free(world);
    fflush(stdout);
    return well;
}

static bool is_enough(const struct tally *tally, const struct settings *settings)
{
    return settings->until ? atomic_load(&tally->told)
                           : atomic_load(&tally->failed) >= FAILURES_MAX;
}

static void work(struct tally *tally, const struct settings *settings, unsigned job)
{
    for (;;) {
        uint64_t n = atomic_fetch_add(&tally->next, 1);
        if (n >= settings->seeds || is_enough(tally, settings))
            break;
        atomic_store(&tally->running[job], settings->from + n);
        if (!run_seed(settings->from + n, tally, settings))
            atomic_fetch_add(&tally->failed, 1);
        atomic_fetch_add(&tally->done, 1);
        atomic_store(&tally->running[job], 0);
    }
}

static void run_jobs(struct tally *tally, const struct settings *settings)
{
    pid_t pids[JOBS_MAX];
    fflush(stdout);
    for (unsigned job = 0; job < settings->jobs; job++) {
        pids[job] = fork();
        if (pids[job] == 0) {
            work(tally, settings, job);
            fflush(stdout);
            _exit(0);
        }
    }
    for (unsigned job = 0; job < settings->jobs; job++) {
        int status = 0;
        if (pids[job] > 0 && waitpid(pids[job], &status, 0) == pids[job] && status) {
            printf("FAILED seed %" PRIu64 ": the program ended with %s %d\n",
                   atomic_load(&tally->running[job]), WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            atomic_fetch_add(&tally->failed, 1);
        }
    }
}

/* Of the processes that have ended: what one core would have taken. */
static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Every fault, and every answer to one, must have happened: else it tests nothing. */
static unsigned tell_reached(const struct tally *tally)
{
    unsigned never = 0;
    for (int site = 0; site < SITE_COUNT; site++) {
        uint64_t count = atomic_load(&tally->reached[site]);
        printf("  %-32s %" PRIu64 "\n", site_name(site), count);
        if (!count) {
            printf("FAILED: \"%s\" never happened\n", site_name(site));
            never++;
        }
    }
    return never;
}

static int run_many(const struct settings *settings)
{
    struct timespec begin;
    struct tally *tally =
        mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    run_jobs(tally, settings);
    double took = seconds_since(&begin);
    uint64_t done = atomic_load(&tally->done), failed = atomic_load(&tally->failed);
    double hours = (double)done * (double)WORLD_US / US_PER_S / 3600;
    printf("%" PRIu64 " seeds of one simulated hour in %.1f s, %u at once: %.0f simulated hours a "
           "minute of one core\n",
           done, took, settings->jobs, hours / cpu_seconds() * 60);
    bool reached = settings->reached && settings->seeds >= ENOUGH_SEEDS;
    unsigned never = reached ? tell_reached(tally) : 0;
    if (!failed)
        printf("[       OK ] seeds\n");
    if (reached && !never)
        printf("[       OK ] reached: every fault\n");
    if (failed || never)
        printf("[  FAILED  ] %" PRIu64 " test(s), listed below:\n", failed + (never > 0));
    else
        printf("[  PASSED  ]\n");
    return failed || never;
}

static bool explain(const struct plan *plan)
{
    struct world *world = malloc(sizeof(*world));
    if (!world)
        abort();
    bool well = world_run(world, plan);
    printf("seed %" PRIu64 ", %zu faults:\n", plan->seed, plan->count);
    plan_print(plan, stdout);
    for (int site = 0; site < SITE_COUNT; site++)
        if (world->reached[site])
            printf("  %-32s %" PRIu64 "\n", site_name(site), world->reached[site]);
    if (well)
        printf("all is well (%" PRIu64 " steps)\n", world->steps);
    else
        printf("FAILED at %.1f s: %s\n", (double)world->failed_us / US_PER_S, world->failure);
    world_release(world);
    free(world);
    return well;
}

static int run_one(const struct settings *settings)
{
    struct plan plan;
    plan_make(&plan, settings->seed);
    if (settings->shrink)
        printf("%zu runs to shrink it\n", shrink_plan(&plan));
    return explain(&plan) ? 0 : 1;
}

int main(int argc, char **argv)
{
    /* Worlds are made and unmade by the thousand: their pages are kept. */
    (void)!mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)!mallopt(M_TRIM_THRESHOLD, INT_MAX);

    struct settings settings = {.from = 1, .seeds = 100, .jobs = 1};
    log_set_level(LOG_LEVEL_ERROR);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (strcmp(word, "--shrink") == 0)
            settings.shrink = true;
        else if (strcmp(word, "--reached") == 0)
            settings.reached = true;
        else if (strcmp(word, "--until") == 0 && i + 1 < argc)
            settings.until = argv[++i];
        else if (strcmp(word, "--verbose") == 0)
            log_set_level(LOG_LEVEL_DEBUG);
        else if (strcmp(word, "--from") == 0)
            settings.from = value, i++;
        else if (strcmp(word, "--seeds") == 0)
            settings.seeds = value, i++;
        else if (strcmp(word, "--jobs") == 0)
            settings.jobs = value > JOBS_MAX ? JOBS_MAX : (unsigned)value, i++;
        else if (strcmp(word, "--seed") == 0)
            settings.seed = value, settings.one = true, i++;
    }
    if (crypto_init())
        return 2;
    sim_vfs_register();
    return settings.one ? run_one(&settings) : run_many(&settings);
}
