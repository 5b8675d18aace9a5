/*
 * Runs a fuzz target over stored inputs, without a fuzzer: replay FILE-OR-FOLDER…
 * Always tries the empty input too. A crash or a sanitizer's report is the failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        perror(path);
        return 1;
    }
    static uint8_t bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    return 0;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return replay_file(path);
    int failures = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[1024];
        int len = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(name))
            failures += replay_file(name);
    }
    closedir(folder);
    return failures;
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    int failures = 0;
    for (int i = 1; i < argc; i++)
        failures += replay_folder(argv[i]);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
