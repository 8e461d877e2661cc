//! Fewer fields: whatever may be left out is as usual then.

use toml::{Table, Value};

use super::Shrinker;

/// Fields that stay: without them a scenario would promise less, or run on for longer.
const KEPT: [&str; 10] = [
    "name",
    "about",
    "nodes",
    "phases",
    "expect",
    "kind",
    "at",
    "for",
    "restart",
    "eventually",
];
/// What is promised; one that did not fail is of no use, and is left out once the failure is found.
const PROMISES: [&str; 4] = ["sometimes", "never", "false-downs-max", "rejoins-max"];

/// A way through a document: keys of tables and numbers of items.
pub(super) type Path = Vec<Step>;

/// One step of a way.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

impl Shrinker {
    /// Leaves out every field that may be, one by one, the outer ones first.
    pub(super) fn fields(&mut self) {
        for path in paths(&self.best) {
            let is_kept = path.iter().any(|step| match step {
                Step::Key(key) => key == "expect",
                Step::Item(_) => false,
            });
            let Some((Step::Key(last), parent)) = path.split_last() else {
                continue;
            };
            if is_kept || KEPT.contains(&last.as_str()) {
                continue;
            }
            self.attempt(|table| {
                if let Some(inner) = table_at(table, parent) {
                    inner.remove(last);
                }
            });
        }
        for promise in PROMISES {
            self.attempt(|table| {
                if let Some(Value::Table(expect)) = table.get_mut("expect") {
                    expect.remove(promise);
                }
            });
        }
    }
}

/// The way to every field, the outer ones first.
pub(super) fn paths(table: &Table) -> Vec<Path> {
    let mut found = Vec::new();
    collect(table, &Vec::new(), &mut found);
    found.sort_by_key(Vec::len);
    found
}

fn collect(table: &Table, at: &Path, found: &mut Vec<Path>) {
    for (key, value) in table {
        let mut path = at.clone();
        path.push(Step::Key(key.clone()));
        found.push(path.clone());
        match value {
            Value::Table(inner) => collect(inner, &path, found),
            Value::Array(items) => {
                for (nth, item) in items.iter().enumerate() {
                    if let Value::Table(inner) = item {
                        let mut path = path.clone();
                        path.push(Step::Item(nth));
                        collect(inner, &path, found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The table to which a way leads.
pub(super) fn table_at<'a>(table: &'a mut Table, path: &[Step]) -> Option<&'a mut Table> {
    let Some((first, rest)) = path.split_first() else {
        return Some(table);
    };
    let Step::Key(key) = first else {
        return None;
    };
    match (table.get_mut(key)?, rest.split_first()) {
        (Value::Array(items), Some((Step::Item(nth), rest))) => {
            table_at(items.get_mut(*nth)?.as_table_mut()?, rest)
        }
        (Value::Table(inner), _) => table_at(inner, rest),
        _ => None,
    }
}
