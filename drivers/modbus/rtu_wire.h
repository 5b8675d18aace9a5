/*
 * What Modbus RTU is on a wire: its checksum, and how long characters and silences last. Pure.
 * Source: MODBUS over Serial Line V1.02, 2.5.1 and 6.2.2.
 */
#ifndef DRIVERS_MODBUS_RTU_WIRE_H
#define DRIVERS_MODBUS_RTU_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define RTU_FRAME_MAX 256 /* unit, function, data, two bytes of CRC */
#define RTU_CRC_SIZE  2

/* Bits of a character: a start bit, eight of data, parity and a stop bit, or two stop bits. */
#define RTU_CHARACTER_BITS 11

/* CRC-16 of RTU (polynomial 0xA001 reflected, begun with 0xFFFF); its low byte goes first. Over a
 * frame with its CRC it is 0. */
uint16_t rtu_crc(const uint8_t *bytes, size_t len);

/* How long `count` characters of so many bits take, rounded up to µs. 0 for baud 0, which keeps no
 * time. */
int64_t rtu_wire_us(unsigned baud, unsigned bits, size_t count);

/* The silence between frames, in µs: 3.5 characters of 11 bits, 1.75 ms above 19200 baud; 0 for
 * baud 0. */
int64_t rtu_silence_us(unsigned baud);

#endif
