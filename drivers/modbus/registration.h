/*
 * Which DTU calls: its first bytes against the registrations that links wait for. Pure.
 */
#ifndef DRIVERS_MODBUS_REGISTRATION_H
#define DRIVERS_MODBUS_REGISTRATION_H

#include "model/link_url.h"

#include <stddef.h>
#include <stdint.h>

enum { REGISTRATION_PART = -1, REGISTRATION_UNKNOWN = -2 };

/* The number of the registration that the bytes begin with; REGISTRATION_PART: more of them may
 * tell, at most LINK_BYTES_MAX. None of the known ones begins with another. */
int registration_find(const uint8_t *bytes, size_t len, const struct link_bytes *const *known,
                      size_t count);

#endif
