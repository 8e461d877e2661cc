//! What an answer says, over HTTP and over DNS.

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{RData, RecordType},
};
use serde_json::Value;

use super::{
    book::{CallId, EXTERNAL, Health, Key, REPORT, Service},
    history::{Seen, Shown},
    plan,
};
use crate::dns::{Dns, Way};

/// Where a service is asked for over HTTP.
pub fn path(service: Service) -> String {
    format!("/v1/health/service/{}", service.name())
}

/// The instances in what [`path`] answers.
///
/// # Errors
/// If it is no list.
pub fn over_http(service: Service, answer: &Value) -> Result<Shown, String> {
    let entries = answer
        .as_array()
        .ok_or_else(|| format!("no list: {answer}"))?;
    let mut shown = Shown::default();
    for entry in entries {
        match instance(service, entry) {
            Ok(seen) => shown.seen.push(seen),
            Err(reason) => shown.strange.push(format!("{reason}: {entry}")),
        }
    }
    Ok(shown)
}

fn instance(service: Service, entry: &Value) -> Result<Seen, &'static str> {
    let (node, found) = (&entry["Node"], &entry["Service"]);
    let port = found["Port"].as_u64().unwrap_or_default();
    let call = CallId::of_port(port).ok_or("no call has this port")?;
    let id = found["ID"].as_str().unwrap_or_default();
    let key = key(service, id).ok_or("nobody asked for this id")?;
    if node["Node"] != key.node().as_str() {
        return Err("it is on another node");
    }
    let asked = key.definition(call);
    let asked = asked.as_object().into_iter().flatten();
    if asked.clone().any(|(name, value)| found[name] != *value) {
        return Err("the call of this port did not ask for this");
    }
    Ok(Seen {
        call,
        key: Some(key),
        node: node["ID"].as_str().and_then(node_id),
        check: (service == Service::Db).then(|| check(entry)).transpose()?,
    })
}

/// The one check that an instance has.
fn check(entry: &Value) -> Result<(Health, Option<u32>), &'static str> {
    let mut checks = entry["Checks"].as_array().into_iter().flatten();
    let check = checks.find(|check| check["ServiceID"] == entry["Service"]["ID"]);
    let check = check.ok_or("it has no check")?;
    let health = check["Status"].as_str().and_then(Health::of);
    let health = health.ok_or("its check has no status")?;
    let output = check["Output"].as_str().unwrap_or_default();
    let report = output.strip_prefix(REPORT).map(str::parse).transpose();
    let report = report.map_err(|_| "nobody reported this")?;
    if report.is_none() && !output.is_empty() {
        return Err("nobody reported this");
    }
    Ok((health, report))
}

/// The key of an id.
fn key(service: Service, id: &str) -> Option<Key> {
    let mut parts = id.split('-').skip(1);
    let key = if service == Service::Ext {
        Key::Shared(parts.next()?.parse().ok()?)
    } else {
        let host: usize = parts.next()?.strip_prefix('n')?.parse().ok()?;
        let host = host.checked_sub(1)?;
        let slot = parts.next()?.parse().ok()?;
        Key::Own { host, slot }
    };
    (key.id() == id).then_some(key)
}

/// A node's id, with or without dashes.
pub fn node_id(text: &str) -> Option<u128> {
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}

/// The instances that DNS answers with; over TCP if they do not fit a datagram, as resolvers do.
///
/// # Errors
/// If no answer came, or an error did, in words.
pub fn over_dns(dns: &Dns, service: Service) -> Result<Shown, String> {
    let name = format!("{}.service.consul.", service.name());
    let mut answer = dns.ask(&name, RecordType::SRV, Way::Udp)?;
    if answer.metadata.truncation {
        answer = dns.ask(&name, RecordType::SRV, Way::Tcp)?;
    }
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(records(&answer)),
        other => Err(format!("{name}: {other}")),
    }
}

fn records(answer: &Message) -> Shown {
    let mut shown = Shown::default();
    for record in &answer.answers {
        let RData::SRV(srv) = &record.data else {
            shown.strange.push(format!("no SRV record: {record}"));
            continue;
        };
        let call = CallId::of_port(srv.port.into());
        let target = srv.target.to_string();
        let hosts = |name: &str| target == format!("{name}.node.dc1.consul.");
        match call {
            Some(call) if hosts(&plan::name(call.host)) || hosts(EXTERNAL) => {
                shown.seen.push(Seen {
                    call,
                    key: None,
                    node: None,
                    check: None,
                });
            }
            _ => shown
                .strange
                .push(format!("nobody asked for this: {record}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CALL: CallId = CallId { host: 1, number: 7 };
    const WEB: Key = Key::Own { host: 1, slot: 2 };
    const DB: Key = Key::Own { host: 1, slot: 6 };

    fn entry(key: Key) -> Value {
        json!({
            "Node": {"ID": "00000000-0000-0000-0000-0000000000ff", "Node": key.node()},
            "Service": key.definition(CALL),
            "Checks": [
                {"CheckID": "serfHealth", "Status": "passing", "ServiceID": ""},
                {"CheckID": "c", "Status": "warning", "Output": "report 9", "ServiceID": key.id()},
            ],
        })
    }

    fn read(service: Service, entry: Value) -> Result<Seen, String> {
        let mut shown = over_http(service, &Value::Array(vec![entry]))?;
        shown.seen.pop().ok_or_else(|| shown.strange.remove(0))
    }

    #[test]
    fn an_answer_shows_the_call_and_the_report() {
        let seen = read(Service::Db, entry(DB)).unwrap();
        assert_eq!(
            (seen.call, seen.key, seen.node),
            (CALL, Some(DB), Some(255))
        );
        assert_eq!(seen.check, Some((Health::Warning, Some(9))));
        assert_eq!(seen.number(), 9);
        let shared = Key::Shared(1);
        assert_eq!(read(Service::Ext, entry(shared)).unwrap().key, Some(shared));
    }

    #[test]
    fn what_no_call_asked_for_is_strange() {
        let changes: [fn(&mut Value); 6] = [
            |entry| entry["Service"]["Port"] = json!(80),
            |entry| entry["Service"]["Port"] = json!(20_008),
            |entry| entry["Service"]["Meta"]["text"] = json!("y"),
            |entry| entry["Service"]["ID"] = json!("web-n2-02"),
            |entry| entry["Service"]["ID"] = json!("web-n3-2"),
            |entry| entry["Node"]["Node"] = json!("n1"),
        ];
        assert!(read(Service::Web, entry(WEB)).is_ok());
        for change in changes {
            let mut changed = entry(WEB);
            change(&mut changed);
            assert!(read(Service::Web, changed.clone()).is_err(), "{changed}");
        }
        let mut silent = entry(DB);
        silent["Checks"][1]["Output"] = json!("made up");
        assert!(read(Service::Db, silent).is_err());
    }
}
