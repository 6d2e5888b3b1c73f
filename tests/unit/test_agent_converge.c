/* What comes next, as a table of situations, and what is reported of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/agent_fixture.h"

struct row {
    const char *says;
    enum step step;
    int state;
    bool converged;
    void (*change)(struct desired_instance *d, struct facts *f, struct situation *s);
};

#define CHANGE(name)                                                     \
    static void name(struct desired_instance *d __attribute__((unused)), \
                     struct facts *f __attribute__((unused)),            \
                     struct situation *s __attribute__((unused)))

/* Each begins with a domain that runs as desired. */
CHANGE(as_desired)
{
}
CHANGE(nobody_told)
{
    s->desired = NULL;
}
CHANGE(adopted)
{
    d->adopt = true;
    d->power = POWER_STOPPED;
}
CHANGE(adopted_tombstone)
{
    d->adopt = true;
    d->deleted = true;
}
CHANGE(foreign)
{
    f->marked = false;
    memset(&f->mark, 0, sizeof f->mark);
}
CHANGE(foreign_tombstone)
{
    foreign(d, f, s);
    d->deleted = true;
}
CHANGE(older_desire)
{
    f->mark.generation = 5;
    d->power = POWER_STOPPED;
}
CHANGE(older_tombstone)
{
    f->mark.generation = 5;
    d->deleted = true;
}
CHANGE(other_epoch)
{
    text_copy(f->mark.epoch, sizeof f->mark.epoch, "epoch-0");
}
CHANGE(other_epoch_stopped)
{
    other_epoch(d, f, s);
    d->power = POWER_STOPPED;
}
CHANGE(stop_wanted)
{
    d->power = POWER_STOPPED;
}
CHANGE(stop_forced)
{
    d->power = POWER_STOPPED;
    d->force = true;
}
CHANGE(stop_asked)
{
    d->power = POWER_STOPPED;
    s->asking = (struct asking){.run = 1, .since = 90000, .pressed = 98000};
}
CHANGE(stop_asked_long_ago)
{
    stop_asked(d, f, s);
    s->asking.since = 94000;
    s->asking.pressed = 94000;
}
CHANGE(stop_timed_out)
{
    stop_asked(d, f, s);
    s->asking.since = 80000;
}
CHANGE(asked_in_another_run)
{
    stop_asked(d, f, s);
    s->asking.run = 0;
}
CHANGE(new_run)
{
    d->run = 2;
}
CHANGE(new_run_forced)
{
    d->run = 2;
    d->force = true;
}
CHANGE(rebuild_while_running)
{
    d->disk_number = 2;
}
CHANGE(renamed)
{
    d->name = text("web2");
}
CHANGE(bigger_while_running)
{
    d->vcpus = 4;
}
CHANGE(paused_new)
{
    f->power = HOST_PAUSED;
    f->pause = PAUSE_ASKED;
    f->mark.started = 0;
}
CHANGE(paused_new_unwanted)
{
    paused_new(d, f, s);
    d->power = POWER_STOPPED;
}
CHANGE(paused_begun)
{
    f->power = HOST_PAUSED;
    f->pause = PAUSE_ASKED;
}
CHANGE(paused_by_disk)
{
    f->power = HOST_PAUSED;
    f->pause = PAUSE_IO;
}
CHANGE(tombstone)
{
    d->deleted = true;
}
CHANGE(hung)
{
    s->stuck = true;
    stop_wanted(d, f, s);
}
CHANGE(hung_timed_out)
{
    s->stuck = true;
    stop_timed_out(d, f, s);
}
CHANGE(hung_tombstone)
{
    s->stuck = true;
    tombstone(d, f, s);
}

/* Shut off. */
CHANGE(off)
{
    f->power = HOST_OFF;
    f->mark.ended = f->mark.started;
    f->mark.cause = CAUSE_GUEST;
}
CHANGE(off_unrecorded)
{
    f->power = HOST_OFF;
    f->end_cause = CAUSE_GUEST;
}
CHANGE(off_crashed)
{
    off(d, f, s);
    f->mark.cause = CAUSE_CRASHED;
}
CHANGE(off_unseen)
{
    off(d, f, s);
    f->mark.cause = CAUSE_UNSEEN;
}
CHANGE(off_crashed_then_stopped)
{
    off_crashed(d, f, s);
    d->power = POWER_STOPPED;
}
CHANGE(off_as_wanted)
{
    off(d, f, s);
    d->power = POWER_STOPPED;
}
CHANGE(off_start)
{
    off(d, f, s);
    d->run = 2;
}
CHANGE(off_start_defined)
{
    off_start(d, f, s);
    f->mark.run = 2;
}
CHANGE(off_start_no_network)
{
    off_start(d, f, s);
    f->network_ready = false;
}
CHANGE(off_resize)
{
    off_as_wanted(d, f, s);
    d->memory_mib = 1024;
}
CHANGE(off_roots_group)
{
    off_start_defined(d, f, s);
    f->roots_group = true;
}
CHANGE(runs_in_roots_group)
{
    as_desired(d, f, s);
    f->roots_group = true;
}
CHANGE(off_grow)
{
    off_as_wanted(d, f, s);
    d->disk_gib = 20;
}
CHANGE(off_grown)
{
    off_grow(d, f, s);
    f->disk_bytes = 20LL << 30;
}
CHANGE(off_shrink)
{
    off_as_wanted(d, f, s);
    d->disk_gib = 5;
}
CHANGE(off_other_seed)
{
    off_as_wanted(d, f, s);
    s->seed = INSTANCE ".seed.0000000000000000.iso";
}
CHANGE(off_other_seed_written)
{
    off_other_seed(d, f, s);
    s->seed_written = true;
}
CHANGE(off_rebuild)
{
    off_as_wanted(d, f, s);
    d->disk_number = 2;
    f->shape = DISK_NONE;
}
CHANGE(off_rebuild_no_image)
{
    off_rebuild(d, f, s);
    f->image_ready = false;
}
CHANGE(off_rebuild_half)
{
    off_rebuild(d, f, s);
    f->shape = DISK_BROKEN;
    facts_add_volume(f, INSTANCE ".2.qcow2");
}
CHANGE(off_rebuilt)
{
    off_rebuild(d, f, s);
    f->shape = DISK_GOOD;
    f->disk_bytes = 10LL << 30;
}
CHANGE(off_stray)
{
    off_as_wanted(d, f, s);
    facts_add_volume(f, f->disk);
    facts_add_volume(f, f->seed);
    facts_add_volume(f, INSTANCE ".0.qcow2");
}
CHANGE(off_tombstone)
{
    off(d, f, s);
    d->deleted = true;
}
CHANGE(off_tombstone_listed)
{
    off_tombstone(d, f, s);
    f->listed = true;
}
CHANGE(off_tombstone_volumes)
{
    off_tombstone_listed(d, f, s);
    facts_add_volume(f, f->disk);
}
CHANGE(off_tombstone_cleaned)
{
    off_tombstone_listed(d, f, s);
    s->cleaned = true;
}
CHANGE(off_tombstone_unrecorded)
{
    off_tombstone(d, f, s);
    f->mark.ended = 0;
}

/* Nothing there yet. */
CHANGE(new_instance)
{
    *f = facts_nothing();
    f->image_ready = true;
}
CHANGE(new_no_image)
{
    new_instance(d, f, s);
    f->image_ready = false;
}
CHANGE(new_foreign_disk)
{
    new_instance(d, f, s);
    f->shape = DISK_FOREIGN;
}
CHANGE(new_with_disk)
{
    new_instance(d, f, s);
    f->shape = DISK_GOOD;
    f->disk_bytes = 10LL << 30;
}
CHANGE(new_with_small_disk)
{
    new_with_disk(d, f, s);
    f->disk_bytes = 1LL << 30;
}
CHANGE(new_with_seed)
{
    new_with_disk(d, f, s);
    s->seed_written = true;
}
CHANGE(gone)
{
    new_instance(d, f, s);
    d->deleted = true;
    f->listed = true;
    s->cleaned = true;
    s->logs_removed = true;
}
CHANGE(gone_not_listed)
{
    gone(d, f, s);
    f->listed = false;
}
CHANGE(gone_not_cleaned)
{
    gone(d, f, s);
    s->cleaned = false;
    s->logs_removed = false;
}
CHANGE(gone_with_logs)
{
    gone(d, f, s);
    s->logs_removed = false;
}
CHANGE(gone_hung)
{
    gone(d, f, s);
    s->stuck = true;
}
CHANGE(adopted_missing)
{
    new_instance(d, f, s);
    d->adopt = true;
    f->listed = true;
}
CHANGE(adopted_not_looked_at)
{
    adopted_missing(d, f, s);
    f->listed = false;
}
CHANGE(nobody_told_not_listed)
{
    adopted_not_looked_at(d, f, s);
    s->desired = NULL;
}
CHANGE(nobody_told_crashed)
{
    off_crashed(d, f, s);
    s->desired = NULL;
}
CHANGE(nobody_told_unseen)
{
    off_unseen(d, f, s);
    s->desired = NULL;
}
CHANGE(off_by_host)
{
    off_unrecorded(d, f, s);
    s->shutdown = SHUTDOWN_BY_HOST;
}

static const struct row rows[] = {
    {"a domain that runs as desired needs nothing", STEP_NOTHING, STATE_RUNNING, true, as_desired},
    {"a domain that no desired row names is left alone", STEP_NOTHING, STATE_RUNNING, false,
     nobody_told},
    {"an adopted domain is not touched", STEP_NOTHING, STATE_RUNNING, true, adopted},
    {"an adopted tombstone deletes nothing", STEP_NOTHING, STATE_RUNNING, true, adopted_tombstone},
    {"an adopted instance that is not there is absent", STEP_NOTHING, STATE_ABSENT, true,
     adopted_missing},
    {"a domain without our mark is refused", STEP_REFUSE, STATE_RUNNING, false, foreign},
    {"even a tombstone does not delete a domain without our mark", STEP_REFUSE, STATE_RUNNING,
     false, foreign_tombstone},
    {"what is older than the host's generation is ignored", STEP_NOTHING, STATE_RUNNING, false,
     older_desire},
    {"so is an older tombstone", STEP_NOTHING, STATE_RUNNING, false, older_tombstone},
    {"another epoch is stamped first", STEP_STAMP, STATE_RUNNING, false, other_epoch},
    {"also when it is to be stopped", STEP_STAMP, STATE_RUNNING, false, other_epoch_stopped},
    {"a stop asks first", STEP_ASK, STATE_RUNNING, false, stop_wanted},
    {"a forced stop does not", STEP_DESTROY, STATE_RUNNING, false, stop_forced},
    {"having asked, it waits", STEP_WAIT, STATE_RUNNING, false, stop_asked},
    {"after 5 s it asks again", STEP_ASK, STATE_RUNNING, false, stop_asked_long_ago},
    {"after the timeout it forces", STEP_DESTROY, STATE_RUNNING, false, stop_timed_out},
    {"asking counts for one run only", STEP_ASK, STATE_RUNNING, false, asked_in_another_run},
    {"a new run ends the old one by asking", STEP_ASK, STATE_RUNNING, false, new_run},
    {"or by force", STEP_DESTROY, STATE_RUNNING, false, new_run_forced},
    {"a rebuild does not ask", STEP_DESTROY, STATE_RUNNING, false, rebuild_while_running},
    {"a rename happens while it runs", STEP_RETITLE, STATE_RUNNING, false, renamed},
    {"a new size waits until it is off", STEP_NOTHING, STATE_RUNNING, false, bigger_while_running},
    {"a start that broke off goes on", STEP_SET_STARTED, STATE_PROVISIONING, false, paused_new},
    {"or is destroyed when nobody wants it any more", STEP_DESTROY, STATE_PROVISIONING, false,
     paused_new_unwanted},
    {"one step further it is resumed", STEP_RESUME, STATE_RUNNING, false, paused_begun},
    {"a guest paused by its disk is not resumed", STEP_NOTHING, STATE_RUNNING, true,
     paused_by_disk},
    {"a tombstone destroys first", STEP_DESTROY, STATE_RUNNING, false, tombstone},
    {"a hung guest is not asked again", STEP_WAIT, STATE_RUNNING, false, hung},
    {"a hung guest is destroyed when its time is up", STEP_DESTROY, STATE_RUNNING, false,
     hung_timed_out},
    {"a hung guest is destroyed by a tombstone", STEP_DESTROY, STATE_RUNNING, false,
     hung_tombstone},
    {"the end of a run is written down first", STEP_RECORD_END, STATE_STOPPED, false,
     off_unrecorded},
    {"a run that ended is not started again", STEP_NOTHING, STATE_STOPPED, true, off},
    {"nor one that crashed", STEP_NOTHING, STATE_CRASHED, true, off_crashed},
    {"an end that nobody saw counts as a crash", STEP_NOTHING, STATE_CRASHED, true, off_unseen},
    {"a crashed one that is to be stopped is stopped", STEP_NOTHING, STATE_STOPPED, true,
     off_crashed_then_stopped},
    {"a stopped one stays", STEP_NOTHING, STATE_STOPPED, true, off_as_wanted},
    {"a new run is written into the definition", STEP_SET_RUN, STATE_STOPPED, false, off_start},
    {"and then started", STEP_CREATE, STATE_STOPPED, false, off_start_defined},
    {"once its network is there", STEP_NETWORK, STATE_STOPPED, false, off_start_no_network},
    {"a new size is defined while off", STEP_REDEFINE, STATE_STOPPED, false, off_resize},
    {"none starts with root's group", STEP_REDEFINE, STATE_STOPPED, false, off_roots_group},
    {"what runs with it goes on", STEP_NOTHING, STATE_RUNNING, true, runs_in_roots_group},
    {"a bigger disk is grown first", STEP_GROW, STATE_STOPPED, false, off_grow},
    {"and then written down", STEP_REDEFINE, STATE_STOPPED, false, off_grown},
    {"a disk does not shrink", STEP_NOTHING, STATE_STOPPED, true, off_shrink},
    {"another seed is written", STEP_SEED, STATE_STOPPED, false, off_other_seed},
    {"and then named", STEP_REDEFINE, STATE_STOPPED, false, off_other_seed_written},
    {"a rebuild makes the new disk first", STEP_DISK, STATE_STOPPED, false, off_rebuild},
    {"once the image is there", STEP_FETCH, STATE_STOPPED, false, off_rebuild_no_image},
    {"a half-made disk is removed", STEP_SWEEP, STATE_STOPPED, false, off_rebuild_half},
    {"the new disk is named", STEP_REDEFINE, STATE_STOPPED, false, off_rebuilt},
    {"leftovers are swept", STEP_SWEEP, STATE_STOPPED, false, off_stray},
    {"a tombstone wants to know all volumes", STEP_LIST, STATE_STOPPED, false, off_tombstone},
    {"and removes them", STEP_SWEEP, STATE_STOPPED, false, off_tombstone_volumes},
    {"and DHCP entries", STEP_CLEAN, STATE_STOPPED, false, off_tombstone_listed},
    {"and the domain", STEP_UNDEFINE, STATE_STOPPED, false, off_tombstone_cleaned},
    {"having written down how the run ended", STEP_RECORD_END, STATE_STOPPED, false,
     off_tombstone_unrecorded},
    {"a new instance begins with its disk", STEP_DISK, STATE_PROVISIONING, false, new_instance},
    {"or with its image", STEP_FETCH, STATE_PROVISIONING, false, new_no_image},
    {"never on somebody else's disk", STEP_REFUSE, STATE_ERROR, false, new_foreign_disk},
    {"then its seed", STEP_SEED, STATE_PROVISIONING, false, new_with_disk},
    {"a disk that was meant smaller is grown", STEP_GROW, STATE_PROVISIONING, false,
     new_with_small_disk},
    {"then it is defined", STEP_DEFINE, STATE_PROVISIONING, false, new_with_seed},
    {"a tombstone of nothing is done", STEP_NOTHING, STATE_ABSENT, true, gone},
    {"not before all volumes were listed", STEP_LIST, STATE_PROVISIONING, false, gone_not_listed},
    {"nor before the rest is cleaned up", STEP_CLEAN, STATE_PROVISIONING, false, gone_not_cleaned},
    {"nor before its logs are gone, last of all", STEP_REMOVE_LOGS, STATE_PROVISIONING, false,
     gone_with_logs},
    {"nor while a call on it is out", STEP_NOTHING, STATE_PROVISIONING, false, gone_hung},
    {"an adopted instance is not absent before all was listed", STEP_NOTHING, STATE_PROVISIONING,
     false, adopted_not_looked_at},
    {"nor is one that nobody told us of", STEP_NOTHING, STATE_PROVISIONING, false,
     nobody_told_not_listed},
    {"a crash stays one before anything is desired", STEP_NOTHING, STATE_CRASHED, false,
     nobody_told_crashed},
    {"so does an end that nobody saw", STEP_NOTHING, STATE_CRASHED, false, nobody_told_unseen},
    {"a guest that the host's shutdown ended is not stopped", STEP_RECORD_END, STATE_CRASHED, false,
     off_by_host},
};

static void check(const struct row *row)
{
    struct desired_instance d = desired_running();
    struct facts f = facts_running();
    struct situation s = {.desired = &d, .epoch = EPOCH, .seed = SEED, .facts = &f, .now = 100000};
    struct trouble none = {0};
    struct observed o;
    row->change(&d, &f, &s);
    struct decision decision = converge(&s);
    observe(&s, &decision, &none, true, &o);
    if (decision.step != row->step || o.state != row->state || o.converged != row->converged)
        fail_msg("%s: got %s, %s, %sconverged", row->says, step_names[decision.step],
                 state_names[o.state], o.converged ? "" : "not ");
}

static void test_converge__decides_each_situation_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(&rows[i]);
}

static void test_converge__waits_for_the_earlier_of_press_and_deadline(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_running();
    struct situation s = {.desired = &d,
                          .epoch = EPOCH,
                          .seed = SEED,
                          .facts = &f,
                          .asking = {.run = 1, .since = 85000, .pressed = 97000},
                          .now = 100000};
    d.power = POWER_STOPPED;
    assert_int_equal(converge(&s).wake_at, 102000);
    s.asking.since = 81000;
    assert_int_equal(converge(&s).wake_at, 101000);
}

static void test_cause__a_guest_that_was_asked_obeyed(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_running();
    struct situation s = {.desired = &d, .epoch = EPOCH, .seed = SEED, .facts = &f};
    f.power = HOST_OFF;
    f.end_cause = CAUSE_GUEST;
    assert_int_equal(converge_cause(&s), CAUSE_GUEST);
    s.asking.run = 1;
    assert_int_equal(converge_cause(&s), CAUSE_ASKED);
    s.asking.run = 0;
    d.run = 2; /* the agent was restarted after it had asked */
    assert_int_equal(converge_cause(&s), CAUSE_ASKED);
    f.end_cause = CAUSE_NONE;
    assert_int_equal(converge_cause(&s), CAUSE_UNSEEN);
}

static void test_cause__a_guest_ended_by_its_host_did_not_end_itself(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_running();
    struct situation s = {.desired = &d, .epoch = EPOCH, .seed = SEED, .facts = &f};
    f.power = HOST_OFF;
    f.end_cause = CAUSE_GUEST; /* which is what libvirt says then, too */
    s.shutdown = SHUTDOWN_BY_HOST;
    assert_int_equal(converge_cause(&s), CAUSE_UNSEEN);
    s.shutdown = SHUTDOWN_BY_GUEST;
    assert_int_equal(converge_cause(&s), CAUSE_GUEST);
    s.shutdown = SHUTDOWN_BY_HOST;
    s.asking.run = 1;
    assert_int_equal(converge_cause(&s), CAUSE_ASKED);
}

static void test_stamp__lets_what_runs_run(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_running();
    struct situation s = {.desired = &d, .epoch = "epoch-2", .seed = SEED, .facts = &f};
    f.mark.run = f.mark.started = 7;
    f.mark.ended = 6;
    d.run = 3;
    converge_stamp(&s, &f.mark);
    assert_string_equal(f.mark.epoch, "epoch-2");
    assert_int_equal(f.mark.started, 3);
    assert_true(f.mark.ended < f.mark.started);
    assert_int_equal(converge(&s).step, STEP_NOTHING);
}

static void test_stamp__starts_nothing_that_has_run(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_stopped();
    struct situation s = {.desired = &d, .epoch = "epoch-2", .seed = SEED, .facts = &f};
    f.mark.run = f.mark.started = f.mark.ended = 7;
    d.run = 3;
    converge_stamp(&s, &f.mark);
    assert_int_equal(converge(&s).step, STEP_NOTHING);
    d.run = 4; /* and what is started afterwards starts */
    assert_int_equal(converge(&s).step, STEP_SET_RUN);
}

static void test_observe__quarantines_what_is_unknown_once_all_was_told(void **state)
{
    (void)state;
    struct facts f = facts_running();
    struct situation s = {.epoch = "", .seed = "", .facts = &f};
    struct decision d = converge(&s);
    struct trouble none = {0};
    struct observed o;
    observe(&s, &d, &none, false, &o);
    assert_false(o.quarantined);
    observe(&s, &d, &none, true, &o);
    assert_true(o.quarantined);
    f.marked = false;
    observe(&s, &d, &none, false, &o);
    assert_true(o.quarantined);
}

static void test_observe__a_final_trouble_is_an_error_of_what_is_off(void **state)
{
    (void)state;
    struct desired_instance d = desired_running();
    struct facts f = facts_nothing();
    struct situation s = {.desired = &d, .epoch = EPOCH, .seed = SEED, .facts = &f};
    struct trouble trouble = {.final = true, .reason = "checksum"};
    struct decision decision = converge(&s);
    struct observed o;
    observe(&s, &decision, &trouble, true, &o);
    assert_int_equal(o.state, STATE_ERROR);
    assert_true(o.final);
    assert_string_equal(o.reason, "checksum");
    trouble.final = false;
    observe(&s, &decision, &trouble, true, &o);
    assert_int_equal(o.state, STATE_PROVISIONING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converge__decides_each_situation_of_the_table),
        cmocka_unit_test(test_converge__waits_for_the_earlier_of_press_and_deadline),
        cmocka_unit_test(test_cause__a_guest_that_was_asked_obeyed),
        cmocka_unit_test(test_cause__a_guest_ended_by_its_host_did_not_end_itself),
        cmocka_unit_test(test_stamp__lets_what_runs_run),
        cmocka_unit_test(test_stamp__starts_nothing_that_has_run),
        cmocka_unit_test(test_observe__quarantines_what_is_unknown_once_all_was_told),
        cmocka_unit_test(test_observe__a_final_trouble_is_an_error_of_what_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
