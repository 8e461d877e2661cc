//! The figures that an agent serves, as `crates/agent/monitoring` describes and uses them.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use tidings_tests::{
    agent::Agent,
    authority::{self, Authority},
    cluster,
    stage::{Needs, story},
};

fn file(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/agent/monitoring");
    PathBuf::from(folder).join(name)
}

/// A figure as an agent describes it.
#[derive(Debug)]
struct Figure {
    name: String,
    kind: String,
    help: String,
}

fn figures(text: &str) -> Vec<Figure> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("# "));
    let mut figures = Vec::new();
    while let (Some(help), Some(kind)) = (lines.next(), lines.next()) {
        let help = help
            .strip_prefix("HELP ")
            .and_then(|rest| rest.split_once(' '));
        let (name, help) = help.expect("a figure begins with its meaning");
        let kind = kind
            .strip_prefix("TYPE ")
            .and_then(|rest| rest.split_once(' '));
        let (of, kind) = kind.expect("then comes its kind");
        assert_eq!(of, name);
        figures.push(Figure {
            name: name.to_owned(),
            kind: kind.to_owned(),
            help: help.to_owned(),
        });
    }
    figures
}

fn table(figures: &[Figure]) -> String {
    let mut table =
        "# Every figure of an agent\n\nA test compares this with what an agent serves; \
                     `TIDINGS_UPDATE=1` with it writes it anew.\n\n\
                     | Figure | Kind | Meaning |\n|---|---|---|\n"
            .to_owned();
    for Figure { name, kind, help } in figures {
        writeln!(table, "| `{name}` | {kind} | {help} |").expect("a text takes all");
    }
    table
}

/// The names of figures in `text`.
fn used(text: &str) -> BTreeSet<&str> {
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_inside(letter));
    words.filter(|word| word.starts_with("tidings_")).collect()
}

#[test]
fn every_figure_is_described_and_alerts_and_dashboard_use_what_there_is() {
    let name = "every_figure_is_described_and_alerts_and_dashboard_use_what_there_is";
    story(name, Needs::Nothing, |stage| {
        Authority::new().pair().write(stage.dir());
        let mut spec = cluster::spec(stage, "a");
        spec.more = authority::flags(stage.free_addr(), stage.dir());
        let agent = Agent::start(spec);
        let metrics = agent.http().get("/metrics").unwrap();
        let figures = figures(&metrics.body);
        assert!(figures.len() > 100, "{figures:?}");
        let table = table(&figures);
        if std::env::var_os("TIDINGS_UPDATE").is_some() {
            fs::write(file("metrics.md"), &table).unwrap();
        }
        let described = fs::read_to_string(file("metrics.md")).unwrap();
        let lines: BTreeSet<_> = described.lines().collect();
        let missing: Vec<_> = table.lines().filter(|line| !lines.contains(line)).collect();
        assert!(missing.is_empty(), "not in metrics.md: {missing:#?}");
        assert_eq!(described, table, "metrics.md describes what is not there");

        let known: BTreeSet<_> = figures.iter().map(|figure| figure.name.as_str()).collect();
        for name in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
            let text = fs::read_to_string(file(name)).unwrap();
            let used = used(&text);
            assert!(used.len() > 5, "{name} uses {used:?}");
            let unknown: Vec<_> = used.difference(&known).collect();
            assert!(unknown.is_empty(), "{name} uses {unknown:?}");
        }
    });
}

#[test]
fn every_alert_is_tested_and_has_its_remedy() {
    let read = |name| fs::read_to_string(file(name)).unwrap();
    let (alerts, tests, readme) = (
        read("alerts.yml"),
        read("alerts_test.yml"),
        read("README.md"),
    );
    let alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts.collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert}");
        assert!(readme.contains(&format!("### {alert}\n")), "{alert}");
    }
}
