//! The agent itself and its cluster: `self`, `members`, `join`, `leave`, `force-leave`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tidings_types::{Command, TextMap};

use crate::{
    SeedAnswer, SeedAnswerKind,
    failure::Failure,
    filtering::Filtering,
    member::{self, MEMBER, Member},
    reply::{self, Answer},
    request::Call,
    status,
};

/// `GET /v1/agent/self`
pub(crate) fn itself(call: &Call) -> Answer {
    call.check_scope()?;
    let (view, info) = (call.view(), call.state.info());
    let (me, name) = (view.me(), view.my_name().as_str());
    let roster = view.roster();
    let own = view.own();
    let answer = Itself {
        config: Config {
            datacenter: view.datacenter(),
            primary_datacenter: "",
            node_name: name,
            node_id: me.to_uuid(),
            revision: &info.revision,
            server: true,
            version: &info.version,
            build_date: "1970-01-01T00:00:01Z",
        },
        debug_config: DebugConfig {
            advertise_addr_lan: info.gossip.ip().to_string(),
            datacenter: view.datacenter(),
            dns_port: info.dns.port(),
            http_port: info.http.port(),
            grpc_port: -1,
            grpc_tls_port: -1,
            https_port: info.https.map_or(-1, |https| https.port().into()),
            node_id: me.to_uuid(),
            node_name: name,
            serf_advertise_addr_lan: format!("tcp://{}", info.gossip),
            serf_port_lan: info.gossip.port(),
            server_mode: true,
            version: &info.version,
        },
        coord: None,
        member: Member::of(view, me, roster.members.get(&me), info.gossip),
        stats: stats(call),
        meta: own.facts.meta.clone(),
        xds: NO_XDS,
    };
    Ok(reply::json(call, &answer))
}

fn stats(call: &Call) -> BTreeMap<&'static str, BTreeMap<&'static str, String>> {
    let (view, info) = (call.view(), call.state.info());
    let (roster, status) = (view.roster(), view.status());
    let own = view.own();
    let leader = status::leader_addr(call);
    let group = |pairs: &[(&'static str, String)]| pairs.iter().cloned().collect();
    BTreeMap::from([
        (
            "agent",
            group(&[
                ("checks", own.checks.len().to_string()),
                ("services", own.instances.len().to_string()),
            ]),
        ),
        (
            "build",
            group(&[
                ("revision", info.revision.clone()),
                ("version", info.version.clone()),
            ]),
        ),
        (
            "consul",
            group(&[
                ("known_datacenters", "1".to_owned()),
                ("leader", (leader == info.gossip).to_string()),
                ("leader_addr", leader.to_string()),
                ("server", "true".to_owned()),
            ]),
        ),
        (
            "tidings",
            group(&[
                ("cluster", info.cluster.clone()),
                ("epoch", status.epoch.to_string()),
                ("expected", roster.expected.to_string()),
                ("fingerprint", format!("{:032x}", status.fingerprint)),
                ("island", roster.island.to_string()),
                ("reachable", roster.reachable.to_string()),
            ]),
        ),
    ])
}

/// `GET /v1/agent/members`
pub(crate) fn members(call: &Call) -> Answer {
    call.check_scope()?;
    let params = &call.params;
    let wan = params.get("wan").is_some_and(|value| !value.is_empty());
    if wan && params.get("segment").is_some_and(|s| !s.is_empty()) {
        return Err(Failure::bad("Cannot provide a segment with wan=true"));
    }
    let filter = Filtering::of(params, MEMBER)?;
    let view = call.view();
    let (roster, gossip) = (view.roster(), call.state.info().gossip);
    let mut members: Vec<_> = roster
        .members
        .iter()
        .map(|(&id, entry)| Member::of(view, id, Some(entry), gossip))
        .collect();
    if !roster.members.contains_key(&view.me()) {
        members.push(Member::of(view, view.me(), None, gossip));
    }
    if wan {
        members = members
            .into_iter()
            .map(Member::named_with_datacenter)
            .collect();
    }
    members.retain(|member| filter.takes_it(member));
    members.sort_by(Member::cmp_names);
    Ok(reply::json(call, &members))
}

/// `PUT /v1/agent/join/:addr`
pub(crate) async fn join(call: Call) -> Answer {
    call.check_scope()?;
    let text = call.rest.as_str();
    if text.is_empty() {
        return Err(Failure::bad("Missing address to join: HOST or HOST:PORT"));
    }
    let port = call.state.info().gossip.port();
    let addrs = resolve(text, port)
        .await
        .map_err(|error| Failure::semantic(format_args!("{text} cannot be resolved: {error}")))?;
    let command = Command::Join {
        addrs: addrs.clone(),
    };
    call.state.commands().send(command).await?;
    // Whoever asks wants to be told whether somebody is there, and the node does not wait for that.
    let answers = call.state.hooks().knock(addrs).await;
    let is_ours = |answer: &SeedAnswer| {
        matches!(
            answer.answer,
            SeedAnswerKind::Member | SeedAnswerKind::Myself
        )
    };
    if answers.iter().any(is_ours) {
        return Ok(reply::empty());
    }
    let told: Vec<String> = answers.iter().map(stranger).collect();
    Err(Failure::semantic(format_args!(
        "agent: no agent of this cluster answers at {text}: {}",
        told.join("; ")
    )))
}

/// Who is at an address where no agent of this cluster is, and what to do.
fn stranger(answer: &SeedAnswer) -> String {
    let words = match answer.answer {
        SeedAnswerKind::Myself | SeedAnswerKind::Member => "an agent of this cluster",
        SeedAnswerKind::OtherKey => "an agent under another cluster key; give both the same",
        SeedAnswerKind::OtherCluster => "an agent of another cluster",
        SeedAnswerKind::Busy => "it has no time now; try again",
        SeedAnswerKind::NotAsked => "not asked; give fewer addresses",
        SeedAnswerKind::Strange => "something that is no agent of this version",
        SeedAnswerKind::Silent => {
            "nobody; see that its agent runs and that UDP passes to its gossip port"
        }
    };
    let SeedAnswer {
        address, detail, ..
    } = answer;
    match detail.as_str() {
        "" => format!("{address}: {words}"),
        detail => format!("{address}: {words} ({detail})"),
    }
}

/// The addresses of `HOST:PORT`, or of `HOST` with the port `default_port`.
async fn resolve(text: &str, default_port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let has_port = text.parse::<SocketAddr>().is_ok()
        || text.matches(':').count() == 1 && !text.ends_with(':');
    let found = if has_port {
        tokio::net::lookup_host(text).await?.collect::<Vec<_>>()
    } else {
        let host = text.trim_matches(['[', ']']);
        let found = tokio::net::lookup_host((host, default_port)).await?;
        found.collect()
    };
    Ok(found.into_iter().take(JOIN_ADDRESSES).collect())
}

/// `PUT /v1/agent/leave`
pub(crate) fn leave(call: &Call) -> Answer {
    call.check_scope()?;
    call.state.hooks().leave();
    Ok(reply::empty())
}

/// `PUT /v1/agent/reload`
pub(crate) async fn reload(call: Call) -> Answer {
    call.check_scope()?;
    let reloaded = call.state.hooks().reload().await;
    reloaded.map_err(|reason| Failure::semantic(format_args!("Reload failed: {reason}")))?;
    Ok(reply::empty())
}

/// `PUT /v1/agent/force-leave/:node`
pub(crate) async fn force_leave(call: Call) -> Answer {
    call.check_scope()?;
    let node = member::to_leave(call.view(), &call.rest)?;
    let command = Command::ForceLeave { node };
    call.state.commands().send(command).await?;
    Ok(reply::empty())
}

/// `GET /v1/agent/version`
pub(crate) fn version(call: &Call) -> Answer {
    call.check_scope()?;
    let info = call.state.info();
    let answer = Version {
        sha: &info.revision,
        build_date: "",
        human_version: &info.version,
        fips: "",
    };
    Ok(reply::json(call, &answer))
}

/// `GET /v1/agent/host`: clients call it to see whether the agent is there.
pub(crate) fn host(call: &Call) -> Answer {
    call.check_scope()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let answer = Host {
        memory: None,
        cpu: None,
        host: None,
        disk: None,
        collection_time: now.map_or(0, |now| now.as_nanos()),
        errors: ["tidings does not collect figures of the host"],
    };
    Ok(reply::json(call, &answer))
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Itself<'a> {
    config: Config<'a>,
    debug_config: DebugConfig<'a>,
    /// Nobody measures distances here.
    coord: Option<()>,
    member: Member,
    stats: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    meta: TextMap,
    #[serde(rename = "xDS")]
    xds: Xds,
}

/// The proxies that an agent configures: none, since there is no mesh. Nomad reads it to find out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Xds {
    supported_proxies: BTreeMap<&'static str, &'static str>,
    port: i32,
    ports: XdsPorts,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct XdsPorts {
    plaintext: i32,
    #[serde(rename = "TLS")]
    tls: i32,
}

const NO_XDS: Xds = Xds {
    supported_proxies: BTreeMap::new(),
    port: -1,
    ports: XdsPorts {
        plaintext: -1,
        tls: -1,
    },
};

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config<'a> {
    datacenter: &'a str,
    primary_datacenter: &'a str,
    node_name: &'a str,
    #[serde(rename = "NodeID")]
    node_id: String,
    revision: &'a str,
    server: bool,
    version: &'a str,
    build_date: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DebugConfig<'a> {
    #[serde(rename = "AdvertiseAddrLAN")]
    advertise_addr_lan: String,
    datacenter: &'a str,
    #[serde(rename = "DNSPort")]
    dns_port: u16,
    #[serde(rename = "HTTPPort")]
    http_port: u16,
    #[serde(rename = "GRPCPort")]
    grpc_port: i32,
    #[serde(rename = "GRPCTLSPort")]
    grpc_tls_port: i32,
    #[serde(rename = "HTTPSPort")]
    https_port: i32,
    #[serde(rename = "NodeID")]
    node_id: String,
    node_name: &'a str,
    #[serde(rename = "SerfAdvertiseAddrLAN")]
    serf_advertise_addr_lan: String,
    #[serde(rename = "SerfPortLAN")]
    serf_port_lan: u16,
    server_mode: bool,
    version: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version<'a> {
    #[serde(rename = "SHA")]
    sha: &'a str,
    build_date: &'a str,
    human_version: &'a str,
    #[serde(rename = "FIPS")]
    fips: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Host {
    memory: Option<()>,
    #[serde(rename = "CPU")]
    cpu: Option<()>,
    host: Option<()>,
    disk: Option<()>,
    collection_time: u128,
    errors: [&'static str; 1],
}

/// Addresses of one name that are tried.
const JOIN_ADDRESSES: usize = 16;
