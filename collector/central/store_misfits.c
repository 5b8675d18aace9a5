#include "central/store_misfits.h"

#define QUIET_US (60 * (int64_t)US_PER_S)

/* Counts them. False: there are none. */
static bool add(struct misfit *misfit, int64_t now_us, uint64_t more)
{
    misfit->total += more;
    if (more)
        misfit->last_us = now_us;
    return more;
}

static bool is_over(const struct misfit *misfit, int64_t now_us)
{
    return now_us - misfit->last_us >= QUIET_US;
}

static void note_full(struct store_misfits *misfits, int64_t now_us, struct dead_letters *letters)
{
    misfits->lost = dead_letters_lost(letters);
    misfits->full = dead_letters_are_full(letters);
    if (misfits->full && !misfits->full_complaint.active)
        complaint_raise(&misfits->full_complaint, now_us, "store",
                        "%s: target-%s.dead-letters.jsonl is full (%d MiB): what is set aside from "
                        "now on is counted, and not kept. Look why there is so much, then move the "
                        "file away; a new one is begun",
                        misfits->name, misfits->name, DEAD_LETTERS_MAX_BYTES >> 20);
    else if (!misfits->full)
        complaint_clear(&misfits->full_complaint, now_us, "store",
                        "%s: dead letters are kept again, %llu were not", misfits->name,
                        (unsigned long long)misfits->lost);
}

/* A line that is set aside again, after a restart of the store, is written again unless it is among
 * the latest letters (DEAD_LETTERS_REMEMBERED). */
void store_misfits_note_letters(struct store_misfits *misfits, int64_t now_us,
                                struct dead_letters *letters)
{
    struct misfit *misfit = &misfits->set_aside;
    uint64_t count = dead_letters_written(letters) + dead_letters_lost(letters);
    if (add(misfit, now_us, count - misfit->total))
        complaint_raise(&misfit->complaint, now_us, "store",
                        "%s will never take some samples, %llu since the start: they are set "
                        "aside, with the reasons, in target-%s.dead-letters.jsonl",
                        misfits->name, (unsigned long long)misfit->total, misfits->name);
    else if (is_over(misfit, now_us))
        complaint_clear(&misfit->complaint, now_us, "store", "%s: no more samples are set aside",
                        misfits->name);
    note_full(misfits, now_us, letters);
}

void store_misfits_note_too_old(struct store_misfits *misfits, int64_t now_us, uint64_t more)
{
    struct misfit *misfit = &misfits->too_old;
    if (add(misfit, now_us, more))
        complaint_raise(&misfit->complaint, now_us, "store",
                        "%s does not keep samples older than its retention policy, %llu since the "
                        "start: lengthen it there if they are wanted",
                        misfits->name, (unsigned long long)misfit->total);
    else if (is_over(misfit, now_us))
        complaint_clear(&misfit->complaint, now_us, "store", "%s: no more samples are too old",
                        misfits->name);
}

void store_misfits_note_thrown_away(struct store_misfits *misfits, int64_t now_us, uint64_t more)
{
    struct misfit *misfit = &misfits->thrown_away;
    if (add(misfit, now_us, more))
        complaint_raise(&misfit->complaint, now_us, "store",
                        "%s says yes to rows and does not keep them, %llu since the start "
                        "(vm_rows_ignored_total, vm_rows_invalid_total): older than its "
                        "-retentionPeriod, more than 2 days ahead of its clock, or written by "
                        "somebody else",
                        misfits->name, (unsigned long long)misfit->total);
    else if (is_over(misfit, now_us))
        complaint_clear(&misfit->complaint, now_us, "store", "%s keeps all rows again",
                        misfits->name);
}
