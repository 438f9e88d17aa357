"""Runs the `test` blocks of a file: offline, with scripted decisions and mocked workers.

    engine.run_tests("report.orch") -> [TestResult(...), ...]

A test is a real run of the real machine under the real driver; only what would touch the outside
is replaced by the test's mocks. Whatever has no mock and is not offline by itself fails
the test: nothing here opens a socket, starts a process or needs a key.
"""

from engine.testing.junit import junit_xml
from engine.testing.result import Finding, TestResult
from engine.testing.runner import arun_tests, run_tests

__all__ = ["Finding", "TestResult", "arun_tests", "junit_xml", "run_tests"]
