/* One configuration file in a temporary folder of its own, for tests. */
#ifndef TESTS_UNIT_SUPPORT_CONFIG_FILE_H
#define TESTS_UNIT_SUPPORT_CONFIG_FILE_H

struct config_file {
    char folder[64];
    char path[96];
};

/* Writes `text` to a new folder's NAME. Fails the test when it cannot. */
void config_file_make(struct config_file *file, const char *name, const char *text);
void config_file_remove(struct config_file *file);

#endif
