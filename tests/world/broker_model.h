/*
 * The broker and the network between it and its clients, as mosquitto and a bad line behave: QoS 1
 * on a clean session, retained messages, wills, takeover of a client's name; and letters that are
 * late, lost, doubled, out of order, or acknowledged and dropped. Driven by virtual time and a
 * seed.
 *
 * A letter goes client → broker → subscriber, each leg with a delay of its own. Letters of one leg
 * keep their order unless the line reorders; a state comes behind all that went before it, for a
 * broker takes nothing more of a client's connection once the next one stands.
 */
#ifndef TESTS_WORLD_BROKER_MODEL_H
#define TESTS_WORLD_BROKER_MODEL_H

#include "model/topics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BROKER_CLIENTS  4
#define BROKER_LETTERS  8192 /* on their way, both legs: beyond it letters are lost */
#define BROKER_RETAINED 16
#define BROKER_WINDOW   900 /* a client's letters on the first leg, as of net/mqtt.h */

struct broker_letter {
    int64_t due_us;
    uint64_t order; /* breaks ties */
    int client;
    unsigned session; /* of the client when it was sent */
    bool up;          /* on the first leg */
    bool retained;
    uint64_t *counter; /* goes up when it arrives; may be NULL */
    char topic[TOPIC_SIZE];
    char *payload;
    size_t len;
};

/* What a client's shell is told. All may publish. */
struct broker_port {
    void *self;
    void (*connected)(void *self);
    void (*disconnected)(void *self);
    void (*message)(void *self, const char *topic, const char *payload, size_t len);
};

struct broker_client {
    struct broker_port port;
    bool running;    /* its process is there */
    bool connected;  /* as it believes */
    bool session_up; /* as the broker believes */
    unsigned session;
    int64_t connect_us; /* when it tries next */
    /* Another that calls itself the same takes the name then, and again after it was taken back, up
     * to `rival_until_us`. */
    int64_t rival_us, rival_until_us;
    bool cut_up, cut_down; /* its letters, or those to it, vanish */
    int64_t cut_since_us;
    int64_t last_due_us[2];   /* of the leg's last letter: order is kept */
    int64_t latest_due_us[2]; /* of all letters on the leg, also those that keep no order */
    size_t under_way;
    char will_topic[TOPIC_SIZE];
    char will[1024];
    size_t will_len;
};

struct broker_retained {
    char topic[TOPIC_SIZE];
    char payload[1024];
    size_t len;
};

struct broker {
    uint64_t seed;
    int64_t now_us;
    struct broker_client clients[BROKER_CLIENTS]; /* the centre is the last */
    struct broker_letter *letters;                /* a heap by (due, order) */
    size_t letter_count;
    uint64_t order;
    struct broker_retained retained[BROKER_RETAINED];
    size_t retained_count;
    int64_t down_until_us;
    /* Of the line: one in so many letters (0: none). */
    unsigned drop_one_in, double_one_in, reorder_one_in, lie_one_in;
    int64_t delay_us;   /* at most, beside 20 ms */
    unsigned cut_short; /* so many of the next letters to the centre come once more, in part */
    /* What happened so far: to letters, … */
    uint64_t dropped, doubled, reordered, lied, slowed, vanished_up, vanished_down, parts;
    /* … to clients, of which a takeover is of an own older connection. */
    uint64_t wills, takeovers, rivals, resets, offline;
};

void broker_init(struct broker *broker, uint64_t seed);
void broker_release(struct broker *broker);

/* A client's process is there: it will connect. `will` is published when its session ends badly. */
void broker_start(struct broker *broker, int client, const struct broker_port *port,
                  const char *will_topic, const void *will, size_t will_len);
/* It is gone; `silent`: the machine went with it, and the broker has to find out. */
void broker_stop(struct broker *broker, int client, bool silent);

/* As mqtt_publish: ERR_CLOSED, ERR_FULL. */
int broker_publish(struct broker *broker, int client, const char *topic, const void *payload,
                   size_t len, bool retained);

/* A letter from elsewhere, to one client; `counter` goes up where it arrives. */
void broker_inject(struct broker *broker, int client, const char *topic, const void *payload,
                   size_t len, uint64_t *counter);

/* When something is due; does what is due. */
int64_t broker_due(const struct broker *broker);
void broker_step(struct broker *broker, int64_t now_us);

/* Faults: the connection breaks with what is in it; another takes the name, which goes to and fro
 * for so long; the broker starts anew, without its sessions, without retained messages where
 * `forgets`. */
void broker_reset(struct broker *broker, int client);
void broker_takeover(struct broker *broker, int client, int64_t for_us);
void broker_restart(struct broker *broker, int64_t down_us, bool forgets);
/* One way or both are cut until it is called with false, false. */
void broker_cut(struct broker *broker, int client, bool up, bool down);

#endif
