#include "net/http_files.h"

#include "base/buffer.h"
#include "base/crypto.h"
#include "base/files.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ETAG_BYTES 8

/* One form of a file: as it is, or compressed. */
struct content {
    char *data;
    size_t len;
    char etag[2 * ETAG_BYTES + 3]; /* with its quotes */
};

struct file {
    char name[80];
    const char *type;
    struct content plain, gzip; /* `data` NULL: there is none */
};

struct http_files {
    struct file files[HTTP_FILES_MAX];
    size_t count;
    size_t bytes;
};

static const char *type_of(const char *name)
{
    static const struct {
        const char *ending, *type;
    } TYPES[] = {
        {".html", "text/html; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
        {".yaml", "application/yaml"},
        {".csv", "text/csv; charset=utf-8"},
    };
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; ending != NULL && i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (strcmp(ending, TYPES[i].ending) == 0)
            return TYPES[i].type;
    return "application/octet-stream";
}

static void make_etag(struct content *content)
{
    uint8_t digest[SHA256_SIZE];
    char *at = content->etag;
    sha256(content->data, content->len, digest);
    *at++ = '"';
    for (size_t i = 0; i < ETAG_BYTES; i++, at += 2)
        (void)snprintf(at, 3, "%02x", digest[i]);
    *at++ = '"';
    *at = '\0';
}

/* `data` is never NULL afterwards, also for an empty file. */
static int read_content(struct http_files *files, const char *path, struct content *ret_content,
                        struct message *message)
{
    struct buffer buffer;
    buffer_init(&buffer, HTTP_FILES_MAX_BYTES - files->bytes);
    int err = file_read(path, &buffer, message);
    if (err == 0 && buffer.data == NULL) {
        buffer.data = calloc(1, 1);
        err = buffer.data == NULL ? ERR_NO_MEMORY : 0;
    }
    if (err != 0) {
        buffer_release(&buffer);
        return err;
    }
    ret_content->data = buffer.data;
    ret_content->len = buffer.len;
    files->bytes += buffer.len;
    make_etag(ret_content);
    return 0;
}

/* The place of the file of that name; `count` where there is none. */
static size_t find(const struct http_files *files, const char *name)
{
    size_t i = 0;
    while (i < files->count && strcmp(files->files[i].name, name) != 0)
        i++;
    return i;
}

/* Adds "name", or the compressed form to its file, which stands under the name without ".gz". */
static int add_file(struct http_files *files, const char *folder, const char *entry,
                    struct message *message)
{
    char path[FILE_PATH_SIZE];
    char name[sizeof files->files[0].name];
    struct stat status;
    int err = path_join(folder, entry, path);
    if (err != 0)
        return message_set(message, err, "%s/%s: the path is too long", folder, entry);
    if (!text_is_name(entry) || lstat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    size_t len = strlen(entry);
    bool gzip = len > 3 && strcmp(entry + len - 3, ".gz") == 0;
    memcpy(name, entry, len + 1);
    if (gzip)
        name[len - 3] = '\0';
    size_t place = find(files, name);
    if (place == HTTP_FILES_MAX)
        return message_set(message, ERR_FULL, "%s holds more than %d files", folder,
                           HTTP_FILES_MAX);
    struct file *file = &files->files[place];
    if (place == files->count) {
        memcpy(file->name, name, strlen(name) + 1);
        file->type = type_of(name);
        files->count++;
    }
    return read_content(files, path, gzip ? &file->gzip : &file->plain, message);
}

int http_files_open(const char *folder, struct http_files **ret_files, struct message *message)
{
    struct http_files *files = calloc(1, sizeof *files);
    DIR *directory = NULL;
    int err = 0;
    if (files == NULL)
        return message_set(message, ERR_NO_MEMORY, "out of memory");
    directory = opendir(folder);
    if (directory == NULL) {
        err = message_errno(message, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
                            "cannot list the web files in %s", folder);
        goto out;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                err = message_errno(message, ERR_IO, "cannot list %s", folder);
            break;
        }
        err = add_file(files, folder, entry->d_name, message);
        if (err != 0)
            break;
    }

out:
    if (directory != NULL)
        closedir(directory);
    if (err != 0) {
        http_files_close(files);
        return err;
    }
    *ret_files = files;
    return 0;
}

void http_files_close(struct http_files *files)
{
    if (files == NULL)
        return;
    for (size_t i = 0; i < files->count; i++) {
        free(files->files[i].plain.data);
        free(files->files[i].gzip.data);
    }
    free(files);
}

/* Does a list of tags, as If-None-Match has them, hold this one? W/ compares equal here. */
static bool lists_etag(const char *list, const char *etag)
{
    return list != NULL && (strcmp(list, "*") == 0 || strstr(list, etag) != NULL);
}

bool http_files_serve(const struct http_files *files, const struct http_request *request,
                      struct http_response *response)
{
    const char *name = request->path[0] == '/' ? request->path + 1 : request->path;
    size_t place = find(files, name[0] != '\0' ? name : "index.html");
    if (place == files->count)
        return false;
    const struct file *file = &files->files[place];
    bool gzip = file->gzip.data != NULL &&
                http_accepts_coding(http_header(request, "Accept-Encoding"), "gzip");
    const struct content *content = gzip ? &file->gzip : &file->plain;
    if (content->data == NULL)
        return false; /* there is a compressed form alone, which this client does not take */
    if (strcmp(request->method, "GET") != 0) {
        http_problem(response, 405, "Method not allowed", "files can only be read");
        http_response_header(response, "Allow", "GET, HEAD");
        return true;
    }
    if (lists_etag(http_header(request, "If-None-Match"), content->etag))
        http_fixed(response, 304, NULL, "", 0);
    else
        http_fixed(response, 200, file->type, content->data, content->len);
    http_response_header(response, "ETag", content->etag);
    http_response_header(response, "Cache-Control", "no-cache"); /* kept, but asked for each time */
    if (file->gzip.data != NULL)
        http_response_header(response, "Vary", "Accept-Encoding");
    if (gzip && response->status == 200)
        http_response_header(response, "Content-Encoding", "gzip");
    return true;
}
