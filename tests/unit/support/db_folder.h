/* A folder of a test's own with a database file in it, gone with all it holds at the end. */
#ifndef TESTS_UNIT_SUPPORT_DB_FOLDER_H
#define TESTS_UNIT_SUPPORT_DB_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db_folder {
    char folder[64];
    char path[96]; /* FOLDER/test.db; not made yet */
};

/* cmocka's setup and teardown: *state becomes a struct db_folder. */
int db_folder_setup(void **state);
int db_folder_teardown(void **state);

/* Runs `work(self)` in a child that then dies at once, closing nothing. True if it got that far. */
bool killed_after(void (*work)(void *self), void *self);

/* A random sequence that is the same in every run; state from 1. */
uint32_t seeded(uint32_t *state);

#endif
