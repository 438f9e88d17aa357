"""A value in an address of `via http` stays where the author has put it, against a real server."""

from urllib.parse import quote

import pytest
from http_server import send

from engine.errors import Failure

FORMS = (
    '"{site}/users/" ~ id ~ "/profile"',
    '"{site}/users/" ~ (id | urlencode) ~ "/profile"',
    '"{site}/users/" ~ (id | string) ~ "/profile"',
    '("{site}/users/" if true else "{site}/") ~ id ~ "/profile"',
    "address(id)",
    "address(id | urlencode)",
    '"%s/users/%s/profile" | format("{site}", id)',
    '"{site}/users/{{}}/profile".format(id)',
    '["{site}/users", id, "profile"] | join("/")',
    '"{site}/users/ID/profile" | replace("ID", id)',
)
#: Each would have a server see another path, query or host.
LEAVING = (
    "x/../../secrets",
    "../admin/export?all=1#",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "a?b=1",
    "a#b",
    "a\nb",
    "a\x00b",
    "%2e%2e",
    "%2E.",
    "..;a=1",
    "%2F",
    "x%2f..%2fy",
    "a%5Cb",
    "a%3Fb",
    "a%23b",
    "a%0d%0ab",
    "%252e%252e",
    "%25252Fx",
    "a%c0%afb",
)


@pytest.fixture
def users(declare, site):
    """The program whose worker asks for the profile of a user."""

    def users(url):
        url = url.format(site=site.url)
        return declare(
            f'template address(id: json) = """{site.url}/users/{{{{ id }}}}/profile"""\n'
            f'worker w(id: json) -> json via http {{ url = {url}  hosts = ["{site.host}"] }}'
        )

    return users


@pytest.mark.parametrize("form", FORMS)
def test_a_value_that_would_leave_its_segment_is_refused(users, carry_out, site, form):
    program = users(form)
    for value in LEAVING:
        with pytest.raises(Failure) as caught:
            carry_out(program, ("w", {"id": value}))
        assert caught.value.mode == "denied", value
        assert "id" in caught.value.message
    assert site.requests == []


@pytest.mark.parametrize("form", FORMS)
def test_any_other_value_is_sent(users, carry_out, site, form):
    program = users(form)
    for value in (7, "ada", "a.b", "a..b", "...", "x y", "100%", "ü", "a@b.example"):
        path = f"/users/{quote(str(value), safe='')}/profile"
        for sent in (path, path.replace("%40", "@"), path.replace("%25", "%")):
            site.pages[sent] = send({"is": value})
        assert carry_out(program, ("w", {"id": value})) == {"is": value}


SEGMENT = '"{site}/users/" ~ (id | segment) ~ "/profile"'


@pytest.mark.parametrize("form", [SEGMENT, SEGMENT.replace("id |", "id | string | trim |")])
def test_segment_encodes_what_belongs_to_the_value(users, carry_out, site, form):
    program = users(form)
    for value in ("group/project", "a?b", "a#b", "a\\b", "50%25", "C++", "a&b=c", "ü", "a%2Fb"):
        path = f"/users/{quote(value, safe='')}/profile"
        site.pages[path] = send({"path": path})
        assert carry_out(program, ("w", {"id": value})) == {"path": path}


def test_segment_refuses_what_is_no_segment(users, carry_out, site):
    program = users(SEGMENT)
    for value in ("", ".", "..", "../x", "x/../../secrets", "a\\..\\b", "%2e%2e", "a\nb", "a\x00"):
        with pytest.raises(Failure, match="`id`") as caught:
            carry_out(program, ("w", {"id": value}))
        assert caught.value.mode == "denied"
    assert site.requests == []


def test_what_the_author_and_the_caller_wrote_may_hold_anything(declare, carry_out, site):
    source = f"""
    param base: string = "{site.url}/v1/x"
    worker w(id: string, kind: string) -> json via http {{
      url = (param.base ~ "/../y/" ~ {{ a: "b/c", d: "e/f?g=1" }}[kind] ~ "/"
        ~ secret.TOKEN ~ "-" ~ id)
    }}
    """
    site.pages["/v1/y/b/c/s3cret-value-7"] = send("sent")
    assert carry_out(declare(source), ("w", {"id": "7", "kind": "a"})) == "sent"


def test_an_address_that_is_a_value_as_a_whole_is_sent_to_its_hosts(declare, carry_out, site):
    source = f'worker w(page: url) -> json via http {{ url = page  hosts = ["{site.host}"] }}'
    site.pages["/a/b"] = send("sent")
    program = declare(source)
    assert carry_out(program, ("w", {"page": f"{site.url}/a/b?c=d%2Fe#f"})) == "sent"
    with pytest.raises(Failure, match="is not in the file"):
        carry_out(program, ("w", {"page": "http://localhost:1/"}))


def test_a_value_in_the_query_begins_no_other_parameter(declare, carry_out, site):
    program = declare(f"""
    worker raw(q: string) -> json via http {{ url = "{site.url}/find?q=" ~ q }}
    worker quoted(q: string) -> json via http {{ url = "{site.url}/find?q=" ~ (q | urlencode) }}
    worker pairs(q: string) -> json via http {{
      url = "{site.url}/find?" ~ ({{ q: q }} | urlencode)
    }}
    """)
    site.pages["/find"] = send("found")
    for worker, value in (("raw", "a/b?c"), ("quoted", "a&b#c"), ("pairs", "a&b")):
        carry_out(program, (worker, {"q": value}))
    sent = [asked.path for asked in site.requests]
    assert sent == ["/find?q=a/b?c", "/find?q=a%26b%23c", "/find?q=a%26b"]
    for value in ("a&admin=1", "a#b", "a\r\nb"):
        with pytest.raises(Failure, match="`q`") as caught:
            carry_out(program, ("raw", {"q": value}))
        assert caught.value.mode == "denied"


def test_a_value_in_the_host_does_not_end_it(declare, carry_out, site):
    name, port = site.host.split(":")
    program = declare(f"""
    worker w(host: string) -> json via http {{
      url = "http://" ~ host ~ ":{port}/x"  hosts = ["{site.host}"]
    }}
    """)
    site.pages["/x"] = send("sent")
    assert carry_out(program, ("w", {"host": name})) == "sent"
    for host in (f"u:p@{name}", f"{name}/y?", f"{name}#", f"{name}%2Fy", f"{name}:80", "a\\@b"):
        with pytest.raises(Failure) as caught:
            carry_out(program, ("w", {"host": host}))
        assert caught.value.mode in ("denied", "crashed")
    assert len(site.requests) == 1


def test_values_of_a_template_are_told_from_its_text(declare, carry_out, site):
    source = f'''
    template part = """b/1"""
    template address(id: string, ids: string[]) =
      """{site.url}/a/{{% for it in ids %}}{{{{ it }}}}/{{% endfor %}}{{{{ id }}}}"""
    template loud(id: string) = """{{{{ address(id, []) | upper }}}}"""
    worker w(id: string) -> json via http {{
      url = address("b", ["1", "2"]) ~ "/" ~ part ~ "/" ~ id  hosts = ["{site.host}"]
    }}
    worker up(id: string) -> json via http {{ url = loud(id)  hosts = ["{site.host}"] }}
    '''
    site.pages["/a/1/2/b/b/1/x"] = send("sent")
    program = declare(source)
    assert carry_out(program, ("w", {"id": "x"})) == "sent"
    for worker, value in (("w", "x/y"), ("w", ".."), ("up", "x/y"), ("up", "x")):
        with pytest.raises(Failure):
            carry_out(program, (worker, {"id": value}))
    assert len(site.requests) == 1
