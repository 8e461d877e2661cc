use std::path::Path;

use tidings_checks::Setup;
use tidings_types::{CheckKind, Outcome, Registration};
use tidings_view::commands;
use tokio::sync::mpsc;

use super::*;

const JSON: &str = r#"{
  "service": {
    "name": "web", "port": 80, "tags": ["a"],
    "meta": {"my_key": "kept"},
    "enable_tag_override": true,
    "tagged_addresses": {"lan_ipv4": {"address": "10.0.0.1", "port": 81}},
    "check": {"id": "web-http", "http": "http://127.0.0.1:80/", "interval": "10s"}
  }
}"#;

const HCL: &str = r#"
service {
  name = "db"
  port = 5432
  check {
    id       = "db-tcp"
    tcp      = "127.0.0.1:5432"
    interval = "10s"
  }
  check {
    id  = "db-ttl"
    ttl = "30s"
  }
}
"#;

const TOML: &str = r#"
[[services]]
name = "queue"
id = "queue-1"

[[checks]]
id = "disk"
name = "Disk"
ttl = "1m"
"#;

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[test]
fn json_hcl_and_toml_say_the_same_things() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "web.json", JSON);
    write(dir.path(), "db.hcl", HCL);
    write(dir.path(), "more.toml", TOML);
    write(dir.path(), "README", "no definition");
    let loaded = Loaded::read(dir.path(), false).unwrap();
    let names: Vec<&str> = loaded.services.keys().map(ServiceId::as_str).collect();
    assert_eq!(names, ["db", "queue-1", "web"]);
    let (file, web) = &loaded.services[&ServiceId::new("web").unwrap()];
    assert!(file.ends_with("web.json"));
    assert!(web.instance.enable_tag_override);
    assert_eq!(web.instance.meta.get("my_key"), Some("kept"));
    assert!(matches!(web.checks[0].1.kind, CheckKind::Http(_)));
    let (_, db) = &loaded.services[&ServiceId::new("db").unwrap()];
    assert_eq!((db.instance.port, db.checks.len()), (5_432, 2));
    assert!(loaded.checks.contains_key(&CheckId::new("disk").unwrap()));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let script = r#"{"check": {"name": "Script",
  "id": "s", "args": ["true"], "interval": "1s"}}"#;
    for (name, text, said) in [
        ("a.json", "{\n\"service\": {\n", "a.json:3: EOF"),
        ("a.hcl", "service {\n  name = \n}\n", "a.hcl:2: "),
        ("a.toml", "[[services]]\nname = \n", "a.toml:2: "),
        (
            "a.json",
            "{\"services\": [{\"name\": \"ok\"},\n{\"name\": \"bad\", \"prot\": 1}]}",
            "a.json:2: Request decode failed: json: unknown field \"prot\"",
        ),
        (
            "a.json",
            "{\n\"data_dir\": \"/x\"}",
            "a.json:2: \"data_dir\" is no block",
        ),
        (
            "a.json",
            script,
            "a.json:2: the check \"Script\" runs a program",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), name, text);
        let error = Loaded::read(dir.path(), false).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.json", script);
    assert_eq!(Loaded::read(dir.path(), true).unwrap().checks.len(), 1);
    write(dir.path(), "b.json", script);
    let error = Loaded::read(dir.path(), true).unwrap_err().to_string();
    assert!(
        error.contains("b.json:2:") && error.contains("a.json already"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_is_said_in_few_words_however_long_the_file_is() {
    let deep = format!("service {{\n  name = {}\n}}\n", "[".repeat(100_000));
    let long = format!("{{\"{}\": 1}}", "é".repeat(100_000));
    for (name, text, said) in [
        ("a.hcl", deep, "a.hcl:2: invalid nesting depth"),
        ("a.json", long, "a.json:1: \"ééé"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), name, &text);
        let error = Loaded::read(dir.path(), false).unwrap_err().to_string();
        assert!(error.contains(said) && error.len() < 3_000, "{error}");
    }
}

/// Says yes to every command, and passes it on.
fn node() -> (Commands, mpsc::UnboundedReceiver<Command>) {
    let (commands, mut requests) = commands(16);
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let _ = tell.send(request.command);
            request.reply.send(Ok(Outcome::of(true)));
        }
    });
    (commands, told)
}

fn names(told: &mut mpsc::UnboundedReceiver<Command>) -> Vec<String> {
    let told = std::iter::from_fn(|| told.try_recv().ok());
    told.map(|command| match command {
        Command::RegisterService(Registration { id, .. }) => format!("+{id}"),
        Command::DeregisterService { id } => format!("-{id}"),
        Command::RegisterCheck { id, .. } => format!("+{id}"),
        Command::DeregisterCheck { id } => format!("-{id}"),
        other => format!("{other:?}"),
    })
    .collect()
}

#[tokio::test]
async fn a_definition_file_is_registered_changed_and_taken_away() {
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (commands, mut told) = node();
    let start = || {
        let checks = Checks::new(CheckResults(commands.clone()), Setup::default());
        DefinitionFiles::new(
            Some(dir.path().into()),
            Some(data.path().into()),
            false,
            commands.clone(),
            Arc::new(checks),
        )
    };
    write(dir.path(), "db.hcl", HCL);
    write(dir.path(), "more.toml", TOML);
    let files = start();
    files.clone().reload().await.unwrap();
    assert_eq!(names(&mut told), ["+db", "+queue-1", "+disk"]);
    let db = ServiceId::new("db").unwrap();
    let source = files.source(Defined::Service(&db)).unwrap();
    assert!(source.ends_with("db.hcl"), "{source}");
    let check = CheckId::new("db-ttl").unwrap();
    assert!(files.source(Defined::Check(&check)).is_some());
    // An unchanged file is no registration, neither on a reload nor after a restart.
    files.clone().reload().await.unwrap();
    let files = start();
    files.clone().reload().await.unwrap();
    assert_eq!(names(&mut told), [""; 0]);
    // A changed one is, and a check that it has no more goes.
    write(dir.path(), "db.hcl", &HCL.replace("db-ttl", "db-new"));
    files.clone().reload().await.unwrap();
    assert_eq!(names(&mut told), ["+db", "-db-ttl"]);
    // A mistake changes nothing.
    write(dir.path(), "db.hcl", "service {");
    assert!(files.clone().reload().await.is_err());
    assert_eq!(names(&mut told), [""; 0]);
    assert!(files.source(Defined::Service(&db)).is_some());
    // What no file defines goes, also if its file went while the agent was down.
    fs::remove_file(dir.path().join("db.hcl")).unwrap();
    let files = start();
    files.clone().reload().await.unwrap();
    assert_eq!(names(&mut told), ["-db"]);
    assert!(files.source(Defined::Service(&db)).is_none());
    fs::remove_file(dir.path().join("more.toml")).unwrap();
    files.reload().await.unwrap();
    assert_eq!(names(&mut told), ["-queue-1", "-disk"]);
}
