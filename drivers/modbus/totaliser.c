#include "drivers/modbus/totaliser.h"

#include "drivers/modbus/decode.h"

#include <math.h>

/* Of a turn: no meter counts so much between two readings. */
#define STEP_SHARE 0.01

/* How far it counted from one to the other, be it over the end. */
static double step(const struct map_register *reg, double from, double to)
{
    return to >= from ? to - from : to + reg->modulus - from;
}

static bool is_counted(const struct map_register *reg, double from, double to)
{
    return step(reg, from, to) <= reg->modulus * STEP_SHARE;
}

static void doubt(struct sample *sample, enum cause cause)
{
    sample->quality = QUALITY_UNCERTAIN;
    sample->cause = cause;
}

/* Goes on from the last count. */
static void count_on(struct totaliser *self, const struct map_register *reg, double count,
                     struct sample *sample)
{
    if (count < self->count) {
        self->before += reg->modulus;
        doubt(sample, CAUSE_ROLLOVER);
    }
    self->count = count;
    self->doubted = false;
}

/* Another count than the last: of another meter if it goes on from there. */
static void count_elsewhere(struct totaliser *self, const struct map_register *reg, double count,
                            struct sample *sample)
{
    bool moves = self->doubted && (count < self->shown || count > self->shown);

    if (moves && is_counted(reg, self->shown, count)) {
        self->before += self->count - self->shown;
        self->count = self->shown;
        count_on(self, reg, count, sample);
        return;
    }
    self->doubted = true;
    self->shown = count;
    doubt(sample, CAUSE_METER_SWAP);
}

/* The raw count: whole, but of a float. */
static double raw_of(const struct map_register *reg, double value)
{
    double raw = reg->divisor > 0 ? (value - reg->offset) * reg->divisor
                                  : (value - reg->offset) / reg->scale;
    return reg->type == REGISTER_FLOAT ? raw : nearbyint(raw);
}

/* More than it can count: the map is wrong, or what came. */
static void refuse(const struct map_register *reg, struct sample *sample)
{
    if (reg->running) {
        decode_bad(CAUSE_OUT_OF_RANGE, sample);
        return;
    }
    sample->quality = QUALITY_BAD;
    sample->cause = CAUSE_OUT_OF_RANGE;
}

void totaliser_take(struct totaliser *self, const struct map_register *reg, struct sample *sample)
{
    bool is_number = sample->value.kind == VALUE_DOUBLE || sample->value.kind == VALUE_FLOAT;
    double raw;

    if (sample->quality != QUALITY_GOOD || !is_number) {
        if (reg->running)
            decode_bad(sample->cause == CAUSE_NONE ? CAUSE_OUT_OF_RANGE : sample->cause, sample);
        return;
    }
    raw = raw_of(reg, sample->value.number);
    if (raw < 0 || raw > reg->modulus) {
        refuse(reg, sample);
        return;
    }
    if (!self->known)
        *self = (struct totaliser){.known = true, .count = raw};
    else if (is_counted(reg, self->count, raw))
        count_on(self, reg, raw, sample);
    else
        count_elsewhere(self, reg, raw, sample);
    if (reg->running) {
        sample->value.kind = VALUE_DOUBLE;
        sample->value.number = map_register_scaled(reg, self->before + self->count);
    }
}
