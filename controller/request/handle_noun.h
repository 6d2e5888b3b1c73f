/* What the handlers of the small nouns share: lists, one object, conditions, deletion. */
#ifndef MINICLOUD_CONTROLLER_REQUEST_HANDLE_NOUN_H
#define MINICLOUD_CONTROLLER_REQUEST_HANDLE_NOUN_H

#include "controller/noun/store_noun.h"
#include "controller/request/request.h"

typedef int noun_lister(struct db *db, const struct noun_filter *filter, struct json_writer *w,
                        struct window *window, struct err *err);
typedef int noun_shower(struct db *db, int64_t key, struct json_writer *w, int64_t *ret_revision,
                        struct err *err);
typedef int noun_remover(struct tx *tx, int64_t key, struct err *err);

/* Answers. `filter` holds what the handler read already; `project` is filled here. */
void noun_list(struct request *r, const char *plural, struct noun_filter *filter,
               noun_lister *list);
void noun_show(struct request *r, enum access_kind kind, noun_shower *show);
/* In a write: the row that the path names, If-Match checked. */
int noun_target(struct tx *tx, struct request *r, enum access_kind kind, int64_t *ret_key,
                struct err *err);
/* In a write: the object as it now is, its ETag, and for 201 its Location. */
int noun_answer(struct tx *tx, struct request *r, int status, int64_t key, noun_shower *show,
                struct err *err);
int noun_delete(struct tx *tx, struct request *r, enum access_kind kind, noun_remover *remove,
                struct err *err);
/* 204 without a body. */
int noun_nothing(struct request *r);
/* "/v1/keys/<id>" from the noun's plural and its id, owned by the caller. */
char *noun_location(const char *plural, const char *id);

#endif
