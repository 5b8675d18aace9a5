#include "drivers/simulator/plant_transfer.h"

#include "drivers/simulator/plant_parts.h"

#include <math.h>

/*
 * Design notes
 *
 * Lorries come by a daily schedule as a Poisson process, queue for one bay, tip, and are weighed
 * out: the weighbridge's total grows by each load. Waste lies in the pit until the compactor,
 * switched by how much lies there, presses it into containers and squeezes leachate out of it. The
 * sump is pumped by level into a tank, the tank by a road tanker on working hours.
 *
 * Each gas of the hall is one stirred volume, V dc/dt = source - Q (c - c outside). Sources follow
 * the waste that lies there, the pressing, the moved leachate, and the season. Q is the natural
 * draught, the fans, the door. Fan 1 runs in working hours and ten minutes of each hour at night;
 * both run when a concentration asks for it and then for ten minutes at least. Dust also settles.
 * Noise at the fence adds the energies of town, compactor, lorry and fans (10 log10 of the sum).
 *
 * Source strengths are assumptions that give the concentrations usual in closed halls with exhaust
 * (H2S some mg/m3, NH3 some mg/m3, methane a few %LEL); 1 %LEL of methane is 0.05 % by volume.
 */

enum {
    H2S,
    NH3,
    CH4,
    PM10,
    NOISE_LEVEL,
    SUMP,
    FAN,
    COMPACTOR,
    WEIGHT_TOTAL,
    FAN_2,
    SUMP_PUMP,
    TANK,
    TRUCKS,
    PRESSURE,
    TEMPERATURE,
    DOOR,
    LEACHATE_TOTAL,
    VARIABLES
};

static const char *const names[] = {
    [H2S] = "h2s",
    [NH3] = "nh3",
    [CH4] = "ch4",
    [PM10] = "pm10",
    [NOISE_LEVEL] = "noise",
    [SUMP] = "sump_level",
    [FAN] = "fan",
    [COMPACTOR] = "compactor",
    [WEIGHT_TOTAL] = "weight_total",
    [FAN_2] = "fan2",
    [SUMP_PUMP] = "sump_pump",
    [TANK] = "tank_level",
    [TRUCKS] = "trucks_today",
    [PRESSURE] = "compactor_pressure",
    [TEMPERATURE] = "temp",
    [DOOR] = "door",
    [LEACHATE_TOTAL] = "leachate_total",
    [VARIABLES] = NULL,
};

enum { FAN_TRIP, GAS_BURST, SUMP_PUMP_TRIP, DOOR_OPEN, DUST };

static const char *const disturbances[] = {"fan_trip",  "gas_burst", "sump_pump_trip",
                                           "door_open", "dust",      NULL};

enum {
    QUEUE,  /* lorries waiting */
    TIP_S,  /* left of the lorry in the bay */
    LOAD_T, /* what it brings */
    PIT_T,
    DAY,
    SMELL,      /* wanders about 1: what kind of waste it is */
    BACKGROUND, /* ug/m3, dust outside */
    STROKE_S,
    TANKER,
    ALERT_1_S, /* a fan's time still to run */
    ALERT_2_S,
    SQUEEZED, /* m3/h */
    PUMPED,   /* m3/h, sump to tank */
    TOWN,     /* dB, wanders about 0 */
    WEATHER,  /* K, wanders about 0 */
};

/* Electrochemical cells (H2S, NH3), catalytic or infrared methane, scattered light (dust), a class
 * 1 meter (noise), submerged level probes: errors as data sheets of their class give them. Gas
 * cells see zero gas once a quarter. */
static const struct instrument instruments[VARIABLES] = {
    [H2S] = {.sigma = 0.03,
             .lag_s = 30,
             .drift = 0.03,
             .resolution = 0.01,
             .most = 150,
             .calibration = {2184, 10, 600, 0}},
    [NH3] = {.sigma = 0.06,
             .lag_s = 45,
             .drift = 0.05,
             .resolution = 0.01,
             .most = 75,
             .calibration = {2184, 10, 600, 0}},
    [CH4] = {.sigma = 0.08,
             .lag_s = 15,
             .drift = 0.05,
             .resolution = 0.1,
             .most = 100,
             .calibration = {2184, 11, 600, 0}},
    [PM10] = {.sigma = 2.5, .lag_s = 30, .resolution = 1, .most = 5000},
    [NOISE_LEVEL] = {.sigma = 0.3, .lag_s = 1, .resolution = 0.1, .least = 20, .most = 140},
    [SUMP] = {.sigma = 0.003, .lag_s = 3, .drift = 0.001, .resolution = 0.001, .most = 4},
    [TANK] = {.sigma = 0.003, .lag_s = 3, .drift = 0.001, .resolution = 0.001, .most = 4},
    [PRESSURE] = {.sigma = 0.05, .resolution = 0.01, .most = 40},
    [TEMPERATURE] = {.sigma = 0.05, .lag_s = 120, .resolution = 0.1, .least = -40, .most = 80},
};

#define HALL_M3        3000.0
#define NATURAL_M3H    2000.0
#define FAN_M3H        24000.0
#define DOOR_M3H       15000.0
#define H2S_OUTSIDE    0.02
#define NH3_OUTSIDE    0.2
#define CH4_OUTSIDE    0.2
#define BAY_S          180.0 /* a lorry's least time in the bay */
#define PRESS_T_H      28.0
#define STROKE_ALL_S   45.0
#define SQUEEZE_M3_T   0.07
#define WASHING_M3H    2.5
#define SUMP_AREA_M2   4.0
#define SUMP_MOST_M    2.0 /* then it runs over, to the drain */
#define SUMP_PUMP_M3H  12.0
#define TANK_AREA_M2   12.0
#define TANK_FULL_M    2.6
#define TANKER_M3H     30.0
#define ALERT_LEAST_S  600.0
#define BURST_MG_H     1.2e6
#define DUST_UG_H      2e7
#define DUMP_UG        2.5e5 /* a lorry's */
#define SETTLING_PER_H 1.0

/* Lorries an hour: collection in the morning, again after supper. 44 a day. */
static const double schedule[24] = {0, 0,   0, 0,   0.2, 2,   4.5, 5.5, 5, 3.5, 2.2, 1.5,
                                    1, 1.2, 2, 2.2, 2,   2.3, 3,   3,   2, 0.8, 0.1, 0};

static const double weekly[7] = {1.15, 1.0, 1.0, 1.0, 1.02, 0.95, 0.85};

static const double town_db[24] = {45, 44, 44, 44, 45, 48, 51, 54, 55, 54, 54, 54,
                                   53, 53, 54, 54, 54, 55, 55, 54, 52, 50, 48, 46};

static void begin(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    bool working = plant_time_between(time, 5.5, 20.5);
    for (int hour = 0; hour < (int)time->hour; hour++)
        v[TRUCKS] += schedule[hour] * weekly[time->weekday];
    v[TRUCKS] = floor(v[TRUCKS]);
    x[DAY] = (double)(time->local_s / DAY_S);
    x[PIT_T] = working ? 8 : 0.5;
    x[QUEUE] = working;
    v[FAN] = working;
    v[H2S] = 1.6;
    v[NH3] = 3.0;
    v[CH4] = 2.0;
    v[PM10] = 90;
    v[NOISE_LEVEL] = 58;
    v[SUMP] = 0.6;
    v[TANK] = 0.4 + 1.2 * noise_uniform(&plant->process_noise);
    v[TEMPERATURE] = 17 + 10 * time->season;
    v[PRESSURE] = 2;
    v[WEIGHT_TOTAL] = 48211.4;
    v[LEACHATE_TOTAL] = 3382.6;
    x[SMELL] = 1;
    x[BACKGROUND] = 60;
}

/* ---- lorries, pit, compactor ---- */

static void deliver(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    double day = (double)(time->local_s / DAY_S);
    if (day > x[DAY] || day < x[DAY]) {
        x[DAY] = day;
        v[TRUCKS] = 0;
    }
    double an_hour = plant_profile(schedule, time->hour) * weekly[time->weekday];
    if (noise_uniform(noise) < an_hour * time->dt_s / 3600)
        x[QUEUE]++;
    if (x[TIP_S] > 0) {
        x[TIP_S] -= time->dt_s;
        if (x[TIP_S] > 0)
            return;
        v[WEIGHT_TOTAL] += x[LOAD_T];
        v[TRUCKS]++;
        x[PIT_T] += x[LOAD_T];
        v[PM10] += DUMP_UG / HALL_M3;
    } else if (x[QUEUE] > 0.5) {
        x[QUEUE]--;
        x[TIP_S] = BAY_S * (1 + 0.7 * noise_uniform(noise));
        x[LOAD_T] = nearbyint((3.5 + 3.5 * noise_uniform(noise)) * 50) / 50; /* to 20 kg */
    }
}

static void compact(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    bool closing = time->hour >= 20.5; /* the pit is cleared for the night */
    v[COMPACTOR] = latch(v[COMPACTOR], x[PIT_T], closing ? 0.5 : 9, closing ? 0.1 : 1.5);
    double rest_mpa = 1.5;
    if (!is_on(v[COMPACTOR])) {
        x[SQUEEZED] = lag(x[SQUEEZED], 0, 600, time->dt_s);
        v[PRESSURE] = lag(v[PRESSURE], rest_mpa, 4, time->dt_s);
        x[STROKE_S] = 0;
        return;
    }
    x[PIT_T] = fmax(0, x[PIT_T] - PRESS_T_H * time->dt_s / 3600);
    x[SQUEEZED] = lag(x[SQUEEZED], PRESS_T_H * SQUEEZE_M3_T, 120, time->dt_s);
    /* Forward against growing resistance, then back. */
    x[STROKE_S] = fmod(x[STROKE_S] + time->dt_s, STROKE_ALL_S);
    double share = x[STROKE_S] / STROKE_ALL_S;
    double pushes = share < 0.6 ? 5 + 13 * pow(share / 0.6, 3) : 4;
    v[PRESSURE] =
        lag(v[PRESSURE], pushes, 1, time->dt_s) + 0.1 * noise_normal(&plant->process_noise);
}

/* ---- sump and tank ---- */

static void drain(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    bool washing = plant_time_between(time, 12.5, 13) || plant_time_between(time, 20.75, 21.5);
    double in_m3h = x[SQUEEZED] + (washing ? WASHING_M3H : 0) + 0.03;
    bool may = v[TANK] < TANK_FULL_M && plant->disturbances[SUMP_PUMP_TRIP] < 0.5;
    v[SUMP_PUMP] = may ? latch(v[SUMP_PUMP], v[SUMP], 1.2, 0.4) : 0;
    x[PUMPED] = lag(x[PUMPED], SUMP_PUMP_M3H * v[SUMP_PUMP], 3, time->dt_s);
    v[SUMP] =
        limit(v[SUMP] + volume(in_m3h - x[PUMPED], time->dt_s) / SUMP_AREA_M2, 0, SUMP_MOST_M);

    bool comes = plant_time_between(time, 8, 17);
    x[TANKER] = comes ? latch(x[TANKER], v[TANK], 1.2, 0.3) : 0;
    double away_m3h = TANKER_M3H * x[TANKER];
    v[TANK] = fmax(0, v[TANK] + volume(x[PUMPED] - away_m3h, time->dt_s) / TANK_AREA_M2);
    v[LEACHATE_TOTAL] += volume(x[PUMPED], time->dt_s);
}

/* ---- air ---- */

static void ventilate(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    if (v[H2S] > 6 || v[NH3] > 14 || v[CH4] > 10)
        x[ALERT_1_S] = ALERT_LEAST_S;
    if (v[H2S] > 4 || v[NH3] > 10 || v[CH4] > 8 || v[PM10] > 350)
        x[ALERT_2_S] = ALERT_LEAST_S;
    x[ALERT_1_S] -= time->dt_s;
    x[ALERT_2_S] -= time->dt_s;
    bool by_hour = plant_time_between(time, 5.5, 20.5) || time->local_s % 3600 < 600;
    bool may = plant->disturbances[FAN_TRIP] < 0.5;
    v[FAN] = may && (by_hour || x[ALERT_1_S] > 0);
    v[FAN_2] = may && x[ALERT_2_S] > 0;
    /* The door opens for each lorry. */
    v[DOOR] = x[TIP_S] > 120 || plant->disturbances[DOOR_OPEN] >= 0.5;
}

/* One gas of the hall: V dc/dt = source - Q (c - outside). */
static double mix(double inside, double outside, double source, double air_m3h, double dt_s)
{
    return fmax(0, inside + (source - air_m3h * (inside - outside)) / HALL_M3 * dt_s / 3600);
}

static void air(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    const double *happens = plant->disturbances;
    struct noise *noise = &plant->process_noise;
    double dt_s = time->dt_s;
    double air_m3h = NATURAL_M3H + FAN_M3H * (v[FAN] + v[FAN_2]) + (is_on(v[DOOR]) ? DOOR_M3H : 0);
    x[SMELL] = noise_wander(noise, x[SMELL], 1, 0.22, 1500, dt_s);
    double smell = fmax(0.2, x[SMELL]) * (1 + 0.3 * time->season);
    double lies = 0.2 + 0.8 * fmin(2, x[PIT_T] / 15), moved = x[PUMPED] / SUMP_PUMP_M3H;
    double source = smell * (50000 * lies + 25000 * v[COMPACTOR] + 30000 * moved);
    double burst = BURST_MG_H * fmax(0, happens[GAS_BURST]);
    v[H2S] = mix(v[H2S], H2S_OUTSIDE, source + burst, air_m3h, dt_s);
    v[NH3] = mix(v[NH3], NH3_OUTSIDE, smell * (90000 * lies + 20000 * v[COMPACTOR]), air_m3h, dt_s);
    v[CH4] = mix(v[CH4], CH4_OUTSIDE, smell * 60000 * lies, air_m3h, dt_s);

    double base = 58 - 12 * time->season;
    x[BACKGROUND] = fmax(10, noise_wander(noise, x[BACKGROUND], base, 14, 7200, dt_s));
    double stirred = 8e5 * v[COMPACTOR] + 5e5 * (x[TIP_S] > 0) + DUST_UG_H * fmax(0, happens[DUST]);
    double settles = SETTLING_PER_H * HALL_M3 * v[PM10];
    v[PM10] = mix(v[PM10], x[BACKGROUND], stirred - settles, air_m3h, dt_s);

    double day = cos(6.283185307 * (time->hour - 15) / 24);
    x[WEATHER] = noise_wander(noise, x[WEATHER], 0, 2.5, 2.5 * DAY_S, dt_s);
    double outside = 17.5 + 9.5 * time->season + 3 * day + x[WEATHER];
    v[TEMPERATURE] = lag(v[TEMPERATURE], outside, 5400, dt_s);
}

static double energy(double decibel)
{
    return exp(decibel * 0.23025850929940458); /* 10^(L/10) */
}

static void sound(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    x[TOWN] = noise_wander(&plant->process_noise, x[TOWN], 0, 1.6, 20, time->dt_s);
    double sum = energy(plant_profile(town_db, time->hour) + x[TOWN]);
    double through = is_on(v[DOOR]) ? 4 : 1;
    if (is_on(v[COMPACTOR]))
        sum += through * energy(56 + 0.3 * v[PRESSURE]);
    if (x[TIP_S] > 0)
        sum += energy(x[TIP_S] > 120 ? 62 : 58);
    sum += energy(50) * (v[FAN] + v[FAN_2]);
    v[NOISE_LEVEL] = 10 * log10(sum);
}

static void step(struct plant *plant, const struct plant_time *time)
{
    deliver(plant, time);
    compact(plant, time);
    drain(plant, time);
    ventilate(plant, time);
    air(plant, time);
    sound(plant, time);
}

const struct plant_model plant_transfer = {"transfer",  names, disturbances,
                                           instruments, begin, step};
