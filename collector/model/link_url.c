#include "model/link_url.h"

#include "base/numbers.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_BAUD 9600
#define BYTES_TEXT   (LINK_BYTES_TEXT_MAX + 8) /* of one key's value; longer is refused */

static const struct scheme {
    const char *start;
    enum link_kind kind;
} schemes[] = {
    {"tcp://", LINK_TCP}, {"rtu://", LINK_RTU}, {"rtu+tcp://", LINK_RTU_TCP}, {"dtu://", LINK_DTU}};

static int read_baud(const char *value, struct link_url *url, struct message *message)
{
    uint64_t baud = 0;
    if (parse_u64(value, LINK_BAUD_MIN, LINK_BAUD_MAX, &baud) != 0)
        return message_set(message, ERR_INVALID, "baud=%.20s; expected %d to %d", value,
                           LINK_BAUD_MIN, LINK_BAUD_MAX);
    url->baud = (unsigned)baud;
    return 0;
}

static int read_parity(const char *value, struct link_url *url, struct message *message)
{
    static const struct {
        const char *word;
        char parity;
    } words[] = {{"N", 'N'}, {"E", 'E'}, {"O", 'O'}, {"none", 'N'}, {"even", 'E'}, {"odd", 'O'}};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (strcmp(words[i].word, value) == 0) {
            url->parity = words[i].parity;
            return 0;
        }
    return message_set(message, ERR_INVALID, "parity=%.20s; expected N, E or O", value);
}

static int read_stop(const char *value, struct link_url *url, struct message *message)
{
    uint64_t stop = 0;
    if (parse_u64(value, 1, 2, &stop) != 0)
        return message_set(message, ERR_INVALID, "stop=%.20s; expected 1 or 2", value);
    url->stop = (unsigned)stop;
    return 0;
}

static int read_rs485(const char *value, struct link_url *url, struct message *message)
{
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0)
        return message_set(message, ERR_INVALID, "rs485=%.20s; expected yes or no", value);
    url->rs485 = yes;
    return 0;
}

/* Text in which %HH is a byte. */
static int read_text(const char *value, struct link_bytes *ret_bytes)
{
    struct link_bytes bytes = {.len = 0};
    for (const char *at = value; *at != '\0';) {
        char pair[3] = {at[0], at[0] == '%' ? at[1] : '\0', '\0'};
        if (bytes.len == LINK_BYTES_MAX)
            return ERR_FULL;
        if (at[0] != '%') {
            bytes.bytes[bytes.len++] = (uint8_t)*at++;
            continue;
        }
        pair[0] = at[1];
        pair[1] = at[1] != '\0' ? at[2] : '\0';
        if (strlen(pair) != 2 || parse_hex(pair, 1, &bytes.bytes[bytes.len]) != 0)
            return ERR_INVALID;
        bytes.len++;
        at += 3;
    }
    *ret_bytes = bytes;
    return bytes.len > 0 ? 0 : ERR_INVALID;
}

static int read_hex(const char *value, struct link_bytes *ret_bytes)
{
    size_t len = strlen(value);
    struct link_bytes bytes = {.len = len / 2};
    if (bytes.len > LINK_BYTES_MAX)
        return ERR_FULL;
    if (len == 0 || len % 2 != 0 || parse_hex(value, bytes.len, bytes.bytes) != 0)
        return ERR_INVALID;
    *ret_bytes = bytes;
    return 0;
}

static int read_bytes(const char *key, const char *value, struct link_bytes *ret_bytes,
                      struct message *message)
{
    bool hex = strstr(key, "_hex") != NULL;
    if (ret_bytes->len > 0)
        return message_set(message, ERR_INVALID, "%s comes on top of another", key);
    if ((hex ? read_hex : read_text)(value, ret_bytes) == 0)
        return 0;
    return message_set(message, ERR_INVALID, "%s=%.40s; expected 1 to %d bytes%s", key, value,
                       LINK_BYTES_MAX, hex ? " in hex" : "; %HH is any byte");
}

static int read_registration(const char *value, struct link_url *url, struct message *message)
{
    return read_bytes("register", value, &url->registration, message);
}

static int read_registration_hex(const char *value, struct link_url *url, struct message *message)
{
    return read_bytes("register_hex", value, &url->registration, message);
}

static int read_heartbeat(const char *value, struct link_url *url, struct message *message)
{
    return read_bytes("heartbeat", value, &url->heartbeat, message);
}

static int read_heartbeat_hex(const char *value, struct link_url *url, struct message *message)
{
    return read_bytes("heartbeat_hex", value, &url->heartbeat, message);
}

#define OF(kind) (1u << (kind))
#define WIRES    (OF(LINK_RTU) | OF(LINK_RTU_TCP) | OF(LINK_DTU))

static const struct key {
    const char *name;
    unsigned kinds;
    int (*read)(const char *value, struct link_url *url, struct message *message);
} keys[] = {
    {"baud", WIRES, read_baud},
    {"parity", WIRES, read_parity},
    {"stop", WIRES, read_stop},
    {"rs485", OF(LINK_RTU), read_rs485},
    {"register", OF(LINK_DTU), read_registration},
    {"register_hex", OF(LINK_DTU), read_registration_hex},
    {"heartbeat", OF(LINK_DTU), read_heartbeat},
    {"heartbeat_hex", OF(LINK_DTU), read_heartbeat_hex},
};

static int unknown_key(const char *name, enum link_kind kind, struct message *message)
{
    char known[160] = "";
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (keys[i].kinds & OF(kind)) {
            size_t len = strlen(known);
            snprintf(known + len, sizeof(known) - len, "%s%s", len > 0 ? ", " : "", keys[i].name);
        }
    return message_set(message, ERR_INVALID, "'%.30s' after '?'; expected %s", name,
                       known[0] ? known : "nothing there");
}

/* One "name=value" of `len` bytes; *seen: the keys that came before. */
static int read_option(const char *text, size_t len, unsigned *seen, struct link_url *url,
                       struct message *message)
{
    char option[BYTES_TEXT + 16];
    if (len >= sizeof(option))
        return message_set(message, ERR_INVALID, "'%.30s…' is too long", text);
    memcpy(option, text, len);
    option[len] = '\0';
    char *value = strchr(option, '=');
    if (value != NULL)
        *value++ = '\0';
    for (size_t i = 0; value != NULL && i < sizeof(keys) / sizeof(*keys); i++) {
        if (strcmp(keys[i].name, option) != 0 || !(keys[i].kinds & OF(url->kind)))
            continue;
        if (*seen & 1u << i)
            return message_set(message, ERR_INVALID, "%s stands twice", option);
        *seen |= 1u << i;
        return keys[i].read(value, url, message);
    }
    return unknown_key(option, url->kind, message);
}

static int read_options(const char *text, struct link_url *url, struct message *message)
{
    unsigned seen = 0;
    int err = 0;
    while (err == 0 && text != NULL) {
        size_t len = strcspn(text, "&");
        err = read_option(text, len, &seen, url, message);
        text = text[len] == '&' ? text + len + 1 : NULL;
    }
    return err;
}

/* What stands between scheme and '?'. */
static int read_place(const char *text, size_t len, struct link_url *url, struct message *message)
{
    char place[LINK_DEVICE_SIZE];
    if (len >= sizeof(place))
        return message_set(message, ERR_INVALID, "too long an address or device");
    memcpy(place, text, len);
    place[len] = '\0';
    if (url->kind == LINK_RTU) {
        memcpy(url->device, place, len + 1);
        return place[0] == '/' ? 0
                               : message_set(message, ERR_INVALID,
                                             "expected rtu:///dev/…, the path of a device");
    }
    if (endpoint_parse(place, &url->endpoint) != 0 || url->endpoint.port == 0)
        return message_set(message, ERR_INVALID, "expected ADDRESS:PORT with a numeric address");
    return 0;
}

/* What belongs together. */
static int check(const struct link_url *url, struct message *message)
{
    if (url->kind == LINK_DTU && url->registration.len == 0)
        return message_set(message, ERR_INVALID,
                           "which DTU? expected ?register=… with what it says when it calls");
    return 0;
}

int link_url_parse(const char *text, struct link_url *ret_url, struct message *message)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t start = strlen(schemes[i].start);
        if (strncmp(text, schemes[i].start, start) != 0)
            continue;
        struct link_url url = {.kind = schemes[i].kind, .parity = 'N', .stop = 1};
        const char *place = text + start;
        size_t len = strcspn(place, "?");
        url.baud = url.kind == LINK_RTU ? DEFAULT_BAUD : 0;
        int err = read_place(place, len, &url, message);
        if (err == 0 && place[len] == '?')
            err = read_options(place + len + 1, &url, message);
        if (err == 0)
            err = check(&url, message);
        if (err == 0)
            *ret_url = url;
        return err;
    }
    return message_set(message, ERR_INVALID,
                       "expected tcp://ADDRESS:PORT, rtu:///dev/…, rtu+tcp://ADDRESS:PORT or "
                       "dtu://ADDRESS:PORT?register=…");
}

unsigned link_url_character_bits(const struct link_url *url)
{
    return 9 + (url->parity != 'N' ? 1u : 0u) + url->stop;
}

void link_bytes_print(const uint8_t *bytes, size_t len, char ret_text[LINK_BYTES_TEXT_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < len && i < LINK_BYTES_MAX; i++) {
        bool plain = bytes[i] > ' ' && bytes[i] < 0x7F && strchr("%&\"'\\", bytes[i]) == NULL;
        at += (size_t)snprintf(ret_text + at, LINK_BYTES_TEXT_MAX - at, plain ? "%c" : "%%%02X",
                               bytes[i]);
    }
    ret_text[at] = '\0';
}
