//! Fewer faults, calls and hosts of a fault.

use toml::{Table, Value};

use super::Shrinker;

/// The lists of which as much as possible is left out.
const LISTS: [&[&str]; 4] = [
    &["fault"],
    &["workload"],
    &["expect", "reads"],
    &["links", "path"],
];

impl Shrinker {
    /// Leaves items out, half of them at a time, then quarters, down to single ones.
    pub(super) fn lists(&mut self) {
        for path in LISTS {
            self.minimise(path);
        }
        self.host_lists();
    }

    fn minimise(&mut self, path: &[&str]) {
        let mut size = list(&self.best, path).map_or(0, Vec::len).div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < list(&self.best, path).map_or(0, Vec::len) {
                let taken = self.attempt(|table| {
                    if let Some(list) = list_mut(table, path) {
                        let end = (from + size).min(list.len());
                        list.drain(from..end);
                    }
                });
                from += if taken { 0 } else { size };
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Leaves single hosts out of the lists of hosts that faults have.
    fn host_lists(&mut self) {
        let faults = list(&self.best, &["fault"]).map_or(0, Vec::len);
        for fault in 0..faults {
            for key in ["node", "to", "between"] {
                for side in 0..2 {
                    self.host_list(fault, key, side);
                }
            }
        }
    }

    fn host_list(&mut self, fault: usize, key: &str, side: usize) {
        let mut at = 0;
        while hosts(&mut self.best, fault, key, side).is_some_and(|list| at < list.len()) {
            let taken = self.attempt(|table| {
                if let Some(list) = hosts(table, fault, key, side)
                    && list.len() > 1
                {
                    list.remove(at);
                }
            });
            at += usize::from(!taken);
        }
    }
}

/// The list of hosts at a fault's key; of `between` that of one side.
fn hosts<'a>(
    table: &'a mut Table,
    fault: usize,
    key: &str,
    side: usize,
) -> Option<&'a mut Vec<Value>> {
    let fault = list_mut(table, &["fault"])?.get_mut(fault)?;
    let value = fault.get_mut(key)?;
    if key == "between" {
        value.get_mut(side)?.as_array_mut()
    } else if side == 0 {
        value.as_array_mut()
    } else {
        None
    }
}

fn list<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Vec<Value>> {
    let (first, rest) = path.split_first()?;
    let mut value = table.get(*first)?;
    for key in rest {
        value = value.get(key)?;
    }
    value.as_array()
}

fn list_mut<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Vec<Value>> {
    let (first, rest) = path.split_first()?;
    let mut value = table.get_mut(*first)?;
    for key in rest {
        value = value.get_mut(key)?;
    }
    value.as_array_mut()
}
