//! A scenario as the text of its file: one line per field, one table per piece of work and fault,
//! what is as usual left out. Reading it again gives the same scenario.

use toml::{Table, Value};

use super::Scenario;

/// The fields in the order in which a reader wants them; those that are not here come last.
const ORDER: [&str; 14] = [
    "name", "about", "seed", "kind", "at", "for", "every", "nodes", "via", "node", "groups",
    "phases", "stagger", "seeds",
];
/// The lists that are written as tables of their own, in this order.
const LISTS: [&str; 2] = ["workload", "fault"];
/// The table that comes last: what must come of all the above.
const LAST: &str = "expect";

impl Scenario {
    /// The text of its file.
    pub fn text(&self) -> String {
        let mut table = Table::try_from(self).expect("every part of a scenario has a form in TOML");
        let expect = table.remove(LAST);
        let lists = LISTS.map(|name| (name, table.remove(name)));
        let mut text = fields(&table);
        for (name, list) in lists {
            tables(&mut text, name, list.as_ref());
        }
        let Some(Value::Table(mut expect)) = expect else {
            unreachable!("a scenario says what must come of it");
        };
        let reads = expect.remove("reads");
        text.push_str(&format!("\n[{LAST}]\n{}", fields(&expect)));
        tables(&mut text, "expect.reads", reads.as_ref());
        text
    }
}

fn tables(text: &mut String, name: &str, list: Option<&Value>) {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    for item in items.filter_map(Value::as_table) {
        text.push_str(&format!("\n[[{name}]]\n{}", fields(item)));
    }
}

fn fields(table: &Table) -> String {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut names: Vec<&String> = table.keys().collect();
    names.sort_by_key(|name| (place(name).unwrap_or(ORDER.len()), *name));
    let mut text = String::new();
    for name in names {
        text.push_str(&format!("{name} = {}\n", table[name]));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::catalogue;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let folders = [catalogue::SCENARIOS, catalogue::REGRESSIONS].map(PathBuf::from);
        let files = catalogue::files(&folders).unwrap();
        assert!(files.len() > 40);
        for file in files {
            let scenario = Scenario::load(&file, &[]).unwrap();
            let text = scenario.text();
            let again = Scenario::parse(&text, &[])
                .unwrap_or_else(|error| panic!("{}: {error:#}\n{text}", file.display()));
            assert_eq!(scenario, again, "{}\n{text}", file.display());
            assert_eq!(text, again.text());
        }
    }

    #[test]
    fn a_file_is_written_as_a_person_would_write_it() {
        let text = "name = \"w\"\nabout = \"Writes.\"\nnodes = 2\n\
            phases = { chaos = \"10s\", quiet = \"1s\" }\n\
            links = { default = { loss = 0.1 } }\n\
            \n[[workload]]\nkind = \"deregister\"\nat = \"1s\"\nvia = 0\nid = \"a\"\n\
            \n[[fault]]\nkind = \"crash\"\nat = \"2.5s\"\nnode = 1\nrestart = { after = \"300ms\" }\n\
            \n[expect]\neventually = { E1 = \"1s\" }\n";
        assert_eq!(Scenario::parse(text, &[]).unwrap().text(), text);
    }
}
