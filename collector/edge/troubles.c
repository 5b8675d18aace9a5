#include "edge/troubles.h"

static void tell_link(struct troubles *troubles, size_t link, struct now now)
{
    struct poller_status status;
    struct complaint *complaint = &troubles->links[link];
    poller_get_status(troubles->poller, link, &status);
    if (!status.driver.up)
        complaint_raise(complaint, now.mono_us, "link", "%s is down: %s", status.name,
                        status.driver.trouble.text);
    else if (status.driver.units_down)
        complaint_raise(complaint, now.mono_us, "link", "%s: %zu of %zu units are down: %s",
                        status.name, status.driver.units_down, status.driver.units,
                        status.driver.trouble.text);
    else
        complaint_clear(complaint, now.mono_us, "link", "%s is well again", status.name);
    /* Of what only comes, and does not last, it is never said that it is over. */
    if (status.driver.notices > troubles->told_notices[link])
        complaint_raise(&troubles->notices[link], now.mono_us, "link", "%s: %s", status.name,
                        status.driver.notice.text);
    troubles->told_notices[link] = status.driver.notices;
}

/* Over when half of the journal's size is free, or could be: what the centre has frees it. */
static void tell_space(struct troubles *troubles, uint64_t lost, struct now now)
{
    uint64_t bytes, received;
    journal_bytes(troubles->journal, &bytes, &received);
    if (lost > troubles->told_lost)
        complaint_raise(&troubles->space, now.mono_us, "journal",
                        "full: dropped the oldest segments, each named by a loss record, %llu "
                        "samples since the start; enlarge journal.size or restore the way to the "
                        "centre",
                        (unsigned long long)lost);
    else if (bytes - received <= troubles->journal_size / 2)
        complaint_clear(&troubles->space, now.mono_us, "journal", "has room again");
    troubles->told_lost = lost;
}

static void tell_recorder(struct troubles *troubles, const struct recorder_status *status,
                          struct now now)
{
    if (status->journal_error)
        complaint_raise(&troubles->disk, now.mono_us, "journal", "%s", status->error_text);
    else
        complaint_clear(&troubles->disk, now.mono_us, "journal", "takes records again");
    if (status->refused > troubles->told_refused)
        complaint_raise(&troubles->refused, now.mono_us, "recorder",
                        "%llu samples found no room in memory and are not recorded",
                        (unsigned long long)(status->refused - troubles->told_refused));
    else
        complaint_clear(&troubles->refused, now.mono_us, "recorder", "records all again");
    troubles->told_refused = status->refused;
}

void troubles_tell(struct troubles *troubles, struct now now)
{
    struct recorder_status status;
    for (size_t i = 0; i < poller_count(troubles->poller); i++)
        tell_link(troubles, i, now);
    recorder_get_status(troubles->recorder, &status);
    tell_recorder(troubles, &status, now);
    tell_space(troubles, status.lost, now);
}
