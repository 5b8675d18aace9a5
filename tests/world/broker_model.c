#include "tests/world/broker_model.h"

#include "base/clock.h"
#include "base/error.h"
#include "tests/unit/support/sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CENTRE         (BROKER_CLIENTS - 1)
#define LEG_US         (20 * (int64_t)US_PER_MS)
#define KEEPALIVE_US   (12 * (int64_t)US_PER_S) /* until the client finds out */
#define GRACE_US       (15 * (int64_t)US_PER_S) /* until the broker does */
#define RECONNECT_US   (1 * (int64_t)US_PER_S)
#define RECONNECT_MORE 9000 /* ms */
#define DELAY_US       (30 * (int64_t)US_PER_MS)

enum { DOWN, UP };

void broker_init(struct broker *broker, uint64_t seed)
{
    *broker = (struct broker){.seed = seed, .delay_us = DELAY_US};
    broker->letters = calloc(BROKER_LETTERS, sizeof(*broker->letters));
    if (!broker->letters)
        abort();
}

void broker_release(struct broker *broker)
{
    for (size_t i = 0; i < broker->letter_count; i++)
        free(broker->letters[i].payload);
    free(broker->letters);
}

static bool one_in(struct broker *broker, unsigned bound)
{
    return bound && sim_below(&broker->seed, bound) == 0;
}

/* ---- the heap ---- */

static bool before(const struct broker_letter *a, const struct broker_letter *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void swap(struct broker_letter *a, struct broker_letter *b)
{
    struct broker_letter kept = *a;
    *a = *b;
    *b = kept;
}

static void push(struct broker *broker, const struct broker_letter *letter)
{
    size_t i = broker->letter_count++;
    broker->letters[i] = *letter;
    for (; i && before(&broker->letters[i], &broker->letters[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&broker->letters[i], &broker->letters[(i - 1) / 2]);
}

static struct broker_letter pop(struct broker *broker)
{
    struct broker_letter first = broker->letters[0];
    struct broker_letter *letters = broker->letters;
    size_t count = --broker->letter_count;
    letters[0] = letters[count];
    for (size_t i = 0, child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && before(&letters[child + 1], &letters[child]))
            child++;
        if (!before(&letters[child], &letters[i]))
            break;
        swap(&letters[i], &letters[child]);
    }
    return first;
}

/* ---- letters ---- */

static bool is_state(const char *topic)
{
    size_t len = strlen(topic);
    return len > 6 && strcmp(topic + len - 6, "/state") == 0;
}

/* On its way, where there is room: `letter` tells client, leg and kind. */
static bool add(struct broker *broker, struct broker_letter letter, const char *topic,
                const void *payload, size_t len)
{
    struct broker_client *client = &broker->clients[letter.client];
    bool up = letter.up;
    if (broker->letter_count == BROKER_LETTERS)
        return false;
    broker->slowed += broker->delay_us > DELAY_US;
    letter.order = broker->order++;
    letter.session = client->session;
    letter.len = len;
    letter.due_us =
        broker->now_us + LEG_US + (int64_t)sim_below(&broker->seed, (uint32_t)broker->delay_us + 1);
    bool free_order = !is_state(topic) && one_in(broker, broker->reorder_one_in);
    if (free_order) {
        broker->reordered++;
        letter.due_us += (int64_t)sim_below(&broker->seed, 8) * US_PER_S;
    } else if (letter.due_us < client->last_due_us[up]) {
        letter.due_us = client->last_due_us[up];
    }
    if (is_state(topic) && letter.due_us < client->latest_due_us[up])
        letter.due_us = client->latest_due_us[up];
    if (!free_order)
        client->last_due_us[up] = letter.due_us;
    if (letter.due_us > client->latest_due_us[up])
        client->latest_due_us[up] = letter.due_us;
    snprintf(letter.topic, sizeof(letter.topic), "%s", topic);
    letter.payload = malloc(len + 1);
    if (!letter.payload)
        abort();
    memcpy(letter.payload, payload, len);
    letter.payload[len] = '\0';
    client->under_way += up;
    push(broker, &letter);
    return true;
}

/* One leg of a letter's way: it may be lost, or go twice. */
static void carry(struct broker *broker, int index, bool up, const char *topic, const void *payload,
                  size_t len, bool retained)
{
    if (!is_state(topic) && one_in(broker, broker->drop_one_in)) {
        broker->dropped++;
        return;
    }
    struct broker_letter letter = {.client = index, .up = up, .retained = retained};
    add(broker, letter, topic, payload, len);
    if (!is_state(topic) && one_in(broker, broker->double_one_in))
        broker->doubled += add(broker, letter, topic, payload, len);
}

int broker_publish(struct broker *broker, int index, const char *topic, const void *payload,
                   size_t len, bool retained)
{
    struct broker_client *client = &broker->clients[index];
    if (!client->connected)
        return ERR_CLOSED;
    if (client->under_way >= BROKER_WINDOW)
        return ERR_FULL;
    broker->vanished_up += client->cut_up && !client->cut_down;
    if (!client->session_up || client->cut_up)
        return 0; /* on its way to nowhere */
    carry(broker, index, UP, topic, payload, len, retained);
    return 0;
}

void broker_inject(struct broker *broker, int index, const char *topic, const void *payload,
                   size_t len, uint64_t *counter)
{
    add(broker, (struct broker_letter){.client = index, .counter = counter}, topic, payload, len);
}

/* ---- the broker ---- */

static bool wants(int index, const char *topic)
{
    enum topic_kind kind;
    char name[65];
    if (topic_parse(topic, &kind, name))
        return false;
    if (index == CENTRE)
        return kind == TOPIC_BIRTH || kind == TOPIC_DATA || kind == TOPIC_BACKFILL ||
               kind == TOPIC_EVENT || kind == TOPIC_STATE || kind == TOPIC_STATS;
    if (kind == TOPIC_CENTRE_STATE)
        return true;
    return (kind == TOPIC_RECEIPT || kind == TOPIC_REQUEST) && name[0] == 'e' &&
           name[1] == (char)('1' + index);
}

static void retain(struct broker *broker, const char *topic, const void *payload, size_t len)
{
    struct broker_retained *kept = NULL;
    for (size_t i = 0; i < broker->retained_count; i++)
        if (strcmp(broker->retained[i].topic, topic) == 0)
            kept = &broker->retained[i];
    if (!kept && broker->retained_count < BROKER_RETAINED)
        kept = &broker->retained[broker->retained_count++];
    if (!kept || len > sizeof(kept->payload))
        abort();
    snprintf(kept->topic, sizeof(kept->topic), "%s", topic);
    memcpy(kept->payload, payload, len);
    kept->len = len;
}

static void route(struct broker *broker, const char *topic, const void *payload, size_t len,
                  bool retained)
{
    if (retained)
        retain(broker, topic, payload, len);
    for (int i = 0; i < BROKER_CLIENTS; i++) {
        if (!broker->clients[i].session_up || !wants(i, topic))
            continue;
        carry(broker, i, DOWN, topic, payload, len, false);
        if (i == CENTRE && len && broker->cut_short) {
            broker->cut_short--;
            broker_inject(broker, i, topic, payload, sim_below(&broker->seed, (uint32_t)len),
                          &broker->parts);
        }
    }
}

static void end_session(struct broker *broker, struct broker_client *client, bool with_will)
{
    if (!client->session_up)
        return;
    client->session_up = false;
    client->session++;
    client->under_way = 0;
    if (with_will && client->will_len) {
        broker->wills++;
        route(broker, client->will_topic, client->will, client->will_len, true);
    }
}

/* When whoever lost a connection tries again. */
static int64_t some_time_on(struct broker *broker)
{
    return broker->now_us + RECONNECT_US +
           (int64_t)sim_below(&broker->seed, RECONNECT_MORE) * US_PER_MS;
}

static void leave(struct broker *broker, struct broker_client *client)
{
    broker->offline += client->connected && client->cut_up && client->cut_down;
    client->connect_us = some_time_on(broker);
    client->under_way = 0;
    if (!client->connected)
        return;
    client->connected = false;
    if (client->running)
        client->port.disconnected(client->port.self);
}

static void join(struct broker *broker, int index)
{
    struct broker_client *client = &broker->clients[index];
    if (client->session_up) {
        broker->takeovers++; /* of its own older connection */
        end_session(broker, client, true);
    }
    client->session++;
    client->session_up = client->connected = true;
    client->under_way = 0;
    for (int leg = 0; leg < 2; leg++)
        client->last_due_us[leg] = client->latest_due_us[leg] = broker->now_us;
    client->rival_us = some_time_on(broker);
    client->port.connected(client->port.self);
    for (size_t i = 0; i < broker->retained_count; i++)
        if (wants(index, broker->retained[i].topic))
            carry(broker, index, DOWN, broker->retained[i].topic, broker->retained[i].payload,
                  broker->retained[i].len, false);
}

static void deliver(struct broker *broker, struct broker_letter *letter)
{
    struct broker_client *client = &broker->clients[letter->client];
    bool valid = client->session_up && client->session == letter->session;
    if (letter->up && valid && client->under_way)
        client->under_way--;
    if (letter->up && valid && !client->cut_up) {
        if (!is_state(letter->topic) && one_in(broker, broker->lie_one_in))
            broker->lied++; /* acknowledged, and dropped */
        else
            route(broker, letter->topic, letter->payload, letter->len, letter->retained);
    } else if (!letter->up && valid && !client->cut_down && client->connected && client->running) {
        client->port.message(client->port.self, letter->topic, letter->payload, letter->len);
        if (letter->counter)
            ++*letter->counter;
    } else {
        broker->vanished_down += !letter->up && client->cut_down && !client->cut_up;
    }
    free(letter->payload);
}

/* ---- life ---- */

void broker_start(struct broker *broker, int index, const struct broker_port *port,
                  const char *will_topic, const void *will, size_t will_len)
{
    struct broker_client *client = &broker->clients[index];
    client->port = *port;
    client->running = true;
    client->connected = false;
    client->connect_us = broker->now_us + (int64_t)sim_below(&broker->seed, 500) * US_PER_MS;
    snprintf(client->will_topic, sizeof(client->will_topic), "%s", will_topic);
    if (will_len > sizeof(client->will))
        abort();
    memcpy(client->will, will, will_len);
    client->will_len = will_len;
}

void broker_stop(struct broker *broker, int index, bool silent)
{
    struct broker_client *client = &broker->clients[index];
    client->running = client->connected = false;
    if (silent)
        client->cut_since_us = broker->now_us;
    else
        end_session(broker, client, true);
}

static void take_name(struct broker *broker, struct broker_client *client)
{
    broker->rivals++;
    end_session(broker, client, true);
    leave(broker, client);
}

/* What a client and the broker find out about a line that is dead, and about a rival. */
static void look_after(struct broker *broker, int index)
{
    struct broker_client *client = &broker->clients[index];
    bool up = broker->now_us >= broker->down_until_us;
    bool dead = client->cut_up || client->cut_down || !client->running;
    int64_t since_us = broker->now_us - client->cut_since_us;
    if (client->session_up && dead && since_us >= GRACE_US)
        end_session(broker, client, true);
    if (client->connected && (client->cut_up || client->cut_down) && since_us >= KEEPALIVE_US)
        leave(broker, client);
    if (client->session_up && broker->now_us < client->rival_until_us &&
        broker->now_us >= client->rival_us)
        take_name(broker, client);
    if (client->connected && !client->session_up && !client->cut_down)
        leave(broker, client); /* its next packet is answered with a reset */
    if (client->running && !client->connected && up && !client->cut_up && !client->cut_down &&
        broker->now_us >= client->connect_us)
        join(broker, index);
}

int64_t broker_due(const struct broker *broker)
{
    int64_t look_us = broker->now_us + 500 * US_PER_MS;
    bool letters = broker->letter_count > 0;
    return letters && broker->letters[0].due_us < look_us ? broker->letters[0].due_us : look_us;
}

void broker_step(struct broker *broker, int64_t now_us)
{
    broker->now_us = now_us;
    while (broker->letter_count && broker->letters[0].due_us <= now_us) {
        struct broker_letter letter = pop(broker);
        deliver(broker, &letter);
    }
    for (int i = 0; i < BROKER_CLIENTS; i++)
        look_after(broker, i);
}

/* ---- faults ---- */

void broker_reset(struct broker *broker, int index)
{
    struct broker_client *client = &broker->clients[index];
    broker->resets += client->session_up;
    end_session(broker, client, true);
    leave(broker, client);
}

void broker_takeover(struct broker *broker, int index, int64_t for_us)
{
    struct broker_client *client = &broker->clients[index];
    client->rival_us = broker->now_us;
    client->rival_until_us = broker->now_us + for_us;
}

void broker_restart(struct broker *broker, int64_t down_us, bool forgets)
{
    broker->down_until_us = broker->now_us + down_us;
    while (broker->letter_count)
        free(broker->letters[--broker->letter_count].payload);
    if (forgets)
        broker->retained_count = 0;
    for (int i = 0; i < BROKER_CLIENTS; i++) {
        end_session(broker, &broker->clients[i], false);
        leave(broker, &broker->clients[i]);
    }
}

void broker_cut(struct broker *broker, int index, bool up, bool down)
{
    struct broker_client *client = &broker->clients[index];
    if (!client->cut_up && !client->cut_down)
        client->cut_since_us = broker->now_us;
    client->cut_up = up;
    client->cut_down = down;
}
