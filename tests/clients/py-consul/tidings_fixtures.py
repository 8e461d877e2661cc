"""What py-consul's own tests ask of their root conftest.py, which starts Consul in Docker: here each
test gets a tidings agent of its own.

The tests themselves and the fixtures beside them are py-consul's, unmodified. Which of them cannot
pass, and why, stands in their_tests.toml: each of these is run too, and must fail.

TIDINGS_BIN names the agent. It takes Consul's usual ports, since the tests name them.
"""

import collections
import os
import pathlib
import subprocess
import time
import tomllib

import pytest
import requests

HTTP_PORT = 8500
# Answers are compared with what this version of Consul gives.
AS_CONSUL = "1.22.0"
ANSWERS_WITHIN_S = 10
ENDS_WITHIN_S = 10

LIST = tomllib.loads(pathlib.Path(__file__).with_name("their_tests.toml").read_text())

Instance = collections.namedtuple("Instance", ["port", "version"])


@pytest.fixture
def consul_instance(tmp_path):
    words = ["agent", "--name", "one", "--data-dir", tmp_path / "data", "--bind", "127.0.0.1"]
    log = tmp_path / "agent.log"
    with open(log, "w") as told:
        agent = subprocess.Popen(
            [os.environ["TIDINGS_BIN"], *words, "--enable-script-checks"],
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_it_answers(agent, log)
        yield Instance(HTTP_PORT, AS_CONSUL)
    finally:
        agent.terminate()
        agent.wait(ENDS_WITHIN_S)
    assert "panicked at" not in log.read_text(), log.read_text()


@pytest.fixture
def consul_port(consul_instance):
    return consul_instance.port, consul_instance.version


@pytest.fixture
def acl_consul_instance():
    pytest.fail("tidings has no access control lists")


def wait_until_it_answers(agent, log):
    deadline = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        assert agent.poll() is None, f"the agent ended: {log.read_text()}"
        try:
            if requests.get(f"http://127.0.0.1:{HTTP_PORT}/v1/status/leader", timeout=2).json():
                return
        except requests.RequestException:
            assert time.monotonic() < deadline, "the agent does not answer"
        time.sleep(0.02)


def pytest_collection_modifyitems(items):
    found = {item.nodeid: item for item in items}
    for entry in LIST["left_out"]:
        # One that passes after all fails the run, so the list never holds more than it must.
        named(found, entry).add_marker(pytest.mark.xfail(reason=entry["why"], strict=True))
    for entry in LIST["again"]:
        named(found, entry).add_marker(pytest.mark.flaky(reruns=2))


def named(found, entry):
    if entry["test"] not in found:
        raise pytest.UsageError(f"their_tests.toml names a test that is not there: {entry['test']}")
    return found[entry["test"]]


def pytest_terminal_summary(terminalreporter):
    passed = len(terminalreporter.stats.get("passed", []))
    left_out = len(terminalreporter.stats.get("xfailed", []))
    terminalreporter.write_line(f"py-consul: {passed} of its own tests pass, {left_out} are left out")


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = len(reporter.stats.get("passed", []))
    if passed < LIST["passing"] and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{passed} tests passed; {LIST['passing']} did before")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
