//! Several agents in network namespaces, and the cuts between them.
//!
//! Each agent has two links: `gossip` to a bridge that all share, and `control` to the story, over
//! which it is asked. Cuts touch the first alone, so a story sees both sides of a split.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use crate::{
    agent::{Agent, Spec},
    binary, cluster,
    stage::Stage,
};

/// Namespaces, links and agents; the agents are numbered from 0.
#[derive(Debug)]
pub struct Lab {
    /// The agents, called `n1`, `n2` and so on.
    pub agents: Vec<Agent>,
}

/// How a node is kept from its peers. What the agent sees of it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// What comes is dropped without a word.
    InputDrop,
    /// What goes is refused with EPERM.
    OutputDrop,
    /// A route that answers EINVAL.
    Blackhole,
    /// A route that answers EHOSTUNREACH.
    Unreachable,
    /// A route that answers EACCES.
    Prohibit,
    /// No link, no route: ENETUNREACH.
    LinkDown,
}

impl Cut {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::InputDrop,
        Self::OutputDrop,
        Self::Blackhole,
        Self::Unreachable,
        Self::Prohibit,
        Self::LinkDown,
    ];
}

impl Lab {
    /// Makes `count` namespaces and starts an agent in each; they have each other for seeds, and a
    /// cluster key. Waits until they are one cluster.
    ///
    /// # Panics
    /// If something of that cannot be had.
    pub fn start(stage: &Stage, count: u8) -> Self {
        Self::start_with(stage, count, |_| {})
    }

    /// As [`Lab::start`], with each agent started as `adjust` makes it.
    ///
    /// # Panics
    /// As [`Lab::start`].
    pub fn start_with(stage: &Stage, count: u8, mut adjust: impl FnMut(&mut Spec)) -> Self {
        assert!(stage.is_isolated(), "a lab needs namespaces");
        run(STORY, &["ip", "link", "add", "bridge", "type", "bridge"]);
        run(STORY, &["ip", "link", "set", "bridge", "up"]);
        (1..=count).for_each(wire);
        let key_file = stage.dir().join("cluster.key");
        let key = Command::new(binary::path()).arg("keygen").output();
        let key = key.expect("keygen can be run");
        assert!(key.status.success(), "keygen failed: {key:?}");
        std::fs::write(&key_file, key.stdout).expect("the story's directory takes a file");
        restrict(&key_file);
        let seeds: Vec<_> = (1..=count)
            .map(|n| format!("{}:{GOSSIP}", gossip_ip(n)))
            .collect();
        let specs = (1..=count).map(|number| Spec {
            name: format!("n{number}"),
            namespace: Some(format!("n{number}")),
            gossip: SocketAddr::from((gossip_ip(number), GOSSIP)),
            http: SocketAddr::from((control_ip(number), HTTP)),
            dns: SocketAddr::from((control_ip(number), DNS)),
            join: seeds.clone(),
            dir: stage.dir().to_owned(),
            key_file: Some(key_file.clone()),
            log_level: "info".to_owned(),
            more: Vec::new(),
            is_dev: false,
            words: None,
            env: Vec::new(),
        });
        let mut specs: Vec<_> = specs.collect();
        specs.iter_mut().for_each(&mut adjust);
        Self {
            agents: cluster::start(specs),
        }
    }

    /// Keeps each node of `these` from each of `those`, on the side of `these` alone.
    ///
    /// # Panics
    /// If the rules or routes are not taken.
    pub fn cut(&self, these: &[usize], those: &[usize], cut: Cut) {
        for &node in these {
            let peers: Vec<_> = those.iter().filter(|&&peer| peer != node).collect();
            let ips: Vec<_> = peers
                .iter()
                .map(|&&peer| gossip_ip(number(peer)).to_string())
                .collect();
            let name = self.agents[node].name();
            match cut {
                Cut::InputDrop => filter(
                    name,
                    "input",
                    &format!("ip saddr {{ {} }} drop", ips.join(", ")),
                ),
                Cut::OutputDrop => filter(
                    name,
                    "output",
                    &format!("ip daddr {{ {} }} drop", ips.join(", ")),
                ),
                Cut::LinkDown => run(name, &["ip", "link", "set", "gossip", "down"]),
                Cut::Blackhole | Cut::Unreachable | Cut::Prohibit => {
                    for ip in &ips {
                        run(name, &["ip", "route", "add", kind(cut), ip]);
                    }
                }
            }
        }
    }

    /// Lets packets of so many bytes pass to and from a node, and none that are larger.
    ///
    /// # Panics
    /// If the link does not take it.
    pub fn narrow(&self, node: usize, bytes: u16) {
        let bytes = bytes.to_string();
        run(
            self.agents[node].name(),
            &["ip", "link", "set", "gossip", "mtu", &bytes],
        );
    }

    /// Takes back whatever [`Lab::cut`] did to `these`.
    ///
    /// # Panics
    /// If it cannot be taken back.
    pub fn mend(&self, these: &[usize], those: &[usize], cut: Cut) {
        for &node in these {
            let name = self.agents[node].name();
            match cut {
                Cut::InputDrop | Cut::OutputDrop => {
                    run(name, &["nft", "delete", "table", "ip", "cut"]);
                }
                Cut::LinkDown => run(name, &["ip", "link", "set", "gossip", "up"]),
                Cut::Blackhole | Cut::Unreachable | Cut::Prohibit => {
                    for &peer in those.iter().filter(|&&peer| peer != node) {
                        let ip = gossip_ip(number(peer)).to_string();
                        run(name, &["ip", "route", "del", kind(cut), &ip]);
                    }
                }
            }
        }
    }
}

const GOSSIP: u16 = 8301;
const HTTP: u16 = 8500;
const DNS: u16 = 8600;
/// In place of a namespace's name: the story's own.
const STORY: &str = "";

/// One namespace with its two links.
fn wire(number: u8) {
    let name = format!("n{number}");
    run(STORY, &["ip", "netns", "add", &name]);
    run(&name, &["ip", "link", "set", "lo", "up"]);
    for (inside, outside) in [
        ("gossip", format!("g{number}")),
        ("control", format!("c{number}")),
    ] {
        run(
            STORY,
            &[
                "ip", "link", "add", &outside, "type", "veth", "peer", "name", inside, "netns",
                &name,
            ],
        );
        run(STORY, &["ip", "link", "set", &outside, "up"]);
        run(&name, &["ip", "link", "set", inside, "up"]);
    }
    let address = |ip: Ipv4Addr| format!("{ip}/24");
    run(
        STORY,
        &[
            "ip",
            "link",
            "set",
            &format!("g{number}"),
            "master",
            "bridge",
        ],
    );
    run(
        &name,
        &[
            "ip",
            "address",
            "add",
            &address(gossip_ip(number)),
            "dev",
            "gossip",
        ],
    );
    run(
        &name,
        &[
            "ip",
            "address",
            "add",
            &address(control_ip(number)),
            "dev",
            "control",
        ],
    );
    let here = address(Ipv4Addr::new(10, 2, number, 1));
    run(
        STORY,
        &["ip", "address", "add", &here, "dev", &format!("c{number}")],
    );
}

pub(crate) const fn gossip_ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 0, number)
}

const fn control_ip(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 2, number, 2)
}

pub(crate) fn number(index: usize) -> u8 {
    u8::try_from(index + 1).expect("a lab has few agents")
}

const fn kind(cut: Cut) -> &'static str {
    match cut {
        Cut::Unreachable => "unreachable",
        Cut::Prohibit => "prohibit",
        _ => "blackhole",
    }
}

fn filter(namespace: &str, hook: &str, rule: &str) {
    let kind = format!("type filter hook {hook} priority 0;");
    let rules = format!("table ip cut {{\nchain {hook} {{\n{kind}\n{rule}\n}}\n}}\n");
    feed(namespace, &["nft", "-f", "-"], &rules);
}

fn run(namespace: &str, words: &[&str]) {
    feed(namespace, words, "");
}

/// Runs a command in a network namespace; returns what it told.
pub(crate) fn feed(namespace: &str, words: &[&str], input: &str) -> String {
    let enter = format!("--net=/run/netns/{namespace}");
    let words = if namespace == STORY {
        words.to_vec()
    } else {
        [&["nsenter", &enter], words].concat()
    };
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ip, nft and nsenter were run before");
    let mut stdin = child.stdin.take().expect("its input is piped");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let done = child.wait_with_output().expect("a child can be waited for");
    assert!(
        done.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A key file that others may read is refused, or warned about.
fn restrict(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let only_owner = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, only_owner).expect("an own file's rights can be set");
}
