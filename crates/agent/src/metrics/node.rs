//! What the node and its membership layer count.

use tidings_http::Metrics;

use super::counters;

pub(super) fn about_membership(metrics: &mut Metrics, figures: &tidings_membership::Counters) {
    counters!(metrics, figures, "membership", {
        packets_accepted: "Packets of the failure detector that were accepted.",
        bad_packets: "Packets of the failure detector that were refused.",
        address_mismatches: "Packets whose source is not the address that their sender advertises.",
        probes: "Probes begun.",
        probes_failed: "Probes without an answer, direct or through others.",
        send_errors: "Packets that this host refused to send.",
        probes_unsent: "Probes that this host refused to send.",
        suspicions: "Members that became suspect.",
        suspects_told: "Suspects that spoke and were told of it.",
        suspicions_refuted: "Suspects that turned out to be alive.",
        downs: "Members that went down.",
        verdicts_held: "Members taken for down without telling others at once: own probes failed.",
        rejoins: "Times that this agent was declared down and took a new identity.",
        rejoins_put_off: "Packets left out that would have made this agent rejoin again at once.",
        watchdog_fired: "Times that this agent announced itself because it heard nothing.",
        stale_suspicions_dropped: "Suspicion timers dropped because the suspect had refuted.",
        turn_undead_suppressed: "Notices of being down not sent to members that are not.",
        stalls: "Times that this agent ran so late that it gave its peers more time.",
        outbids: "Times that this agent met its own id with a greater generation.",
        forgotten: "Down members forgotten to make room.",
        updates_refused: "Updates not taken because the member list is full.",
        outputs_dropped: "Packets dropped because the driver did not keep up.",
        internal_errors: "Errors inside the failure detector that heal by themselves.",
    });
}

pub(super) fn about_node(metrics: &mut Metrics, figures: &tidings_node::Counters) {
    counters!(metrics, figures, "node", {
        datagrams_malformed: "Datagrams of members that could not be read.",
        frames_malformed: "Frames of members that could not be read, or that nobody awaited.",
        feeds_too_large: "Answers given up because the peer gave more of feeds at once than one may.",
        changes_refused: "Changes from peers that were refused.",
        commands_refused: "Writes of clients that were refused because of a limit.",
        holder_waits_refused: "Writes with ?ack answered at once because too many waited for holders.",
        rumors_sent: "Rumors sent.",
        rumors_new: "Rumors received that brought something new.",
        rumors_known: "Rumors received that brought nothing new.",
        pulls: "Pulls of a gap begun.",
        reconciliations: "Reconciliations begun.",
        requests_failed: "Requests that broke off or were never answered.",
        alarms: "Feeds whose content differed at an equal position.",
        stamps_ahead: "Stamps too far ahead of the own clock to be adopted.",
        names_shared: "Times that a reachable peer was found to bear this agent's name.",
        clocks_off: "Times that a peer's clock was found to be off by more than 500 ms.",
        batches_failed: "Batches of own changes that the disk refused.",
        old_runs_told: "Older runs of members that were told that they are over.",
        twins_met: "Other agents met that hold this agent's key.",
    });
}
