/* Request bodies out of command lines, by the options' table rows. */
#ifndef MINICLOUD_CLI_REMOTE_BODY_H
#define MINICLOUD_CLI_REMOTE_BODY_H

struct args;
struct buf;
struct err;
struct json;

struct body {
    const struct args *args;
    const struct json *labels;       /* those it has, to which --label and --unlabel apply */
    const char *extra, *extra_value; /* one more string member; NULL: none */
};

/* Reads the files that options name: once, since standard input may be one. */
int body_build(const struct body *body, struct buf *out, struct err *err);
/* The same body with a member "name" in front. */
void body_named(const struct buf *body, const char *name, struct buf *out);

#endif
