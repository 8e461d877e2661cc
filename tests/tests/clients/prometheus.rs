//! Prometheus, whose targets come from an agent.
//!
//! Debian's is built without `consul_sd_configs`: what that asks stands in
//! `tests/clients/contracts/prometheus.toml`.

use std::{collections::BTreeSet, net::SocketAddr, process::Command, time::Duration};

use serde_json::{Value, json};
use tidings_tests::{
    agent::{Agent, Spec},
    cluster,
    http::Http,
    programs::{self, Running},
    stage::{Needs, Stage, story},
    stats::Spans,
    wait::{self, ensure},
};

/// It hands on what it has found every five seconds, and looks for it every second.
const FOUND_WITHIN: Duration = Duration::from_secs(8);

const REGISTER: &str = "/v1/agent/service/register";

#[test]
fn targets_from_dns_come_and_go() {
    let name = "prometheus::targets_from_dns_come_and_go";
    story(name, Needs::Namespaces, |stage| {
        // It asks the system's name server, at the usual port.
        stage.names("127.0.0.1 localhost\n");
        let agent = agent(stage);
        let Some(mut prometheus) = Prometheus::start(stage, "dns.yml") else {
            return;
        };
        let one = "7f000001.addr.dc1.consul:8500";
        let two = "7f000002.addr.dc1.consul:8500";
        let mut spans = Spans::new();
        let mut expect = |srv: &[&str], a: &[&str]| {
            spans.push(prometheus.expect("srv", srv));
            prometheus.expect("a", a);
        };
        agent.http().accept(REGISTER, &web(1)).unwrap();
        expect(&[one], &["127.0.0.1:8500"]);
        agent.http().accept(REGISTER, &web(2)).unwrap();
        expect(&[one, two], &["127.0.0.1:8500", "127.0.0.2:8500"]);
        agent.http().accept(DEREGISTER_2, &Value::Null).unwrap();
        expect(&[one], &["127.0.0.1:8500"]);
        // The name in the answer leads to its address.
        prometheus.expect_up("srv", one);
        spans.report("Prometheus' targets from DNS come and go", FOUND_WITHIN);
    });
}

#[test]
fn targets_from_the_agent_come_and_go() {
    let name = "prometheus::targets_from_the_agent_come_and_go";
    story(name, Needs::Namespaces, |stage| {
        let agent = agent(stage);
        agent.http().accept(REGISTER, &web(1)).unwrap();
        let Some(mut prometheus) = Prometheus::start(stage, "http.yml") else {
            return;
        };
        let (one, two) = ("127.0.0.1:8500", "127.0.0.2:8500");
        let mut spans = Spans::new();
        spans.push(prometheus.expect("http", &[one]));
        agent.http().accept(REGISTER, &web(2)).unwrap();
        spans.push(prometheus.expect("http", &[one, two]));
        agent.http().accept(DEREGISTER_2, &Value::Null).unwrap();
        spans.push(prometheus.expect("http", &[one]));
        prometheus.expect_up("http", one);
        let labels = &prometheus.targets("http").unwrap()[0]["discoveredLabels"];
        assert_eq!(labels["__meta_tidings_service"], "web", "{labels}");
        spans.report(
            "Prometheus' targets from the agent come and go",
            FOUND_WITHIN,
        );
    });
}

#[test]
fn the_alerts_fire_when_they_should() {
    let name = "prometheus::the_alerts_fire_when_they_should";
    story(name, Needs::Nothing, |_| {
        let Some(promtool) = programs::fetched("debian/usr/bin/promtool") else {
            return;
        };
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/agent/monitoring");
        for (words, file) in [("check", "alerts.yml"), ("test", "alerts_test.yml")] {
            let done = Command::new(&promtool)
                .current_dir(folder)
                .args([words, "rules", file])
                .output()
                .unwrap();
            assert!(done.status.success(), "{done:?}");
        }
    });
}

/// The agent is the target too: it is the service `web`, whose figures are scraped.
fn agent(stage: &Stage) -> Agent {
    let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    Agent::start(Spec {
        http: loopback(8500),
        dns: loopback(53),
        ..cluster::spec(stage, "a")
    })
}

fn web(number: u8) -> Value {
    let (id, address) = (format!("web-{number}"), format!("127.0.0.{number}"));
    json!({"Name": "web", "ID": id, "Address": address, "Port": 8500})
}

const DEREGISTER_2: &str = "/v1/agent/service/deregister/web-2";

struct Prometheus {
    running: Running,
    http: Http,
}

impl Prometheus {
    /// Starts it with a configuration from `tests/clients/prometheus`; `None` if it is not here.
    fn start(stage: &Stage, config: &str) -> Option<Self> {
        let listens = stage.free_addr();
        let mut command = Command::new(programs::fetched("debian/usr/bin/prometheus")?);
        command
            .arg("--config.file")
            .arg(programs::kept("prometheus").join(config))
            .arg("--storage.tsdb.path")
            .arg(stage.dir().join("prometheus"))
            .arg(format!("--web.listen-address={listens}"));
        Some(Self {
            running: Running::start(stage, "prometheus", &mut command),
            http: Http::new(listens),
        })
    }

    /// Waits until the job has these targets and no others; returns how long that took.
    fn expect(&mut self, job: &str, wanted: &[&str]) -> Duration {
        let wanted: BTreeSet<_> = wanted.iter().map(|&target| target.to_owned()).collect();
        let what = format!("{job} has the targets {wanted:?}");
        let (_, span) = wait::until(&what, FOUND_WITHIN, || {
            self.running.ensure_running()?;
            let found = self
                .targets(job)?
                .iter()
                .map(address)
                .collect::<BTreeSet<_>>();
            ensure(found == wanted, || format!("it has {found:?}"))
        });
        span
    }

    /// Waits until the target has been scraped.
    fn expect_up(&self, job: &str, target: &str) {
        wait::until("it is scraped", FOUND_WITHIN, || {
            let found = self.targets(job)?;
            let up = |it: &Value| address(it) == target && it["health"] == "up";
            ensure(found.iter().any(up), || format!("{found:?}"))
        });
    }

    fn targets(&self, job: &str) -> Result<Vec<Value>, String> {
        let told = self.http.json("/api/v1/targets?state=active")?;
        let active = told["data"]["activeTargets"].as_array().cloned();
        let of_job = |target: &Value| target["labels"]["job"] == job;
        let active = active.unwrap_or_default().into_iter();
        Ok(active.filter(of_job).collect())
    }
}

fn address(target: &Value) -> String {
    let address = &target["discoveredLabels"]["__address__"];
    address.as_str().unwrap_or_default().to_owned()
}
