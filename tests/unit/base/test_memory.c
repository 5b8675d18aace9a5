#include "base/memory.h"

#include "base/numbers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char constant[] = "what stands in the file";
static int written = 1;

static atomic_bool ended;

/* Code that runs, and memory that is used, while pages are given back. */
static void *work(void *self)
{
    unsigned long *rounds = self;
    while (!atomic_load(&ended)) {
        char text[NUMBER_TEXT_SIZE];
        char *block = malloc(100000);
        if (block) {
            memset(block, 7, 100000);
            print_double(0.1 + (double)*rounds + block[99999], text);
        }
        free(block);
        ++*rounds;
    }
    return NULL;
}

static void nothing_is_lost_and_everybody_goes_on(void **state)
{
    pthread_t threads[4];
    unsigned long rounds[4] = {0};
    (void)state;
    memory_keep_small();
    written = 2;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &rounds[i]), 0);
    for (int i = 0; i < 200; i++) {
        char text[NUMBER_TEXT_SIZE];
        memory_settle();
        print_double(21.64, text);
        assert_string_equal(text, "21.64");
        assert_string_equal(constant, "what stands in the file");
        assert_int_equal(written, 2);
    }
    atomic_store(&ended, true);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_everybody_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
