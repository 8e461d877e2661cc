//! py-consul's own tests, as its authors wrote them, against an agent in place of Consul.

use std::{process::Command, time::Duration};

use tidings_tests::{
    binary, programs,
    stage::{Needs, story},
    stats::measured,
};

/// They wait for checks to run and to expire, for half a minute in all.
const DONE_WITHIN: Duration = Duration::from_secs(300);

/// What they touch of Consul is what tidings does; what else is in these files is listed, with the
/// reason, in `their_tests.toml`.
const FILES: &[&str] = &[
    "tests/api/test_agent.py",
    "tests/api/test_catalog.py",
    "tests/api/test_coordinates.py",
    "tests/api/test_event.py",
    "tests/api/test_health.py",
    "tests/api/test_status.py",
    "tests/test_base.py",
    "tests/test_callback.py",
    "tests/test_utils.py",
];

#[test]
fn its_own_tests_pass() {
    // They name Consul's own ports.
    story(
        "py_consul::its_own_tests_pass",
        Needs::Namespaces,
        |stage| {
            let (Some(python), Some(source)) = (
                programs::fetched("venv/bin/python"),
                programs::fetched("py-consul/tests"),
            ) else {
                return;
            };
            let source = source.parent().expect("it lies in the source");
            let plugin = programs::kept("py-consul");
            let path = std::env::join_paths([source, &plugin]).expect("they hold no colon");
            // Their root conftest.py starts Consul in Docker; the plugin stands in for it.
            let told = programs::run(
                stage,
                "py-consul",
                DONE_WITHIN,
                Command::new(python)
                    .args(["-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider"])
                    .args([
                        "--noconftest",
                        "-p",
                        "tests.conftest",
                        "-p",
                        "tidings_fixtures",
                    ])
                    .args(FILES)
                    .current_dir(source)
                    .env("PYTHONPATH", path)
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    // Its temporary files go with the story's.
                    .env("PYTEST_DEBUG_TEMPROOT", stage.dir())
                    .env("TIDINGS_BIN", binary::path()),
            );
            let summary = told.lines().find(|line| line.starts_with("py-consul: "));
            measured(summary.expect("the plugin counts what passed"));
        },
    );
}
