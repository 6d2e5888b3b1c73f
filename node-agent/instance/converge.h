/* What differs between an instance as desired and the host, and the one step that comes
 * next. Pure: values in, values out; whoever carries the step out looks again and asks
 * again, so that a crash between any two steps is a case like any other.
 *
 * The rules that must never break: a run starts at most once; what no desired row names
 * is not touched; only a tombstone deletes. */
#ifndef MINICLOUD_AGENT_CONVERGE_H
#define MINICLOUD_AGENT_CONVERGE_H

#include "api/base/limits.h"
#include "api/node_protocol.h"
#include "node-agent/xml/facts.h"

/* How far the guest has been asked to end a run. Lost with the agent: then it is asked
 * again and the time runs in full. */
struct asking {
    int64_t run;     /* 0: none */
    int64_t since;   /* CLOCK_BOOTTIME ms of the first press of the power button */
    int64_t pressed; /* and of the last */
};

enum { PRESS_AGAIN_MS = 5000 };

/* Who shut QEMU down, as libvirt's event before its end told: SIGTERM, which is how a host
 * that goes down ends it, looks like the guest's own doing otherwise. */
enum shutdown_by { SHUTDOWN_UNSEEN, SHUTDOWN_BY_GUEST, SHUTDOWN_BY_HOST };

struct situation {
    const struct desired_instance *desired; /* NULL: nobody told us of it */
    const char *epoch;                      /* of the desired state */
    const char *seed;                       /* file name that its seed should have */
    const struct facts *facts;
    struct asking asking;
    enum shutdown_by shutdown; /* of the newest run */
    int64_t now;
    bool stuck;        /* a libvirt call on it is past its deadline and has not returned */
    bool seed_written; /* since the last look */
    bool cleaned;      /* DHCP entries are gone */
    bool logs_removed; /* and, after the domain, its log files */
};

enum step {
    STEP_NOTHING,
    STEP_WAIT,   /* until `wake_at` */
    STEP_REFUSE, /* `why` is for a person; final */
    STEP_FETCH,  /* the image into the cache */
    STEP_LIST,   /* look again, with all its volumes */
    STEP_DISK,   /* make the overlay */
    STEP_GROW,   /* the overlay to disk_gib */
    STEP_SEED,   /* write the seed volume */
    STEP_DEFINE,
    STEP_REDEFINE, /* from its own XML */
    STEP_RETITLE,
    STEP_STAMP,   /* metadata of another epoch becomes ours; nothing else changes */
    STEP_NETWORK, /* network up, DHCP entry there */
    STEP_SET_RUN, /* the definition is for the desired run now */
    STEP_CREATE,  /* start paused */
    STEP_SET_STARTED,
    STEP_RESUME,
    STEP_ASK, /* press the power button */
    STEP_DESTROY,
    STEP_RECORD_END, /* write down that and how the run ended */
    STEP_SWEEP,      /* delete the volume `volume` */
    STEP_CLEAN,      /* its DHCP entries */
    STEP_UNDEFINE,
    STEP_REMOVE_LOGS,
    STEPS
};
extern const char *const step_names[];

struct decision {
    enum step step;
    int64_t wake_at;
    const char *volume; /* points into facts */
    const char *why;
};

struct decision converge(const struct situation *s);

/* Why the newest run ended; CAUSE_NONE while it runs or when there was none. */
int converge_cause(const struct situation *s);
/* The metadata that this instance's definition should carry now. */
void converge_mark(const struct situation *s, struct mark *ret);
/* The metadata after an epoch change, see node_protocol.h. */
void converge_stamp(const struct situation *s, struct mark *ret);
/* Desired is older than what this host was told before (same epoch). */
bool converge_stale(const struct situation *s);

struct trouble {
    bool final; /* told as final: whoever waits need not; the agent goes on trying */
    char reason[LIMIT_REASON + 1]; /* "": none */
};

/* What to report; owns nothing. */
struct observed {
    char id[ID_TEXT_MAX];
    char epoch[EPOCH_MAX];
    int64_t generation;
    bool converged, final, quarantined;
    int state, cause;
    int64_t run, vcpus, memory_mib, disk_gib, disk_number, uid;
    char address[64], name[256];
    char reason[LIMIT_REASON + 1];
};

/* `told`: a full page has been seen, so what is not in it is quarantined. */
void observe(const struct situation *s, const struct decision *d, const struct trouble *trouble,
             bool told, struct observed *ret);

#endif
