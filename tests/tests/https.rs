//! HTTPS: who is trusted, and certificates that are replaced while an agent runs.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tidings_tests::{
    agent::{Agent, Spec},
    authority::{self, Authority, Pair},
    binary::run,
    cluster,
    http::Http,
    stage::{Needs, Stage, story},
    stats::measured,
    wait::{self, ensure},
};

/// Files are looked at every two seconds, and a change is taken at the second look that finds it.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// What SIGHUP asks for is done in this time.
const RELOADED_WITHIN: Duration = Duration::from_secs(1);
const REFUSED: &str = "the HTTPS certificate in force goes on";

/// An agent with HTTPS, whose files stand in the story's directory.
struct Ground {
    agent: Agent,
    https: SocketAddr,
    authority: Authority,
    first: Pair,
}

impl Ground {
    fn new(stage: &Stage, more: impl FnOnce(&Authority) -> Vec<String>) -> Self {
        let (authority, https) = (Authority::new(), stage.free_addr());
        let first = authority.pair();
        first.write(stage.dir());
        let mut spec = cluster::spec(stage, "a");
        spec.more = authority::flags(https, stage.dir());
        spec.more.extend(more(&authority));
        Self {
            agent: Agent::start(spec),
            https,
            authority,
            first,
        }
    }

    fn client(&self) -> Http {
        Http::secure(self.https, self.authority.pem(), None)
    }

    fn shows(&self, pair: &Pair) -> Result<(), String> {
        let shown = self.authority.certificate_at(self.https)?;
        ensure(shown == pair.der, || {
            "another certificate is shown".to_owned()
        })
    }

    fn figure(&self, name: &str) -> f64 {
        let metrics = self.agent.http().get("/metrics");
        let metrics = metrics.expect("figures are told").body;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .expect("it is told")
    }

    fn told(&self, text: &str) -> usize {
        self.agent.log().matches(text).count()
    }
}

fn register(http: &Http, name: &str) {
    let path = "/v1/agent/service/register";
    let registered = http.accept(path, &json!({"Name": name, "Port": 1}));
    registered.expect("it is registered");
}

#[test]
fn the_api_is_answered_over_https_to_who_trusts_the_authority() {
    let name = "the_api_is_answered_over_https_to_who_trusts_the_authority";
    story(name, Needs::Nothing, |stage| {
        let ground = Ground::new(stage, |_| Vec::new());
        let client = ground.client();
        register(&client, "web");
        let found = client.json("/v1/health/service/web").unwrap();
        assert_eq!(found[0]["Service"]["Port"], 1, "{found}");
        let plain = ground.agent.http().json("/v1/agent/self").unwrap();
        assert_eq!(plain["DebugConfig"]["HTTPSPort"], ground.https.port());

        let stranger = Http::secure(ground.https, Authority::new().pem(), None);
        let refused = stranger.get("/v1/status/leader").unwrap_err();
        assert!(refused.contains("invalid peer certificate"), "{refused}");
        let mut plain = TcpStream::connect(ground.https).unwrap();
        plain
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        plain.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("https://"), "{answer}");
        let failed = "tidings_https_handshakes_total{result=\"failed\"}";
        assert!(ground.figure(failed) >= 2.0);
        assert!(ground.figure("tidings_https_certificate_expires_seconds") > 86_400.0);

        let url = format!("https://{}", ground.https);
        let ca = stage.dir().join("ca.pem");
        fs::write(&ca, ground.authority.pem()).unwrap();
        let ca = ca.display().to_string();
        let told = run(&["lookup", "web", "--http", &url, "--ca-file", &ca]);
        assert_eq!(told.code, Some(0), "{told:?}");
        let told = run(&["lookup", "web", "--http", &url]);
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.err.contains("--ca-file"), "{told:?}");
        let told = run(&["lookup", "web", "--http", &url, "--ca-file", "/no/such/ca"]);
        assert_eq!(told.code, Some(2), "{told:?}");
        let url = format!("https://{}", ground.agent.spec().http);
        let told = run(&["lookup", "web", "--http", &url, "--ca-file", &ca]);
        assert!(told.err.contains("HTTPS is spoken"), "{told:?}");
    });
}

#[test]
fn a_certificate_is_replaced_while_a_query_waits() {
    let name = "a_certificate_is_replaced_while_a_query_waits";
    story(name, Needs::Nothing, |stage| {
        let mut ground = Ground::new(stage, |_| Vec::new());
        ground.shows(&ground.first).unwrap();
        let client = ground.client();
        let index = client.get("/v1/catalog/services").unwrap().index();
        let (tell, answer) = mpsc::channel();
        let waiting = client.clone();
        thread::spawn(move || {
            let path = format!("/v1/catalog/services?index={index}&wait=100s");
            let _ = tell.send(waiting.json(&path));
        });
        wait::until("the query waits", RELOADED_WITHIN, || {
            let waiting = ground.figure("tidings_http_queries_waiting");
            ensure(waiting == 1.0, || format!("{waiting} wait"))
        });

        let second = ground.authority.pair();
        second.write(stage.dir());
        let (_, span) = wait::until("the new certificate is shown", TAKEN_WITHIN, || {
            ground.shows(&second)
        });
        measured(&format!("a new certificate was shown after {span:?}"));
        assert!(answer.try_recv().is_err(), "the query still waits");
        register(&client, "web");
        let changed = answer.recv().unwrap().unwrap();
        assert!(changed.get("web").is_some(), "{changed}");
        assert_eq!(ground.told("ERROR"), 0);

        ground.agent.expect_error(REFUSED);
        refuse_what_is_broken(&ground, stage, &second);
    });
}

/// Pairs that cannot be used, one after the other: each is told once, and `in_force` goes on.
fn refuse_what_is_broken(ground: &Ground, stage: &Stage, in_force: &Pair) {
    let (cert, key) = (
        authority::cert_file(stage.dir()),
        authority::key_file(stage.dir()),
    );
    let third = ground.authority.pair();
    let refused = |what: &str, reason: &str| {
        wait::until(what, TAKEN_WITHIN, || {
            let told = ground.told(reason);
            ensure(told == 1, || format!("told {told} times"))
        });
        // Looked at again, it is not told again.
        let before = ground.figure("tidings_https_certificates_refused_total");
        wait::until("it is refused once more", TAKEN_WITHIN, || {
            let now = ground.figure("tidings_https_certificates_refused_total");
            ensure(now > before, || format!("{now} refused"))
        });
        assert_eq!(ground.told(reason), 1, "{what}");
        let shown = ground.shows(in_force);
        shown.expect("the one before goes on");
    };
    authority::write(&cert, &third.cert);
    refused(
        "one half is refused",
        "is not that of the first certificate",
    );
    authority::write(&key, &third.key[..third.key.len() / 2]);
    refused("half a key is refused", "holds no unencrypted private key");
    authority::write(&cert, "no certificate");
    refused("no certificate is refused", "holds no certificate");
    fs::remove_file(&cert).expect("it can be removed");
    refused("no file is refused", "agent.pem: No such file");
    ground.authority.expired().write(stage.dir());
    refused("what has expired is refused", "has expired");

    third.write(stage.dir());
    wait::until("the whole pair is taken", TAKEN_WITHIN, || {
        ground.shows(&third)
    });
    assert_eq!(
        ground.figure("tidings_https_certificates_replaced_total"),
        2.0
    );
}

#[test]
fn clients_show_a_certificate_where_the_agent_wants_one() {
    let name = "clients_show_a_certificate_where_the_agent_wants_one";
    story(name, Needs::Nothing, |stage| {
        let ca = stage.dir().join("ca.pem");
        let ground = Ground::new(stage, |authority| {
            authority::write(&ca, authority.pem());
            vec!["--https-ca-file".to_owned(), ca.display().to_string()]
        });
        let shown = ground.authority.pair();
        let client =
            |pair: &Pair| Http::secure(ground.https, ground.authority.pem(), Some(&pair.both()));
        client(&shown).json("/v1/status/leader").unwrap();
        let path = "/v1/status/leader";
        ground.client().get(path).unwrap_err();
        let strange = Authority::new();
        client(&strange.pair()).get(path).unwrap_err();
        client(&ground.authority.expired()).get(path).unwrap_err();

        let file = |name: &str, text: &str| {
            let file = stage.dir().join(name);
            fs::write(&file, text).unwrap();
            file.display().to_string()
        };
        let (cert, key) = (file("c.pem", &shown.cert), file("c.key", &shown.key));
        let (url, ca_file) = (
            format!("https://{}", ground.https),
            ca.display().to_string(),
        );
        let asks = ["members", "--http", &url, "--ca-file", &ca_file];
        let told = run(&asks);
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.err.contains("--client-cert"), "{told:?}");
        let told = run(&[&asks[..], &["--client-cert", &cert, "--client-key", &key]].concat());
        assert_eq!(told.code, Some(0), "{told:?}");

        authority::write(&ca, strange.pem());
        wait::until(
            "the new authority's clients alone are taken",
            TAKEN_WITHIN,
            || {
                client(&strange.pair()).json(path)?;
                ensure(client(&shown).get(path).is_err(), || {
                    "the old is taken".to_owned()
                })
            },
        );
    });
}

#[test]
fn sighup_reads_definition_files_and_certificates() {
    let name = "sighup_reads_definition_files_and_certificates";
    story(name, Needs::Nothing, |stage| {
        let dir = stage.dir().join("definitions");
        fs::create_dir(&dir).unwrap();
        let mut ground = Ground::new(stage, |_| {
            vec!["--definition-dir".to_owned(), dir.display().to_string()]
        });
        let define = |text: &str| authority::write(&dir.join("services.toml"), text);
        let services = || {
            let services = ground.agent.http().json("/v1/agent/services").unwrap();
            let services = services.as_object().expect("services have ids");
            services.keys().cloned().collect::<Vec<_>>()
        };
        let hangup = |text: &str| {
            let before = ground.told(text);
            ground.agent.signal("HUP");
            wait::until("the signal is heard", RELOADED_WITHIN, || {
                let told = ground.told(text);
                ensure(told == before + 1, || format!("{text:?} told {told} times"))
            });
        };
        let read = "have been read anew";
        define("[[services]]\nname = 'web'\nport = 1\n");
        let second = ground.authority.pair();
        second.write(stage.dir());
        hangup(read);
        assert_eq!(services(), ["web"]);
        ground.shows(&second).unwrap();

        // What one kind of file says does not hang on the other kind.
        let not_all = "not all files were taken";
        define("[[services]]\nname = 'db'\n[[");
        let third = ground.authority.pair();
        third.write(stage.dir());
        hangup(not_all);
        assert_eq!(services(), ["web"]);
        ground.shows(&third).unwrap();
        define("[[services]]\nname = 'db'\nport = 1\n");
        authority::write(&authority::key_file(stage.dir()), &second.key);
        hangup(not_all);
        assert_eq!(services(), ["db"]);
        ground.shows(&third).unwrap();
        let over_http = ground.agent.http().put("/v1/agent/reload", &Value::Null);
        let over_http = over_http.unwrap();
        assert_eq!(over_http.status, 500);
        assert!(over_http.body.contains(REFUSED), "{}", over_http.body);
        third.write(stage.dir());
        hangup(read);
        let unusable = "the definition files stay as they were";
        for text in [not_all, REFUSED, unusable] {
            ground.agent.expect_error(text);
        }
    });
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_at_the_start() {
    let name = "a_certificate_that_cannot_be_used_is_told_at_the_start";
    story(name, Needs::Nothing, |stage| {
        let authority = Authority::new();
        let (one, other) = (authority.pair(), authority.pair());
        let dir = stage.dir();
        let spec = Spec {
            more: authority::flags(stage.free_addr(), dir),
            ..cluster::spec(stage, "a")
        };
        let words = spec.arguments();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let refused = |reason: &str| {
            let told = run(&words);
            assert_eq!(told.code, Some(2), "{told:?}");
            assert!(told.err.contains(reason), "{reason}: {told:?}");
        };
        refused("agent.pem: No such file");
        one.write(dir);
        authority::write(&authority::key_file(dir), &other.key);
        refused("put both of one pair there");
        authority::write(&authority::key_file(dir), &one.cert);
        refused("holds no unencrypted private key");
        authority::write(&authority::cert_file(dir), "");
        refused("holds no certificate that can be used");

        // An agent without a valid certificate is more use than none.
        authority.expired().write(dir);
        let mut agent = Agent::start(spec);
        agent.expect_error("has expired");
        assert!(agent.log().contains("renew it"), "{}", agent.log());
    });
}
