//! What is recorded of a run, and what is made of it: the run stays the same, and the page, the
//! picture and the trace say what the plan did and the report found.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tidings_sim::{
    Mutant, Plan, Recording, Report, Scenario, Verdict, World, catalogue, page, recording,
};

fn scenario(name: &str) -> PathBuf {
    Path::new(catalogue::SCENARIOS).join(format!("{name}.toml"))
}

fn record(name: &str) -> (Report, Recording) {
    catalogue::record(&scenario(name), None, &[], Mutant::None)
        .expect("the scenarios ship with the simulator")
}

/// The lines of a recording, of one kind.
fn events(lines: &[String], event: &str) -> Vec<Value> {
    let parsed = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    parsed.filter(|line| line["event"] == event).collect()
}

/// What stands in the page's data.
fn data(html: &str) -> Value {
    let (_, rest) = html
        .split_once("<script type=\"application/json\" id=\"recording\">")
        .expect("the page has data");
    let (json, _) = rest.split_once("</script>").expect("the data ends");
    serde_json::from_str(json).expect("the data is JSON")
}

#[test]
fn recording_changes_nothing() {
    for name in ["clean-split-half", "overload-inbox", "swizzle-clog"] {
        let alone = catalogue::run(&scenario(name), None, &[], Mutant::None, None).unwrap();
        let (recorded, _) = record(name);
        assert_eq!(alone.hash, recorded.hash, "{name}");
        assert_eq!(alone.digests, recorded.digests, "{name}");
        assert_eq!(alone.events, recorded.events, "{name}");
    }
}

#[test]
fn the_page_tells_the_split_as_it_was_planned_and_judged() {
    let plan = catalogue::load(&scenario("clean-split-half"), None, &[]).unwrap();
    let cut = &plan.trouble[0];
    let (report, recording) = record("clean-split-half");
    let data = data(&page::html(recording, &report, "again"));

    let splits = data["splits"].as_array().unwrap();
    assert_eq!(splits.len(), 1);
    assert_eq!(splits[0]["from"], cut.at.as_micros());
    assert_eq!(splits[0]["until"], cut.until.as_micros());
    assert_eq!(splits[0]["healed"], true);
    assert_eq!(
        splits[0]["sides"],
        serde_json::json!([[0, 1, 2], [3, 4, 5]])
    );

    // The report looks every ten milliseconds, the recording at each event.
    let healed = plan.heal.as_micros();
    let converged = u64::try_from(report.converged.unwrap().as_micros()).unwrap();
    let agreed = data["agreed"].as_u64().unwrap() - healed;
    assert!(
        agreed <= converged && converged <= agreed + 10_000,
        "{agreed} {converged}"
    );

    // Each declares each of the other side down once, between cut and heal.
    let downs = data["downs"].as_array().unwrap();
    let downs: Vec<u64> = downs
        .iter()
        .map(|number| number.as_u64().unwrap())
        .collect();
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    for down in downs.chunks_exact(3) {
        assert!((cut.at.as_micros()..cut.until.as_micros()).contains(&down[0]));
        assert_ne!(down[1] < 3, down[2] < 3, "{down:?}");
        pairs.push((down[1], down[2]));
    }
    pairs.sort_unstable();
    pairs.dedup();
    assert_eq!(pairs.len(), 18);
}

#[test]
fn the_page_says_in_words_what_happened() {
    let (report, recording) = record("clean-split-half");
    let html = page::html(recording, &report, "again");
    for words in [
        "The network is split: n0, n1, n2 | n3, n4, n5.",
        "all 18 declarations across the split were made",
        "The split is healed, after 60 s",
        "All running agents hold the same again",
    ] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn the_page_is_whole_in_itself_and_small() {
    let (report, recording) = record("clean-split-half");
    let html = page::html(recording, &report, "again");
    assert!(html.len() < page::PAGE_BYTES);
    assert!(html.contains("default-src 'none'"));
    for outside in [
        "src=",
        "href=",
        "@import",
        "url(http",
        "fetch(",
        "XMLHttpRequest",
        "import(",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    let namespace = "http://www.w3.org/2000/svg";
    assert_eq!(html.matches("://").count(), html.matches(namespace).count());
}

#[test]
fn a_long_run_is_thinned_until_the_page_fits_and_says_so() {
    let settings = ["phases.quiet=40m".to_owned(), "nodes=12".to_owned()];
    let file = scenario("clean-split-half");
    let (report, recording) = catalogue::record(&file, None, &settings, Mutant::None).unwrap();
    let html = page::html(recording, &report, "again");
    assert!(html.len() <= page::PAGE_BYTES);
    assert!(html.contains("of them shown one by one"));
    let data = data(&html);
    let shown = data["packets"]["sent"].as_array().unwrap().len() as u64;
    let taken: u64 = data["counts"]["taken"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|host| host.as_array().unwrap())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert!(shown < taken, "{shown} of {taken}");
}

const HOSTILE: &str = r#"
    name = "</script><b>&'\""
    about = "<!-- <script>alert(1)</script> {{DATA}} ]]>"
    nodes = 2
    phases = { chaos = "10s", quiet = "10s" }
    [[workload]]
    kind = "register"
    at = "5s"
    via = 0
    id = "</script><img>"
    service = "<svg>&amp;"
    port = 80
    [expect]
    eventually = { E1 = "5s" }
"#;

fn hostile() -> (Report, Recording) {
    let plan = Scenario::parse(HOSTILE, &[]).and_then(|scenario| Plan::new(&scenario));
    let plan = plan.expect("hostile names are names");
    World::new(plan, Mutant::None, None).record()
}

#[test]
fn names_in_a_scenario_cannot_leave_their_place() {
    let (report, recording) = hostile();
    let html = page::html(recording.clone(), &report, "again </script><b>");
    assert_eq!(
        html.matches("<script").count(),
        2,
        "the data and the scripts"
    );
    assert_eq!(html.matches("</script>").count(), 2);
    assert!(!html.contains("<img>") && !html.contains("<b>") && !html.contains("<!--"));
    assert!(
        html.contains("{{DATA}}"),
        "what is put in is not looked at again"
    );
    let calls = &data(&html)["calls"];
    assert!(
        calls[0][3].as_str().unwrap().contains("</script><img>"),
        "{calls}"
    );
    xml(&page::svg(&recording, &report));
}

#[test]
fn the_picture_is_well_formed_and_tells_the_same() {
    for name in ["clean-split-half", "owner-restart-same-address"] {
        let (report, recording) = record(name);
        let svg = page::svg(&recording, &report);
        xml(&svg);
        assert!(svg.contains(name));
    }
}

/// Panics unless elements are closed in order and no sign stands where it may not.
fn xml(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut parts = text.split('<');
    assert_eq!(parts.next(), Some(""));
    for part in parts {
        let (tag, words) = part.split_once('>').expect("a tag ends");
        assert!(!words.contains('>'), "{words}");
        for after in words.split('&').skip(1).chain(tag.split('&').skip(1)) {
            let name = after.split(';').next().unwrap_or_default();
            assert!(
                ["amp", "lt", "gt", "quot", "#39"].contains(&name),
                "&{after}"
            );
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn perfetto_gets_every_arrow_with_both_ends() {
    let (report, recording) = record("clean-split-half");
    let trace: Value = serde_json::from_str(&page::perfetto(&recording, &report)).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let ends = |ph: &str| {
        let of = events
            .iter()
            .filter(|event| event["ph"] == ph && event["cat"] == "packet");
        let mut ids: Vec<u64> = of.map(|event| event["id"].as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert!(ends("s").len() > 1_000);
    assert_eq!(ends("s"), ends("f"));
    let named = |name: &str| events.iter().any(|event| event["args"]["name"] == name);
    assert!(named("n5") && named("network"));
    let faults = events
        .iter()
        .filter(|event| event["cat"] == "fault")
        .count();
    assert_eq!(faults, 2, "a beginning and an end");
}

#[test]
fn the_lines_tell_of_every_call_and_of_what_became_of_each_packet() {
    let (report, recording) = record("clean-split-half");
    let lines = recording::lines(&recording, &report);
    let plan = catalogue::load(&scenario("clean-split-half"), None, &[]).unwrap();
    assert_eq!(events(&lines, "asked").len(), plan.ops.len());
    let packets = events(&lines, "packet");
    let (from, until) = (
        plan.trouble[0].at.as_micros(),
        plan.trouble[0].until.as_micros(),
    );
    let crosses = |packet: &Value| {
        (packet["from"].as_u64().unwrap() < 3) != (packet["to"].as_u64().unwrap() < 3)
    };
    let in_split = |packet: &&Value| {
        crosses(packet) && (from..until).contains(&packet["at_us"].as_u64().unwrap())
    };
    let across: Vec<&Value> = packets.iter().filter(in_split).collect();
    assert!(across.len() > 100);
    assert!(across.iter().all(|packet| packet["fate"] != "delivered"));
    let times: Vec<u64> = lines[1..lines.len() - 1]
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["at_us"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(times.is_sorted());
    assert_eq!(
        events(&lines, "report")[0]["trace"],
        format!("{:016x}", report.hash)
    );
}

#[test]
fn who_stands_still_is_told_with_those_who_noticed() {
    let (report, recording) = record("gc-pause");
    assert_eq!(report.verdict, Verdict::Pass);
    let html = page::html(recording, &report, "again");
    assert!(html.contains("n3 stands still, and goes on at 30 s. First declared down at"));
}
