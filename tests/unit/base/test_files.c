#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test has a folder of its own; `path` names something in it. */
struct place {
    char folder[64];
    char path[FILE_PATH_SIZE];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    *state = place;
    snprintf(place->folder, sizeof place->folder, "/tmp/test_files-XXXXXX");
    return mkdtemp(place->folder) == NULL ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int remove_place(void **state)
{
    struct place *place = *state;
    int rc = nftw(place->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return rc;
}

static const char *at(struct place *place, const char *name)
{
    assert_int_equal(path_join(place->folder, name, place->path), 0);
    return place->path;
}

static size_t entries_in(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2; /* "." and ".." */
}

static void assert_content(const char *path, const char *text)
{
    struct buffer buffer;
    buffer_init(&buffer, 1 << 20);
    assert_int_equal(file_read(path, &buffer, NULL), 0);
    assert_string_equal(buffer_text(&buffer), text);
    buffer_release(&buffer);
}

static void what_was_written_is_read(void **state)
{
    struct place *place = *state;
    struct stat status;
    const char *path = at(place, "a");
    assert_int_equal(file_write(path, "one", 3, 0640, NULL), 0);
    assert_content(path, "one");
    assert_int_equal(file_write(path, "", 0, 0600, NULL), 0);
    assert_content(path, "");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(entries_in(place->folder), 1);
}

static void the_mode_is_the_one_asked_for_whatever_the_umask(void **state)
{
    struct place *place = *state;
    struct stat status;
    mode_t before = umask(0077);
    int err = file_write(at(place, "a"), "x", 1, 0644, NULL);
    umask(before);
    assert_int_equal(err, 0);
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
}

static void a_failed_write_leaves_the_old_and_no_litter(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    char name[300];
    /* A file cannot replace a folder, and this name is longer than any file's may be. */
    assert_int_equal(folder_make(at(place, "taken"), NULL), 0);
    assert_int_equal(file_write(place->path, "x", 1, 0600, &message), ERR_IO);
    assert_non_null(strstr(message.text, place->path));
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(file_write(at(place, name), "x", 1, 0600, NULL), ERR_IO);
    assert_int_equal(file_write(at(place, "missing/file"), "x", 1, 0600, NULL), ERR_IO);
    assert_int_equal(entries_in(place->folder), 1);
}

static void a_write_that_stops_half_way_leaves_the_old(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    struct rlimit before;
    assert_int_equal(file_write(at(place, "a"), "old", 3, 0600, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 4, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int err = file_write(place->path, "12345678", 8, 0600, &message);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(err, ERR_IO);
    assert_non_null(strstr(message.text, strerror(EFBIG)));
    assert_content(place->path, "old");
    assert_int_equal(entries_in(place->folder), 1);
}

static void reading_is_bounded_by_the_buffer(void **state)
{
    struct place *place = *state;
    struct buffer buffer;
    struct message message = {""};
    assert_int_equal(file_write(at(place, "a"), "12345", 5, 0600, NULL), 0);
    buffer_init(&buffer, 7);
    buffer_append_text(&buffer, "##");
    assert_int_equal(file_read(place->path, &buffer, NULL), 0);
    assert_string_equal(buffer_text(&buffer), "##12345"); /* just fits */

    buffer_release(&buffer);
    buffer_init(&buffer, 6);
    buffer_append_text(&buffer, "##");
    assert_int_equal(file_read(place->path, &buffer, &message), ERR_FULL);
    assert_string_equal(buffer_text(&buffer), "##");
    assert_non_null(strstr(message.text, "6 bytes"));
    buffer_release(&buffer);
}

static void a_large_file_is_read_whole(void **state)
{
    struct place *place = *state;
    struct buffer buffer;
    size_t len = 100003;
    char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i % 251);
    assert_int_equal(file_write(at(place, "a"), data, len, 0600, NULL), 0);
    buffer_init(&buffer, len);
    assert_int_equal(file_read(place->path, &buffer, NULL), 0);
    assert_int_equal(buffer.len, len);
    assert_memory_equal(buffer.data, data, len);
    buffer_release(&buffer);
    free(data);
}

static void only_regular_files_are_read(void **state)
{
    struct place *place = *state;
    struct buffer buffer;
    struct message message = {""};
    buffer_init(&buffer, 100);
    assert_int_equal(file_read(at(place, "none"), &buffer, &message), ERR_NOT_FOUND);
    assert_non_null(strstr(message.text, place->path));
    assert_int_equal(file_read(place->folder, &buffer, &message), ERR_INVALID);
    /* A FIFO without a writer must not make the reader wait. */
    assert_int_equal(mkfifo(at(place, "fifo"), 0600), 0);
    assert_int_equal(file_read(place->path, &buffer, NULL), ERR_INVALID);
    assert_int_equal(buffer.len, 0);
    buffer_release(&buffer);
}

static void bytes_at_an_offset(void **state)
{
    struct place *place = *state;
    char data[8] = "";
    size_t len = 99;
    int fd = open(at(place, "a"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_all(fd, "world", 5, 6), 0);
    assert_int_equal(file_pwrite_all(fd, "hello,", 6, 0), 0);
    assert_int_equal(file_pread_all(fd, data, 5, 6, &len), 0);
    assert_int_equal(len, 5);
    assert_memory_equal(data, "world", 5);
    assert_int_equal(file_pread_all(fd, data, 8, 8, &len), 0);
    assert_int_equal(len, 3); /* less only at the end */
    assert_int_equal(file_pread_all(fd, data, 8, 11, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(close(fd), 0);

    len = 99;
    assert_int_equal(file_pread_all(fd, data, 1, 0, &len), ERR_IO);
    assert_int_equal(len, 99);
    assert_int_equal(file_pwrite_all(fd, data, 1, 0), ERR_IO);
}

static void no_space_is_told_apart(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(file_pwrite_all(fd, "x", 1, 0), ERR_FULL);
    close(fd);
}

static void folders_are_made_with_their_parents(void **state)
{
    struct place *place = *state;
    struct stat status;
    mode_t before = umask(0);
    int err = folder_make(at(place, "a//b/c/"), NULL);
    umask(before);
    assert_int_equal(err, 0);
    assert_int_equal(folder_make(place->path, NULL), 0); /* again: fine */
    assert_int_equal(folder_make(at(place, "a/b/c"), NULL), 0);
    assert_int_equal(stat(at(place, "a/b"), &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0700);
}

static void a_file_in_the_way_of_a_folder_is_told(void **state)
{
    struct place *place = *state;
    struct message message = {""};
    assert_int_equal(file_write(at(place, "a"), "x", 1, 0600, NULL), 0);
    assert_int_equal(folder_make(place->path, &message), ERR_CONFLICT);
    assert_non_null(strstr(message.text, "not a folder"));
    assert_int_equal(folder_make(at(place, "a/b"), &message), ERR_CONFLICT);
    assert_int_equal(folder_make("", &message), ERR_INVALID);
}

static void a_path_too_long_is_refused(void **state)
{
    char path[FILE_PATH_SIZE + 1];
    char folder[FILE_PATH_SIZE] = "untouched";
    (void)state;
    memset(path, 'x', FILE_PATH_SIZE);
    path[FILE_PATH_SIZE] = '\0';
    assert_int_equal(folder_make(path, NULL), ERR_FULL);
    path[FILE_PATH_SIZE - 1] = '\0';
    assert_int_equal(path_join("/a", path, folder), ERR_FULL);
    assert_string_equal(folder, "untouched");
    assert_int_equal(path_join("", path, folder), 0); /* just fits */
}

static void folder_sync_needs_a_folder(void **state)
{
    struct place *place = *state;
    assert_int_equal(folder_sync(place->folder), 0);
    assert_int_equal(file_write(at(place, "a"), "x", 1, 0600, NULL), 0);
    assert_int_equal(folder_sync(place->path), ERR_IO);
    assert_int_equal(folder_sync(at(place, "none")), ERR_IO);
}

static void free_space_of_a_file_system(void **state)
{
    struct place *place = *state;
    uint64_t bytes = 42;
    assert_int_equal(disk_free(at(place, "none"), &bytes), ERR_IO);
    assert_int_equal(bytes, 42);
    bytes = UINT64_MAX;
    assert_int_equal(disk_free(place->folder, &bytes), 0);
    assert_true(bytes < UINT64_MAX);
}

static void paths_join(void **state)
{
    static const char *const CASES[][3] = {
        {"a", "b", "a/b"}, {"/a", "b/c", "/a/b/c"}, {"a/", "b", "a/b"}, {"/", "b", "/b"},
        {"a", "/b", "/b"}, {"", "b", "b"},          {".", "b", "./b"},
    };
    char path[FILE_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(path_join(CASES[i][0], CASES[i][1], path), 0);
        assert_string_equal(path, CASES[i][2]);
    }
}

static void the_folder_of_a_path(void **state)
{
    static const char *const CASES[][2] = {
        {"a/b", "a"},  {"a/b/c", "a/b"}, {"/a", "/"}, {"/", "/"},     {"a", "."},
        {"a/b/", "a"}, {"a//b", "a"},    {"", "."},   {"/a/b", "/a"}, {"a/", "."},
    };
    char folder[FILE_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(path_folder(CASES[i][0], folder), 0);
        assert_string_equal(folder, CASES[i][1]);
    }
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(what_was_written_is_read),
        IN_PLACE(the_mode_is_the_one_asked_for_whatever_the_umask),
        IN_PLACE(a_failed_write_leaves_the_old_and_no_litter),
        IN_PLACE(a_write_that_stops_half_way_leaves_the_old),
        IN_PLACE(reading_is_bounded_by_the_buffer),
        IN_PLACE(a_large_file_is_read_whole),
        IN_PLACE(only_regular_files_are_read),
        IN_PLACE(bytes_at_an_offset),
        cmocka_unit_test(no_space_is_told_apart),
        IN_PLACE(folders_are_made_with_their_parents),
        IN_PLACE(a_file_in_the_way_of_a_folder_is_told),
        cmocka_unit_test(a_path_too_long_is_refused),
        IN_PLACE(folder_sync_needs_a_folder),
        IN_PLACE(free_space_of_a_file_system),
        cmocka_unit_test(paths_join),
        cmocka_unit_test(the_folder_of_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
