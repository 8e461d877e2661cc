//! What each host hears of each other: nftables rules on the hosts' gossip links.

use std::collections::BTreeSet;

use super::{AGENTS, plan};
use crate::lab;

/// The rules of all hosts.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// From whom to whom nothing comes.
    cuts: BTreeSet<(usize, usize)>,
    /// From whom to whom nothing can be sent: the sender is told so.
    refusals: BTreeSet<(usize, usize)>,
    /// Of a hundred packets that come to each host, so many are lost.
    losses: [u32; AGENTS],
}

/// The name of the table, and of the counter of what it took away.
const TABLE: &str = "drill";
const COUNTER: &str = "taken";

impl Links {
    /// Whatever is wrong with the links from now on, cuts aside.
    pub fn lose(&mut self, hosts: &[usize], percent: u32) {
        for &host in hosts {
            self.losses[host] = percent;
        }
    }

    /// Nothing comes from `from` to `to` from now on.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    /// `from` cannot send to `to` from now on.
    pub fn refuse(&mut self, from: usize, to: usize) {
        self.refusals.insert((from, to));
    }

    /// All is well, losses aside.
    pub fn mend(&mut self) {
        self.cuts.clear();
        self.refusals.clear();
    }

    /// Has the hosts' rules say what this says.
    ///
    /// # Panics
    /// If they are not taken.
    pub fn lay(&self) {
        for host in 0..AGENTS {
            let rules = self.rules(host);
            lab::feed(&plan::name(host), &["nft", "-f", "-"], &rules);
        }
    }

    /// In one transaction, so that no packet slips through in between. The counter stays.
    fn rules(&self, host: usize) -> String {
        let mut rules = format!(
            "add table ip {TABLE}\nadd counter ip {TABLE} {COUNTER}\n\
             add chain ip {TABLE} in {{ type filter hook input priority 0; }}\n\
             add chain ip {TABLE} out {{ type filter hook output priority 0; }}\n\
             flush chain ip {TABLE} in\nflush chain ip {TABLE} out\n"
        );
        let mut add = |chain: &str, which: &str| {
            let rule = format!("add rule ip {TABLE} {chain} {which} counter name {COUNTER} drop\n");
            rules.push_str(&rule);
        };
        let ip = |host: usize| lab::gossip_ip(lab::number(host));
        for (from, _) in self.cuts.iter().filter(|(_, to)| *to == host) {
            add("in", &format!("iifname gossip ip saddr {}", ip(*from)));
        }
        for (_, to) in self.refusals.iter().filter(|(from, _)| *from == host) {
            add("out", &format!("oifname gossip ip daddr {}", ip(*to)));
        }
        let percent = self.losses[host];
        if percent > 0 {
            add(
                "in",
                &format!("iifname gossip numgen random mod 100 < {percent}"),
            );
        }
        rules
    }

    /// How many packets were taken away so far, at all hosts.
    ///
    /// # Panics
    /// If nobody counted them.
    pub fn taken() -> u64 {
        let taken = (0..AGENTS).map(|host| {
            let words = ["nft", "list", "counter", "ip", TABLE, COUNTER];
            let told = lab::feed(&plan::name(host), &words, "");
            let mut words = told
                .split_whitespace()
                .skip_while(|word| *word != "packets");
            let count = words.nth(1).and_then(|count| count.parse::<u64>().ok());
            count.unwrap_or_else(|| panic!("nft counts nothing: {told}"))
        });
        taken.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_host_are_about_what_comes_to_it_and_what_it_sends() {
        let mut links = Links::default();
        links.cut(0, 1);
        links.refuse(1, 2);
        links.lose(&[1], 30);
        let rules = links.rules(1);
        for part in ["ip saddr 10.1.0.1 ", "ip daddr 10.1.0.3 ", "mod 100 < 30 "] {
            assert!(rules.contains(part), "{part} in {rules}");
        }
        assert!(!links.rules(0).contains("drop"));
        links.mend();
        links.lose(&[1], 0);
        assert!(!links.rules(1).contains("drop"));
    }
}
