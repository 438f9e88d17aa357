"""No host but the provider's is resolved or connected to, whoever the provider is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.models.offline import lacking

PROGRAM = Path(__file__).parents[2] / "support" / "nobody_else.py"
#: Providers whose answer the program's server does not speak, or whose library is not installed.
NO_ANSWER = {"bedrock llama", "vertex", "vertex claude"}


@pytest.fixture(scope="module")
def seen():
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("LITELLM")},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_only_loopback_is_resolved_and_connected_to(seen):
    assert seen["asked"] == []


def test_no_env_file_is_looked_for(seen):
    assert seen["files"] == []


def test_the_calls_were_really_made(seen):
    results = seen["results"]
    answered = {n for n, said in results.items() if '"a"' in said[-1]}
    assert answered == {n for n in results if n not in NO_ANSWER and "without" not in n}
    streamed = {n for n, said in results.items() if '"a"' in said[0]}
    # Bedrock streams in a format of its own, which the server does not speak.
    assert streamed == answered - {"bedrock"}
    assert any("converse-stream" in path for path in seen["requests"])
    assert not any("Traceback" in said for pair in results.values() for said in pair)


def test_credentials_that_are_not_set_up_are_named(seen):
    (_, bedrock), (_, vertex) = (
        seen["results"][f"{name} without credentials"] for name in ("bedrock", "vertex")
    )
    assert "needs credentials: set AWS_ACCESS_KEY_ID" in bedrock
    assert "needs credentials: set GOOGLE_APPLICATION_CREDENTIALS" in vertex


NOTHING = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@pytest.mark.parametrize(
    ("provider", "options", "environment"),
    [
        ("openai", {}, {}),
        ("bedrock", {}, {"AWS_PROFILE": "work"}),
        ("bedrock", {"aws_role_name": "r"}, {}),
        ("bedrock", {}, {"AWS_EC2_METADATA_DISABLED": "false"}),
        ("sagemaker", {}, {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}),
        ("vertex_ai", {}, {"GOOGLE_APPLICATION_CREDENTIALS": "key.json"}),
        ("vertex_ai", {"vertex_credentials": "{}"}, {}),
        ("vertex_ai", {}, {"NO_GCE_CHECK": "false"}),
    ],
)
def test_what_is_set_up_is_used(monkeypatch, provider, options, environment):
    for name, value in NOTHING.items():
        monkeypatch.setenv(name, value)
    here = {"CLOUDSDK_CONFIG": os.devnull, **environment}
    assert lacking(provider, options, here) is None
    if provider != "openai":
        assert lacking(provider, {}, {"CLOUDSDK_CONFIG": os.devnull}) is not None


def test_credentials_in_files_count(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    (tmp_path / "credentials").write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert lacking("bedrock", {}, {}) is not None, "a region is no credentials"
    (tmp_path / "config").write_text("[default]\nsso_session = work\n")
    assert lacking("bedrock", {}, {}) is None
    google = {"CLOUDSDK_CONFIG": str(tmp_path)}
    assert lacking("vertex_ai", {}, google) is not None
    (tmp_path / "application_default_credentials.json").write_text("{}")
    assert lacking("vertex_ai", {}, google) is None
