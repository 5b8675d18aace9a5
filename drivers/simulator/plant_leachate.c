#include "drivers/simulator/plant_leachate.h"

#include "drivers/simulator/plant_parts.h"

#include <math.h>

/*
 * Design notes
 *
 * Leachate of tipping and seepage, and rain through a linear reservoir, run into the equalisation
 * tank: A dh/dt = Qin - Qfeed. A feed pump, switched by level, serves the biological tank, whose
 * contents are one stirred tank (CSTR) of volume V:
 *
 *   COD      dS/dt = Q/V (S0 - S) - k X S/(Ks+S) C/(Ko+C)           Monod in substrate and oxygen
 *   NH3-N    dN/dt = Q/V (N0 - N) - m X N/(Kn+N) C/(Ko+C) f(pH)     nitrification
 *   NOx-N    dO/dt = nitrified - denitrified, limited by NOx and COD
 *   oxygen   dC/dt = KLa(blower) (Cs - C) - OUR C/(K+C),  OUR = 0.45 COD + 4.57 N removed + 4.2 X
 *   sludge   dX/dt = yield COD removed - decay - what the press takes on working days
 *
 * The blower's frequency holds the dissolved oxygen (PI). Membranes draw water at constant flux J
 * in cycles of filtration and backwash; the pressure difference is J times a sum of resistances:
 * the membrane's own, the cake (backwash takes it off) and the pores' (a cleaning with chemicals
 * takes it off, on Mondays or when the pressure asks for it). Nanofiltration holds a fixed share of
 * each substance back. The clear tank is one more CSTR; water leaves over a V-notch of 90 degrees,
 * Q = 1.4 h^2.5 (m3/s, m: Thomson's weir).
 *
 * The shapes are those of the activated sludge models (Henze and others, IWA ASM1) cut down to what
 * the instruments see, and of resistance in series. Constants are assumptions of the usual size for
 * a county's landfill with a membrane bioreactor of 250 m3/d; none is of a real plant.
 */

enum {
    LEVEL,
    INFLOW,
    OUTFLOW,
    PH,
    COD,
    NH3N,
    TN,
    OXYGEN,
    FLUX,
    PRESSURE,
    PUMP,
    TOTAL,
    FEED,
    TP,
    SLUDGE,
    TEMPERATURE,
    BIO_LEVEL,
    BLOWER,
    FREQUENCY,
    CURRENT,
    MEMBRANE,
    RAIN,
    SAMPLER,
    BOTTLE,
    CALIBRATING,
    FEED_TOTAL,
    VARIABLES
};

static const char *const names[] = {
    [LEVEL] = "level",
    [INFLOW] = "inflow",
    [OUTFLOW] = "outflow",
    [PH] = "ph",
    [COD] = "cod",
    [NH3N] = "nh3n",
    [TN] = "tn",
    [OXYGEN] = "do",
    [FLUX] = "flux",
    [PRESSURE] = "tmp",
    [PUMP] = "pump",
    [TOTAL] = "outflow_total",
    [FEED] = "feed_flow",
    [TP] = "tp",
    [SLUDGE] = "mlss",
    [TEMPERATURE] = "temp",
    [BIO_LEVEL] = "bio_level",
    [BLOWER] = "blower",
    [FREQUENCY] = "blower_freq",
    [CURRENT] = "blower_current",
    [MEMBRANE] = "membrane",
    [RAIN] = "rain",
    [SAMPLER] = "sampler",
    [BOTTLE] = "sampler_bottle",
    [CALIBRATING] = "calibrating",
    [FEED_TOTAL] = "feed_total",
    [VARIABLES] = NULL,
};

enum { PUMP_TRIP, BLOWER_TRIP, PH_EXCURSION, COD_PEAK, MEMBRANE_FOULING, STORM };

static const char *const disturbances[] = {
    "pump_trip", "blower_trip", "ph_excursion", "cod_peak", "membrane_fouling", "rain", NULL};

/* What MEMBRANE tells. */
enum { RESTING, FILTERING, BACKWASHING, CLEANING };

enum {
    RAIN_LEFT_S, /* of the present rain */
    RAIN_MM_H,
    RUNOFF,    /* m3/h, what rain adds to the inflow */
    SEEPAGE,   /* wanders about 1: how much comes at all */
    STRENGTH,  /* wanders about 1: how strong it is */
    SUBSTRATE, /* mg/L in the biological tank, as all four */
    AMMONIA,
    NITRATE,
    PHOSPHORUS,
    OXYGEN_PART, /* the controller's integral, Hz */
    HEAD,        /* m over the weir */
    WANTED,      /* 1: the membranes shall draw */
    CYCLE_S,     /* into the membranes' cycle */
    CAKE,        /* kPa per L/m2/h, as PORES */
    PORES,
    CLEAN_LEFT_S,
    REMOVED_N, /* mg/L/h, nitrified */
};

/* Errors of the instruments: magnitudes as data sheets of their class give them; analysers within
 * the tolerances that HJ 353 and HJ 355 (on-line water monitoring in China) ask of them, and
 * checked at night, as those ask. TN and TP are digested and measured once an hour. */
static const struct instrument instruments[VARIABLES] = {
    [LEVEL] = {.sigma = 0.002, .lag_s = 5, .drift = 0.001, .resolution = 0.001, .most = 6},
    [INFLOW] = {.sigma = 0.08, .lag_s = 3, .resolution = 0.01, .most = 100},
    [OUTFLOW] = {.sigma = 0.06, .lag_s = 3, .resolution = 0.01, .most = 50, .cutoff = 0.3},
    [PH] = {.sigma = 0.008,
            .lag_s = 20,
            .drift = 0.01,
            .resolution = 0.01,
            .most = 14,
            .calibration = {168, 33, 900, 6.86}},
    [COD] = {.sigma = 0.5,
             .lag_s = 60,
             .drift = 0.6,
             .resolution = 0.1,
             .most = 1000,
             .calibration = {24, 2, 1200, INSTRUMENT_HOLDS}},
    [NH3N] = {.sigma = 0.08,
              .lag_s = 120,
              .drift = 0.15,
              .resolution = 0.01,
              .most = 500,
              .calibration = {24, 2, 1200, INSTRUMENT_HOLDS}},
    [TN] = {.sigma = 0.3,
            .drift = 0.3,
            .resolution = 0.1,
            .most = 200,
            .cycle_s = 3600,
            .calibration = {24, 3, 1800, INSTRUMENT_HOLDS}},
    [TP] = {.sigma = 0.01,
            .drift = 0.01,
            .resolution = 0.01,
            .most = 50,
            .cycle_s = 3600,
            .calibration = {24, 3, 1800, INSTRUMENT_HOLDS}},
    [OXYGEN] = {.sigma = 0.02,
                .lag_s = 30,
                .drift = 0.02,
                .resolution = 0.01,
                .most = 20,
                .calibration = {336, 34, 600, 8.2}},
    [FLUX] = {.sigma = 0.05, .lag_s = 2, .resolution = 0.01, .most = 40, .cutoff = 0.3},
    [PRESSURE] = {.sigma = 0.1, .lag_s = 1, .resolution = 0.01, .least = -100, .most = 100},
    [FEED] = {.sigma = 0.06, .lag_s = 2, .resolution = 0.01, .most = 50, .cutoff = 0.3},
    [SLUDGE] = {.sigma = 0.04,
                .lag_s = 60,
                .drift = 0.05,
                .resolution = 0.01,
                .most = 30,
                .calibration = {336, 58, 900, INSTRUMENT_HOLDS}},
    [TEMPERATURE] = {.sigma = 0.02, .lag_s = 60, .resolution = 0.1, .least = -20, .most = 80},
    [BIO_LEVEL] = {.sigma = 0.003, .lag_s = 5, .drift = 0.001, .resolution = 0.001, .most = 8},
    [FREQUENCY] = {.sigma = 0.01, .resolution = 0.01, .most = 60},
    [CURRENT] = {.sigma = 0.3, .lag_s = 1, .resolution = 0.1, .most = 200},
    [RAIN] = {.resolution = 0.1, .most = 200, .cycle_s = 60},
};

#define TANK_AREA_M2   200.0
#define TANK_DEPTH_M   6.0
#define SEEPAGE_M3H    4.5 /* whatever the hour */
#define TIPPING_M3H    6.0 /* with the day's tipping */
#define CATCHMENT_M2   12000.0
#define RUNOFF_SHARE   0.35
#define RUNOFF_S       10800.0
#define STORM_MM_H     10.0
#define DRY_SPELL_S    (60 * 3600.0) /* on average, between two rains */
#define PUMP_M3H       16.0
#define LEVEL_START_M  2.6
#define LEVEL_STOP_M   2.2
#define BIO_AREA_M2    120.0
#define BIO_DRAW_M     5.0    /* the membranes draw from here */
#define BIO_REST_M     4.9    /* and rest from here */
#define BIO_FULL_M     5.6    /* the feed waits */
#define RAW_COD        6500.0 /* mg/L, what biology can take of it */
#define REFRACTORY_COD 470.0  /* and what it cannot */
#define RAW_AMMONIA    950.0
#define RAW_PHOSPHORUS 12.0
#define OXYGEN_SET     2.0
#define OXYGEN_FULL    7.3 /* mg/L, saturation in warm sludge */
#define PH_NORMAL      7.5
#define MEMBRANE_M2    1200.0
#define FLUX_SET       15.0 /* L/m2/h */
#define BACKWASH_M3H   24.0
#define FILTER_S       540.0
#define BACKWASH_S     60.0
#define CLEAN_S        7200.0
#define CLEAN_KPA      48.0 /* cleaning is due */
#define PRESSURE_MOST  52.0 /* what the pump can draw */
#define CLEAN_MEMBRANE 1.2  /* kPa per L/m2/h */
#define CLEAR_AREA_M2  60.0
#define CLEAR_M3       40.0

/* Lorries tip from five in the morning, most before noon. */
static const double tipping[24] = {0.3, 0.3, 0.3, 0.3, 0.5, 0.9, 1.4, 1.8, 2.0, 2.0, 1.8, 1.6,
                                   1.3, 1.2, 1.3, 1.4, 1.4, 1.3, 1.0, 0.7, 0.5, 0.4, 0.3, 0.3};

static void begin(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    v[LEVEL] = 2.25 + 0.3 * noise_uniform(noise);
    v[INFLOW] = SEEPAGE_M3H + TIPPING_M3H * plant_profile(tipping, time->hour);
    v[PUMP] = v[BLOWER] = 1;
    v[FEED] = PUMP_M3H;
    v[BIO_LEVEL] = 5.05;
    v[OUTFLOW] = 13;
    v[FLUX] = FLUX_SET;
    v[PH] = PH_NORMAL;
    v[OXYGEN] = OXYGEN_SET;
    v[SLUDGE] = 8.6 + 0.4 * noise_uniform(noise);
    v[TEMPERATURE] = 31 + 3 * time->season;
    v[FREQUENCY] = 40;
    v[CURRENT] = 52;
    v[MEMBRANE] = FILTERING;
    v[COD] = 59;
    v[NH3N] = 7;
    v[TN] = 20;
    v[TP] = 0.7;
    v[TOTAL] = 81234.5;
    v[FEED_TOTAL] = 96120.0;
    x[SEEPAGE] = x[STRENGTH] = 1;
    x[SUBSTRATE] = 120;
    x[AMMONIA] = 7;
    x[NITRATE] = 11;
    x[PHOSPHORUS] = 0.7;
    x[OXYGEN_PART] = 40;
    x[HEAD] = 0.092;
    x[WANTED] = 1;
    /* A week's fouling between Mondays. */
    x[PORES] = 0.1 * (time->weekday + time->hour / 24);
    v[PRESSURE] = FLUX_SET * (CLEAN_MEMBRANE + x[PORES]);
    v[BOTTLE] = 1 + floor(time->hour);
}

/* ---- water: rain, tanks, pump ---- */

static void fall(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    if (x[RAIN_LEFT_S] > 0) {
        x[RAIN_LEFT_S] -= time->dt_s;
        v[RAIN] = fmax(
            0, noise_wander(noise, v[RAIN], x[RAIN_MM_H], 0.3 * x[RAIN_MM_H], 300, time->dt_s));
    } else {
        v[RAIN] = 0;
        /* Wet summers, dry winters. */
        if (noise_uniform(noise) < time->dt_s / DRY_SPELL_S * (1 + 0.6 * time->season)) {
            double size = noise_uniform(noise);
            x[RAIN_LEFT_S] = 3600 * (1 + 5 * noise_uniform(noise));
            x[RAIN_MM_H] = v[RAIN] = 0.4 + 4 * size * size;
        }
    }
    if (plant->disturbances[STORM] > 0 && v[RAIN] < STORM_MM_H * plant->disturbances[STORM])
        v[RAIN] = STORM_MM_H * plant->disturbances[STORM];
    double falls_m3h = v[RAIN] / 1000 * CATCHMENT_M2 * RUNOFF_SHARE;
    x[RUNOFF] = lag(x[RUNOFF], falls_m3h, RUNOFF_S, time->dt_s);
}

static void equalise(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    struct noise *noise = &plant->process_noise;
    double week = time->weekday == SUNDAY ? 0.75 : 1;
    x[SEEPAGE] = noise_wander(noise, x[SEEPAGE], 1, 0.08, 1800, time->dt_s);
    double tips = TIPPING_M3H * week * plant_profile(tipping, time->hour);
    v[INFLOW] = fmax(0, (SEEPAGE_M3H + tips) * x[SEEPAGE]) + x[RUNOFF];

    x[STRENGTH] = noise_wander(noise, x[STRENGTH], 1, 0.06, 2 * DAY_S, time->dt_s);
    bool may = v[BIO_LEVEL] < BIO_FULL_M && plant->disturbances[PUMP_TRIP] < 0.5;
    double called = latch(v[PUMP], v[LEVEL], LEVEL_START_M, LEVEL_STOP_M);
    v[PUMP] = may ? called : 0;
    double runs = v[PUMP] * PUMP_M3H * (1 + 0.01 * noise_normal(noise));
    v[FEED] = lag(v[FEED], runs, 6, time->dt_s);
    if (!is_on(v[PUMP]) && v[FEED] < 0.05)
        v[FEED] = 0;
    /* What comes into a full tank runs over. */
    double fills_m3 = volume(v[INFLOW] - v[FEED], time->dt_s);
    v[LEVEL] = limit(v[LEVEL] + fills_m3 / TANK_AREA_M2, 0, TANK_DEPTH_M);
    v[FEED_TOTAL] += volume(v[FEED], time->dt_s);
}

/* ---- the biological stage ---- */

static void aerate(struct plant *plant, double demand, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    v[BLOWER] = plant->disturbances[BLOWER_TRIP] < 0.5;
    double error = OXYGEN_SET - v[OXYGEN];
    if (is_on(v[BLOWER]))
        x[OXYGEN_PART] = limit(x[OXYGEN_PART] + error * time->dt_s / 60, 20, 50);
    double set = is_on(v[BLOWER]) ? limit(x[OXYGEN_PART] + 4 * error, 20, 50) : 0;
    v[FREQUENCY] += limit(set - v[FREQUENCY], -2 * time->dt_s, time->dt_s); /* the drive's ramp */
    double share = v[FREQUENCY] / 50;
    v[CURRENT] = is_on(v[BLOWER]) ? 22 + 58 * share * share * share : 0;

    double transfer = 0.95 * v[FREQUENCY]; /* KLa, 1/h */
    double hours = time->dt_s / 3600;
    double taken = demand * monod(v[OXYGEN], 0.2);
    v[OXYGEN] += hours * (transfer * (OXYGEN_FULL - v[OXYGEN]) - taken) +
                 0.004 * sqrt(time->dt_s) * noise_normal(&plant->process_noise);
    v[OXYGEN] = limit(v[OXYGEN], 0, OXYGEN_FULL);
}

/* Monday to Saturday the press takes sludge out; its water comes back. */
static void press(struct plant *plant, double grown, const struct plant_time *time)
{
    double *v = plant->values;
    double hours = time->dt_s / 3600;
    bool working = time->weekday != SUNDAY && plant_time_between(time, 9, 15);
    double taken = working && v[SLUDGE] > 8 ? 7.0 * v[SLUDGE] / (BIO_AREA_M2 * v[BIO_LEVEL]) : 0;
    v[SLUDGE] += hours * (grown - 0.05 / 24 * v[SLUDGE] - taken);
}

static void digest(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    const double *happens = plant->disturbances;
    double hours = time->dt_s / 3600, renewed = v[FEED] / (BIO_AREA_M2 * v[BIO_LEVEL]);
    double warm = limit(1 + 0.04 * (v[TEMPERATURE] - 31), 0.2, 1.6);
    double sour = limit(1 - pow((v[PH] - 7.7) / 1.9, 2), 0.05, 1);

    double ate = 36 * v[SLUDGE] * warm * monod(x[SUBSTRATE], 60) * monod(v[OXYGEN], 0.3);
    double nitrified = 6.5 * v[SLUDGE] * warm * sour * monod(x[AMMONIA], 5) * monod(v[OXYGEN], 0.5);
    double denitrified =
        55 * warm * monod(x[NITRATE], 8) * monod(x[SUBSTRATE], 20) + 5 * monod(x[NITRATE], 5);
    double strong = x[STRENGTH] * (1 + fmax(0, happens[COD_PEAK]));
    x[SUBSTRATE] += hours * (renewed * (RAW_COD * strong - x[SUBSTRATE]) - ate);
    x[AMMONIA] += hours * (renewed * (RAW_AMMONIA * x[STRENGTH] - x[AMMONIA]) - nitrified);
    x[NITRATE] += hours * (nitrified - denitrified - renewed * x[NITRATE]);
    x[PHOSPHORUS] += hours * (renewed * (RAW_PHOSPHORUS - x[PHOSPHORUS]) - 0.3 * x[PHOSPHORUS]);
    for (int i = SUBSTRATE; i <= PHOSPHORUS; i++)
        x[i] = fmax(0, x[i]);
    x[REMOVED_N] = nitrified;
    aerate(plant, 0.45 * ate + 4.57 * nitrified + 4.2 * v[SLUDGE], time);
    press(plant, 0.3 * ate / 1000, time);

    double outdoor = 4 * time->season + 1.2 * sin(6.283185 * (time->hour - 9) / 24);
    double warmed = 30 + 0.006 * ate + 0.6 * outdoor;
    v[TEMPERATURE] = lag(v[TEMPERATURE], warmed, 2.0 * DAY_S, time->dt_s);
}

/* ---- membranes and outlet ---- */

/* Where in its cycle the membrane is; when a cleaning is due. */
static void sequence(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    bool monday = time->weekday == 0 && plant_time_between(time, 9, 9.01);
    if (x[CLEAN_LEFT_S] <= 0 && (v[PRESSURE] > CLEAN_KPA || (monday && x[PORES] > 0.2)))
        x[CLEAN_LEFT_S] = CLEAN_S;
    x[WANTED] = latch(x[WANTED], v[BIO_LEVEL], BIO_DRAW_M, BIO_REST_M);
    if (x[CLEAN_LEFT_S] > 0) {
        v[MEMBRANE] = CLEANING;
        x[CLEAN_LEFT_S] -= time->dt_s;
        x[CYCLE_S] = 0;
    } else if (is_on(x[WANTED]) || (int)v[MEMBRANE] == BACKWASHING) {
        x[CYCLE_S] = fmod(x[CYCLE_S] + time->dt_s, FILTER_S + BACKWASH_S);
        v[MEMBRANE] = x[CYCLE_S] < FILTER_S ? FILTERING : BACKWASHING;
    } else {
        v[MEMBRANE] = RESTING;
    }
}

static void filtrate(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    sequence(plant, time);
    int doing = (int)v[MEMBRANE];
    double resistance = CLEAN_MEMBRANE + x[CAKE] + x[PORES];
    double most = fmin(FLUX_SET, PRESSURE_MOST / resistance);
    double backwash = -BACKWASH_M3H * 1000 / MEMBRANE_M2;
    double set = doing == FILTERING ? most : doing == BACKWASHING ? backwash : 0;
    v[FLUX] = lag(v[FLUX], set, 4, time->dt_s);
    v[PRESSURE] = v[FLUX] * (v[FLUX] > 0 ? resistance : 0.6);

    double minutes = time->dt_s / 60;
    if (doing == FILTERING) {
        x[CAKE] += 0.025 * minutes * v[FLUX] / FLUX_SET;
        x[PORES] += 0.1 / 1440 * minutes * v[SLUDGE] / 9;
    }
    if (doing == BACKWASHING)
        x[CAKE] = lag(x[CAKE], 0.01, 12, time->dt_s);
    if (doing == CLEANING) {
        x[CAKE] = lag(x[CAKE], 0, 300, time->dt_s);
        x[PORES] = lag(x[PORES], 0.02, 1500, time->dt_s);
    }
    x[PORES] += 0.035 * minutes * fmax(0, plant->disturbances[MEMBRANE_FOULING]);

    double drawn_m3 = volume(v[FLUX] * MEMBRANE_M2 / 1000, time->dt_s);
    double fed_m3 = volume(v[FEED], time->dt_s);
    v[BIO_LEVEL] = limit(v[BIO_LEVEL] + (fed_m3 - drawn_m3) / BIO_AREA_M2, 0.5, 8);
}

static void discharge(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values, *x = plant->hidden;
    double in_m3h = v[FLUX] * MEMBRANE_M2 / 1000;
    x[HEAD] += volume(in_m3h - v[OUTFLOW], time->dt_s) / CLEAR_AREA_M2;
    v[OUTFLOW] = x[HEAD] > 0 ? 1.4 * 3600 * x[HEAD] * x[HEAD] * sqrt(x[HEAD]) : 0;
    v[TOTAL] += volume(v[OUTFLOW], time->dt_s);

    /* Permeate behind nanofiltration mixes with what is there. */
    double renewed = fmax(0, volume(in_m3h, time->dt_s)) / CLEAR_M3;
    v[COD] += renewed * (0.1 * (REFRACTORY_COD * x[STRENGTH] + x[SUBSTRATE]) - v[COD]);
    v[NH3N] += renewed * (0.95 * x[AMMONIA] - v[NH3N]);
    v[TN] += renewed * (0.95 * x[AMMONIA] + 0.85 * x[NITRATE] + 3.5 - v[TN]);
    v[TP] += renewed * (0.9 * x[PHOSPHORUS] - v[TP]);
    /* Nitrification takes alkalinity; dosing holds the rest. */
    double target = PH_NORMAL - 0.006 * x[REMOVED_N] + 2.2 * plant->disturbances[PH_EXCURSION];
    v[PH] = lag(v[PH], limit(target, 2, 12.5), 600, time->dt_s) +
            0.001 * sqrt(time->dt_s) * noise_normal(&plant->process_noise);
}

static void watch(struct plant *plant, const struct plant_time *time)
{
    double *v = plant->values;
    /* A bottle an hour, filled in the first three minutes. */
    v[BOTTLE] = 1 + floor(time->hour);
    v[SAMPLER] = time->hour - floor(time->hour) < 0.05;
    static const int outlet[] = {PH, COD, NH3N, TN, TP};
    v[CALIBRATING] = 0;
    for (size_t i = 0; i < sizeof(outlet) / sizeof(outlet[0]); i++)
        if (instrument_calibrates(&instruments[outlet[i]], time->local_s))
            v[CALIBRATING] = 1;
}

static void step(struct plant *plant, const struct plant_time *time)
{
    fall(plant, time);
    equalise(plant, time);
    digest(plant, time);
    filtrate(plant, time);
    discharge(plant, time);
    watch(plant, time);
}

const struct plant_model plant_leachate = {"leachate",  names, disturbances,
                                           instruments, begin, step};
