#include "ctl/cmd_probe.h"

#include "base/json_fields.h"
#include "base/numbers.h"
#include "ctl/block.h"
#include "ctl/decodings.h"
#include "ctl/line.h"
#include "model/value_json.h"
#include "service/reading.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Design notes
 *
 * The block that is wanted is also what finds a unit: whatever answers to it is there. So a unit
 * costs one request where it is there and gives the block, and one timeout where it is not. Only a
 * connection that cannot be made ends the search.
 */

#define JSON_OUT_MAX (16 * 1024 * 1024)
#define MAP_HEADER   "name,function,address,type,word_order,scale,offset,unit,access,description"

struct probe {
    const char *url;
    int64_t first_unit, last_unit;
    int64_t function, start, count, timeout_ms;
    const char *expect; /* NULL: nothing is expected */
    bool json;
    struct decodings guesses;
    struct line *line;
    size_t found;
    struct message trouble; /* no line to instruments at all */
    struct buffer text;     /* the units' JSON */
    struct json_writer units;
    FILE *out, *err;
};

/* ---- what a block says, for people ---- */

static void print_value(FILE *out, int width, bool known, const struct value *value)
{
    char text[NUMBER_TEXT_SIZE] = "-";
    if (known && value->kind == VALUE_FLOAT)
        print_float((float)value->number, text);
    else if (known && value->kind == VALUE_DOUBLE)
        print_double(value->number, text);
    fprintf(out, " %*s", width, known && value->kind == VALUE_TEXT ? value->text : text);
}

static void print_shape(const struct probe *probe, const struct block *block, size_t at,
                        const struct decoding_shape *shape)
{
    static const int widths[DECODE_KINDS] = {20, 20, 24, 16};
    struct value values[DECODE_KINDS];
    bool known[DECODE_KINDS], any = false;
    for (int kind = 0; kind < DECODE_KINDS; kind++) {
        known[kind] = decoding_value(block, at, shape, (enum decoding_kind)kind, &values[kind]);
        any = any || known[kind];
    }
    if (!any)
        return;
    char hex[READING_HEX_SIZE];
    size_t words = (shape->bits + 15) / 16;
    reading_hex(block->data + 2 * at, 2 * words, hex);
    fprintf(probe->out, "%8zu %-8s %4u %-19s", block->request.start + at, shape->order, shape->bits,
            hex);
    for (int kind = 0; kind < DECODE_KINDS; kind++)
        print_value(probe->out, widths[kind], known[kind], &values[kind]);
    fputc('\n', probe->out);
}

static void print_registers(const struct probe *probe, const struct block *block)
{
    fprintf(probe->out, "%8s %-8s %4s %-19s %20s %20s %24s %16s\n", "REGISTER", "ORDER", "BITS",
            "RAW", "UINT", "INT", "FLOAT", "BCD");
    for (size_t at = 0; at < block->request.count; at++) {
        if (!block->known[at])
            fprintf(probe->out, "%8zu refused 拒绝\n", block->request.start + at);
        for (size_t i = 0; block->known[at] && i < decoding_shape_count(); i++)
            print_shape(probe, block, at, decoding_shape_at(i));
    }
}

static void print_bits(const struct probe *probe, const struct block *block)
{
    fprintf(probe->out, "%8s %s\n", "BIT", "VALUE");
    for (size_t at = 0; at < block->request.count; at++)
        if (block->known[at])
            fprintf(probe->out, "%8zu %d\n", block->request.start + at, block->data[2 * at + 1]);
        else
            fprintf(probe->out, "%8zu refused 拒绝\n", block->request.start + at);
}

static void print_block(const struct probe *probe, const struct block *block)
{
    fprintf(probe->out, "unit %u answers 有应答, %.1f ms", (unsigned)block->request.unit,
            (double)block->first.took_us / US_PER_MS);
    if (block->first.event != MODBUS_REPLY)
        fprintf(probe->out, ": %s", block->first.trouble.text);
    fputc('\n', probe->out);
    if (block->known_count && block_is_bits(block))
        print_bits(probe, block);
    else if (block->known_count)
        print_registers(probe, block);
    fflush(probe->out);
}

/* ---- and for programs ---- */

static void write_shape(struct json_writer *json, const struct block *block, size_t at,
                        const struct decoding_shape *shape)
{
    bool begun = false;
    for (int kind = 0; kind < DECODE_KINDS; kind++) {
        struct value value;
        if (!decoding_value(block, at, shape, (enum decoding_kind)kind, &value))
            continue;
        if (!begun) {
            json_begin_object(json);
            json_field_u64(json, "bits", shape->bits);
            json_field_text(json, "order", shape->order);
        }
        begun = true;
        json_key(json, decoding_kind_name((enum decoding_kind)kind));
        value_write_json(json, &value);
    }
    if (begun)
        json_end_object(json);
}

static void write_known(struct json_writer *json, const struct block *block, size_t at)
{
    char hex[READING_HEX_SIZE];
    json_begin_object(json);
    json_field_u64(json, "address", block->request.start + at);
    if (block_is_bits(block)) {
        json_field_u64(json, "value", block->data[2 * at + 1]);
    } else {
        reading_hex(block->data + 2 * at, 2, hex);
        json_field_text(json, "raw", hex);
        json_key(json, "decodings");
        json_begin_array(json);
        for (size_t i = 0; i < decoding_shape_count(); i++)
            write_shape(json, block, at, decoding_shape_at(i));
        json_end_array(json);
    }
    json_end_object(json);
}

static void write_block(struct json_writer *json, const struct block *block)
{
    json_begin_object(json);
    json_field_u64(json, "unit", block->request.unit);
    json_field_u64(json, "requests", block->request_count);
    json_field_double(json, "took_ms", (double)block->first.took_us / US_PER_MS);
    json_field_text(json, "trouble",
                    block->first.event == MODBUS_REPLY ? NULL : block->first.trouble.text);
    json_key(json, "registers");
    json_begin_array(json);
    for (size_t at = 0; at < block->request.count; at++)
        if (block->known[at])
            write_known(json, block, at);
    json_end_array(json);
    json_end_object(json);
}

/* ---- guesses ---- */

static void map_line(const struct decoding *guess, struct buffer *line)
{
    buffer_clear(line);
    buffer_printf(line, "value,%u,%u,%s,%s,%s,0,,ro,", (unsigned)guess->function,
                  (unsigned)guess->address, guess->type, guess->order, guess->scale);
}

static void print_guess(FILE *out, const struct decoding *guess, const char *line)
{
    char value[NUMBER_TEXT_SIZE];
    if (guess->single)
        print_float((float)guess->value, value);
    else
        print_double(guess->value, value);
    fprintf(out, "%-4u %-24s %-4s %s\n", (unsigned)guess->unit, value, guess->fits ? "yes" : "-",
            line);
}

static void write_guess(struct json_writer *json, const struct decoding *guess, const char *line)
{
    json_begin_object(json);
    json_field_u64(json, "unit", guess->unit);
    json_field_u64(json, "address", guess->address);
    json_field_text(json, "type", guess->type);
    json_field_text(json, "word_order", guess->order);
    json_key(json, "scale");
    json_raw(json, guess->scale, strlen(guess->scale));
    json_key(json, "value");
    if (guess->single)
        json_float(json, (float)guess->value);
    else
        json_double(json, guess->value);
    json_field_double(json, "error", guess->error);
    json_field_bool(json, "fits", guess->fits);
    json_field_text(json, "map", line);
    json_end_object(json);
}

static void tell_guesses(const struct probe *probe, struct json_writer *json)
{
    struct buffer line;
    buffer_init(&line, 256);
    if (!probe->json)
        fprintf(probe->out, "\n%s %s 期望值; register map line 寄存器表行:\n%-4s %-24s %-4s %s\n",
                decodings_near(&probe->guesses) ? "nearest to" : "nothing is near", probe->expect,
                "UNIT", "VALUE", "FITS", MAP_HEADER);
    for (size_t i = 0; i < probe->guesses.count; i++) {
        map_line(&probe->guesses.list[i], &line);
        if (probe->json)
            write_guess(json, &probe->guesses.list[i], buffer_text(&line));
        else
            print_guess(probe->out, &probe->guesses.list[i], buffer_text(&line));
    }
    buffer_release(&line);
}

static void tell_json(struct probe *probe)
{
    struct buffer text;
    struct json_writer json;
    buffer_init(&text, JSON_OUT_MAX);
    json_writer_init(&json, &text);
    json_begin_object(&json);
    json_field_text(&json, "url", probe->url);
    json_field_i64(&json, "function", probe->function);
    json_key(&json, "units");
    json_begin_array(&json);
    json_raw(&json, buffer_text(&probe->text), probe->text.len);
    json_end_array(&json);
    if (probe->expect) {
        json_field_double(&json, "expect", probe->guesses.expected);
        json_key(&json, "guesses");
        json_begin_array(&json);
        tell_guesses(probe, &json);
        json_end_array(&json);
    }
    json_end_object(&json);
    fprintf(probe->out, "%s\n", buffer_text(&text));
    buffer_release(&text);
}

/* ---- the search ---- */

static void ask(void *self, const struct modbus_request *request,
                struct modbus_outcome *ret_outcome)
{
    struct probe *probe = self;
    line_ask(probe->line, request, ret_outcome);
    if (ret_outcome->event == MODBUS_REFUSED || ret_outcome->event == MODBUS_GARBAGE)
        probe->trouble = ret_outcome->trouble;
}

static void take_block(struct probe *probe, const struct block *block)
{
    if (!block_answered(block))
        return;
    probe->found++;
    if (probe->expect)
        decodings_add(&probe->guesses, block);
    if (probe->json)
        write_block(&probe->units, block);
    else
        print_block(probe, block);
}

static enum ctl_exit search(struct probe *probe)
{
    struct block block;
    for (int64_t unit = probe->first_unit; unit <= probe->last_unit; unit++) {
        struct modbus_request request = {.unit = (uint8_t)unit,
                                         .function = (uint8_t)probe->function,
                                         .start = (uint16_t)probe->start,
                                         .count = (uint16_t)probe->count};
        block_read(&block, &request, ask, probe);
        if (probe->trouble.text[0]) {
            fprintf(probe->err, "chengmai probe: %s\n", probe->trouble.text);
            return CTL_USAGE;
        }
        take_block(probe, &block);
    }
    if (probe->json)
        tell_json(probe);
    else if (!probe->found)
        fprintf(probe->out,
                "no unit answers 无应答: units %" PRId64 "-%" PRId64 ", %" PRId64 " ms each\n",
                probe->first_unit, probe->last_unit, probe->timeout_ms);
    else if (probe->expect)
        tell_guesses(probe, NULL);
    if (probe->expect && !decodings_near(&probe->guesses))
        return CTL_NO;
    return probe->found ? CTL_YES : CTL_NO;
}

/* ---- the command ---- */

/* "3", or "1-10". */
static int parse_units(struct probe *probe, const char *text)
{
    char first[8];
    size_t len = strcspn(text, "-");
    if (len >= sizeof(first))
        return ERR_INVALID;
    memcpy(first, text, len);
    first[len] = '\0';
    int err = parse_i64(first, 0, 255, &probe->first_unit);
    if (!err)
        err = parse_i64(text[len] ? text + len + 1 : first, probe->first_unit, 255,
                        &probe->last_unit);
    return err;
}

static int take_option(struct probe *probe, const char *name, const char *text)
{
    if (strcmp(name, "--units") == 0)
        return parse_units(probe, text);
    if (strcmp(name, "--function") == 0)
        return parse_i64(text, 1, 4, &probe->function);
    if (strcmp(name, "--start") == 0)
        return parse_i64(text, 0, UINT16_MAX, &probe->start);
    if (strcmp(name, "--count") == 0)
        return parse_i64(text, 1, BLOCK_BITS_MAX, &probe->count);
    if (strcmp(name, "--timeout") == 0)
        return parse_duration_ms(text, &probe->timeout_ms);
    if (strcmp(name, "--expect") != 0)
        return ERR_NOT_FOUND;
    probe->expect = text;
    return decodings_init(&probe->guesses, text);
}

/* NULL, or what is wrong with it. */
static const char *take_arguments(struct probe *probe, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            probe->json = true;
        } else if (argv[i][0] != '-' && !probe->url) {
            probe->url = argv[i];
        } else if (argv[i][0] != '-') {
            return "one URL at a time";
        } else if (i + 1 == argc) {
            return "an option is unknown, or lacks its value";
        } else {
            int err = take_option(probe, argv[i], argv[i + 1]);
            if (err == ERR_NOT_FOUND)
                return "there is no such option";
            if (err)
                return "an option's value cannot be (--help tells its bounds)";
            i++;
        }
    }
    if (!probe->url)
        return "which URL?";
    if (probe->function > 2 && probe->count > BLOCK_REGISTERS_MAX)
        return "a read has at most 125 registers";
    return probe->start + probe->count > UINT16_MAX + 1 ? "registers end at 65535" : NULL;
}

static enum ctl_exit run(int argc, char **argv, FILE *out, FILE *err)
{
    struct probe probe = {.first_unit = 1,
                          .last_unit = 10,
                          .function = 3,
                          .count = 10,
                          .timeout_ms = 500,
                          .out = out,
                          .err = err};
    const char *wrong = take_arguments(&probe, argc, argv);
    struct message message = {""};
    if (wrong)
        return ctl_usage(&cmd_probe, err, wrong);
    if (line_open(probe.url, probe.timeout_ms, &probe.line, &message))
        return ctl_usage(&cmd_probe, err, message.text);
    buffer_init(&probe.text, JSON_OUT_MAX);
    json_writer_init(&probe.units, &probe.text);
    enum ctl_exit code = search(&probe);
    if (buffer_error(&probe.text)) {
        fprintf(err, "chengmai probe: %s\n", err_name(buffer_error(&probe.text)));
        code = CTL_USAGE;
    }
    buffer_release(&probe.text);
    line_close(probe.line);
    return code;
}

const struct ctl_command cmd_probe = {
    .name = "probe",
    .usage = "[--units 1-10] [--function 3] [--start 0] [--count 10] [--timeout 500ms]\n"
             "       [--expect 21.4] [--json] URL",
    .summary = "finds units on a line, and what their registers mean",
    .help =
        "\n"
        "Asks each unit for the block; whatever answers is there. What a unit refuses to give in\n"
        "one piece is asked in halves. Shows each register in every type and order, and, with\n"
        "--expect, which of them comes nearest to what the instrument's own display shows: also\n"
        "with a scale of 0.1, 0.01, 0.001 or 10, and the line of a register map that reads it.\n"
        "Nothing is ever written. A serial line has one owner: stop the edge that reads it first.\n"
        "\n"
        "查找从站，并以各种类型和字节序显示寄存器；--expect 给出仪表屏显值，列出最接近的解释\n"
        "及其寄存器表行。只读，不写仪表。串口只能有一个使用者：请先停止采集器。\n"
        "\n"
        "  URL         as in edge.yaml: tcp://ADDRESS:PORT, rtu:///dev/ttyS1?baud=9600&parity=E,\n"
        "              rtu+tcp://ADDRESS:PORT, dtu://0.0.0.0:PORT?register=TEXT (its call is "
        "waited\n"
        "              for two minutes)\n"
        "  --units     a unit, or the first and the last: 0 to 255\n"
        "  --function  1 coils, 2 discrete inputs, 3 holding registers, 4 input registers\n"
        "  --start     the first register or bit, from 0\n"
        "  --count     1 to 125 registers, 1 to 2000 bits\n"
        "  --timeout   how long a unit has to answer: 10ms to 60s\n"
        "\n"
        "Exit codes: 0 a unit answers (and something is near what is expected), 1 none does (or\n"
        "nothing is), 2 there is no such line.",
    .run = run,
};
