/*
 * The files of one folder, read once, served from memory: what is not listed at the start does not
 * exist, so no path leads anywhere else. A "name.gz" beside "name" is its compressed form.
 *
 * Immutable after http_files_open: any thread may serve. Outlives the server that serves it.
 */
#ifndef NET_HTTP_FILES_H
#define NET_HTTP_FILES_H

#include "base/attributes.h"
#include "base/error.h"
#include "net/http.h"

#include <stdbool.h>

#define HTTP_FILES_MAX       256
#define HTTP_FILES_MAX_BYTES (32 * 1024 * 1024) /* all of them */

struct http_files;

/* Reads the plain files directly in `folder` whose names are text_is_name. ERR_NOT_FOUND, ERR_IO,
 * ERR_FULL beyond the bounds, ERR_NO_MEMORY. */
MUST_CHECK int http_files_open(const char *folder, struct http_files **ret_files,
                               struct message *message);
void http_files_close(struct http_files *files);

/* Answers "/name", and "/" with index.html; false (nothing filled in) when there is no such file.
 */
bool http_files_serve(const struct http_files *files, const struct http_request *request,
                      struct http_response *response);

#endif
