#include "net/http.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PATH_MAX_LENGTH 1024

static const char *look_up(const struct http_request *request, enum http_place place,
                           const char *name)
{
    return request->lookup != NULL ? request->lookup(request->source, place, name) : NULL;
}

const char *http_query(const struct http_request *request, const char *name)
{
    return look_up(request, HTTP_QUERY, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
    return look_up(request, HTTP_HEADER, name);
}

const char *http_cookie(const struct http_request *request, const char *name)
{
    return look_up(request, HTTP_COOKIE, name);
}

/* Is the weight of this member zero, which means "not this"? Its text ends at `end`. */
static bool weight_is_zero(const char *text, const char *end)
{
    const char *weight = memchr(text, ';', (size_t)(end - text));
    if (weight == NULL)
        return false;
    weight++;
    weight += strspn(weight, " \t");
    if (strncasecmp(weight, "q=0", 3) != 0)
        return false;
    weight += 3;
    weight += strspn(weight, ".0");
    return weight >= end || strchr(" \t;", *weight) != NULL;
}

bool http_accepts_coding(const char *list, const char *coding)
{
    bool any = false;
    if (list == NULL)
        return false;
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " \t,");
        size_t member = strcspn(at, ",");
        size_t name = strcspn(at, " \t;,");
        bool wanted = !weight_is_zero(at, at + member);
        if (name == strlen(coding) && strncasecmp(at, coding, name) == 0)
            return wanted;
        if (name == 1 && *at == '*')
            any = wanted;
        at += member;
    }
    return any;
}

bool http_path_is_plain(const char *path)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len > PATH_MAX_LENGTH || !text_is_utf8(path, len))
        return false;
    for (const char *part = path; *part != '\0';) {
        size_t part_len = strcspn(++part, "/");
        if ((part_len == 1 && part[0] == '.') || (part_len == 2 && memcmp(part, "..", 2) == 0))
            return false;
        part += part_len;
    }
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f || *at == '\\')
            return false;
    return true;
}

void http_response_init(struct http_response *response)
{
    *response = (struct http_response){0};
    buffer_init(&response->body, HTTP_MAX_BODY);
}

static void drop_content(struct http_response *response)
{
    if (response->stream.read != NULL && response->stream.end != NULL)
        response->stream.end(response->stream.self);
    response->stream = (struct http_stream){0};
    response->fixed = NULL;
    response->fixed_len = 0;
    response->header_count = 0;
    response->error = 0;
    buffer_clear(&response->body);
}

void http_response_release(struct http_response *response)
{
    drop_content(response);
    buffer_release(&response->body);
}

struct buffer *http_begin(struct http_response *response, int status, const char *content_type)
{
    drop_content(response);
    response->status = status;
    response->content_type = content_type;
    return &response->body;
}

/* A field name is a token; a value has no control characters: neither can end its line. */
static bool is_header_name(const char *name)
{
    static const char TOKEN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "!#$%&'*+-.^_`|~";
    return name[0] != '\0' && name[strspn(name, TOKEN)] == '\0';
}

static bool is_header_value(const char *value)
{
    for (const char *at = value; *at != '\0'; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

void http_response_header(struct http_response *response, const char *name, const char *value)
{
    if (!is_header_name(name) || !is_header_value(value)) {
        response->error = ERR_INVALID;
        return;
    }
    if (response->header_count == HTTP_MAX_HEADERS || strlen(name) >= HTTP_MAX_NAME ||
        strlen(value) >= HTTP_MAX_VALUE) {
        response->error = ERR_FULL;
        return;
    }
    struct http_header *header = &response->headers[response->header_count];
    memcpy(header->name, name, strlen(name) + 1);
    memcpy(header->value, value, strlen(value) + 1);
    response->header_count++;
}

void http_fixed(struct http_response *response, int status, const char *content_type,
                const void *data, size_t len)
{
    (void)http_begin(response, status, content_type);
    response->fixed = data;
    response->fixed_len = len;
}

void http_event_stream(struct http_response *response, struct http_stream stream)
{
    (void)http_begin(response, 200, "text/event-stream");
    response->stream = stream;
}

void http_problem(struct http_response *response, int status, const char *title, const char *detail)
{
    struct json_writer writer;
    json_writer_init(&writer, http_begin(response, status, "application/problem+json"));
    json_begin_object(&writer);
    json_key(&writer, "type");
    json_text(&writer, "about:blank");
    json_key(&writer, "title");
    json_text(&writer, title);
    json_key(&writer, "status");
    json_i64(&writer, status);
    if (detail != NULL) {
        json_key(&writer, "detail");
        json_text(&writer, detail);
    }
    json_end_object(&writer);
}
