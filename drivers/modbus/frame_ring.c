#include "drivers/modbus/frame_ring.h"

#include <string.h>

/* Each note as it lies in the ring, before its bytes. */
struct entry {
    int64_t at_us;
    uint16_t len;
    uint16_t kind;
};

static void write_at(struct frame_ring *ring, size_t at, const void *from, size_t len)
{
    size_t place = at % FRAME_RING_BYTES;
    size_t first = len < FRAME_RING_BYTES - place ? len : FRAME_RING_BYTES - place;
    if (len == 0)
        return;
    memcpy(ring->bytes + place, from, first);
    memcpy(ring->bytes, (const uint8_t *)from + first, len - first);
}

static void read_at(const struct frame_ring *ring, size_t at, void *to, size_t len)
{
    size_t place = at % FRAME_RING_BYTES;
    size_t first = len < FRAME_RING_BYTES - place ? len : FRAME_RING_BYTES - place;
    memcpy(to, ring->bytes + place, first);
    memcpy((uint8_t *)to + first, ring->bytes, len - first);
}

static size_t size_at(const struct frame_ring *ring, size_t at)
{
    struct entry entry;
    read_at(ring, at, &entry, sizeof(entry));
    return sizeof(entry) + entry.len;
}

static void drop_oldest(struct frame_ring *ring)
{
    size_t size = size_at(ring, ring->head);
    ring->head = (ring->head + size) % FRAME_RING_BYTES;
    ring->used -= size;
}

void frame_ring_add(struct frame_ring *ring, int64_t at_us, enum frame_note_kind kind,
                    const uint8_t *bytes, size_t len)
{
    struct entry entry = {.at_us = at_us, .kind = (uint16_t)kind};
    entry.len = (uint16_t)(len < FRAME_NOTE_MAX ? len : FRAME_NOTE_MAX);
    while (ring->used + sizeof(entry) + entry.len > FRAME_RING_BYTES)
        drop_oldest(ring);
    write_at(ring, ring->head + ring->used, &entry, sizeof(entry));
    write_at(ring, ring->head + ring->used + sizeof(entry), bytes, entry.len);
    ring->used += sizeof(entry) + entry.len;
}

static size_t count(const struct frame_ring *ring)
{
    size_t notes = 0;
    for (size_t at = 0; at < ring->used; at += size_at(ring, ring->head + at))
        notes++;
    return notes;
}

size_t frame_ring_copy(const struct frame_ring *ring, struct frame_note *ret_notes, size_t room)
{
    size_t all = count(ring), skip = all > room ? all - room : 0;
    size_t at = ring->head, copied = 0;
    for (size_t i = 0; i < all; i++) {
        struct entry entry;
        read_at(ring, at, &entry, sizeof(entry));
        if (i >= skip) {
            struct frame_note *note = &ret_notes[copied++];
            note->at_us = entry.at_us;
            note->kind = (enum frame_note_kind)entry.kind;
            note->len = entry.len;
            read_at(ring, at + sizeof(entry), note->bytes, entry.len);
        }
        at += sizeof(entry) + entry.len;
    }
    return copied;
}
