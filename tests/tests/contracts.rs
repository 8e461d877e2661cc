//! Clients that cannot be run here: each call that they make, answered by an agent as they need it.
//!
//! What each asks and reads stands in `tests/clients/contracts`, one file per client. What tidings
//! refuses stands there too, with what the client makes of it.

use std::{collections::BTreeSet, fs};

use tidings_tests::{
    agent::Agent,
    cluster,
    contract::Contract,
    programs,
    stage::{Needs, story},
    stats::measured,
};

macro_rules! contracts {
    ($($test:ident: $file:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            hold(stringify!($test), $file);
        })+

        const FILES: &[&str] = &[$($file),+];
    };
}

contracts! {
    consul_template: "consul-template.toml",
    envoy: "envoy.toml",
    fabio: "fabio.toml",
    go_kit: "go-kit.toml",
    go_micro: "go-micro.toml",
    haproxy_data_plane_api: "haproxy-dataplaneapi.toml",
    nomad: "nomad.toml",
    patroni: "patroni.toml",
    prometheus: "prometheus.toml",
    registrator: "registrator.toml",
    spring_cloud_consul: "spring-cloud-consul.toml",
    traefik: "traefik.toml",
}

fn hold(name: &str, file: &str) {
    story(name, Needs::Nothing, |stage| {
        let file = programs::kept("contracts").join(file);
        let contract = Contract::read(&file).unwrap_or_else(|error| panic!("{error}"));
        let agent = Agent::start(cluster::spec(stage, "one"));
        let held = contract.hold(&agent);
        held.unwrap_or_else(|error| panic!("{error}"));
        let (calls, refused) = contract.size();
        assert!(!contract.read_from.is_empty());
        measured(&format!(
            "{}: {calls} calls, of which {refused} are refused",
            contract.client
        ));
    });
}

#[test]
fn each_file_is_held() {
    let entries = fs::read_dir(programs::kept("contracts")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = names.collect();
    let held: BTreeSet<String> = FILES.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(found, held);
}
