/* Server-sent events: a reply that stays open and follows the revision log. */
#ifndef MINICLOUD_CONTROLLER_EVENT_EVENT_STREAM_H
#define MINICLOUD_CONTROLLER_EVENT_EVENT_STREAM_H

struct feed_question;
struct request;

/* Answers with a stream that goes on after `question->after`. `question` may be part of
 * r->input, which the stream takes the place of. */
void event_stream_open(struct request *r, const struct feed_question *question);

#endif
