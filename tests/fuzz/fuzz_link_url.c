/* Any text as a link's url: refused with words, or read with everything within its bounds. */
#include "model/link_url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bytes(const struct link_bytes *bytes)
{
    char text[LINK_BYTES_TEXT_MAX];
    if (bytes->len > LINK_BYTES_MAX)
        abort();
    link_bytes_print(bytes->bytes, bytes->len, text);
    if (strlen(text) < bytes->len || strlen(text) > 3 * bytes->len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[400];
    struct link_url url;
    struct message message = {""};
    size_t len = size < sizeof(text) - 1 ? size : sizeof(text) - 1;

    memcpy(text, data, len);
    text[len] = '\0';
    if (link_url_parse(text, &url, &message) != 0) {
        if (message.text[0] == '\0')
            abort();
        return 0;
    }
    check_bytes(&url.registration);
    check_bytes(&url.heartbeat);
    if (link_url_character_bits(&url) < 10 || link_url_character_bits(&url) > 12 ||
        (url.kind == LINK_RTU) != (url.device[0] != '\0') ||
        (url.kind != LINK_RTU && url.endpoint.port == 0) ||
        (url.kind == LINK_DTU && url.registration.len == 0) ||
        (url.baud != 0 && (url.baud < LINK_BAUD_MIN || url.baud > LINK_BAUD_MAX)))
        abort();
    return 0;
}
