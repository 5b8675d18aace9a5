#include "tests/unit/support/db_folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int db_folder_setup(void **state)
{
    struct db_folder *place = calloc(1, sizeof *place);

    if (place == NULL)
        return -1;
    *state = place;
    snprintf(place->folder, sizeof place->folder, "/tmp/chengmai-db-XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->path, sizeof place->path, "%s/test.db", place->folder);
    return 0;
}

int db_folder_teardown(void **state)
{
    struct db_folder *place = *state;
    DIR *dir = opendir(place->folder);
    char path[512];

    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", place->folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(place->folder);
    free(place);
    return 0;
}

bool killed_after(void (*work)(void *self), void *self)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        work(self);
        _exit(77);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 77;
}

uint32_t seeded(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}
