use std::{collections::BTreeSet, fs, path::Path};

use tempfile::TempDir;
use tidings_checks::Setup;
use tidings_types::{
    CheckId, CheckKind, Command, NodeId, NodeName, Outcome, Refusal, Registration, ServiceId,
};
use tidings_view::{ViewSettings, channel, commands};
use tokio::{task::JoinHandle, time::sleep};

use super::{follower::LOOK_EVERY, *};

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
    let loaded = Loaded::read(Some(dir.path()), false).unwrap();
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
fn the_checks_of_a_service_may_be_written_in_several_ways() {
    let dir = tempfile::tempdir().unwrap();
    let check = |id: &str| format!("{{ id = \"{id}\" ttl = \"30s\" }}\n");
    let [a, b, c] = ["a", "b", "c"].map(check);
    for (file, checks) in [
        ("one.hcl", format!("check {a} check {b} checks {c}")),
        ("two.hcl", format!("check {a} checks = [{b}, {c}]")),
        ("three.hcl", format!("checks {a} checks {b} checks {c}")),
    ] {
        write(
            dir.path(),
            file,
            &format!("\u{feff}service {{ name = \"s\"\n{checks} }}"),
        );
        let loaded = Loaded::read(Some(dir.path()), false).unwrap();
        let (_, service) = loaded.services.values().next().unwrap();
        let ids: BTreeSet<_> = service.checks.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, BTreeSet::from(["a", "b", "c"]), "{checks}");
        fs::remove_file(dir.path().join(file)).unwrap();
    }
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
        let error = Loaded::read(Some(dir.path()), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.json", script);
    assert_eq!(
        Loaded::read(Some(dir.path()), true).unwrap().checks.len(),
        1
    );
    write(dir.path(), "b.json", script);
    let error = Loaded::read(Some(dir.path()), true)
        .unwrap_err()
        .to_string();
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
        ("a.hcl", deep, "a.hcl:2: nested deeper than 64 levels"),
        ("a.json", long, "a.json:1: \"ééé"),
        ("a\n.json", "{".to_owned(), "a\\n.json:1: EOF"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), name, &text);
        let error = Loaded::read(Some(dir.path()), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(said) && error.len() < 3_000, "{error}");
    }
}

/// Two directories, and a node that says yes to every command and passes its name on, unless it is busy or
/// refuses the id.
struct Ground {
    dir: TempDir,
    data: TempDir,
    commands: Commands,
    told: mpsc::UnboundedReceiver<String>,
    busy: Arc<AtomicU64>,
    refused: Arc<Mutex<Vec<&'static str>>>,
    following: JoinHandle<()>,
}

impl Ground {
    fn new() -> Self {
        let (commands, mut requests) = commands(16);
        let (tell, told) = mpsc::unbounded_channel();
        let busy = Arc::new(AtomicU64::new(0));
        let refused = Arc::<Mutex<Vec<&'static str>>>::default();
        let (left, refuses) = (Arc::clone(&busy), Arc::clone(&refused));
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                let is_busy = left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
                if is_busy.is_ok() {
                    request.reply.send(Err(Refusal::Busy));
                    continue;
                }
                let told = name(&request.command);
                if refuses.lock().unwrap().iter().any(|id| *id == &told[1..]) {
                    let max = 1;
                    request.reply.send(Err(Refusal::TooManyRecords { max }));
                    continue;
                }
                let _ = tell.send(told);
                request.reply.send(Ok(Outcome::of(true)));
            }
        });
        Self {
            dir: tempfile::tempdir().unwrap(),
            data: tempfile::tempdir().unwrap(),
            commands,
            told,
            busy,
            refused,
            following: tokio::spawn(async {}),
        }
    }

    fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.dir.path().join(name)).unwrap();
    }

    /// Starts to follow the files, in place of whoever did before.
    fn start(&mut self) -> DefinitionFiles {
        self.following.abort();
        let checks = Checks::new(CheckResults(self.commands.clone()), Setup::default());
        let place = Place {
            dir: Some(self.dir.path().into()),
            data: Some(self.data.path().into()),
            programs: false,
        };
        let name = NodeName::new("one").unwrap();
        let (_, view) = channel(ViewSettings::new(
            NodeId::from_bytes([1; 16]),
            name,
            "dc1",
            1,
        ));
        let (files, follower) = follow(place, self.commands.clone(), Arc::new(checks), view);
        let loaded = Loaded::read(Some(self.dir.path()), false).unwrap();
        self.following = tokio::spawn(follower.run(loaded));
        files
    }

    /// What the node was told since it was asked last.
    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

fn name(command: &Command) -> String {
    match command {
        Command::RegisterService(Registration { id, .. }) => format!("+{id}"),
        Command::DeregisterService { id } => format!("-{id}"),
        Command::RegisterCheck { id, .. } => format!("+{id}"),
        Command::DeregisterCheck { id } => format!("-{id}"),
        other => format!("{other:?}"),
    }
}

/// Longer than it takes until a change is seen and has settled.
const TAKEN_WITHIN: Duration = LOOK_EVERY.saturating_mul(4);

#[tokio::test(start_paused = true)]
async fn a_definition_file_is_registered_changed_and_taken_away() {
    let mut ground = Ground::new();
    ground.write("db.hcl", HCL);
    ground.write("more.toml", TOML);
    let files = ground.start();
    files.reload().await.unwrap();
    assert_eq!(ground.told(), ["+db", "+queue-1", "+disk"]);
    let db = ServiceId::new("db").unwrap();
    let source = files.source(Defined::Service(&db)).unwrap();
    assert!(source.ends_with("db.hcl"), "{source}");
    let check = CheckId::new("db-ttl").unwrap();
    assert!(files.source(Defined::Check(&check)).is_some());
    // An unchanged file is no registration, neither on a reload nor after a restart.
    files.reload().await.unwrap();
    let files = ground.start();
    files.reload().await.unwrap();
    assert_eq!(ground.told(), [""; 0]);
    // A changed one is, and a check that it has no more goes.
    ground.write("db.hcl", &HCL.replace("db-ttl", "db-new"));
    files.reload().await.unwrap();
    assert_eq!(ground.told(), ["+db", "-db-ttl"]);
    // A mistake changes nothing.
    ground.write("db.hcl", "service {");
    assert!(files.reload().await.is_err());
    assert_eq!(ground.told(), [""; 0]);
    assert!(files.source(Defined::Service(&db)).is_some());
    // What no file defines goes, also if its file went while the agent was down.
    ground.remove("db.hcl");
    let files = ground.start();
    files.reload().await.unwrap();
    assert_eq!(ground.told(), ["-db"]);
    assert!(files.source(Defined::Service(&db)).is_none());
    ground.remove("more.toml");
    files.reload().await.unwrap();
    assert_eq!(ground.told(), ["-queue-1", "-disk"]);
}

#[tokio::test(start_paused = true)]
async fn files_are_followed_without_a_word() {
    let mut ground = Ground::new();
    let files = ground.start();
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), [""; 0]);
    ground.write("db.hcl", HCL);
    // What an editor keeps beside the file that it writes.
    ground.write(".db.hcl", "service {");
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+db"]);
    ground.write("db.hcl", &HCL.replace("db-ttl", "db-other"));
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+db", "-db-ttl"]);
    assert_eq!((files.taken(), files.refused()), (3, None));
    // A mistake keeps every file out until it is mended, and what is in force goes on.
    ground.write("db.hcl", "service {");
    ground.write("more.toml", TOML);
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), [""; 0]);
    let refused = files.refused().expect("it is refused");
    assert!(refused.contains("db.hcl:1: "), "{refused}");
    ground.remove("db.hcl");
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["-db", "+queue-1", "+disk"]);
    assert_eq!((files.taken(), files.refused()), (4, None));
}

#[tokio::test(start_paused = true)]
async fn what_the_node_does_not_take_is_registered_later() {
    let mut ground = Ground::new();
    ground.write("more.toml", TOML);
    ground.busy.store(4, Relaxed);
    let files = ground.start();
    sleep(TAKEN_WITHIN * 2).await;
    assert_eq!(ground.told(), ["+queue-1", "+disk"]);
    assert_eq!(files.taken(), 1);
    ground.busy.store(2, Relaxed);
    ground.remove("more.toml");
    let refused = files.reload().await.unwrap_err().to_string();
    assert!(refused.contains("tried again"), "{refused}");
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["-queue-1", "-disk"]);
}

#[test]
fn what_is_no_file_of_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a.json")).unwrap();
    let read = || {
        Loaded::read(Some(dir.path()), false)
            .unwrap_err()
            .to_string()
    };
    assert!(read().contains("a.json: it is no file"), "{}", read());
    fs::remove_dir(dir.path().join("a.json")).unwrap();
    fs::write(dir.path().join("a.json"), b"{\n\n\xff}").unwrap();
    assert!(
        read().contains("a.json:3: the file is no UTF-8"),
        "{}",
        read()
    );
    let bytes = usize::try_from(DEFINITION_FILE_BYTES_MAX).unwrap() + 1;
    write(dir.path(), "a.json", &" ".repeat(bytes));
    assert!(read().contains("more than 1048576 bytes"), "{}", read());
}

fn services(ids: &[&str]) -> String {
    let ids = ids
        .iter()
        .map(|id| format!("[[services]]\nname = '{id}'\n"));
    ids.collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_holds_up_nothing_else_and_takes_nothing_away() {
    let mut ground = Ground::new();
    *ground.refused.lock().unwrap() = vec!["b"];
    ground.write("all.toml", &services(&["a", "b", "c"]));
    let files = ground.start();
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+a", "+c"]);
    let refused = files.refused().expect("b is refused");
    assert!(refused.contains("b: "), "{refused}");
    let source = |id: &str| {
        let id = ServiceId::new(id).unwrap();
        files.source(Defined::Service(&id))
    };
    // Whatever b is, it did not come from a file.
    assert!(source("a").is_some() && source("b").is_none());
    ground.write("all.toml", &services(&["c"]));
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["-a"]);
    assert_eq!((files.refused(), source("a")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_registered_in_part_is_taken_back() {
    let mut ground = Ground::new();
    let other = tempfile::tempdir().unwrap();
    let aside = other.path().join("old");
    ground.write("all.toml", "[[services]]\nname = 'a'\nport = 1\n");
    let files = ground.start();
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+a"]);
    // The old file comes back with all its marks, as a release that is rolled back does.
    let file = ground.dir.path().join("all.toml");
    fs::rename(&file, &aside).unwrap();
    *ground.refused.lock().unwrap() = vec!["b"];
    let changed = "[[services]]\nname = 'a'\nport = 2\n[[services]]\nname = 'b'\n";
    ground.write("all.toml", changed);
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+a"]);
    assert!(files.refused().is_some());
    fs::rename(&aside, &file).unwrap();
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+a"]);
    assert_eq!(files.refused(), None);
}

#[tokio::test(start_paused = true)]
async fn a_check_may_move_to_another_service() {
    let mut ground = Ground::new();
    let with_check = |holder: &str| {
        let check = "check = { id = 'cc', ttl = '10s' }\n";
        let service = |id: &str| {
            let check = if id == holder { check } else { "" };
            format!("[[services]]\nname = '{id}'\n{check}")
        };
        service("a") + &service("b")
    };
    ground.write("all.toml", &with_check("b"));
    let files = ground.start();
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["+a", "+b"]);
    for holder in ["a", "b"] {
        ground.write("all.toml", &(with_check(holder) + "\n"));
        sleep(TAKEN_WITHIN).await;
        assert_eq!(ground.told(), ["-cc", "+a", "+b"], "to {holder}");
        let check = CheckId::new("cc").unwrap();
        assert!(files.source(Defined::Check(&check)).is_some());
    }
    // It comes to stand alone, and goes back.
    let alone = "[[services]]\nname = 'a'\n[[services]]\nname = 'b'\n\
                 [[checks]]\nid = 'cc'\nname = 'c'\nttl = '10s'\n";
    ground.write("all.toml", alone);
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["-cc", "+b", "+cc"]);
    ground.write("all.toml", &with_check("a"));
    sleep(TAKEN_WITHIN).await;
    assert_eq!(ground.told(), ["-cc", "+a"]);
}

#[test]
fn a_check_is_defined_once() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str| {
        format!("[[services]]\nname = '{name}'\ncheck = {{ id = 'cc', ttl = '10s' }}\n")
    };
    let alone = "[[checks]]\nid = 'cc'\nname = 'c'\nttl = '10s'\n".to_owned();
    for other in [with("b"), alone] {
        write(dir.path(), "a.toml", &with("a"));
        write(dir.path(), "b.toml", &other);
        let refused = Loaded::read(Some(dir.path()), false).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains("a.toml already"), "{refused}");
    }
}
