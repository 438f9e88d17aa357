"""Only hosts that stand in the file are reached, by a request or by a redirect."""

import httpx
import pytest
from http_server import redirect, send

from engine.errors import Failure
from engine.workers.http import HttpWorker, _Hosts, _Order


def failure_of(function, *args, **options):
    with pytest.raises(Failure) as caught:
        function(*args, **options)
    return caught.value


TENANT = """
worker w(tenant: string) -> json via http {{
  url   = "http://" ~ tenant ~ "/"
  hosts = ["{host}"]
}}
"""


def test_a_computed_host_must_be_listed(declare, carry_out, site, other_site):
    site.pages["/"] = send({"ok": 1})
    program = declare(TENANT.format(host=site.host))
    assert carry_out(program, ("w", {"tenant": site.host})) == {"ok": 1}
    for tenant in (other_site.host, f"{site.host}@{other_site.host}", "localhost", "127.0.0.1"):
        failure = failure_of(carry_out, program, ("w", {"tenant": tenant}))
        assert failure.mode == "denied"
        assert "is not in the file" in failure.message
    assert other_site.requests == []


@pytest.mark.parametrize(
    "tenant", ["", "exa mple", "[::1", "a\\b", "a:99999999", "a:b", "\x00", "a" * 70_000]
)
def test_what_is_no_host_is_refused(declare, carry_out, site, tenant):
    program = declare(TENANT.format(host=site.host))
    assert failure_of(carry_out, program, ("w", {"tenant": tenant})).mode in ("crashed", "denied")


def test_hosts_of_another_worker_are_for_redirects_only(declare, carry_out, site, other_site):
    source = f"""
    worker w(tenant: string) -> json via http {{
      url   = "http://" ~ tenant ~ "/"
      hosts = ["{site.host}"]
    }}
    worker other() -> json via http {{ url = "{other_site.url}/x" }}
    """
    program = declare(source)
    assert failure_of(carry_out, program, ("w", {"tenant": other_site.host})).mode == "denied"
    site.pages["/"] = redirect(f"{other_site.url}/y")
    other_site.pages["/y"] = send({"from": "other"})
    assert carry_out(program, ("w", {"tenant": site.host})) == {"from": "other"}


def test_a_param_may_hold_the_host(declare, carry_out, site):
    site.pages["/v1/find"] = send([1])
    source = f"""
    param base: string = "{site.url}/v1"
    worker w() -> json via http {{ url = param.base ~ "/find" }}
    """
    assert carry_out(declare(source), "w") == [1]


def test_a_choice_allows_both_hosts(declare, carry_out, site, other_site):
    site.pages["/"] = send("here")
    other_site.pages["/"] = send("there")
    source = f"""
    worker w(here: bool) -> string via http {{
      url = "{site.url}/" if here else "{other_site.url}/"
    }}
    """
    found = carry_out(declare(source), ("w", {"here": True}), ("w", {"here": False}))
    assert found == ["here", "there"]


@pytest.mark.parametrize(
    ("written", "address", "allowed"),
    [
        ("a.example", "https://a.example/x", True),
        ("a.example", "http://a.example/x", True),
        ("a.example", "https://A.EXAMPLE/x", True),
        ("a.example", "https://a.example:443/", True),
        ("a.example", "https://a.example:8443/", False),
        ("a.example", "https://b.a.example/", False),
        ("a.example", "https://a.example.evil/", False),
        ("a.example", "https://a.example@evil.example/", False),
        ("a.example", "https://evil.example/#@a.example", False),
        ("a.example", "https://evil.example/?https://a.example/", False),
        ("a.example:8443", "https://a.example:8443/", True),
        ("a.example:8443", "https://a.example/", False),
        ("a.example:443", "https://a.example/", True),
        ("a.example:443", "http://a.example/", False),
        ("[::1]:80", "http://[::1]/", True),
        ("[::1]", "http://[::1]:81/", False),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("127.0.0.1", "http://2130706433/", False),
    ],
)
def test_which_address_is_on_which_host(written, address, allowed):
    assert (httpx.URL(address) in _Hosts([written])) is allowed


# ---------------------------------------------------------------- redirects


GET = """
worker w() -> json via http {{
  url     = "{url}/"
  headers = {{
    Authorization: "Bearer " ~ secret.TOKEN, "X-API-Key": secret.TOKEN, Accept: "text/x"
  }}
  on_status {{ 308 = moved }}
}}
"""
GET = GET.replace("-> json via", "-> json fails moved via")


def also(site):
    return f'\nworker also() -> json via http {{ url = "{site.url}/also" }}\n'


def test_redirects_on_the_same_host_are_followed_with_everything(declare, carry_out, site):
    site.pages["/"] = redirect("/next?a=1", 301)
    site.pages["/next"] = redirect(f"{site.url}/last", 307)
    site.pages["/last"] = send({"ok": 1})
    assert carry_out(declare(GET.format(url=site.url)), "w") == {"ok": 1}
    assert [asked.path for asked in site.requests] == ["/", "/next?a=1", "/last"]
    assert {asked.headers["x-api-key"] for asked in site.requests} == {"s3cret-value"}


def test_another_host_gets_no_headers_but_harmless_ones(declare, carry_out, site, other_site):
    site.pages["/"] = redirect(f"{other_site.url}/x")
    other_site.pages["/x"] = send({"ok": 1})
    assert carry_out(declare(GET.format(url=site.url) + also(other_site)), "w") == {"ok": 1}
    (asked,) = other_site.requests
    assert asked.headers["accept"] == "text/x"
    assert "s3cret" not in str(asked)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("{other}/x", "which is not in the file"),
        ("//{other_host}/x", "which is not in the file"),
        ("http://127.0.0.1/", "which is not in the file"),
        ("file:///etc/passwd", "redirected to file:"),
        ("javascript:alert(1)", "redirected to"),
        ("http://a:b/", "redirected to no address"),
    ],
)
def test_a_redirect_elsewhere_is_not_followed(declare, carry_out, site, other_site, target, words):
    target = target.format(other=other_site.url, other_host=other_site.host)
    site.pages["/"] = redirect(target)
    failure = failure_of(carry_out, declare(GET.format(url=site.url)), "w")
    assert (failure.mode, failure.retryable) == ("crashed", False)
    assert words in failure.message
    assert other_site.requests == []


def test_redirects_without_end_end(declare, carry_out, site):
    site.pages["/"] = redirect("/")
    failure = failure_of(carry_out, declare(GET.format(url=site.url)), "w")
    assert "more than 5 redirects" in failure.message
    assert len(site.requests) == 6


def test_a_status_with_a_mode_is_no_redirect(declare, carry_out, site):
    site.pages["/"] = redirect("/next", 308)
    assert failure_of(carry_out, declare(GET.format(url=site.url)), "w").mode == "moved"


POST = """
worker w() -> json via http {{
  method = "POST"
  url    = "{url}/"
  json   = {{ a: 1 }}
  effect = write
}}
"""


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(301, "GET", b""), (302, "GET", b""), (303, "GET", b""), (307, "POST", b'{"a":1}'),
     (308, "POST", b'{"a":1}')],
)  # fmt: skip
def test_what_becomes_of_the_method(declare, carry_out, site, status, method, body):
    site.pages["/"] = redirect("/next", status)
    site.pages["/next"] = send({"ok": 1})
    assert carry_out(declare(POST.format(url=site.url)), "w") == {"ok": 1}
    asked = site.requests[1]
    assert (asked.method, asked.body) == (method, body)
    assert ("content-type" in asked.headers) is bool(body)


def test_a_body_never_goes_to_another_host(declare, carry_out, site, other_site):
    program = declare(POST.format(url=site.url) + also(other_site))
    site.pages["/"] = redirect(f"{other_site.url}/x", 307)
    failure = failure_of(carry_out, program, "w")
    assert "redirected with its body to another host" in failure.message
    assert other_site.requests == []


def test_never_from_encrypted_to_plain(declare, request_to):
    program = declare('worker w() -> json via http { url = "https://a.example/" }')
    port = HttpWorker(["a.example"])
    order = _Order.of(request_to(program, "w"))
    failure = failure_of(port._redirected, order, 302, httpx.URL("http://a.example/x"))
    assert "without encryption" in failure.message
    other = port._redirected(order, 302, httpx.URL("https://a.example/x"))
    assert str(other.url) == "https://a.example/x"
