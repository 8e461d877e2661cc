//! Fewer hosts: those that stay are numbered anew.

use toml::{Table, Value};

use super::Shrinker;

/// Fields whose numbers are hosts. A text in them is a group, or an external node.
const HOSTS: [&str; 8] = ["via", "node", "from", "to", "of", "on", "seeds", "sick"];

impl Shrinker {
    /// Takes hosts away, with all that happens to them: the upper half first, then single ones.
    pub(super) fn hosts(&mut self) {
        let mut step = self.count() / 2;
        while step > 0 {
            let mut end = self.count();
            while end > 0 {
                let begin = end.saturating_sub(step);
                self.attempt_with_seeds(|table| {
                    for host in (begin..end).rev() {
                        remove(table, host);
                    }
                });
                end = begin;
            }
            step /= 2;
        }
    }

    fn count(&self) -> i64 {
        let nodes = self.best.get("nodes").and_then(Value::as_integer);
        nodes.unwrap_or_default()
    }
}

/// Takes one host out of a scenario.
fn remove(table: &mut Table, host: i64) {
    if let Some(Value::Integer(nodes)) = table.get_mut("nodes") {
        *nodes -= 1;
    }
    // A group keeps its name, whoever is left in it.
    if let Some(Value::Table(groups)) = table.get_mut("groups") {
        groups.iter_mut().for_each(|(_, group)| {
            renumber(group, host);
        });
    }
    leave_out(table, host);
}

/// Takes a host out of every field; false if the table is about that host and must go.
fn leave_out(table: &mut Table, host: i64) -> bool {
    for (key, value) in table.iter_mut() {
        let has_hosts = match value {
            // A fault between two sides needs both.
            Value::Array(sides) if key == "between" => {
                sides.iter_mut().all(|side| renumber(side, host))
            }
            _ => !HOSTS.contains(&key.as_str()) || renumber(value, host),
        };
        if !has_hosts {
            return false;
        }
        let stays = match value {
            Value::Table(inner) => leave_out(inner, host),
            Value::Array(items) => {
                items.retain_mut(|item| match item {
                    Value::Table(inner) => leave_out(inner, host),
                    _ => true,
                });
                true
            }
            _ => true,
        };
        if !stays {
            return false;
        }
    }
    true
}

/// Numbers the hosts of a field anew; false if none is left.
fn renumber(value: &mut Value, host: i64) -> bool {
    match value {
        Value::Integer(number) if *number == host => false,
        Value::Integer(number) => {
            *number -= i64::from(*number > host);
            true
        }
        Value::Array(hosts) => {
            hosts.retain_mut(|number| renumber(number, host));
            !hosts.is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_goes_with_all_that_is_about_it() {
        let mut table: Table = r#"
            nodes = 4
            seeds = [0, 1, 2]
            groups = { left = [0, 1], right = [2, 3] }
            workload = [
                { kind = "register-external", via = 3, node = "x1", port = 1 },
                { kind = "register", via = 1, port = 1 },
            ]
            fault = [
                { kind = "cut", between = [[0, 1], [1, 2, 3]] },
                { kind = "cut", between = [[1], "all"] },
                { kind = "cut", between = [1, 2] },
                { kind = "crash", node = 3, restart = { disk = "copied", of = 2 } },
                { kind = "crash", node = 3, restart = { disk = "copied", of = 1 } },
            ]
        "#
        .parse()
        .unwrap();
        remove(&mut table, 1);
        let expected: Table = r#"
            nodes = 3
            seeds = [0, 1]
            groups = { left = [0], right = [1, 2] }
            workload = [{ kind = "register-external", via = 2, node = "x1", port = 1 }]
            fault = [
                { kind = "cut", between = [[0], [1, 2]] },
                { kind = "crash", node = 2, restart = { disk = "copied", of = 1 } },
            ]
        "#
        .parse()
        .unwrap();
        assert_eq!(table, expected);
    }
}
