/* An error as the RFC 9457 document that a client gets for it. */
#ifndef MINICLOUD_API_HTTP_PROBLEM_H
#define MINICLOUD_API_HTTP_PROBLEM_H

struct buf;
struct err;

/* Appends the RFC 9457 problem document: type, title, status, code, detail,
 * field (when there is one) and the members of `more`. */
void err_problem(const struct err *err, const char *request_id, struct buf *out);

#endif
