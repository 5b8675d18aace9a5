#include "edge/operator_marks.h"

#include "edge/signal_points.h"

#include <string.h>
#include <sys/stat.h>

/* The first of what is said, which may go over several lines. */
static int first_line(const char *text)
{
    return (int)strcspn(text, "\n");
}

static void take(struct operator_marks *marks, struct now now)
{
    const char *path = marks->config->marks_file;
    struct signal_rule *rules = NULL;
    size_t count = 0;
    struct config_errors errors;
    config_errors_init(&errors);
    int err = signal_points_load(path, marks->config, marks->points, &rules, &count, &errors);
    if (!err)
        err = intake_set_marks(marks->intake, rules, count);
    if (err) {
        const char *text = errors.count ? buffer_text(&errors.text) : err_name(err);
        complaint_raise(&marks->complaint, now.mono_us, "marks",
                        "%.*s; the marks before this change stay", first_line(text), text);
    } else {
        complaint_clear(&marks->complaint, now.mono_us, "marks", "%s is read again", path);
        log_info("marks", "%s: %zu in force", path, count);
    }
    signal_points_free_rules(rules, count);
    config_errors_release(&errors);
}

static void drop(struct operator_marks *marks)
{
    /* No marks need no memory: it does not fail. */
    (void)!intake_set_marks(marks->intake, NULL, 0);
    log_info("marks", "%s is gone, and its marks with it", marks->config->marks_file);
}

void operator_marks_look(struct operator_marks *marks, struct now now)
{
    struct stat file = {0};
    if (!marks->config->marks_file[0])
        return;
    if (stat(marks->config->marks_file, &file))
        file = (struct stat){0};
    int64_t changed_ns = file.st_mtim.tv_sec * INT64_C(1000000000) + file.st_mtim.tv_nsec;
    if (changed_ns == marks->changed_ns && file.st_size == marks->size &&
        file.st_ino == marks->inode)
        return;
    marks->changed_ns = changed_ns;
    marks->size = file.st_size;
    marks->inode = file.st_ino;
    if (file.st_ino)
        take(marks, now);
    else
        drop(marks);
}
