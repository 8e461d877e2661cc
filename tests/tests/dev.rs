//! `tidings dev`: what a newcomer sees in the first minutes.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

use hickory_proto::rr::RecordType;
use serde_json::json;
use tidings_tests::{
    agent::{Agent, Spec},
    checked::Checked,
    cluster,
    dns::Way,
    stage::{Needs, Stage, story},
    stats::Spans,
    wait::{self, ensure},
};

fn dev(stage: &Stage, name: &str) -> Spec {
    Spec {
        is_dev: true,
        ..cluster::spec(stage, name)
    }
}

#[test]
fn a_registration_is_answered_over_http_and_dns() {
    let name = "a_registration_is_answered_over_http_and_dns";
    story(name, Needs::Nothing, |stage| {
        let begin = Instant::now();
        let agent = Agent::start(dev(stage, "a"));
        let mut started = Spans::new();
        started.push(begin.elapsed());
        started.report("dev answers after its start", Duration::from_secs(1));

        let web = json!({"Name": "web", "ID": "web-1", "Address": "192.0.2.7", "Port": 8080,
                         "Tags": ["blue", "v1"]});
        agent
            .http()
            .accept("/v1/agent/service/register", &web)
            .unwrap();
        let found = agent.http().json("/v1/health/service/web").unwrap();
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        let service = &found[0]["Service"];
        assert_eq!(service["Address"], "192.0.2.7");
        assert_eq!(service["Port"], 8080);
        assert_eq!(service["Tags"], json!(["blue", "v1"]));

        let dns = agent.dns();
        for way in [Way::Udp, Way::Tcp] {
            let answer = dns
                .ask("blue.web.service.consul.", RecordType::A, way)
                .unwrap();
            let address = answer.answers[0].data.to_string();
            assert_eq!(
                (answer.answers.len(), address.as_str()),
                (1, "192.0.2.7"),
                "{way:?}"
            );
        }
        assert_eq!(dns.ports("web").unwrap(), BTreeSet::from([8080]));
        assert!(dns.addresses("green.web").unwrap().is_empty());
        let node = dns.ask("a.node.consul.", RecordType::A, Way::Udp).unwrap();
        assert_eq!(node.answers[0].data.to_string(), "127.0.0.1");
    });
}

#[test]
fn a_second_identical_put_changes_no_index() {
    let name = "a_second_identical_put_changes_no_index";
    story(name, Needs::Nothing, |stage| {
        let agent = Agent::start(dev(stage, "a"));
        let http = agent.http();
        let put = |port: u16| {
            let web = json!({"Name": "web", "Port": port, "Tags": ["a"],
                             "Check": {"TTL": "30s", "Status": "passing"}});
            http.accept("/v1/agent/service/register", &web).unwrap();
        };
        let seen = || {
            let paths = [
                "/v1/health/service/web",
                "/v1/catalog/service/web",
                "/v1/catalog/services",
                "/v1/catalog/nodes",
                "/v1/health/state/any",
                "/v1/agent/services",
            ];
            let answers: Vec<_> = paths
                .iter()
                .map(|path| http.get(path).unwrap().success().unwrap())
                .map(|answer| (answer.index(), answer.body))
                .collect();
            (
                answers,
                http.json("/v1/tidings/status").unwrap()["index"].clone(),
            )
        };
        put(80);
        let first = seen();
        put(80);
        let second = seen();
        assert_eq!(first, second);
        put(81);
        assert_ne!(second, seen(), "another port must move the indexes");
    });
}

#[test]
fn what_fails_its_http_check_leaves_dns_and_is_critical() {
    let name = "what_fails_its_http_check_leaves_dns_and_is_critical";
    story(name, Needs::Nothing, |stage| {
        let agent = Agent::start(dev(stage, "a"));
        let checked = Checked::serve(200);
        let web = json!({"Name": "web", "Port": 80, "Check": {
            "HTTP": format!("http://{}/health", checked.addr()), "Interval": "1s", "Timeout": "1s"}});
        agent
            .http()
            .accept("/v1/agent/service/register", &web)
            .unwrap();
        let is = |wanted: &'static str, served: bool| {
            let path = "/v1/health/service/web";
            move |agent: &Agent| {
                let found = agent.http().json(path)?;
                let checks = found[0]["Checks"].as_array().cloned().unwrap_or_default();
                let worst = checks
                    .iter()
                    .filter(|check| check["CheckID"] != "serfHealth");
                let statuses: Vec<_> = worst.map(|check| check["Status"].clone()).collect();
                ensure(statuses == [wanted], || format!("{statuses:?} in {found}"))?;
                let passing = agent.http().json("/v1/health/service/web?passing")?;
                let is_passing = passing.as_array().is_some_and(|found| !found.is_empty());
                ensure(is_passing == served, || format!("?passing says {passing}"))?;
                let ports = agent.dns().ports("web")?;
                ensure(ports.is_empty() != served, || format!("DNS says {ports:?}"))
            }
        };
        let interval = Duration::from_secs(1);
        let (healthy, sick) = (is("passing", true), is("critical", false));
        wait::until("the check passes", 2 * interval, || healthy(&agent));
        let mut noticed = Spans::new();
        checked.answer(500);
        let (_, span) = wait::until("the check fails", 2 * interval, || sick(&agent));
        noticed.push(span);
        noticed.report(
            "a failing HTTP check hides its service, interval 1 s",
            2 * interval,
        );
        checked.answer(200);
        wait::until("the check passes again", 2 * interval, || healthy(&agent));
    });
}

#[test]
fn a_second_dev_moves_its_ports_and_joins() {
    let name = "a_second_dev_moves_its_ports_and_joins";
    story(name, Needs::Nothing, |stage| {
        let first = Agent::start(dev(stage, "a"));
        let web = json!({"Name": "web", "Port": 80});
        first
            .http()
            .accept("/v1/agent/service/register", &web)
            .unwrap();
        let begin = Instant::now();
        let second = Agent::start(Spec {
            join: vec![first.spec().gossip.to_string()],
            ..dev(stage, "b")
        });
        let ports = |agent: &Agent| {
            let spec = agent.spec();
            [spec.gossip, spec.http, spec.dns].map(|addr| i32::from(addr.port()))
        };
        let moved = ports(&second)[0] - ports(&first)[0];
        assert!(moved != 0 && moved % 10 == 0, "{:?}", second.spec());
        assert_eq!(ports(&second), ports(&first).map(|port| port + moved));
        // On a host that others use as well, either may have had to move further.
        if stage.is_isolated() {
            assert_eq!(ports(&first), [8301, 8500, 8600]);
            assert_eq!(moved, 10);
            assert!(second.log().contains("moved up by 10"), "{}", second.log());
        }

        let mut joined = Spans::new();
        let (_, span) = wait::since(begin, "both are one", Duration::from_secs(2), || {
            for agent in [&first, &second] {
                agent.status()?.ensure_reaches(2, 2)?;
            }
            let found = second.http().json("/v1/catalog/service/web")?;
            ensure(found[0]["ServicePort"] == 80, || found.to_string())?;
            let addresses = second.dns().addresses("web")?;
            ensure(addresses == BTreeSet::from([Ipv4Addr::LOCALHOST]), || {
                format!("{addresses:?}")
            })
        });
        joined.push(span);
        joined.report("a second dev is joined and answers", Duration::from_secs(2));
    });
}

#[test]
fn the_log_can_be_listened_to_in_more_detail_than_it_is_written() {
    let name = "the_log_can_be_listened_to_in_more_detail_than_it_is_written";
    story(name, Needs::Nothing, |stage| {
        let agent = Agent::start(dev(stage, "a"));
        let mut monitor = TcpStream::connect(agent.spec().http).unwrap();
        monitor
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let asked = "GET /v1/agent/monitor?loglevel=debug HTTP/1.1\r\nHost: localhost\r\n\r\n";
        monitor.write_all(asked.as_bytes()).unwrap();
        let mut lines = BufReader::new(monitor).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.is_empty()), "the head has an end");
        agent.http().json("/v1/status/leader?token=secret").unwrap();
        let told = lines.find(|line| line.contains("path=/v1/status/leader"));
        let told = told.expect("the request is told");
        assert!(told.contains("[DEBUG] agent: request finished: method=GET"));
        assert!(!told.contains("secret"), "{told}");
        assert!(!agent.log().contains("request finished"));
    });
}
