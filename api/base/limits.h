/* Every limit, in one place, with its reason. The OpenAPI text and the tests
 * at each edge use these names. */
#ifndef MINICLOUD_API_BASE_LIMITS_H
#define MINICLOUD_API_BASE_LIMITS_H

#include <stdint.h>

enum {
    /* HTTP framing. */
    LIMIT_BODY_BYTES = 256 * 1024,   /* a JSON request; 64 KiB user_data as \u escapes fit */
    LIMIT_URI_BYTES = 4096,          /* request target */
    LIMIT_HEADERS_BYTES = 16 * 1024, /* all header lines together */
    LIMIT_CONNECTIONS = 4096,        /* in all; fewer where RLIMIT_NOFILE is small */
    LIMIT_CONNECTIONS_LEAST = 16,    /* where it is tiny: a project or node has two of them */
    LIMIT_RESERVED_FILES = 256,      /* descriptors that no connection takes: databases, logs */
    LIMIT_WAITING_BYTES = 128 * 1024 * 1024, /* of replies that clients have not taken, in all */
    LIMIT_UNPROVED_SECONDS = 10, /* for a request's head, and between two, without a token */
    LIMIT_AGENT_BODY_BYTES = 8 * 1024 * 1024, /* a node's full report: 2,000 guests at 4 KiB */
    LIMIT_REQUEST_SECONDS = 30,               /* from first byte to last of head and JSON body */
    LIMIT_UPLOAD_IDLE_SECONDS = 60,           /* an upload that stands still */

    /* JSON. */
    LIMIT_JSON_DEPTH = 16,
    LIMIT_JSON_ITEMS = 1000 * 1000, /* values in one text: a full report of 8 MiB stays below */
    LIMIT_JSON_NUMBER = 63,         /* bytes of one number; cJSON cuts a longer one */

    LIMIT_IMAGES_GONE = 10 * 1000, /* deleted images an agent is told of: 670 KB of a full page */

    /* Texts, in bytes of UTF-8. */
    LIMIT_NAME = 63,      /* RFC 1123 label, so that a name can be a host name */
    LIMIT_HOSTNAME = 253, /* what DNS takes */
    LIMIT_LABEL_NAME = 63,
    LIMIT_LABEL_VALUE = 255,
    LIMIT_LABELS = 64, /* on one resource */
    LIMIT_USER_DATA = 64 * 1024,
    LIMIT_PUBLIC_KEY = 16 * 1024, /* an RSA key of 16,384 bits takes under 3 KiB */
    LIMIT_KEYS_PER_INSTANCE = 32,
    LIMIT_IDEMPOTENCY_KEY = 255,
    LIMIT_REASON = 1024, /* an agent's explanation */
    LIMIT_CONDITION_CODE = 40,
    LIMIT_CONDITIONS = 16, /* of one host: more than an agent knows to tell */

    /* Sizes of instances. */
    LIMIT_VCPUS = 256, /* q35 takes 288 with an IOMMU, 255 without x2APIC */
    LIMIT_MEMORY_MIB_MIN = 64,
    LIMIT_MEMORY_MIB = 4 * 1024 * 1024,
    LIMIT_DISK_GIB = 64 * 1024,

    /* What hosts say. A claim beyond these is refused or cut by name, and of one instance only. */
    LIMIT_WORD = 63,             /* ids of boots and processes, versions: 36 bytes are usual */
    LIMIT_HOST_AMOUNT = 1 << 30, /* CPUs, MiB, GiB: a million rows of these add up to 2^50 */
    LIMIT_NODE_GUESTS = 4096,    /* in one report: twice what its body is made for */
    LIMIT_OBSERVATIONS = 1000,   /* in one report; the rest comes with the next */
    /* Of one host: what a full spool brings at one go, and then so much a second; a host of 2,000
     * guests that are counted each minute has 33. A disk that is full has room for few. */
    LIMIT_EVIDENCE_AT_ONCE = 20 * 1000,
    LIMIT_EVIDENCE_SECOND = 100,
    LIMIT_EVIDENCE_FULL_AT_ONCE = 100,
    LIMIT_EVIDENCE_FULL_SECOND = 1,
    LIMIT_NODE_STRANGERS = 1024, /* in quarantine on one node: each create there looks at them */
    NODE_EPOCH_SECONDS = 600,    /* a node's bare word begins an epoch of its own no more often */

    /* Prices. */
    LIMIT_PRICES = 100 * 1000, /* also those that ended: whoever rates reads all, 10 MiB */
    LIMIT_PRICE_MINIMUM_SECONDS = 24 * 3600,

    /* Reads. */
    WAL_LIMIT_MIB = 256,           /* of the database's log, unless set */
    LIMIT_LANE_READS = 256,        /* of one project, or one token without one, that wait */
    LIMIT_READ_STEPS = 1000000000, /* of SQLite's machine in one go: ten seconds and more */

    /* Lists and waits. */
    LIMIT_PAGE = 1000,
    LIMIT_PAGE_DEFAULT = 100,
    LIMIT_WAIT_SECONDS = 60,          /* one whose machine is gone sends no word of leaving */
    LIMIT_CONSOLE_BYTES = 256 * 1024, /* tail of a console log */
    LIMIT_STOP_TIMEOUT_SECONDS = 600,
    STOP_TIMEOUT_DEFAULT_SECONDS = 60, /* what a guest gets to obey the power button */
    CONSOLE_WAIT_SECONDS = 10,         /* for a host to send a console log's end */
    RETRY_AFTER_SECONDS = 1,           /* what 429 and 503 ask for: a place is free any moment */

    /* What may be held at once (controller/shares.c). Of each kind one token has at most half
     * of its project's, so that a runaway script leaves its colleagues room, and one project a
     * part of all projects' only. Operators and nodes have room of their own. */
    LIMIT_TOKEN_WATCHERS = 256, /* event watchers: a dashboard's tabs, a program's replicas */
    LIMIT_PROJECT_WATCHERS = 512,
    LIMIT_PROJECTS_WATCHERS = 2048,
    LIMIT_OPERATOR_WATCHERS = 1024, /* a facade for many people has one operator's token */
    LIMIT_OPERATORS_WATCHERS = 2048,
    LIMIT_TOKEN_OPERATION_WAITS = 128, /* a fleet that is made at one go, each machine awaited */
    LIMIT_PROJECT_OPERATION_WAITS = 256,
    LIMIT_PROJECTS_OPERATION_WAITS = 1024,
    LIMIT_OPERATOR_OPERATION_WAITS = 512,
    LIMIT_OPERATORS_OPERATION_WAITS = 1024,
    LIMIT_TOKEN_CONSOLES = 16, /* each brings LIMIT_CONSOLE_BYTES */
    LIMIT_PROJECT_CONSOLES = 32,
    LIMIT_PROJECTS_CONSOLES = 128,
    LIMIT_OPERATOR_CONSOLES = 32,
    LIMIT_OPERATORS_CONSOLES = 64,
    LIMIT_NODE_POLLS = 4,       /* one is asked; others are left behind by an agent's restarts */
    LIMIT_NODE_WATCHERS = 2048, /* agents that wait: a poll of each node, and some to spare */
    LIMIT_NODE_REPORTS = 16, /* and console logs: one report is made at a time, the rest is spare */
    LIMIT_NODES_REPORTS = 2048,
    LIMIT_NODE_BULK = 2,     /* reports longer than LIMIT_BODY_BYTES */
    LIMIT_NODES_BULK = 64,   /* with LIMIT_AGENT_BODY_BYTES: half a GiB, while hosts are many */
    LIMIT_TOKEN_UPLOADS = 4, /* each has UPLOAD_BUFFERS_BYTES, and the disk is one */
    LIMIT_PROJECT_UPLOADS = 8,
    LIMIT_PROJECTS_UPLOADS = 24,
    LIMIT_OPERATOR_UPLOADS = 4,
    LIMIT_OPERATORS_UPLOADS = 8,
    UPLOAD_BUFFERS_BYTES = 1024 * 1024, /* all uploads together: 32 MiB */
    /* People's places in the table of waits: all that the shares above can ask for. */
    LIMIT_WATCHERS = LIMIT_PROJECTS_WATCHERS + LIMIT_OPERATORS_WATCHERS +
                     LIMIT_PROJECTS_OPERATION_WAITS + LIMIT_OPERATORS_OPERATION_WAITS +
                     LIMIT_PROJECTS_CONSOLES + LIMIT_OPERATORS_CONSOLES,

    IDEMPOTENCY_KEEP_SECONDS = 24 * 3600,
};

#define LIMIT_PRICE_NANOS 9000000000000000LL /* 9 million: times any size it fits 128 bits */
/* Runs, generations, disk numbers that a host may claim: each grows by one with a person's wish,
 * and however much is added later a JSON reader still takes it (2^53). */
#define LIMIT_COUNTER ((int64_t)1 << 40)
#define LIMIT_IMAGE_BYTES (16LL * 1024 * 1024 * 1024 * 1024) /* ext4's largest file */

#endif
