#include "drivers/simulator/plant_kitchen.h"

#include "drivers/simulator/plant_parts.h"

#include <math.h>

/*
 * Design notes
 *
 * Lorries tip into the hopper in the morning and after lunch; a screw takes it through sorting,
 * heating and a three-phase separator: grease into its tank, solids out, slurry into a buffer. The
 * feed pump serves the digester from there, some minutes of each half hour.
 *
 * Digester, in m3 of gas still to come, two stages:
 *   hydrolysis     dB/dt = yield feed - k B, a fast and a slow part (first order, as ADM1 has it)
 *   acids          dA/dt = k1 B1 + k2 B2 - r A/(Ka + A) f(T) f(pH)      Monod
 *   gas            r A/(Ka + A) f(T) f(pH) comes out, sooner while the stirrer runs
 * More acids mean a lower pH and less methane, a lower pH slows the methane makers: fed too much
 * the digester sours, as real ones do; then the feed waits. Heat: the feed and the walls cool, the
 * boiler's loop heats by a two-point controller.
 *
 * Gas: headspace and holder are two volumes, dp/dt = p0/V (Q in - Q out); between them a pipe,
 * Q = k sqrt(dp). The holder is a double membrane with a blower: its pressure is nearly constant
 * until it is full, then rises. The engine runs by the holder's level, the boiler burns for the
 * digester's heat, the flare takes what is too much, a water seal lets go above 4 kPa.
 *
 * Sizes: 100 t of waste a day, digester 2000 m3 at 37 degC, holder 2000 m3; assumptions, with
 * yields of the usual size (80 m3 of gas from a m3 of slurry, 60 % methane).
 */

enum {
    HOPPER,
    SCREW,
    GREASE,
    BUFFER,
    FEED,
    FEED_FLOW,
    TEMPERATURE,
    PRESSURE,
    LEVEL,
    PH,
    GAS_FLOW,
    GAS_TOTAL,
    CH4,
    H2S,
    HOLDER,
    FLARE,
    STIRRER,
    HEATING,
    ENGINE,
    RECEIVED,
    ENGINE_KW,
    VARIABLES
};

static const char *const names[] = {
    [HOPPER] = "hopper_level",
    [SCREW] = "screw",
    [GREASE] = "grease_level",
    [BUFFER] = "buffer_level",
    [FEED] = "feed",
    [FEED_FLOW] = "feed_flow",
    [TEMPERATURE] = "digester_temp",
    [PRESSURE] = "digester_pressure",
    [LEVEL] = "digester_level",
    [PH] = "ph",
    [GAS_FLOW] = "biogas_flow",
    [GAS_TOTAL] = "biogas_total",
    [CH4] = "ch4",
    [H2S] = "h2s",
    [HOLDER] = "holder_level",
    [FLARE] = "flare",
    [STIRRER] = "stirrer",
    [HEATING] = "heating",
    [ENGINE] = "engine",
    [RECEIVED] = "received_total",
    [ENGINE_KW] = "engine_power",
    [VARIABLES] = NULL,
};

enum { FEED_STOP, FOAMING, H2S_PEAK, HEATING_TRIP, FLARE_FAIL };

static const char *const disturbances[] = {"feed_stop",    "foaming",    "h2s_peak",
                                           "heating_trip", "flare_fail", NULL};

enum {
    HOPPER_T,
    FETCHING,    /* 1: grease is pumped into a lorry */
    LOAD_LEFT_T, /* of the lorry that tips now */
    FAST,        /* m3 of gas to come, easily */
    SLOW,        /* and slowly */
    ACIDS,
    LIQUID_M,
    FOAM_M,
    DRAIN,    /* 1: sludge is drawn off */
    RELEASED, /* m3/h of gas out of the liquid */
    HOLDER_M3,
    RICHNESS, /* wanders about 1: fat and starch of the day */
    SULPHUR,  /* ppm, wanders */
    MAKEUP,   /* % methane, wanders about 0 */
    ENGINE_M3H,
};

/* Radar and pressure levels, class A thermometer, thermal gas meter, infrared methane and
 * electrochemical H2S analyser, both checked with span gas each week: errors as data sheets of
 * their class give them. */
static const struct instrument instruments[VARIABLES] = {
    [HOPPER] = {.sigma = 0.4, .lag_s = 5, .resolution = 0.1, .most = 100},
    [GREASE] = {.sigma = 0.003, .lag_s = 5, .resolution = 0.001, .most = 4},
    [BUFFER] = {.sigma = 0.004, .lag_s = 5, .drift = 0.001, .resolution = 0.001, .most = 6},
    [FEED_FLOW] = {.sigma = 0.1, .lag_s = 2, .resolution = 0.01, .most = 60, .cutoff = 0.5},
    [TEMPERATURE] = {.sigma = 0.015, .lag_s = 60, .drift = 0.003, .resolution = 0.01, .most = 100},
    [PRESSURE] =
        {.sigma = 0.004, .lag_s = 1, .drift = 0.002, .resolution = 0.001, .least = -5, .most = 10},
    [LEVEL] = {.sigma = 0.006, .lag_s = 10, .drift = 0.002, .resolution = 0.001, .most = 12},
    [PH] = {.sigma = 0.008,
            .lag_s = 30,
            .drift = 0.012,
            .resolution = 0.01,
            .most = 14,
            .calibration = {168, 58, 900, 6.86}},
    [GAS_FLOW] = {.sigma = 1.2, .lag_s = 5, .drift = 0.5, .resolution = 0.1, .most = 1000},
    [CH4] = {.sigma = 0.04,
             .lag_s = 60,
             .drift = 0.1,
             .resolution = 0.1,
             .most = 100,
             .calibration = {168, 81, 900, 60}},
    [H2S] = {.sigma = 2,
             .lag_s = 60,
             .drift = 3,
             .resolution = 1,
             .most = 5000,
             .calibration = {168, 81, 900, 500}},
    [HOLDER] = {.sigma = 0.15, .lag_s = 5, .resolution = 0.1, .most = 100},
    [ENGINE_KW] = {.sigma = 1, .resolution = 0.1, .most = 1000},
};

#define HOPPER_MOST_T    60.0
#define SCREW_T_H        8.0
#define GREASE_SHARE     0.03
#define SLURRY_SHARE     0.85 /* the rest is solids that leave */
#define GREASE_AREA_M2   5.0
#define GREASE_DENSITY   0.92
#define BUFFER_AREA_M2   40.0
#define BUFFER_FULL_M    5.0
#define FEED_M3H         24.0
#define FEED_EACH_S      1800
#define YIELD_M3         80.0
#define FAST_SHARE       0.6
#define FAST_PER_H       0.2
#define SLOW_PER_H       0.008
#define MAKERS_M3H       600.0 /* what the methane makers can */
#define ACIDS_HALF       300.0
#define DIGESTER_AREA_M2 200.0
#define DIGESTER_M3      2000.0
#define SET_DEGC         37.0
#define HEATER_KW        190.0
#define HEAT_KWH_M3K     1.163 /* of water */
#define WALLS_KW_K       1.1
#define HEADSPACE_M3     300.0
#define HOLDER_MOST_M3   2000.0
#define PIPE_M3H         480.0 /* at 1 kPa of difference */
#define SEAL_KPA         4.0
#define FLARE_M3H        400.0
#define BOILER_M3H       32.0
#define BASE_KPA         101.325
#define KWH_M3           2.1 /* electricity from a m3 of biogas */

/* Tonnes an hour that lorries bring: after the restaurants' night, and after lunch. */
static const double brought[24] = {0, 0, 0,  0,  0, 0, 3, 9, 14, 14, 10, 4,
                                   2, 5, 11, 12, 9, 5, 2, 0, 0,  0,  0,  0};
static const double weekly[7] = {1.1, 0.95, 0.95, 1.0, 1.0, 1.1, 1.1};

static void begin(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    x[HOPPER_T] = plant_time_between(time, 8, 21) ? 25 : 8;
    v[HOPPER] = x[HOPPER_T] / HOPPER_MOST_T * 100;
    v[GREASE] = 0.4 + noise_uniform(&plant->process_noise);
    v[BUFFER] = 2.8;
    v[TEMPERATURE] = SET_DEGC + 0.1 * (noise_uniform(&plant->process_noise) - 0.5);
    v[LEVEL] = x[LIQUID_M] = 10;
    v[PH] = 7.55;
    v[CH4] = 60;
    v[H2S] = x[SULPHUR] = 320;
    v[STIRRER] = 1;
    v[ENGINE] = 1;
    v[ENGINE_KW] = 470;
    v[GAS_FLOW] = x[RELEASED] = 265;
    v[GAS_TOTAL] = 1904217.0;
    v[RECEIVED] = 30871.5;
    x[HOLDER_M3] = HOLDER_MOST_M3 * 0.5;
    v[HOLDER] = 50;
    v[PRESSURE] = 1.9;
    x[RICHNESS] = 1;
    x[FAST] = 265 * FAST_SHARE / FAST_PER_H;
    x[SLOW] = 265 * (1 - FAST_SHARE) / SLOW_PER_H;
    x[ACIDS] = 240;
    x[ENGINE_M3H] = 225;
}

/* ---- waste and slurry ---- */

static void receive(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    double lorries = plant_profile(brought, time->hour) * weekly[time->weekday] / 5; /* an hour */
    /* A full hopper sends lorries elsewhere. */
    bool room = x[HOPPER_T] < HOPPER_MOST_T - 8;
    if (x[LOAD_LEFT_T] <= 0 && room && noise_uniform(noise) < lorries * time->dt_s / 3600) {
        x[LOAD_LEFT_T] = nearbyint((3.5 + 3 * noise_uniform(noise)) * 50) / 50;
        v[RECEIVED] += x[LOAD_LEFT_T];
    }
    double tips_t = fmin(x[LOAD_LEFT_T], 0.025 * time->dt_s); /* 25 kg/s off the lorry */
    x[LOAD_LEFT_T] -= tips_t;

    bool shift = plant_time_between(time, 7, 22);
    v[SCREW] = shift && v[BUFFER] < BUFFER_FULL_M ? latch(v[SCREW], x[HOPPER_T], 6, 0.5) : 0;
    double taken_t = fmin(x[HOPPER_T], v[SCREW] * SCREW_T_H * time->dt_s / 3600);
    x[HOPPER_T] += tips_t - taken_t;
    v[HOPPER] = x[HOPPER_T] / HOPPER_MOST_T * 100;
    v[GREASE] += taken_t * GREASE_SHARE / GREASE_DENSITY / GREASE_AREA_M2;
    v[BUFFER] += taken_t * SLURRY_SHARE / BUFFER_AREA_M2;
    /* The grease is fetched when there is a load of it. */
    bool fetched = time->weekday < SATURDAY && plant_time_between(time, 10, 12);
    x[FETCHING] = fetched ? latch(x[FETCHING], v[GREASE], 1.8, 0.2) : 0;
    v[GREASE] -= x[FETCHING] * volume(15, time->dt_s) / GREASE_AREA_M2;
    x[RICHNESS] = noise_wander(noise, x[RICHNESS], 1, 0.06, DAY_S, time->dt_s);
}

/* The digester's level: what is fed, what is drawn off, what foams. */
static void fill(struct plant *plant, double fed_m3, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    x[DRAIN] = latch(x[DRAIN], x[LIQUID_M], 10.06, 9.97);
    double drawn_m3 = volume(20 * x[DRAIN], time->dt_s);
    x[LIQUID_M] += (fed_m3 - drawn_m3) / DIGESTER_AREA_M2;
    double foams = limit(plant->disturbances[FOAMING], 0, 1.5);
    x[FOAM_M] = lag(x[FOAM_M], foams, foams > x[FOAM_M] ? 1200 : 2400, time->dt_s);
    double ripples = 0.01 + 0.1 * x[FOAM_M];
    v[LEVEL] = x[LIQUID_M] + x[FOAM_M] + ripples * 0.3 * noise_normal(&plant->process_noise);
}

static void feed(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    /* Longer turns the more there is to feed; none while the digester is sour. */
    double turn_s = FEED_EACH_S * limit(0.16 * v[BUFFER] / 3, 0, 0.21);
    bool turn = (double)(time->local_s % FEED_EACH_S) < turn_s && v[BUFFER] > 0.3 && v[PH] > 6.9;
    v[FEED] = turn && plant->disturbances[FEED_STOP] < 0.5;
    double runs = FEED_M3H * v[FEED] * (1 + 0.01 * noise_normal(&plant->process_noise));
    v[FEED_FLOW] = lag(v[FEED_FLOW], runs, 4, time->dt_s);
    if (!is_on(v[FEED]) && v[FEED_FLOW] < 0.05)
        v[FEED_FLOW] = 0;
    double fed_m3 = volume(v[FEED_FLOW], time->dt_s);
    v[BUFFER] = fmax(0, v[BUFFER] - fed_m3 / BUFFER_AREA_M2);
    x[FAST] += fed_m3 * YIELD_M3 * FAST_SHARE * x[RICHNESS];
    x[SLOW] += fed_m3 * YIELD_M3 * (1 - FAST_SHARE) * x[RICHNESS];
    fill(plant, fed_m3, time);
}

/* ---- digester ---- */

static void heat(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values;
    double called = latch(v[HEATING], v[TEMPERATURE], SET_DEGC - 0.1, SET_DEGC + 0.1);
    v[HEATING] = plant->disturbances[HEATING_TRIP] < 0.5 ? called : 0;
    double outside = 16 + 10 * time->season;
    double slurry = 28 + 3 * time->season; /* warm from the separator */
    double kw = HEATER_KW * v[HEATING] - WALLS_KW_K * (v[TEMPERATURE] - outside) -
                v[FEED_FLOW] * HEAT_KWH_M3K * (v[TEMPERATURE] - slurry);
    v[TEMPERATURE] += kw / (DIGESTER_M3 * HEAT_KWH_M3K) * time->dt_s / 3600;
}

static void ferment(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    double hours = time->dt_s / 3600;
    double warm = limit(1 - 0.02 * pow(v[TEMPERATURE] - 37.5, 2), 0.1, 1);
    double sour = limit((v[PH] - 6.2) / 0.9, 0.05, 1);
    double easy = FAST_PER_H * x[FAST] * warm, hard = SLOW_PER_H * x[SLOW] * warm;
    double made = MAKERS_M3H * monod(x[ACIDS], ACIDS_HALF) * warm * sour;
    x[FAST] -= hours * easy;
    x[SLOW] -= hours * hard;
    x[ACIDS] = fmax(0, x[ACIDS] + hours * (easy + hard - made));

    v[STIRRER] = time->local_s % 1800 < 1200; /* twenty minutes of thirty */
    double stirred = is_on(v[STIRRER]) ? 1.04 : 0.92;
    x[RELEASED] = lag(x[RELEASED], made * stirred, 150, time->dt_s);
    v[PH] = lag(v[PH], limit(7.75 - 0.0008 * x[ACIDS], 4.5, 8.2), 1200, time->dt_s) +
            0.0007 * sqrt(time->dt_s) * noise_normal(noise);
    x[MAKEUP] = noise_wander(noise, x[MAKEUP], 0, 0.8, 6 * 3600.0, time->dt_s);
    double methane = 61.5 - 0.006 * (x[ACIDS] - 200) + x[MAKEUP];
    v[CH4] = lag(v[CH4], limit(methane, 30, 72), 900, time->dt_s);
    double fresh = 0.25 * easy * x[RICHNESS];
    x[SULPHUR] = noise_wander(noise, x[SULPHUR], 270 + fresh, 35, 4 * 3600.0, time->dt_s);
    double peak = 3000 * fmax(0, plant->disturbances[H2S_PEAK]);
    v[H2S] = lag(v[H2S], fmax(20, x[SULPHUR]) + peak, 600, time->dt_s);
}

/* ---- gas ---- */

static void consume(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    /* Service each Wednesday; power is worth more by day. */
    bool service = time->weekday == 2 && plant_time_between(time, 9, 13);
    v[ENGINE] = service ? 0 : latch(v[ENGINE], v[HOLDER], 30, 12);
    double day = plant_time_between(time, 7, 22) ? 25 : -40;
    double load = limit(140 + 2.0 * v[HOLDER] + day, 120, 320);
    x[ENGINE_M3H] = lag(x[ENGINE_M3H], load * v[ENGINE], 60, time->dt_s);
    v[ENGINE_KW] = lag(v[ENGINE_KW], is_on(v[ENGINE]) ? x[ENGINE_M3H] * KWH_M3 * v[CH4] / 60 : 0, 5,
                       time->dt_s);
    double called = latch(v[FLARE], v[HOLDER], 90, 75);
    v[FLARE] = plant->disturbances[FLARE_FAIL] < 0.5 ? called : 0;
}

static void balance(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    double level = x[HOLDER_M3] / HOLDER_MOST_M3;
    double held_kpa = 1.4 + 0.25 * level + 60 * fmax(0, level - 0.98); /* full: it stretches */
    double choked = 1 - 0.7 * limit(x[FOAM_M], 0, 1);
    double push = v[PRESSURE] - held_kpa;
    double flow = push > 0 ? PIPE_M3H * choked * sqrt(push) : 0;
    /* Never more than would even them out within the step. */
    double most = x[RELEASED] + push * HEADSPACE_M3 / BASE_KPA * 3600 / time->dt_s * 0.5;
    flow = fmin(flow, fmax(0, most));
    double seal = v[PRESSURE] > SEAL_KPA ? 900 * (v[PRESSURE] - SEAL_KPA) : 0;
    v[PRESSURE] += BASE_KPA / HEADSPACE_M3 * volume(x[RELEASED] - flow - seal, time->dt_s) +
                   (0.001 + 0.02 * x[FOAM_M]) * noise_normal(&plant->process_noise);
    v[PRESSURE] = limit(v[PRESSURE], 0, 9);
    v[GAS_FLOW] = flow;
    v[GAS_TOTAL] += volume(flow, time->dt_s);

    double burnt = x[ENGINE_M3H] + BOILER_M3H * v[HEATING] + FLARE_M3H * v[FLARE];
    x[HOLDER_M3] = fmax(0, x[HOLDER_M3] + volume(flow - burnt, time->dt_s));
    v[HOLDER] = limit(x[HOLDER_M3] / HOLDER_MOST_M3 * 100, 0, 105);
}

static void step(struct plant *plant, const struct plant_time *time)
{
    receive(plant, time);
    feed(plant, time);
    heat(plant, time);
    ferment(plant, time);
    consume(plant, time);
    balance(plant, time);
}

const struct plant_model plant_kitchen = {"kitchen", names, disturbances, instruments, begin, step};
