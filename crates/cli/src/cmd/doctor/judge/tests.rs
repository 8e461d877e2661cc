//! Each thing that can be wrong is found, and told with what to do; nothing else is.

use serde_json::{Value, json};

use super::*;
use crate::cmd::doctor::{Level, facts::Facts};

/// An agent with one peer and nothing wrong, after `change`.
fn facts(change: impl FnOnce(&mut Value)) -> Facts {
    let mut told = json!({
        "status": {
            "name": "one", "node_id": "01", "cluster": "tidings", "datacenter": "dc1",
            "version": "0.1.0", "uptime_ms": 61_000, "fingerprint": "ff", "reachable": 2,
            "expected": 2, "island": false, "pending": 0, "conflicts": 0, "feeds": 2, "entries": 2,
            "differs_for_ms": null, "refused": 0, "index": 7,
            "members": [
                {"name": "one", "node_id": "01", "address": "10.0.0.1:8301", "status": "alive",
                 "liveness": "live", "since_ms": 1, "heard_ms": 0, "clock_ahead_ms": null},
                {"name": "two", "node_id": "02", "address": "10.0.0.2:8301", "status": "alive",
                 "liveness": "live", "since_ms": 7_000, "heard_ms": 1, "clock_ahead_ms": 3},
            ],
        },
        "setup": {
            "dns": "127.0.0.1:8600", "advertised": "10.0.0.1:8301", "warnings": [],
            "seeds": [{"seed": "seed.example:8301", "addresses": ["10.0.0.2:8301"], "error": null,
                       "members": ["two"], "answers": []}],
            "data": {"directory": "/var/lib/tidings", "free_bytes": 8_u64 << 30},
            "open_files": 524_288,
        },
        "keyring": {
            "reachable": 2,
            "keys": [{"id": "k1", "in_use": true, "accepted_by": 2, "sent_by": 2}],
            "members": [
                {"name": "one", "node_id": "01", "accepts": ["k1"], "heard_under": null,
                 "is_ok": true, "outcome": "listed"},
                {"name": "two", "node_id": "02", "accepts": ["k1"], "heard_under": "k1",
                 "is_ok": true, "outcome": "listed"},
            ],
        },
        "figures": {"tidings_transport_datagrams_sent_total": 1_000.0},
        "dns": [null, null],
    });
    change(&mut told);
    let part = |name: &str| told[name].clone();
    let dns = |nth: usize| match told["dns"][nth].as_str() {
        None => Ok(()),
        Some(reason) => Err(reason.to_owned()),
    };
    Facts {
        status: serde_json::from_value(part("status")).unwrap(),
        setup: serde_json::from_value(part("setup")).unwrap(),
        keyring: serde_json::from_value(part("keyring")).map_err(|_| "nobody answered".to_owned()),
        figures: serde_json::from_value(part("figures")).unwrap(),
        dns: told["dns"].is_array().then(|| [dns(0), dns(1)]),
    }
}

/// What is not in order.
fn wrong(change: impl FnOnce(&mut Value)) -> Vec<Finding> {
    let mut findings = findings(&facts(change));
    findings.retain(|finding| finding.level != Level::Ok);
    for finding in &findings {
        assert!(
            !finding.remedy.is_empty(),
            "nothing is said to be done: {finding:?}"
        );
    }
    findings
}

#[track_caller]
fn expect(change: impl FnOnce(&mut Value), level: Level, about: &str, part: &str) {
    let wrong = wrong(change);
    let [finding] = wrong.as_slice() else {
        panic!("not one finding, but {wrong:#?}");
    };
    assert_eq!((finding.level, finding.about), (level, about));
    assert!(finding.found.contains(part), "{part} is not in {finding:?}");
}

use Level::{Problem, Unknown, Warning};

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    assert_eq!(wrong(|_| ()), []);
    let alone = |told: &mut Value| {
        told["setup"]["seeds"] = json!([]);
        told["status"]["reachable"] = json!(1);
        told["status"]["expected"] = json!(1);
        told["status"]["members"] = json!([]);
        told["keyring"]["members"] = json!([]);
        told["keyring"]["keys"] = json!([]);
    };
    assert_eq!(wrong(alone), []);
}

#[test]
fn a_seed_that_is_not_there_is_worse_when_there_is_no_other_way() {
    let unresolved = |told: &mut Value| {
        let seed = &mut told["setup"]["seeds"][0];
        seed["addresses"] = json!([]);
        seed["members"] = json!([]);
        seed["error"] = json!("no such name");
    };
    expect(unresolved, Warning, "seed", "no such name");
    let silent = |told: &mut Value| told["setup"]["seeds"][0]["members"] = json!([]);
    expect(
        silent,
        Warning,
        "seed",
        "no member answers at seed.example:8301",
    );
    let none = |told: &mut Value| told["setup"]["seeds"] = json!([]);
    expect(none, Warning, "seed", "no seeds");
    let alone = |told: &mut Value| {
        silent(told);
        told["status"]["reachable"] = json!(1);
        told["status"]["expected"] = json!(1);
    };
    expect(alone, Problem, "seed", "no member answers");
}

#[test]
fn who_answers_at_a_seed_in_place_of_a_member_is_told() {
    let answers = |answer: &'static str, detail: &'static str| {
        move |told: &mut Value| {
            let seed = &mut told["setup"]["seeds"][0];
            seed["members"] = json!([]);
            seed["answers"] =
                json!([{"address": "10.0.0.2:8301", "answer": answer, "detail": detail}]);
        }
    };
    let other_key = answers("other-key", "it does not accept k1");
    expect(
        other_key,
        Problem,
        "seed",
        "10.0.0.2:8301): it does not accept k1",
    );
    let found = "another cluster answers";
    expect(answers("other-cluster", ""), Problem, "seed", found);
    expect(answers("strange", "odd"), Problem, "seed", "odd");
    expect(
        answers("member", "under k1"),
        Warning,
        "seed",
        "not a member yet",
    );
    expect(answers("busy", ""), Unknown, "seed", "had no time");
    expect(answers("not-asked", ""), Unknown, "seed", "not asked");
    let found = "no member answers at";
    expect(
        answers("silent", "no answer within 3 s"),
        Warning,
        "seed",
        found,
    );
    // A seed of several addresses: one is a member, one is a stranger.
    let both = |told: &mut Value| {
        answers("other-key", "")(told);
        told["setup"]["seeds"][0]["members"] = json!(["two"]);
    };
    expect(both, Problem, "seed", "another cluster key");
}

#[test]
fn members_that_are_away_or_differ_are_found() {
    let down = |told: &mut Value| {
        told["status"]["reachable"] = json!(1);
        told["status"]["members"][1]["status"] = json!("down");
    };
    expect(
        |told| {
            down(told);
            told["status"]["reachable"] = json!(2);
        },
        Warning,
        "members",
        "two at 10.0.0.2:8301, for 7s",
    );
    expect(
        |told| {
            told["status"]["island"] = json!(true);
            told["status"]["reachable"] = json!(2);
            told["status"]["expected"] = json!(4);
        },
        Problem,
        "members",
        "it reaches 2 of 4",
    );
    let differs = |ms: u64| move |told: &mut Value| told["status"]["differs_for_ms"] = json!(ms);
    expect(differs(31_000), Problem, "agreement", "for 31s");
    assert_eq!(wrong(differs(2_000)), []);
}

#[test]
fn packets_and_keys_are_judged_by_what_the_members_say() {
    let no_session = |told: &mut Value| {
        told["keyring"]["members"][1]["is_ok"] = json!(false);
        told["keyring"]["members"][1]["accepts"] = json!([]);
        told["keyring"]["keys"][0]["accepted_by"] = json!(1);
        told["keyring"]["members"][1]["outcome"] = json!("it did not answer");
    };
    expect(no_session, Problem, "packets", "it did not answer");
    let nobody_asked = |told: &mut Value| told["keyring"] = json!(null);
    expect(nobody_asked, Unknown, "packets", "nobody answered");
    let lacks = |told: &mut Value| {
        told["keyring"]["members"][1]["accepts"] = json!(["k0"]);
        told["keyring"]["keys"][0]["accepted_by"] = json!(1);
    };
    expect(lacks, Problem, "keys", "the key k1 is not accepted by two");
    let between = |told: &mut Value| told["keyring"]["members"][1]["heard_under"] = json!("k2");
    expect(between, Warning, "keys", "2 different keys");
    let loopback = |told: &mut Value| told["setup"]["advertised"] = json!("127.0.0.1:8301");
    expect(loopback, Problem, "address", "127.0.0.1:8301");
}

#[test]
fn a_wrong_clock_is_found_from_half_a_second_on() {
    let clock = |ms: i64| {
        move |told: &mut Value| told["status"]["members"][1]["clock_ahead_ms"] = json!(ms)
    };
    expect(clock(61_000), Problem, "clocks", "two is 1m01s ahead of");
    expect(clock(-61_000), Problem, "clocks", "two is 1m01s behind");
    assert_eq!(wrong(clock(-500)), []);
}

#[test]
fn the_host_is_looked_at() {
    let free =
        |mib: u64| move |told: &mut Value| told["setup"]["data"]["free_bytes"] = json!(mib << 20);
    expect(
        free(10),
        Problem,
        "disk",
        "10 MiB are free in /var/lib/tidings",
    );
    expect(free(100), Warning, "disk", "100 MiB are free");
    let figure = |name: &'static str, value: f64| {
        move |told: &mut Value| told["figures"][name] = json!(value)
    };
    expect(
        figure("tidings_node_batches_failed_total", 2.0),
        Warning,
        "disk",
        "2 writes",
    );
    expect(
        figure("tidings_transport_send_failed_total", 500.0),
        Warning,
        "sending",
        "500",
    );
    expect(
        figure("tidings_transport_foreign_cluster_total", 3.0),
        Warning,
        "strangers",
        "another cluster",
    );
    expect(
        figure("tidings_transport_unknown_key_total", 3.0),
        Warning,
        "strangers",
        "under a key",
    );
    let files = |told: &mut Value| told["setup"]["open_files"] = json!(1_024);
    expect(files, Warning, "limits", "1024");
    let udp = |told: &mut Value| told["dns"] = json!(["connection refused", null]);
    expect(udp, Problem, "dns", "over UDP: connection refused");
    let elsewhere = |told: &mut Value| told["dns"] = json!(null);
    expect(elsewhere, Unknown, "dns", "on the agent's host alone");
    let warning = |told: &mut Value| {
        told["setup"]["warnings"] = json!(["others can read the key file; chmod 600 it"]);
    };
    expect(warning, Warning, "settings", "others can read the key file");
}
