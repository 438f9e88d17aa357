"""Runs the `test` blocks of a file: offline, with scripted decisions and mocked workers.

    orch.run_tests("report.orch") -> [TestResult(...), ...]

A test is a real run, with the real machine and the real driver. Only calls to the outside are
replaced by the mocks of the test. A call that has no mock and is not offline by nature fails the
test: nothing here opens a socket, starts a process or needs a key.
"""

from engine.testing.junit import junit_xml
from engine.testing.result import Finding, TestResult
from engine.testing.runner import arun_tests, run_tests

__all__ = ["Finding", "TestResult", "arun_tests", "junit_xml", "run_tests"]
