/* What an operator does with the ledger: take it out, prove it, say which clock holds. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/verb/usage_rows.h"
#include "cli/verb/verbs.h"

enum {
    VERIFY_MS = 3600 * 1000, /* a page takes seconds, unless one seal alone takes longer */
};

/* ---- export ---- */

struct export
{
    struct cli *cli;
    FILE *out;
    int64_t bytes, shown_ms;
};

static int to_stream(void *ctx, const void *data, size_t len, struct err *err)
{
    struct export *export = ctx;
    if (fwrite(data, 1, len, export->out) != len)
        return err_set(err, ERR_CONFLICT, "cannot write: %s", strerror(errno));
    export->bytes += (int64_t)len;
    int64_t now_ms = clock_boottime_ms();
    if (export->out != export->cli->screen.out && now_ms - export->shown_ms > 500) {
        export->shown_ms = now_ms;
        cli_progress(export->cli, "exporting: %" PRId64 " KB", export->bytes / 1000);
    }
    return 0;
}

static int fetch_export(struct cli *cli, const struct args *args, struct export *export,
                        struct err *err)
{
    auto_buf struct buf path = {0};
    auto_answer struct http_answer answer = {0};
    if (remote_path(cli, args->noun, NULL, "export", &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    struct http_call call = {.method = "GET",
                             .path = path.data,
                             .timeout_ms = -1,
                             .sink = to_stream,
                             .sink_ctx = export};
    return remote_raw(cli, &call, &answer, err);
}

/* On the disk before it has its name. */
static int finish_file(FILE *out, const char *part, const char *file, struct err *err)
{
    if (fflush(out) != 0)
        return err_set(err, ERR_CONFLICT, "cannot write %s: %s", part, strerror(errno));
    if (file_sync("export", fileno(out), err) != 0)
        return -1;
    return file_rename("export", part, file, err);
}

static int export_to_file(struct cli *cli, const struct args *args, const char *file,
                          struct err *err)
{
    auto_err struct err ignored = {0};
    autofree char *part = xasprintf("%s.part", file);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out) {
        int rc = err_set(err, ERR_USAGE, "--output: %s: %s", part, strerror(errno));
        fd_cleanup(&fd);
        return rc;
    }
    struct export export = {.cli = cli, .out = out};
    int rc = fetch_export(cli, args, &export, err);
    if (rc == 0)
        rc = finish_file(out, part, file, err);
    fclose(out);
    if (rc != 0)
        file_unlink("export", part, &ignored);
    else
        cli_done(cli, "%s: %" PRId64 " bytes", file, export.bytes);
    return rc;
}

int run_usage_export(struct cli *cli, const struct args *args, struct err *err)
{
    const char *file = args_text(args, "output");
    if (args_has(args, "start") && args_has(args, "end") &&
        args_number(args, "start", 0) >= args_number(args, "end", 0))
        return err_set(err, ERR_USAGE, "--end must be after --start");
    if (file && strcmp(file, "-") != 0)
        return export_to_file(cli, args, file, err);
    struct export export = {.cli = cli, .out = cli->screen.out};
    return fetch_export(cli, args, &export, err);
}

/* ---- verify ---- */

/* These are about the whole ledger, whatever project is in use. */
static int call_ledger(struct cli *cli, const char *method, const char *path,
                       const struct buf *body, int timeout_ms, struct json **ret_reply,
                       struct err *err)
{
    struct remote_call call = {
        .method = method, .path = path, .body = body, .timeout_ms = timeout_ms};
    if (remote_call(cli, &call, ret_reply, NULL, err) != 0)
        return -1;
    return *ret_reply ? 0 : err_set(err, ERR_INTERNAL, "the controller's reply is empty");
}

static int64_t number_in(const struct json *object, const char *name)
{
    int64_t number = 0;
    json_i64(json_get(object, name), &number);
    return number;
}

/* What the pages say together: sums, and the last one's word. */
struct proof {
    int64_t seals, segments, observations;
    struct json *last; /* owned; NULL: no page came yet */
    char *after;       /* owned; NULL: from the beginning */
};

static void proof_release(struct proof *proof)
{
    json_free(proof->last);
    free(proof->after);
}

static bool flag_in(const struct json *object, const char *name)
{
    bool flag = false;
    json_bool(json_get(object, name), &flag);
    return flag;
}

static int fetch_page(struct cli *cli, struct proof *proof, struct err *err)
{
    auto_buf struct buf body = {0};
    struct json *page = NULL;
    struct json_writer w = JSON_WRITER(&body);
    json_open(&w, NULL, '{');
    if (proof->after)
        json_put_str(&w, "after", proof->after);
    json_close(&w, '}');
    if (call_ledger(cli, "POST", "/v1/usage/verify", &body, VERIFY_MS, &page, err) != 0)
        return -1;
    json_free(proof->last);
    proof->last = page;
    proof->seals += number_in(page, "seals");
    proof->segments += number_in(page, "segments");
    proof->observations += number_in(page, "observations");
    return 0;
}

/* 1: there is another page, behind this one. */
static int next_page(struct proof *proof, struct err *err)
{
    const char *chain = json_str(json_get(proof->last, "chain"));
    if (!flag_in(proof->last, "verified") || !flag_in(proof->last, "more"))
        return 0;
    if (!chain || (proof->after && strcmp(chain, proof->after) == 0))
        return err_set(err, ERR_INTERNAL, "the controller's reply leads no further");
    free(proof->after);
    proof->after = xstrdup(chain);
    return 1;
}

static int fetch_pages(struct cli *cli, struct proof *proof, struct err *err)
{
    int rc = 1;
    cli_progress(cli, "working every sealed hour out again");
    while (rc == 1) {
        if (fetch_page(cli, proof, err) != 0)
            return proof->seals ? err_context(err, "broke off; go on with --after %s", proof->after)
                                : -1;
        const char *until = json_str(json_get(proof->last, "sealed_until"));
        if (until)
            cli_progress(cli, "verified until %s", until);
        rc = next_page(proof, err);
    }
    cli_progress_clear(cli);
    return rc;
}

static void print_proof(struct cli *cli, const struct proof *proof)
{
    const char *until = json_str(json_get(proof->last, "sealed_until"));
    const char *chain = json_str(json_get(proof->last, "chain"));
    fprintf(cli->screen.out,
            "verified: %" PRId64 " segments of %" PRId64 " observations in %" PRId64 " seals",
            proof->segments, proof->observations, proof->seals);
    if (until)
        fprintf(cli->screen.out, ",\nsealed until %s; chain\n%s\n", until, chain ? chain : "");
    else
        fputs("; nothing is sealed yet\n", cli->screen.out);
}

/* One verdict, as if it had come on one page. */
static int print_verdict(struct cli *cli, const struct proof *proof, struct err *err)
{
    auto_buf struct buf text = {0};
    auto_json struct json *verdict = NULL;
    struct json_writer w = JSON_WRITER(&text);
    json_open(&w, NULL, '{');
    json_put_bool(&w, "verified", flag_in(proof->last, "verified"));
    json_put_str(&w, "difference", json_str(json_get(proof->last, "difference")));
    json_put_i64(&w, "seals", proof->seals);
    json_put_i64(&w, "segments", proof->segments);
    json_put_i64(&w, "observations", proof->observations);
    json_put_str(&w, "sealed_until", json_str(json_get(proof->last, "sealed_until")));
    json_put_str(&w, "chain", json_str(json_get(proof->last, "chain")));
    json_close(&w, '}');
    if (json_parse(text.data, text.len, &verdict, err) != 0)
        return -1;
    return output_print(&cli->output, &cli->screen, &verdict, 1, true, err);
}

int run_usage_verify(struct cli *cli, const struct args *args, struct err *err)
{
    __attribute__((cleanup(proof_release))) struct proof proof = {0};
    const char *after = args_text(args, "after");
    proof.after = after ? xstrdup(after) : NULL;
    if (fetch_pages(cli, &proof, err) != 0)
        return -1;
    bool verified = flag_in(proof.last, "verified");
    if (cli->output.chosen && print_verdict(cli, &proof, err) != 0)
        return -1;
    if (verified && !cli->output.chosen)
        print_proof(cli, &proof);
    const char *difference = json_str(json_get(proof.last, "difference"));
    if (!verified)
        return err_set(err, ERR_OPERATION_FAILED, "not verified: %s",
                       difference ? difference : "the ledger and the evidence differ");
    return 0;
}

/* ---- seals, confirm ---- */

int run_usage_seals(struct cli *cli, const struct args *args, struct err *err)
{
    static const struct noun seal = {.name = "seal", .plural = "seals"};
    auto_list struct remote_list list = {0};
    int64_t limit = args_number(args, "limit", 0);
    if (remote_list(cli, &seal, "/v1/usage/seals", limit, &list, err) != 0)
        return -1;
    if (list.count == 0 && cli->output.format == OUTPUT_TABLE) {
        fputs("Nothing is sealed yet.\n", cli->screen.err);
        return 0;
    }
    return output_print(&cli->output, &cli->screen, list.items, list.count, false, err);
}

int run_usage_segments(struct cli *cli, const struct args *args, struct err *err)
{
    static const struct noun segment = {.name = "segment", .plural = "segments"};
    auto_list struct remote_list list = {0};
    auto_buf struct buf path = {0};
    if (remote_path(cli, noun_find("instance"), args->targets[0], "usage", &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    if (remote_list(cli, &segment, path.data, 0, &list, err) != 0)
        return -1;
    return output_print(&cli->output, &cli->screen, list.items, list.count, false, err);
}

/* Another clock may hold sealing up still. What was confirmed stays so, whether we learn that or
 * not. */
static void report_held(struct cli *cli, const char *whose)
{
    auto_err struct err ignored = {0};
    auto_json struct json *answer = NULL;
    auto_buf struct buf reason = {0};
    if (remote_get(cli, "/v1/usage?limit=1", &answer, &ignored) != 0)
        cli_done(cli, "%s: confirmed", whose);
    else if (usage_put_held(answer, &reason))
        fprintf(cli->screen.err, "%s: confirmed; sealing still waits: %s\n", whose, reason.data);
    else
        cli_done(cli, "%s: confirmed; sealing goes on", whose);
}

int run_usage_confirm(struct cli *cli, const struct args *args, struct err *err)
{
    const char *node = args->target_count ? args->targets[0] : NULL;
    const char *word = args_text(args, "clock"), *boot = args_text(args, "boot");
    const char *whose = node ? node : "the controller";
    autofree char *question = NULL;
    if (strcmp(word, "controller") == 0)
        question = xasprintf("lay %s's boot on the controller's time?", whose);
    else
        question = xasprintf("%s %s's clock as it %s?", word, whose,
                             strcmp(word, "take") == 0 ? "shows now" : "was before it stepped");
    if (cli_ask(cli, args, question, err) != 0)
        return -1;
    auto_buf struct buf body = {0};
    auto_json struct json *reply = NULL;
    struct json_writer w = JSON_WRITER(&body);
    json_open(&w, NULL, '{');
    if (node)
        json_put_str(&w, "node", node);
    if (boot)
        json_put_str(&w, "boot", boot);
    json_put_str(&w, "clock", word);
    json_close(&w, '}');
    struct remote_call call = {.method = "POST", .path = "/v1/usage/confirm", .body = &body};
    if (remote_call(cli, &call, &reply, NULL, err) != 0)
        return -1;
    report_held(cli, whose);
    return 0;
}
