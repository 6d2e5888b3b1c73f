/* The one table of commands: nouns, their verbs, the options of each verb and
 * the columns of each noun. Dispatch, help, completion, request bodies and output
 * all read it; none of them knows a noun by name. */
#ifndef MINICLOUD_CLI_LINE_COMMAND_H
#define MINICLOUD_CLI_LINE_COMMAND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct args;
struct cli;
struct err;

enum option_type {
    OPTION_FLAG, /* takes no value */
    OPTION_TEXT,
    OPTION_INT,     /* min..max */
    OPTION_SIZE,    /* counted in `unit`: "512", "512M", "2G" */
    OPTION_SECONDS, /* "90", "90s", "5m", "2h" */
    OPTION_TIME,    /* as moment_parse() reads it; wall milliseconds */
    OPTION_MONEY,   /* "0.004"; nano-units */
    OPTION_CHOICE,  /* one of `choices` */
    OPTION_YES_NO,  /* "yes" or "no" */
    OPTION_LIST,    /* repeated, or separated by commas */
    OPTION_LABEL,   /* NAME=VALUE, repeated */
    OPTION_FILE,    /* a path, used by the verb itself */
    OPTION_CONTENT, /* a file whose bytes go into the body as base64 */
    OPTION_LINE,    /* a file whose one line goes into the body */
};

/* Where the value goes. */
enum option_place { PLACE_VERB, PLACE_BODY, PLACE_QUERY };

struct option {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0: none */
    enum option_type type;
    enum option_place place;
    bool required;
    const char *value;          /* what help calls the value; NULL for flags */
    const char *help;           /* fits beside the name in 80 columns */
    const char *member;         /* of the body or the query; NULL: the name */
    const char *fixed;          /* a flag's JSON text in the body (NULL: true); a time's word
                                   that is not sent, being what holds without it */
    const char *const *choices; /* ended by NULL */
    const char *noun;           /* whose names complete the value */
    int64_t min, max;
    int64_t unit;  /* of a size: bytes; of a time: ms to which what counts from now is rounded */
    bool round_up; /* a time: up rather than down */
};

enum verb_flags {
    VERB_OUTPUT = 1,  /* has -o and --columns */
    VERB_WAIT = 2,    /* answers with an operation: --no-wait, --timeout */
    VERB_CONFIRM = 4, /* asks first: --yes */
    VERB_HIDDEN = 8,  /* neither in help nor in completion */
    VERB_NEW = 16,    /* targets are names to be made */
    VERB_DETAIL = 32, /* prints one thing, a line per column */
    VERB_QUIET = 64,  /* prints what it acted on only when -o is given */
    VERB_WORDS = 128, /* everything behind it is a target, dashes and all */
};

enum { MANY = INT_MAX };

struct verb {
    const char *name;    /* "": the noun alone is the command; NULL ends a table */
    const char *targets; /* as help shows them; NULL: none */
    int min_targets, max_targets;
    const char *target_noun; /* whose names complete a target; NULL: the noun's own */
    const char *const *target_choices;
    const char *summary;
    const char *notes;   /* more paragraphs for help, NULL: none */
    const char *example; /* arguments behind "cloudctl NOUN VERB" */
    unsigned flags;
    const struct option *options; /* NULL: none of its own */
    /* What it prints is not the noun itself: what it shows, and what -o name prints. */
    const struct column *columns; /* NULL: the noun's */
    const char *name_path;        /* with `columns` only */
    int (*run)(struct cli *cli, const struct args *args, struct err *err);
};

enum cell_type {
    CELL_TEXT, /* strings, numbers, yes/no; arrays joined by commas; objects as k=v */
    CELL_TIME, /* of what is past: an age in tables */
    CELL_MIB,
    CELL_GIB,
    CELL_BYTES,
    CELL_MONEY, /* nano-units, as a decimal amount in tables and CSV */
    CELL_DATE,  /* a time to the second in tables; for what may lie ahead */
    CELL_HASH,  /* its first digits in tables, unless --columns asks for it */
    CELL_SECONDS,
    CELL_NANOSECONDS,
    /* Of several members of one object (derived.h); the path is that of the one that must be
     * there. */
    CELL_SUM, /* CELL_MONEY with the object's currency */
    CELL_PRICE,
    CELL_PRICE_GRAIN,
    CELL_PRICE_STATE,
    CELL_SEGMENT,
    CELL_SEGMENT_NOTE,
    CELL_SEGMENT_PROOF,
};

enum column_flags {
    COLUMN_TABLE = 1,   /* in tables of many, unless --columns says otherwise */
    COLUMN_CSV = 2,     /* in CSV of many, likewise */
    COLUMN_SHOW = 4,    /* where one thing is shown, a line per column */
    COLUMN_RIGHT = 8,   /* numbers */
    COLUMN_YIELDS = 16, /* people's texts, which are cut where a table is too wide */
    COLUMN_LIST = COLUMN_TABLE | COLUMN_CSV,
    COLUMN_BOTH = COLUMN_LIST | COLUMN_SHOW,
};

struct column {
    const char *name;  /* for --columns and CSV; NULL ends a table */
    const char *title; /* for tables */
    const char *path;  /* members joined by dots; an array on the way fans out */
    enum cell_type type;
    unsigned flags;
};

enum { COLUMNS_MAX = 40 };

struct noun {
    const char *name; /* NULL ends the table */
    const char *plural;
    const char *summary;
    bool scoped;           /* belongs to a project: --project narrows it */
    const char *name_path; /* what -o name prints; NULL: "name" */
    const struct column *columns;
    const struct verb *verbs;
};

extern const struct noun nouns[];
/* What `image list --orphaned` shows: files that no image has. No command of its own. */
extern const struct noun orphan_noun;
/* What VERB_OUTPUT brings, made where it is printed. */
extern const struct option output_options[];

extern const struct column instance_columns[], image_columns[], orphan_columns[], flavor_columns[],
    key_columns[], node_columns[], project_columns[], token_columns[], network_columns[],
    operation_columns[], event_columns[], context_columns[], usage_columns[], forecast_columns[],
    seal_columns[], segment_columns[], verdict_columns[], price_columns[];

/* By singular or plural name; NULL when there is none. */
const struct noun *noun_find(const char *name);
const struct verb *verb_find(const struct noun *noun, const char *name);
/* Those of the verb, else those of its noun. */
const struct column *verb_columns(const struct noun *noun, const struct verb *verb);
/* True for "status": a command without a verb. */
bool noun_is_command(const struct noun *noun);
/* The n-th option that `verb` takes: its own, those its flags bring, then the global
 * ones. With a NULL verb: all but those of single verbs. NULL at the end. */
const struct option *verb_option_at(const struct verb *verb, size_t index);
/* True when the option is one of the global ones. */
bool option_is_global(const struct option *option);

#endif
