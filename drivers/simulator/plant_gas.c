#include "drivers/simulator/plant_gas.h"

#include "drivers/simulator/plant_parts.h"

#include <math.h>

/*
 * Design notes
 *
 *   inlet ─meter─┬─ run 1 ─ medium grid 1 ─┬─ district 3
 *                │                         ├─ district 4
 *                │                         └─ river crossing ─ district 5
 *                └─ run 2 ─ medium grid 2 ─── workshops, heating plant
 *
 * Each grid behind a regulator is a volume of gas: dp/dt = p0/V (Q in - Q out), Q at base
 * conditions (101.325 kPa), p the gauge pressure. A regulator opens in proportion to what is
 * missing, Q = gain (set - p), so that the outlet droops with flow; around the set point its seat
 * needs more to close tight, so that without flow it comes to rest higher, at the lock-up pressure.
 * With little flow the valve is near its seat and hunts. A seat that leaks (creep) passes a flow
 * whatever the pressure; where less is drawn the outlet climbs towards the inlet, slowly, until the
 * slam-shut closes the run. That stays closed until somebody resets it. Trip pressures follow the
 * rule of GB 50028 6.6.10: 0.04 MPa above the upper working pressure in the medium grid, at most
 * 1.5 times it in the low one.
 *
 * Demand: households by a daily profile with cooking peaks, later at weekends, more in winter;
 * workshops on working days; heating with the cold. Consumers get less when pressure fails.
 *
 * River: loss by flow after Renouard's square law for medium pressure,
 * P1^2 - P2^2 = 48.6 s L Q^1.82 D^-4.82 (P bar absolute, s relative density, L m, Q m3/h at base
 * conditions, D mm). Without flow the banks are equal. A leak halfway loads the first half.
 *
 * Pressures, volumes and gains are assumptions of the usual size for a county town.
 */

enum {
    P_IN,
    P_OUT_1,
    P_OUT_2,
    SHUT_1,
    SHUT_2,
    FLOW,
    TEMPERATURE,
    CH4,
    VOLUME,
    BATTERY,
    P_OUT_3,
    P_OUT_4,
    P_OUT_5,
    SHUT_3,
    SHUT_4,
    SHUT_5,
    RIVER_NEAR,
    RIVER_FAR,
    VARIABLES
};

static const char *const names[] = {
    [P_IN] = "p_in",           [P_OUT_1] = "p_out1",
    [P_OUT_2] = "p_out2",      [SHUT_1] = "slam_shut1",
    [SHUT_2] = "slam_shut2",   [FLOW] = "flow",
    [TEMPERATURE] = "temp",    [CH4] = "ch4",
    [VOLUME] = "volume_total", [BATTERY] = "battery",
    [P_OUT_3] = "p_out3",      [P_OUT_4] = "p_out4",
    [P_OUT_5] = "p_out5",      [SHUT_3] = "slam_shut3",
    [SHUT_4] = "slam_shut4",   [SHUT_5] = "slam_shut5",
    [RIVER_NEAR] = "river_p1", [RIVER_FAR] = "river_p2",
    [VARIABLES] = NULL,
};

enum {
    LEAK,
    CREEP_1,
    CREEP_2,
    CREEP_3,
    CREEP_4,
    CREEP_5,
    TRIP_1,
    TRIP_2,
    TRIP_3,
    TRIP_4,
    TRIP_5,
    RIVER_LEAK,
    INLET_DROP,
    RESET
};

static const char *const disturbances[] = {"leak",
                                           "regulator_creep1",
                                           "regulator_creep2",
                                           "regulator_creep3",
                                           "regulator_creep4",
                                           "regulator_creep5",
                                           "slam_shut1",
                                           "slam_shut2",
                                           "slam_shut3",
                                           "slam_shut4",
                                           "slam_shut5",
                                           "river_leak",
                                           "inlet_drop",
                                           "reset",
                                           NULL};

#define REGULATORS 5

enum {
    DRAW_1,                         /* m3/h out of the grid behind each regulator */
    PASS_1 = DRAW_1 + REGULATORS,   /* m3/h through each regulator */
    PHASE_1 = PASS_1 + REGULATORS,  /* of its hunting */
    HABIT_1 = PHASE_1 + REGULATORS, /* wanders about 1: its consumers */
    SUPPLY = HABIT_1 + REGULATORS,  /* kPa, wanders: what the transmission line gives */
    LEAKED,                         /* m3/h below the river */
};

static const struct regulator {
    int pressure, shut; /* variables */
    int supply;         /* the variable of its inlet pressure */
    double set_kpa, trip_kpa;
    double gain;     /* m3/h for each kPa missing */
    double lock_kpa; /* above the set point, where it is tight */
    double seat_m3h; /* what passes at the set point */
    double most_m3h;
    double grid_m3; /* geometric volume behind it */
    double creep_m3h;
} regulators[REGULATORS] = {
    {P_OUT_1, SHUT_1, P_IN, 302, 350, 70, 6, 8, 1200, 60, 160},
    {P_OUT_2, SHUT_2, P_IN, 300, 350, 60, 6, 8, 1000, 45, 110},
    {P_OUT_3, SHUT_3, P_OUT_1, 2.6, 4.2, 450, 0.3, 3, 260, 25, 22},
    {P_OUT_4, SHUT_4, P_OUT_1, 2.5, 4.2, 380, 0.3, 3, 220, 20, 18},
    {P_OUT_5, SHUT_5, RIVER_FAR, 2.6, 4.2, 420, 0.3, 3, 240, 22, 24},
};

/* Errors: 0.1 % class transmitters, catalytic leak detector that sees zero gas once a quarter,
 * turbine meter with corrector. */
static const struct instrument instruments[VARIABLES] = {
    [P_IN] = {.sigma = 0.4, .lag_s = 1, .drift = 0.1, .resolution = 0.1, .most = 2500},
    [P_OUT_1] = {.sigma = 0.08, .lag_s = 1, .drift = 0.03, .resolution = 0.01, .most = 600},
    [P_OUT_2] = {.sigma = 0.08, .lag_s = 1, .drift = 0.03, .resolution = 0.01, .most = 600},
    [FLOW] = {.sigma = 0.5, .lag_s = 3, .resolution = 0.1, .most = 2500},
    [TEMPERATURE] = {.sigma = 0.03, .lag_s = 60, .resolution = 0.1, .least = -40, .most = 80},
    [CH4] = {.sigma = 0.08,
             .lag_s = 10,
             .drift = 0.05,
             .resolution = 0.1,
             .most = 100,
             .calibration = {2184, 82, 600, 0}},
    [BATTERY] = {.sigma = 0.0002, .resolution = 0.001, .most = 5},
    [P_OUT_3] = {.sigma = 0.004, .lag_s = 1, .drift = 0.001, .resolution = 0.001, .most = 10},
    [P_OUT_4] = {.sigma = 0.004, .lag_s = 1, .drift = 0.001, .resolution = 0.001, .most = 10},
    [P_OUT_5] = {.sigma = 0.004, .lag_s = 1, .drift = 0.001, .resolution = 0.001, .most = 10},
    [RIVER_NEAR] = {.sigma = 0.08, .lag_s = 1, .drift = 0.03, .resolution = 0.01, .most = 600},
    [RIVER_FAR] = {.sigma = 0.08, .lag_s = 1, .drift = 0.03, .resolution = 0.01, .most = 600},
};

#define BASE_KPA        101.325
#define HOUSEHOLD_M3H   52.0 /* of each district, on a mean spring day */
#define WORKSHOPS_M3H   230.0
#define HEATING_M3H     160.0
#define STREET_M3H      45.0 /* restaurants on grid 1 */
#define INLET_KPA       1510.0
#define ROOM_M3         60.0
#define ROOM_AIR_M3H    700.0
#define CH4_NORMAL      0.5
#define RIVER_M         800.0
#define RIVER_MM        63.0
#define RIVER_LEAK_M3H  150.0
#define RELATIVE_WEIGHT 0.6 /* of natural gas to air */

static const double cooking[24] = {0.22, 0.18, 0.15, 0.15, 0.2, 0.6, 1.4, 1.6, 1.1, 0.8, 1.0, 1.9,
                                   1.7,  0.9,  0.7,  0.7,  1.0, 1.9, 2.5, 2.1, 1.4, 1.0, 0.6, 0.35};
static const double cooking_weekend[24] = {0.28, 0.2, 0.16, 0.15, 0.18, 0.35, 0.8, 1.3,
                                           1.5,  1.3, 1.3,  2.0,  2.0,  1.2,  0.9, 0.9,
                                           1.2,  2.0, 2.5,  2.2,  1.6,  1.1,  0.7, 0.4};
static const double working[24] = {0.25, 0.25, 0.25, 0.25, 0.25, 0.3, 0.5, 0.9,
                                   1.4,  1.6,  1.6,  1.4,  1.1,  1.3, 1.6, 1.6,
                                   1.5,  1.3,  0.9,  0.6,  0.5,  0.4, 0.3, 0.25};

/* ---- demand ---- */

static double households(const struct plant_time *time, double later_h)
{
    bool weekend = time->weekday >= SATURDAY;
    double hour = fmod(time->hour + 24 - later_h, 24);
    double hot_water = 1 - 0.28 * time->season;
    return HOUSEHOLD_M3H * hot_water * plant_profile(weekend ? cooking_weekend : cooking, hour);
}

static double workshops(const struct plant_time *time)
{
    double week = time->weekday >= SATURDAY ? 0.45 : 1;
    double cold = limit(-time->season - 0.2, 0, 1); /* the heating season */
    double night = plant_time_between(time, 6, 22) ? 1 : 0.7;
    return WORKSHOPS_M3H * week * plant_profile(working, time->hour) + HEATING_M3H * cold * night +
           12;
}

/* What the consumers behind regulator `i` would draw. */
static double wanted(int i, const struct plant_time *time)
{
    if (i == 0)
        return STREET_M3H * plant_profile(cooking_weekend, time->hour);
    if (i == 1)
        return workshops(time);
    return households(time, (i - 2) * 0.15) * (1.1 - 0.1 * (i - 2));
}

static void demand(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    for (int i = 0; i < REGULATORS; i++) {
        const struct regulator *r = &regulators[i];
        x[HABIT_1 + i] = noise_wander(noise, x[HABIT_1 + i], 1, 0.07, 400, time->dt_s);
        /* Burners starve below a third of the pressure. */
        double fed = limit(v[r->pressure] / (0.33 * r->set_kpa), 0, 1);
        x[DRAW_1 + i] = fmax(0, wanted(i, time) * x[HABIT_1 + i]) * fed;
    }
    double pushes = limit(v[P_OUT_1] / regulators[0].set_kpa, 0, 1);
    x[LEAKED] = RIVER_LEAK_M3H * fmax(0, plant->disturbances[RIVER_LEAK]) * pushes;
}

/* ---- regulators ---- */

/* What a regulator lets through into its grid at outlet pressure `p`. */
static double passes(const struct regulator *r, double supply, double p, double set, double creep)
{
    double push = limit((supply - p) / (0.4 * r->set_kpa), 0, 1); /* needs a difference to flow */
    double opens = p < set ? r->seat_m3h + r->gain * (set - p)
                           : r->seat_m3h * limit(1 - (p - set) / r->lock_kpa, 0, 1);
    return limit(fmax(opens, r->creep_m3h * creep), 0, r->most_m3h) * push;
}

static void regulate(struct plant *plant, int i, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    const struct regulator *r = &regulators[i];
    double p = v[r->pressure];
    /* Hunting: a cycle of some 25 s that grows as the valve nears its seat. */
    x[PHASE_1 + i] += time->dt_s * (0.25 + 0.02 * noise_normal(&plant->process_noise));
    double near_seat = limit(1 - x[PASS_1 + i] / (0.12 * r->most_m3h), 0, 1);
    double set = r->set_kpa * (1 + 0.0025 * near_seat * sin(x[PHASE_1 + i]) +
                               0.0006 * noise_normal(&plant->process_noise));
    double creep = fmax(0, plant->disturbances[CREEP_1 + i]);
    double in_m3h = is_on(v[r->shut]) ? 0 : passes(r, v[r->supply], p, set, creep);
    double out_m3h = x[DRAW_1 + i];
    if (i == 0) /* the districts' regulators, as they stood a step ago, and the river */
        out_m3h += x[PASS_1 + 2] + x[PASS_1 + 3] + x[PASS_1 + 4] + x[LEAKED];
    x[PASS_1 + i] = in_m3h;
    p += BASE_KPA / r->grid_m3 * volume(in_m3h - out_m3h, time->dt_s);
    v[r->pressure] = p > 1e-6 ? p : 0;

    if (p > r->trip_kpa || plant->disturbances[TRIP_1 + i] >= 0.5)
        v[r->shut] = 1;
    else if (plant->disturbances[RESET] >= 0.5)
        v[r->shut] = 0;
}

/* The pressure (gauge, kPa) at the end of such a length of the river's pipe. */
static double after_pipe(double gauge_kpa, double length_m, double flow_m3h)
{
    double bar = (gauge_kpa + BASE_KPA) / 100;
    double loss = 48.6 * RELATIVE_WEIGHT * length_m * pow(flow_m3h, 1.82) * pow(RIVER_MM, -4.82);
    return fmax(0, sqrt(fmax(0, bar * bar - loss)) * 100 - BASE_KPA);
}

static void cross(struct plant *plant)
{
    double *v = plant->values, *x = plant->hidden;
    double far_m3h = x[PASS_1 + 4];
    v[RIVER_NEAR] = v[P_OUT_1];
    double halfway = after_pipe(v[RIVER_NEAR], RIVER_M / 2, far_m3h + x[LEAKED]);
    v[RIVER_FAR] = after_pipe(halfway, RIVER_M / 2, far_m3h);
}

/* ---- the station ---- */

/* What warms the pipe: the season, and the day a little. */
static double ground(const struct plant_time *time)
{
    return 15 + 8 * time->season + 1.3 * cos(6.283185307 * (time->hour - 15) / 24);
}

static void station(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    x[SUPPLY] = noise_wander(noise, x[SUPPLY], 0, 12, 4 * 3600.0, time->dt_s);
    v[FLOW] = x[PASS_1] + x[PASS_1 + 1];
    v[VOLUME] += volume(v[FLOW], time->dt_s);
    double drop = 500 * limit(plant->disturbances[INLET_DROP], 0, 2.5);
    double inlet = INLET_KPA + x[SUPPLY] - 0.07 * v[FLOW] - drop;
    v[P_IN] = fmax(0, lag(v[P_IN], inlet, 90, time->dt_s) + 0.15 * noise_normal(noise));

    v[TEMPERATURE] = lag(v[TEMPERATURE], ground(time) - 0.001 * v[FLOW], 1800, time->dt_s);
    double source = ROOM_AIR_M3H * (CH4_NORMAL + 60 * fmax(0, plant->disturbances[LEAK]));
    v[CH4] += (source - ROOM_AIR_M3H * v[CH4]) / ROOM_M3 * time->dt_s / 3600 +
              0.004 * noise_normal(noise);
    v[CH4] = fmax(0, v[CH4]);
    /* A lithium cell: a tenth of a volt a year. */
    v[BATTERY] = fmax(2.5, v[BATTERY] - 3.5e-9 * time->dt_s);
}

static void begin(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    v[TEMPERATURE] = ground(time);
    v[CH4] = CH4_NORMAL;
    v[VOLUME] = 12345686.5;
    v[BATTERY] = 3.62;
    for (int i = 0; i < REGULATORS; i++) {
        x[HABIT_1 + i] = 1;
        x[PASS_1 + i] = x[DRAW_1 + i] = wanted(i, time);
        x[PHASE_1 + i] = 6 * noise_uniform(&plant->process_noise);
    }
    x[PASS_1] += x[PASS_1 + 2] + x[PASS_1 + 3] + x[PASS_1 + 4];
    for (int i = 0; i < REGULATORS; i++) {
        const struct regulator *r = &regulators[i];
        v[r->pressure] = r->set_kpa - fmax(0, x[PASS_1 + i] - r->seat_m3h) / r->gain;
    }
    v[FLOW] = x[PASS_1] + x[PASS_1 + 1];
    v[P_IN] = INLET_KPA - 0.07 * v[FLOW];
    cross(plant);
}

static void step(struct plant *plant, const struct plant_time *time)
{
    demand(plant, time);
    for (int i = 0; i < REGULATORS; i++)
        regulate(plant, i, time);
    cross(plant);
    station(plant, time);
}

const struct plant_model plant_gas = {"gas", names, disturbances, instruments, begin, step};
