//! curl and dig.

use serde_json::json;
use tidings_tests::{
    agent::Agent,
    cluster,
    programs::told,
    stage::{Needs, story},
};

#[test]
fn curl_and_dig_get_what_they_get_from_consul() {
    let name = "by_hand::curl_and_dig_get_what_they_get_from_consul";
    story(name, Needs::Nothing, |stage| {
        let agent = Agent::start(cluster::spec(stage, "a"));
        let (http, dns) = (agent.spec().http, agent.spec().dns);
        let web = json!({"Name": "web", "Address": "192.0.2.7", "Port": 8080}).to_string();
        let register = format!("http://{http}/v1/agent/service/register");
        let Some(code) = told(
            "curl",
            &[
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-X",
                "PUT",
                "-d",
                &web,
                &register,
            ],
        ) else {
            return;
        };
        assert_eq!(code, "200");
        let health = format!("http://{http}/v1/health/service/web?passing&pretty");
        let found = told("curl", &["-sS", "-f", &health]).unwrap_or_default();
        assert!(found.contains("\"Port\": 8080"), "{found}");

        let (at, port) = (format!("@{}", dns.ip()), dns.port().to_string());
        let dig = |more: &[&str]| {
            told(
                "dig",
                &[&[at.as_str(), "-p", &port, "+short"], more].concat(),
            )
        };
        let Some(srv) = dig(&["web.service.consul", "SRV"]) else {
            return;
        };
        assert_eq!(srv.trim(), "1 1 8080 c0000207.addr.dc1.consul.");
        for way in ["+notcp", "+tcp"] {
            let a = dig(&["web.service.consul", "A", way]).unwrap_or_default();
            assert_eq!(a.trim(), "192.0.2.7", "{way}");
        }
        assert_eq!(
            dig(&["nothing.service.consul", "A"]).unwrap_or_default(),
            ""
        );
    });
}
