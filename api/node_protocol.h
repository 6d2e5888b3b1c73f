/* What passes between a node agent and the controller: the shapes of
 *
 *   POST /v1/nodes            join token        node_join    -> node_joined
 *   POST /v1/node/observed    node token        node_report  -> node_report_ack
 *   GET  /v1/node/desired     ?epoch=&after=&mark=&wait=     -> desired_page
 *   GET  /v1/images/{id}/content                             -> bytes
 *   POST /v1/node/console/{request}             text/plain   -> 204
 *
 * Readers ignore unknown fields; what an agent cannot do fails that one instance,
 * by name. Absence from a page never means delete: only `deleted` does.
 *
 * Order of an agent's life: join (once; the token is kept in a 0600 file), then
 * always first a full report, and only then GET desired. So the controller knows the
 * host's boot id, and has allotted new runs, before anything is started.
 *
 * Epochs: generations, runs and revisions compare only within one epoch. An agent
 * sends the epoch, the highest revision it has seen and the mark that came with that: a hash of
 * the history and the controller's signature under it. A controller that is told of a revision
 * that it never wrote, of another history behind one that it did write, or of a later epoch, was
 * restored from a copy (GET desired is refused with 409 then: report first). So it was when a
 * domain's metadata of its epoch are not its own: a later generation, or an id without a row. A
 * new epoch begins and instances become `adopt`: all of them when its own signature proves the
 * claim, else those of the host that claims it, and that node is in an epoch of its own. For an
 * adopted instance the agent changes nothing and reports the facts; the controller takes those
 * over as what is desired, and a later generation without `adopt` stamps the domain with the new
 * epoch.
 *
 * What an agent says is bounded (limits.h). A text or number of the report itself that cannot be
 * refuses the report by the field's name; of one instance, it makes that one an error; evidence
 * that cannot be is dropped, and acknowledged. */
#ifndef MINICLOUD_API_NODE_PROTOCOL_H
#define MINICLOUD_API_NODE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

#include "api/json/wire.h"
#include "api/types.h"

enum { NODE_PROTOCOL = 1, NODE_MARK_MAX = 40, EPOCH_MAX = 256 };

struct node_capacity {
    int64_t cpus;       /* online host CPUs less the reserved ones, times the overcommit setting */
    int64_t memory_mib; /* virNodeGetMemoryStats total less the reserved */
    int64_t disk_gib;   /* free in the pool, and taken by instances there, less the reserved */
    int virt;           /* enum virt_type, never auto */
};

/* Something is amiss with a host though it works. All that is told stands until a report leaves
 * it out. */
struct node_condition {
    char *code; /* a-z 0-9 _: for programs */
    char *text; /* what is seen, and the cure: one line for a person */
};

struct node_join {
    char *name;
    char *host_uuid; /* libvirt's; the same host joining again gets its node back */
    char *boot_id;
    char *version;
    int64_t protocol;
    struct node_capacity capacity;
};

struct node_joined {
    char *id, *name;
    char *token;
    int64_t protocol;
};

struct desired_image {
    char *id;
    int format; /* enum image_format */
    int64_t size_bytes;
    int64_t virtual_bytes;
    char *sha256;
};

struct desired_interface {
    char *network; /* id */
    char *mac;
    char *address;
};

struct desired_instance {
    char *id;
    char *name; /* for people: the domain's title */
    int64_t generation;
    bool deleted; /* tombstone: remove everything of it, report `absent` */
    bool adopt;   /* touch nothing, report the facts */
    int power;    /* enum power */
    int64_t run;  /* allotted by `start`, `reboot` and a host's new boot; starts at most once */
    bool force;   /* when stopping (or ending an older run): do not ask the guest */
    int64_t stop_timeout_ms; /* ask, then force after this */
    int64_t vcpus, memory_mib, disk_gib;
    int64_t disk_number; /* grows with each rebuild: another number is another disk */
    int64_t uid;         /* the guest's QEMU runs as this user */
    struct desired_image image;
    struct wire_list interfaces; /* struct desired_interface */
    char *hostname;
    struct strings keys; /* OpenSSH lines */
    char *user_data;     /* base64, NULL: none */
};

struct desired_network {
    char *id, *name;
    char *cidr;     /* "10.77.0.0/16" */
    char *gateway;  /* "10.77.0.1": the same on every host */
    int64_t bridge; /* number; the bridge is called mcbr<number> */
    bool nat;
    int64_t generation;
};

struct console_request {
    char *id;
    char *instance;
    int64_t bytes; /* of the log's end */
};

struct desired_page {
    int64_t protocol;
    char *epoch;
    int64_t revision; /* ask after this one next */
    char *mark;       /* of the history up to `revision`: to be kept and sent back with it */
    bool full;        /* everything of this node is in this page (after=0, or another epoch) */
    struct wire_list instances; /* changed after `after`, or all */
    struct wire_list networks;  /* always all that its instances use */
    /* Full only, SHA-256 each: those that were deleted, and all others; the latter for agents
     * that know no `images_gone` and keep only what is in it. */
    struct strings images_gone, images;
    struct wire_list console; /* struct console_request */
};

struct observed_instance {
    char *id;
    char *epoch; /* of the domain's metadata; NULL: none */
    int64_t
        generation; /* of the desired_instance whose convergence this reports; see `converged` */
    bool converged; /* host and that generation agree; nothing is left to do */
    int state;      /* enum instance_state: provisioning..absent */
    char *reason;
    bool final;  /* with state error: trying again will not help */
    int64_t run; /* newest run that was started here, 0: none */
    int cause;   /* how that run ended, when it did */
    int64_t vcpus, memory_mib, disk_gib, disk_number; /* facts, 0: unknown */
    int64_t uid;
    char *address; /* of its metadata */
    char *name;
    bool quarantined; /* a domain this controller never told us of: reported, counted, untouched */
};

/* Evidence. Identity is (node, boot id, incarnation, sequence): a repeat changes nothing. */
struct observation {
    char *boot_id;
    /* Orders the boots of a host, whatever its clock says: each has a higher one than the boot
     * before, and where that one is not known, when it began, in UTC ms. 0: not known. */
    int64_t boot_order;
    char *incarnation; /* of the spool that numbered it */
    int64_t sequence;
    int kind; /* enum observation_kind */
    char *instance;
    int64_t run;
    int cause;
    int64_t boottime_ms; /* CLOCK_BOOTTIME of the host when it happened */
    int64_t wall_ms;     /* the host's wall clock, for the hour only */
    bool noticed;        /* stopped: it ended at some time before boottime_ms */
    int64_t vcpus, memory_mib, disk_gib;
    /* Counted: since the start of the run. Of the guest: ingress is what it received. */
    int64_t cpu_ns, ingress_bytes, egress_bytes;
};

struct node_report {
    int64_t protocol;
    char *version;
    char *epoch;      /* last one seen; NULL: none yet */
    int64_t revision; /* highest seen of that epoch */
    char *mark;       /* that came with it; NULL: none */
    char *boot_id;
    int64_t boot_order; /* as in an observation */
    char *incarnation;  /* of the agent process */
    int64_t sequence;   /* of reports in this incarnation; older ones are refused */
    int64_t boottime_ms, wall_ms;
    bool full; /* `instances` is all there is on the host */
    struct node_capacity capacity;
    struct wire_list conditions;   /* struct node_condition: all of them, in every report */
    struct wire_list instances;    /* struct observed_instance */
    struct wire_list observations; /* struct observation, oldest first, LIMIT_OBSERVATIONS */
    bool more;                     /* there is more evidence than fits */
};

struct node_report_ack {
    char *epoch;
    int64_t revision;
    char *mark;
    int64_t boot_order;   /* of the reporting boot, as the controller has settled it */
    char *spool;          /* incarnation of the last observation below */
    int64_t acknowledged; /* observations up to this sequence are committed */
};

extern const struct wire_struct node_join_wire, node_joined_wire, desired_page_wire,
    desired_instance_wire, node_report_wire, node_report_ack_wire, observed_instance_wire;

#endif
