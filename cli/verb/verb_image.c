/* Images: create with an upload, upload, download; and the console log, which is
 * bytes as well. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base/buf.h"
#include "api/base/clock.h"
#include "api/base/err.h"
#include "api/base/file.h"
#include "api/base/mem.h"
#include "api/http/http_client.h"
#include "api/json/json.h"
#include "cli/line/args.h"
#include "cli/remote/body.h"
#include "cli/remote/remote.h"
#include "cli/remote/session.h"
#include "cli/show/cell.h"
#include "cli/verb/verbs.h"

/* ---- upload ---- */

struct upload {
    struct cli *cli;
    const char *name;
    int64_t started_ms, shown_ms;
};

static void show_upload(void *ctx, int64_t done, int64_t total)
{
    struct upload *upload = ctx;
    int64_t now_ms = clock_boottime_ms();
    if (!upload->cli->screen.err_tty || now_ms - upload->shown_ms < 200)
        return;
    upload->shown_ms = now_ms;
    auto_buf struct buf text = {0};
    cell_bytes(done, &text);
    if (total > 0) {
        buf_puts(&text, " of ");
        cell_bytes(total, &text);
        buf_printf(&text, ", %d%%", (int)((double)done * 100 / (double)total));
    }
    cli_progress(upload->cli, "%s: %s, %llds", upload->name, text.data,
                 (long long)(now_ms - upload->started_ms) / 1000);
}

/* "-" is standard input, whose size nobody knows. */
static int open_content(const char *path, int *ret_fd, int64_t *ret_size, struct err *err)
{
    struct stat info;
    int fd = open(strcmp(path, "-") == 0 ? "/dev/stdin" : path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
        int reason = fd < 0 ? errno : EISDIR;
        if (fd >= 0)
            close(fd);
        return err_set(err, ERR_USAGE, "--file: %s: %s", path, strerror(reason));
    }
    *ret_fd = fd;
    *ret_size = S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
    return 0;
}

static int upload_content(struct cli *cli, const struct noun *noun, const char *name,
                          const char *id, int fd, int64_t size, struct json **ret_image,
                          struct err *err)
{
    struct upload upload = {.cli = cli, .name = name, .started_ms = clock_boottime_ms()};
    auto_answer struct http_answer answer = {0};
    autofree char *path = xasprintf("/v1/%s/%s/content", noun->plural, id);
    struct http_call call = {
        .method = "PUT",
        .path = path,
        .upload = true,
        .upload_fd = fd,
        .upload_size = size,
        .timeout_ms = -1,
        .progress = show_upload,
        .progress_ctx = &upload,
    };
    if (remote_raw(cli, &call, &answer, err) != 0)
        return -1;
    cli_done(cli, "%s: uploaded in %llds", name,
             (long long)(clock_boottime_ms() - upload.started_ms) / 1000);
    if (!answer.body.len)
        return 0;
    return json_parse(answer.body.data, answer.body.len, ret_image, err);
}

static int print_image(struct cli *cli, const struct args *args, struct json *reply,
                       struct err *err)
{
    if (!reply || (args->verb->flags & VERB_QUIET && !cli->output.chosen))
        return 0;
    struct json *image = remote_object(reply, args->noun);
    return output_print(&cli->output, &cli->screen, &image, 1, true, err);
}

/* A convenience of this program only: the API wants the format said. */
static const char *guess_format(int fd)
{
    char magic[4] = "";
    bool qcow2 = pread(fd, magic, sizeof(magic), 0) == 4 && memcmp(magic, "QFI\xfb", 4) == 0;
    return qcow2 ? "qcow2" : "raw";
}

static int create_image(struct cli *cli, const struct args *args, const char *format,
                        struct json **ret_reply, struct err *err)
{
    auto_buf struct buf rest = {0}, text = {0}, path = {0};
    struct body body = {.args = args, .extra = format ? "format" : NULL, .extra_value = format};
    if (body_build(&body, &rest, err) != 0 ||
        remote_path(cli, args->noun, NULL, NULL, &path, err) != 0)
        return -1;
    body_named(&rest, args->targets[0], &text);
    struct remote_call call = {.method = "POST", .path = path.data, .body = &text};
    return remote_call(cli, &call, ret_reply, NULL, err);
}

int run_image_create(struct cli *cli, const struct args *args, struct err *err)
{
    const char *name = args->targets[0], *file = args_text(args, "file");
    const char *format = NULL;
    autoclose int fd = -1;
    int64_t size = -1;
    auto_json struct json *reply = NULL, *uploaded = NULL;
    if (file && open_content(file, &fd, &size, err) != 0)
        return -1;
    if (!args_has(args, "format")) {
        if (size < 0)
            return err_set(err, ERR_USAGE, "--format is needed without a file to look at");
        format = guess_format(fd);
    }
    if (create_image(cli, args, format, &reply, err) != 0) {
        cli_fail(cli, name, err);
        return 0;
    }
    const char *id = json_str(json_get(remote_object(reply, args->noun), "id"));
    if (!file || !id)
        return print_image(cli, args, reply, err);
    if (upload_content(cli, args->noun, name, id, fd, size, &uploaded, err) != 0) {
        err_context(err, "the image was made, but its upload failed");
        cli_fail(cli, name, err);
        return 0;
    }
    return print_image(cli, args, uploaded ? uploaded : reply, err);
}

int run_image_upload(struct cli *cli, const struct args *args, struct err *err)
{
    const char *name = args->targets[0];
    autoclose int fd = -1;
    int64_t size = -1;
    auto_buf struct buf path = {0};
    auto_json struct json *image = NULL, *uploaded = NULL;
    if (open_content(args_text(args, "file"), &fd, &size, err) != 0)
        return -1;
    if (remote_path(cli, args->noun, name, NULL, &path, err) != 0)
        return -1;
    const char *id = NULL;
    if (remote_get(cli, path.data, &image, err) == 0)
        id = json_str(json_get(image, "id"));
    if (!id || upload_content(cli, args->noun, name, id, fd, size, &uploaded, err) != 0) {
        cli_fail(cli, name, err);
        return 0;
    }
    return print_image(cli, args, uploaded, err);
}

/* ---- download ---- */

static int write_all(int fd, const char *data, size_t len, struct err *err)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_errno(err, "cannot write");
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

static int to_descriptor(void *ctx, const void *data, size_t len, struct err *err)
{
    return write_all(*(const int *)ctx, data, len, err);
}

int run_image_download(struct cli *cli, const struct args *args, struct err *err)
{
    const char *name = args->targets[0], *file = args_text(args, "file");
    if (!file && cli->screen.out_tty)
        return err_set(err, ERR_USAGE, "an image is not for a terminal. Try: --file FILE");
    auto_buf struct buf path = {0};
    auto_answer struct http_answer answer = {0};
    autofree char *part = file ? xasprintf("%s.part", file) : NULL;
    autoclose int fd = part ? open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                            : dup(fileno(cli->screen.out));
    if (fd < 0)
        return err_set(err, ERR_USAGE, "--file: %s: %s", file ? part : "-", strerror(errno));
    struct upload progress = {.cli = cli, .name = name, .started_ms = clock_boottime_ms()};
    struct http_call call = {.method = "GET",
                             .timeout_ms = -1,
                             .sink = to_descriptor,
                             .sink_ctx = &fd,
                             .progress = show_upload,
                             .progress_ctx = &progress};
    int rc = remote_path(cli, args->noun, name, "content", &path, err);
    call.path = path.data;
    if (rc == 0)
        rc = remote_raw(cli, &call, &answer, err);
    /* The name appears once the content is whole. */
    if (rc == 0 && part)
        rc = file_rename("download", part, file, err);
    if (rc == 0)
        cli_done(cli, "%s: downloaded", name);
    else
        cli_fail(cli, name, err);
    return 0;
}

/* ---- console log ---- */

/* Leaves out escape sequences and control bytes: a guest must not write on the terminal
 * of whoever reads its log. */
static void put_visible(const char *data, size_t len, FILE *out)
{
    enum { TEXT, ESCAPE, SEQUENCE } state = TEXT;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (state == ESCAPE)
            state = c == '[' ? SEQUENCE : TEXT;
        else if (state == SEQUENCE)
            state = c >= 0x40 && c <= 0x7e ? TEXT : SEQUENCE;
        else if (c == 0x1b)
            state = ESCAPE;
        else if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f))
            fputc(c, out);
    }
}

int run_log(struct cli *cli, const struct args *args, struct err *err)
{
    auto_buf struct buf path = {0};
    auto_answer struct http_answer answer = {0};
    if (remote_path(cli, args->noun, args->targets[0], "console", &path, err) != 0)
        return -1;
    remote_query_options(&path, args);
    struct http_call call = {.method = "GET", .path = path.data, .timeout_ms = 60 * 1000};
    if (remote_raw(cli, &call, &answer, err) != 0) {
        cli_fail(cli, args->targets[0], err);
        return 0;
    }
    if (cli->screen.out_tty)
        put_visible(answer.body.data ? answer.body.data : "", answer.body.len, cli->screen.out);
    else if (answer.body.len)
        fwrite(answer.body.data, 1, answer.body.len, cli->screen.out);
    return 0;
}
