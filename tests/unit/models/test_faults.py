"""What goes wrong with a provider, from the pieces that need no server."""

import pytest

from engine.models.faults import failure_of_status, missing_key, struck_out


def test_keys_are_struck_out():
    text = "key hunter2hunter2 and sk-proj-abcdefghijklmnop and Bearer abc.def, not risk-free"
    assert struck_out(text, {"hunter2hunter2"}) == "key *** and *** and *** not risk-free"


def test_which_variable_to_ask_for():
    both = ["GOOGLE_API_KEY", "GEMINI_API_KEY"]
    assert missing_key(both, "gemini", {}) == "GEMINI_API_KEY"
    assert missing_key(["AZURE_API_KEY"], "azure", {"AZURE_AD_TOKEN": "x"}) is None
    assert missing_key(["AWS_ACCESS_KEY_ID", "VERTEXAI_PROJECT"], "bedrock", {}) is None
    assert missing_key([], "openai", {}) is None


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("""b'{"type": "error", "error": {"message": "Overloaded"}}'""", "Overloaded"),
        (
            "Error code: 422 - {'detail': [{'loc': ['body'], 'msg': 'field required'}]}",
            "field required",
        ),
        ("Error code: 422 - {'detail", "Error code: 422 - {'detail"),
    ],
)
def test_a_body_that_is_shown_as_python_writes_it(shown, words):
    said = failure_of_status(503, shown.encode(), {}, "m", ())
    assert said.message == f"m: {words}"
