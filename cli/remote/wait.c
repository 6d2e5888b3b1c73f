/* The wait loop. On a terminal it asks each second, to show state and seconds;
 * otherwise the controller holds each answer back until something happened. A
 * controller that is away for a short while ends no waiting. */
#include "cli/remote/wait.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/mem.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"

enum {
    LONG_WAIT_S = 30,
    SHORT_WAIT_S = 1,    /* on a terminal */
    AWAY_MS = 30 * 1000, /* how long no connection is borne with */
    AWAY_PAUSE_US = 500 * 1000,
};

struct task *tasks_add(struct tasks *tasks, const struct noun *noun, const char *target,
                       struct json *reply)
{
    tasks->items = xrealloc(tasks->items, (tasks->count + 1) * sizeof(*tasks->items));
    struct task *task = &tasks->items[tasks->count++];
    const struct json *operation = reply ? json_get(reply, "operation") : NULL;
    const struct json *resource = remote_object(reply, noun);
    *task = (struct task){
        .noun = noun,
        .target = xstrdup(target),
        .id = xstrdup(resource ? json_str(json_get(resource, "id")) : NULL),
        .operation = xstrdup(operation ? json_str(json_get(operation, "id")) : NULL),
        .reply = reply,
    };
    return task;
}

void tasks_release(struct tasks *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        struct task *task = &tasks->items[i];
        free(task->target);
        free(task->id);
        free(task->operation);
        json_free(task->reply);
    }
    free(tasks->items);
    *tasks = (struct tasks){0};
}

struct wait {
    struct cli *cli;
    const struct tasks *tasks;
    int64_t started_ms, deadline_ms; /* boot time; deadline 0: none */
};

static int64_t elapsed_s(const struct wait *wait)
{
    return (clock_boottime_ms() - wait->started_ms) / 1000;
}

static int64_t remaining_ms(const struct wait *wait)
{
    int64_t left = wait->deadline_ms - clock_boottime_ms();
    return !wait->deadline_ms ? INT64_MAX : left > 0 ? left : 0;
}

static int fetch_operation(struct wait *wait, const struct task *task, struct json **ret,
                           struct err *err)
{
    int64_t seconds = wait->cli->screen.err_tty ? SHORT_WAIT_S : LONG_WAIT_S;
    int64_t left = remaining_ms(wait);
    if (left < seconds * 1000)
        seconds = (left + 999) / 1000;
    autofree char *path =
        xasprintf("/v1/operations/%s?wait=%llds", task->operation, (long long)seconds);
    struct remote_call call = {
        .method = "GET", .path = path, .timeout_ms = (int)(seconds + 30) * 1000};
    return remote_call(wait->cli, &call, ret, NULL, err);
}

/* The instance's state in a word, for the progress line; "" when unknown. */
static void resource_state(struct wait *wait, const struct task *task, struct buf *out)
{
    auto_err struct err ignored = {0};
    auto_json struct json *reply = NULL;
    auto_buf struct buf path = {0};
    if (!task->id || strcmp(task->id, task->operation) == 0 ||
        remote_path(wait->cli, task->noun, task->id, NULL, &path, &ignored) != 0 ||
        remote_get(wait->cli, path.data, &reply, &ignored) != 0)
        return;
    const char *state = json_str(json_get(remote_object(reply, task->noun), "state"));
    if (state)
        buf_printf(out, "%s, ", state);
}

static void show_progress(struct wait *wait, const struct task *task, const char *what)
{
    if (!wait->cli->screen.err_tty)
        return;
    auto_buf struct buf state = {0}, place = {0};
    resource_state(wait, task, &state);
    if (wait->tasks->count > 1)
        buf_printf(&place, " (%zu of %zu)", (size_t)(task - wait->tasks->items) + 1,
                   wait->tasks->count);
    cli_progress(wait->cli, "%s%s: %s: %s%llds", task->target, place.data ? place.data : "", what,
                 state.data ? state.data : "", (long long)elapsed_s(wait));
}

static void show_done(struct wait *wait, const struct task *task, const char *what)
{
    if (!wait->cli->screen.err_tty)
        return;
    auto_buf struct buf state = {0};
    if (strcmp(what, "delete") != 0)
        resource_state(wait, task, &state);
    cli_done(wait->cli, "%s: %s done, %s%llds", task->target, what, state.data ? state.data : "",
             (long long)elapsed_s(wait));
}

static void fail(struct wait *wait, struct task *task, struct err *err)
{
    task->failed = true;
    cli_fail(wait->cli, task->target, err);
}

static void fail_operation(struct wait *wait, struct task *task, const struct json *operation)
{
    auto_err struct err err = {0};
    const struct json *error = json_get(operation, "error");
    const char *kind = json_str(json_get(operation, "kind"));
    const char *code = error ? json_str(json_get(error, "code")) : NULL;
    const char *detail = error ? json_str(json_get(error, "detail")) : NULL;
    err_set(&err, ERR_OPERATION_FAILED, "%s failed: %s", kind ? kind : "the operation",
            detail && *detail ? detail
            : code            ? code
                              : "no reason was given");
    fail(wait, task, &err);
}

static void fail_unfinished(struct wait *wait, struct task *task)
{
    auto_err struct err err = {0};
    err_set(&err, ERR_TIMED_OUT,
            "not done after %llds; the operation goes on. Try: cloudctl operation wait %s",
            (long long)elapsed_s(wait), task->operation);
    fail(wait, task, &err);
}

/* Says on standard error what an interrupt leaves behind. */
static void tell_interrupted(struct wait *wait, struct task *task)
{
    cli_progress_clear(wait->cli);
    fprintf(wait->cli->screen.err,
            "cloudctl: %s %s: interrupted; the operation goes on. Try: cloudctl operation wait "
            "%s\n",
            task->noun->name, task->target, task->operation);
    task->failed = true;
    if (!wait->cli->exit_code)
        wait->cli->exit_code = err_info(ERR_TIMED_OUT)->exit_code;
}

/* Whether an error while waiting may pass by itself. */
static bool is_passing(enum err_code code)
{
    return code == ERR_CONNECT || code == ERR_TIMED_OUT || code == ERR_UNAVAILABLE ||
           code == ERR_TOO_MANY_REQUESTS;
}

/* true: look again. */
static bool bear_with(struct wait *wait, struct task *task, int64_t *away_since_ms, struct err *err)
{
    int64_t now_ms = clock_boottime_ms();
    if (!*away_since_ms)
        *away_since_ms = now_ms;
    if (!is_passing(err->code) || now_ms - *away_since_ms > AWAY_MS) {
        err_context(err, "while waiting for operation %s", task->operation);
        fail(wait, task, err);
        return false;
    }
    cli_progress(wait->cli, "%s: %s, trying again: %llds", task->target,
                 err->code == ERR_TOO_MANY_REQUESTS ? "too many wait" : "no connection",
                 (long long)elapsed_s(wait));
    err_clear(err);
    usleep(AWAY_PAUSE_US);
    return true;
}

/* true: it ended, one way or the other. */
static bool judge(struct wait *wait, struct task *task, const struct json *operation)
{
    const char *state = json_str(json_get(operation, "state"));
    const char *kind = json_str(json_get(operation, "kind"));
    if (state && strcmp(state, "done") == 0) {
        show_done(wait, task, kind ? kind : "operation");
        return true;
    }
    if (state && strcmp(state, "failed") == 0) {
        fail_operation(wait, task, operation);
        return true;
    }
    show_progress(wait, task, kind ? kind : "operation");
    return false;
}

static void wait_one(struct wait *wait, struct task *task)
{
    int64_t away_since_ms = 0;
    bool ended = !task->operation;
    while (!ended && !*wait->cli->interrupted) {
        auto_err struct err err = {0};
        auto_json struct json *operation = NULL;
        bool last = remaining_ms(wait) == 0;
        if (fetch_operation(wait, task, &operation, &err) == 0) {
            away_since_ms = 0;
            ended = judge(wait, task, operation);
        } else if (!*wait->cli->interrupted) {
            ended = !bear_with(wait, task, &away_since_ms, &err);
        }
        if (last && !ended && !*wait->cli->interrupted) {
            fail_unfinished(wait, task);
            ended = true;
        }
    }
    if (!ended)
        tell_interrupted(wait, task);
}

void tasks_wait(struct cli *cli, struct tasks *tasks, int64_t timeout_s)
{
    struct wait wait = {.cli = cli, .tasks = tasks, .started_ms = clock_boottime_ms()};
    wait.deadline_ms = timeout_s ? wait.started_ms + timeout_s * 1000 : 0;
    for (size_t i = 0; i < tasks->count; i++)
        wait_one(&wait, &tasks->items[i]);
}

int tasks_print_operations(struct cli *cli, const struct tasks *tasks, struct err *err)
{
    autofree struct json **items = xcalloc(tasks->count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < tasks->count; i++) {
        struct json *reply = tasks->items[i].reply;
        struct json *operation = reply ? json_get(reply, "operation") : NULL;
        if (operation && json_type(operation) == JSON_OBJECT)
            items[count++] = operation;
    }
    return output_print(&cli->output, &cli->screen, items, count, cli->args->target_count == 1,
                        err);
}

/* Fetched afresh after waiting; without an operation the reply is fresh already. */
static int fetch_resource(struct cli *cli, struct task *task, struct err *err)
{
    if (!task->operation || !task->id)
        return 0;
    auto_buf struct buf path = {0};
    struct json *reply = NULL;
    if (remote_path(cli, task->noun, task->id, NULL, &path, err) != 0 ||
        remote_get(cli, path.data, &reply, err) != 0)
        return -1;
    json_free(task->reply);
    task->reply = reply;
    return 0;
}

int tasks_print_resources(struct cli *cli, const struct tasks *tasks, struct err *err)
{
    autofree struct json **items = xcalloc(tasks->count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < tasks->count; i++) {
        struct task *task = &tasks->items[i];
        if (task->failed || !task->reply)
            continue;
        if (fetch_resource(cli, task, err) != 0)
            cli_fail(cli, task->target, err);
        else
            items[count++] = remote_object(task->reply, task->noun);
    }
    if (count == 0)
        return 0;
    return output_print(&cli->output, &cli->screen, items, count, cli->args->target_count == 1,
                        err);
}
