//! What is different between what was told of a service and what is told now.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::ServiceEntry,
    table::{Tone, at, one_line},
};

/// The instances of a service that were told last, by node and id.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<(String, String), Instance>);

/// An instance as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Instance {
    node: String,
    node_id: String,
    id: String,
    address: String,
    port: u16,
    health: &'static str,
    /// Whether its owner is not heard.
    stale: bool,
    tags: Vec<String>,
}

/// One instance came, went or is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    change: Kind,
    service: String,
    #[serde(flatten)]
    instance: Instance,
    /// Its health before, if that is what changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    health_before: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Added,
    Changed,
    Removed,
}

impl Known {
    /// Takes what is told now in place of what was; returns what is different, what went first.
    pub(super) fn become_these(&mut self, service: &str, told: &[ServiceEntry]) -> Vec<Change> {
        let told = told.iter().map(Instance::of);
        let now: BTreeMap<_, _> = told.map(|instance| (instance.key(), instance)).collect();
        let before = std::mem::replace(&mut self.0, now);
        let change = |change, instance: &Instance, health_before| Change {
            change,
            service: service.to_owned(),
            instance: instance.clone(),
            health_before,
        };
        let gone = before.iter().filter(|(key, _)| !self.0.contains_key(*key));
        let gone = gone.map(|(_, instance)| change(Kind::Removed, instance, None));
        let others = self.0.iter().filter_map(|(key, instance)| {
            let Some(before) = before.get(key) else {
                return Some(change(Kind::Added, instance, None));
            };
            let health = (before.health != instance.health).then_some(before.health);
            (before != instance).then(|| change(Kind::Changed, instance, health))
        });
        gone.chain(others).collect()
    }
}

impl Instance {
    fn of(entry: &ServiceEntry) -> Self {
        Self {
            node: entry.node.node.clone(),
            node_id: entry.node.id.clone(),
            id: entry.service.id.clone(),
            address: entry.address().to_owned(),
            port: entry.service.port,
            health: entry.health().as_str(),
            stale: entry.is_stale(),
            tags: entry.service.tags.clone(),
        }
    }

    /// Two nodes may bear one name; an external one may have no id.
    fn key(&self) -> (String, String) {
        (format!("{}/{}", self.node, self.node_id), self.id.clone())
    }
}

impl Change {
    /// One object on one line.
    pub(super) fn json(&self, unix_ms: u128) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Line<'a> {
            unix_ms: u128,
            #[serde(flatten)]
            change: &'a Change,
        }
        serde_json::to_string(&Line {
            unix_ms,
            change: self,
        })
    }

    /// One line for people.
    pub(super) fn line(&self, unix_ms: u128, coloured: bool) -> String {
        let instance = &self.instance;
        let (sign, tone) = match (self.change, instance.health) {
            (Kind::Removed, _) => ("-", Tone::Bad),
            (Kind::Added, _) => ("+", Tone::Good),
            (Kind::Changed, "critical") => ("~", Tone::Bad),
            (Kind::Changed, _) => ("~", Tone::Doubtful),
        };
        let health = match (self.change, self.health_before) {
            (Kind::Removed, _) => "gone".to_owned(),
            (_, Some(before)) => format!("{before} -> {}", instance.health),
            (_, None) => instance.health.to_owned(),
        };
        let mut line = format!(
            "{}  {sign}  {:<12}  {:<16}  {:<21}  {:<10}  {health}",
            time_of_day(unix_ms),
            self.service,
            instance.id,
            at(&instance.address, instance.port),
            instance.node,
        );
        if instance.stale && self.change != Kind::Removed {
            line.push_str(", stale: its node is not heard");
        }
        tone.paint(&one_line(&line), coloured)
    }
}

/// The time of day in UTC.
fn time_of_day(unix_ms: u128) -> String {
    let s = unix_ms / 1_000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", s / 3_600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn entries(instances: &[(&str, u16, &str)]) -> Vec<ServiceEntry> {
        let entry = |&(id, port, status): &(&str, u16, &str)| {
            json!({"Node": {"ID": "01", "Node": "a", "Address": "10.0.0.1"},
                   "Service": {"ID": id, "Address": "", "Port": port, "Tags": null},
                   "Checks": [{"CheckID": "c", "Status": status, "Output": ""}]})
        };
        let entries: Vec<_> = instances.iter().map(entry).collect();
        serde_json::from_value(Value::from(entries)).unwrap()
    }

    /// What is different, in short.
    fn told(known: &mut Known, instances: &[(&str, u16, &str)]) -> Vec<(Kind, String)> {
        let changes = known.become_these("web", &entries(instances)).into_iter();
        changes.map(|c| (c.change, c.instance.id)).collect()
    }

    #[test]
    fn what_came_went_and_changed_is_told_once() {
        let mut known = Known::default();
        let (a, b) = (("a", 1, "passing"), ("b", 2, "passing"));
        let of = |kind, id: &str| (kind, id.to_owned());
        let both = [of(Kind::Added, "a"), of(Kind::Added, "b")];
        assert_eq!(told(&mut known, &[a, b]), both);
        assert_eq!(told(&mut known, &[a, b]), []);
        // After a gap in which one went and one turned.
        let turned = [of(Kind::Removed, "b"), of(Kind::Changed, "a")];
        assert_eq!(told(&mut known, &[("a", 1, "critical")]), turned);
        assert_eq!(told(&mut known, &[]), [of(Kind::Removed, "a")]);
    }

    #[test]
    fn a_change_is_a_line() {
        let mut known = Known::default();
        known.become_these("web", &entries(&[("w", 80, "passing")]));
        let changes = known.become_these("web", &entries(&[("w", 80, "critical")]));
        let line = changes[0].line(3_661_000, false);
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "01:01:01Z",
                "~",
                "web",
                "w",
                "10.0.0.1:80",
                "a",
                "passing",
                "->",
                "critical"
            ]
        );
        let json: Value = serde_json::from_str(&changes[0].json(7).unwrap()).unwrap();
        assert_eq!(json["change"], "changed");
        assert_eq!(json["health_before"], "passing");
        assert_eq!((&json["unix_ms"], &json["id"]), (&json!(7), &json!("w")));
        let gone = known.become_these("web", &[]);
        assert!(gone[0].line(0, false).ends_with("gone"));
    }
}
