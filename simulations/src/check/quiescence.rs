//! E5: where nothing is asked for and nothing goes wrong, agents fall silent about records, and
//! nobody is under suspicion.
//!
//! Probes, fingerprints and member lists go on for ever, at a rate that the budgets bound. Rumors,
//! pulls and lists of heads are about records, and have a reason each time.

use tidings_types::MemberStatus;

use super::whose;
use crate::host::Host;

/// What these hosts have said and asked about records in their present runs.
pub(crate) fn talk(core: &[usize], hosts: &[Host]) -> u64 {
    let nodes = core.iter().filter_map(|&host| hosts[host].node.as_ref());
    nodes
        .map(|node| {
            let counters = node.counters();
            counters.rumors_sent + counters.pulls + counters.reconciliations
        })
        .sum()
}

/// Who is under suspicion at one of these hosts, in words.
pub(crate) fn suspicion(core: &[usize], hosts: &[Host]) -> Option<(usize, String)> {
    core.iter().find_map(|&host| {
        let members = &hosts[host].reads.roster().members;
        let mut suspects = members.iter();
        let (node, _) = suspects.find(|(_, member)| member.status == MemberStatus::Suspect)?;
        Some((host, format!("it suspects {}", whose(*node, hosts))))
    })
}
