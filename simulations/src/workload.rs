//! What clients do: repetitions written out, and each item as the node's command.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, ensure};
use tidings_types::{
    Check, CheckId, CheckKind, CheckStatus, Command, ExternalNode, Instance, NodeId, NodeName,
    Registration, ServiceId, ServiceName, Text, TextMap, Timestamp,
};

use crate::{
    random::{Stream, below},
    scenario::{Place, Repeat, Scenario, Status, Work},
    span::Span,
};

/// Items that one scenario may expand to.
const OPS: usize = 1_000_000;
/// Where agents take gossip.
const GOSSIP_PORT: u16 = 8_301;

/// One request of one client.
#[derive(Clone, Debug)]
pub struct Op {
    /// When.
    pub at: Timestamp,
    /// At which host.
    pub via: usize,
    /// What; several are one batch of registrations.
    pub calls: Vec<Call>,
}

impl Op {
    /// The command for the node; `member` tells a host's present node.
    pub fn command(&self, member: impl Fn(usize) -> NodeId) -> Command {
        match &*self.calls {
            [call] => call.command(member),
            calls => {
                Command::RegisterServices(calls.iter().filter_map(Call::registration).collect())
            }
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum Call {
    /// An instance at its own agent, with its check's first status if it has one.
    Register(ServiceId, Box<Instance>, Option<CheckStatus>),
    /// The end of an instance.
    Deregister(ServiceId),
    /// What an instance's check found.
    Check(ServiceId, CheckStatus),
    /// An instance on an external node.
    RegisterExternal(NodeName, ServiceId, Box<Instance>),
    /// The end of an external node, or of one of its instances.
    DeregisterExternal(NodeName, Option<ServiceId>),
    /// The end of what another host registered.
    Override(usize, Option<ServiceId>),
    /// The end of a dead member.
    ForceLeave(usize),
}

/// The name of a host's node.
pub fn node_name(host: usize) -> NodeName {
    NodeName::new(format!("n{host}")).expect("a letter and a number are a name")
}

/// The check that an instance has.
pub fn check_id(service: &ServiceId) -> CheckId {
    CheckId::new(format!("service:{service}")).expect("a valid id stays one with a short prefix")
}

/// The instance whose check that is.
pub fn service_of(check: &CheckId) -> Option<ServiceId> {
    ServiceId::new(check.as_str().strip_prefix("service:")?).ok()
}

/// The definition of the check that an instance has.
pub fn check(service: &ServiceId, status: CheckStatus) -> Check {
    Check {
        service: Some(service.clone()),
        output_bytes_max: 4_096,
        status,
        ..Check::new(
            format!("Service '{service}' check"),
            CheckKind::Ttl { ttl_ms: 3_600_000 },
        )
    }
}

/// The record of an external node.
pub fn external_node(name: &NodeName) -> ExternalNode {
    ExternalNode {
        id: Text::new(),
        address: format!("{name}.example").into(),
        tagged_addresses: TextMap::new(),
        meta: TextMap::new(),
    }
}

impl Call {
    fn registration(&self) -> Option<Registration> {
        let Self::Register(id, instance, status) = self else {
            return None;
        };
        let checks = status.map(|status| (check_id(id), check(id, status)));
        Some(Registration {
            id: id.clone(),
            instance: instance.clone(),
            checks: checks.into_iter().collect(),
            replace_checks: true,
        })
    }

    fn command(&self, member: impl Fn(usize) -> NodeId) -> Command {
        if let Some(registration) = self.registration() {
            return Command::RegisterService(registration);
        }
        match self {
            Self::Register(..) => unreachable!("it is a registration"),
            Self::Deregister(id) => Command::DeregisterService { id: id.clone() },
            Self::Check(id, status) => Command::UpdateCheck {
                id: check_id(id),
                status: *status,
                output: String::new(),
            },
            Self::RegisterExternal(node, id, instance) => Command::RegisterExternal {
                node: node.clone(),
                record: external_node(node),
                keeps_record: false,
                renames: None,
                service: Some((id.clone(), instance.clone())),
                checks: Vec::new(),
            },
            Self::DeregisterExternal(node, id) => Command::DeregisterCatalog {
                node: node.clone(),
                service: id.clone(),
                check: None,
            },
            Self::Override(of, id) => Command::DeregisterCatalog {
                node: node_name(*of),
                service: id.clone(),
                check: None,
            },
            Self::ForceLeave(of) => Command::ForceLeave { node: member(*of) },
        }
    }
}

/// Writes the workload of a scenario out, by time.
///
/// # Errors
/// Says which item is wrong.
pub fn expand(scenario: &Scenario) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    for (nth, work) in scenario.workload.iter().enumerate() {
        let expansion = Expansion {
            hosts: scenario.nodes,
            keys: Stream::new(scenario.seed, &format!("workload/{nth}")),
        };
        let items = expansion.items(work).context(Place {
            list: "workload",
            nth,
        })?;
        ops.extend(items);
        ensure!(ops.len() <= OPS, "the workload has more than {OPS} calls");
    }
    // Stable: calls of one moment stay in the order of the file.
    ops.sort_by_key(|op| op.at);
    Ok(ops)
}

struct Expansion {
    hosts: usize,
    keys: Stream,
}

impl Expansion {
    fn items(&self, work: &Work) -> Result<Vec<Op>> {
        match work {
            Work::Register {
                at,
                via,
                id,
                service,
                port,
                check,
                batch,
                repeat,
            } => {
                let service = ServiceName::new(service)?;
                let found = check.map(CheckStatus::from);
                self.repeated(*at, *repeat, *via, |nth, suffix| {
                    let id = format!("{id}{suffix}");
                    registrations(&id, &service, port.saturating_add(nth), found, *batch)
                })
            }
            Work::Deregister {
                at,
                via,
                id,
                repeat,
            } => self.repeated(*at, *repeat, *via, |_, suffix| {
                let id = ServiceId::new(format!("{id}{suffix}"))?;
                Ok(vec![Call::Deregister(id)])
            }),
            Work::Check {
                at,
                via,
                id,
                status,
            } => self.single(
                *at,
                *via,
                Call::Check(ServiceId::new(id)?, (*status).into()),
            ),
            Work::RegisterExternal {
                at,
                via,
                node,
                id,
                service,
                port,
            } => {
                let instance = instance(ServiceName::new(service)?, *port);
                let call =
                    Call::RegisterExternal(NodeName::new(node)?, ServiceId::new(id)?, instance);
                self.single(*at, *via, call)
            }
            Work::DeregisterExternal { at, via, node, id } => {
                let id = id.as_ref().map(ServiceId::new).transpose()?;
                self.single(
                    *at,
                    *via,
                    Call::DeregisterExternal(NodeName::new(node)?, id),
                )
            }
            Work::Override { at, via, of, id } => {
                let id = id.as_ref().map(ServiceId::new).transpose()?;
                self.known(*of)?;
                self.single(*at, *via, Call::Override(*of, id))
            }
            Work::ForceLeave { at, via, of } => {
                self.known(*of)?;
                self.single(*at, *via, Call::ForceLeave(*of))
            }
        }
    }

    fn known(&self, host: usize) -> Result<()> {
        ensure!(
            host < self.hosts,
            "there is no host {host}; hosts are 0 to {}",
            self.hosts - 1
        );
        Ok(())
    }

    fn single(&self, at: Span, via: usize, call: Call) -> Result<Vec<Op>> {
        self.known(via)?;
        let at = Timestamp::ZERO + at.get();
        let calls = vec![call];
        Ok(vec![Op { at, via, calls }])
    }

    fn repeated(
        &self,
        at: Span,
        repeat: Option<Repeat>,
        via: usize,
        calls: impl Fn(u16, &str) -> Result<Vec<Call>>,
    ) -> Result<Vec<Op>> {
        self.known(via)?;
        let Some(Repeat { every, times, keys }) = repeat else {
            let at = Timestamp::ZERO + at.get();
            let calls = calls(0, "")?;
            return Ok(vec![Op { at, via, calls }]);
        };
        ensure!(times <= OPS, "it is repeated more than {OPS} times");
        ensure!(keys > 0, "it needs at least one key");
        let mut at = Timestamp::ZERO + at.get();
        let mut ops = Vec::with_capacity(times);
        for nth in 0..times {
            let number = u64::try_from(nth).context("too many repetitions")?;
            let suffix = format!("-{}", below(self.keys.draw(number), keys));
            let step = u16::try_from(nth % 10_000).context("too many repetitions")?;
            ops.push(Op {
                at,
                via,
                calls: calls(step, &suffix)?,
            });
            at = at + every.get();
        }
        Ok(ops)
    }
}

impl From<Status> for CheckStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Passing => Self::Passing,
            Status::Warning => Self::Warning,
            Status::Critical => Self::Critical,
        }
    }
}

/// One registration, or those of a batch.
fn registrations(
    id: &str,
    service: &ServiceName,
    port: u16,
    check: Option<CheckStatus>,
    batch: Option<u16>,
) -> Result<Vec<Call>> {
    let register = |id: String, port: u16| {
        let instance = instance(service.clone(), port);
        Ok(Call::Register(ServiceId::new(id)?, instance, check))
    };
    let Some(batch) = batch else {
        return Ok(vec![register(id.to_owned(), port)?]);
    };
    ensure!(batch > 0, "a batch has at least one registration");
    (0..batch)
        .map(|nth| register(format!("{id}-{nth}"), port.saturating_add(nth)))
        .collect()
}

fn instance(service: ServiceName, port: u16) -> Box<Instance> {
    Box::new(Instance {
        tags: vec![format!("port-{port}")].into(),
        ..Instance::new(service, port)
    })
}

/// Where a host's agent takes gossip.
pub fn gossip_addr(host: usize) -> SocketAddr {
    let low = u8::try_from(host + 1).expect("a world has at most 128 hosts");
    SocketAddr::from(([10, 0, 0, low], GOSSIP_PORT))
}

/// The host whose agent takes gossip there.
pub fn host_at(addr: SocketAddr, hosts: usize) -> Option<usize> {
    let IpAddr::V4(ip) = addr.ip() else {
        return None;
    };
    let host = usize::from(ip.octets()[3]).checked_sub(1)?;
    (host < hosts && gossip_addr(host) == addr).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_the_same_each_time_and_grows_its_port() {
        let text = r#"
            name = "w"
            about = "Repeats."
            nodes = 1
            phases = { chaos = "10s", quiet = "1s" }
            [[workload]]
            kind = "register"
            at = "1s"
            via = 0
            id = "a"
            service = "s"
            port = 100
            repeat = { every = "10ms", times = 50, keys = 5 }
            [expect]
        "#;
        let ops = || expand(&Scenario::parse(text, &[]).unwrap()).unwrap();
        assert_eq!(format!("{:?}", ops()), format!("{:?}", ops()));
        let ids: std::collections::BTreeSet<_> = ops()
            .into_iter()
            .map(|op| match &*op.calls {
                [Call::Register(id, ..)] => id.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids.len(), 5);
        let last = ops().pop().unwrap();
        assert_eq!(last.at.as_micros(), 1_490_000);
        assert!(matches!(&*last.calls, [Call::Register(_, instance, _)] if instance.port == 149));
    }

    #[test]
    fn an_address_leads_back_to_its_host() {
        assert_eq!(host_at(gossip_addr(7), 8), Some(7));
        assert_eq!(host_at(gossip_addr(7), 7), None);
        assert_eq!(host_at(gossip_addr(127), 128), Some(127));
        assert_eq!(host_at(SocketAddr::from(([10, 0, 0, 0], 8_301)), 8), None);
        assert_eq!(host_at(SocketAddr::from(([10, 0, 1, 8], 8_301)), 8), None);
    }
}
