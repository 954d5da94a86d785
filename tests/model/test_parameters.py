from __future__ import annotations

import pickle
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dulse import errors
from dulse.model.parameters import Parameters, parse_url
from dulse.model.urls import as_url, maybe_sanitize_url, quote, sanitize_url, split_urls, url_to_parts

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)
HOSTS = st.sampled_from(
    ["localhost", "10.0.0.1", "::1", "fe80::1%eth0", "a,b", "a:1,[::1]:2", "münchen.example", "_x-1"]
)
SECRET = "tOpSeCrEt"


@st.composite
def parameters(draw: st.DrawFn) -> Parameters:
    host = draw(st.none() | HOSTS)
    # Several hosts have their ports among them.
    port = None if host is not None and "," in host else draw(st.none() | st.integers(1, 65535))
    options = draw(st.dictionaries(TEXT.filter(lambda name: not name.startswith("ssl_")), TEXT | st.just("")))
    return Parameters(
        draw(st.sampled_from(["amqp", "amqps", "sqla+postgresql", "redis+socket", "x-1.2"])),
        hostname=host,
        port=port,
        userid=draw(st.none() | TEXT),
        password=draw(st.none() | TEXT),
        virtual_host=draw(st.none() | TEXT),
        query=options,
        ssl=draw(st.dictionaries(st.sampled_from(["ca_certs", "keyfile"]), TEXT)),
    )


def failure(url: str) -> str:
    """The complete text of what parsing a URL raises, with the chain of causes as a log would show it."""
    with pytest.raises(errors.InvalidURL) as caught:
        parse_url(url)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return "".join(traceback.format_exception_only(caught.value))


@given(parameters())
@example(Parameters("amqp", hostname="h", userid="u", password="/?#@:;%[]\\ +&=", virtual_host="/"))
def test_the_url_of_parameters_is_parsed_into_equal_ones(given: Parameters) -> None:
    assert parse_url(given.as_uri(include_password=True)) == given


@given(parameters(), st.text("0123456789abcdef", min_size=12))
def test_a_password_is_in_no_text_that_shows_parameters(given: Parameters, password: str) -> None:
    secret = given._replace(password=f"{SECRET}{password}", query={"token": SECRET})

    shown = [repr(secret), str(secret), secret.as_uri(), sanitize_url(secret.as_uri(include_password=True))]
    shown.append(repr(url_to_parts(secret.as_uri(include_password=True))))

    assert all(SECRET not in text for text in shown)


def test_every_part_of_a_url_is_found() -> None:
    parsed = parse_url("amqp://user:pw@broker.example:5673/vhost?heartbeat=30")

    assert parsed == Parameters(
        "amqp",
        hostname="broker.example",
        port=5673,
        userid="user",
        password="pw",
        virtual_host="vhost",
        query={"heartbeat": "30"},
    )


@pytest.mark.parametrize(
    ("url", "virtual_host"),
    [
        ("amqp://h", None),
        ("amqp://h/", None),
        ("amqp://h//", "/"),
        ("amqp://h/%2F", "/"),
        ("amqp://h/%2Fa", "/a"),
        ("amqp://h/a/b", "a/b"),
        ("amqp://h/a%20b", "a b"),
        ("amqp://h/%C3%BC", "ü"),
    ],
)
def test_the_virtual_host_is_the_decoded_path_without_its_first_slash(url: str, virtual_host: str | None) -> None:
    assert parse_url(url).virtual_host == virtual_host


def test_user_and_password_are_decoded() -> None:
    parsed = parse_url("amqp://us%3Aer:p%2F%40%23%3F%25@h//")

    assert (parsed.userid, parsed.password) == ("us:er", "p/@#?%")


def test_a_password_may_stand_without_a_user() -> None:
    parsed = parse_url("redis://:pw@h/1")

    assert (parsed.userid, parsed.password) == (None, "pw")


def test_scheme_and_host_are_in_lower_case_and_nothing_else_is() -> None:
    assert parse_url("AMQP://User:PW@HOST/Vhost") == Parameters(
        "amqp", hostname="host", userid="User", password="PW", virtual_host="Vhost"
    )


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("amqp://[::1]:5672/", "::1", 5672),
        ("amqp://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1", None),
        ("amqp://[fe80::1%25eth0]:5672/", "fe80::1%eth0", 5672),
        ("amqp://%3A%3A1:5672/", "::1", 5672),
        ("amqp://h:/", "h", None),
        ("zookeeper://a:2181,b:2181/chroot", "a:2181,b:2181", None),
    ],
)
def test_a_host_is_a_name_an_address_or_several(url: str, host: str, port: int | None) -> None:
    parsed = parse_url(url)

    assert (parsed.hostname, parsed.port) == (host, port)


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert Parameters("amqp", hostname="::1", port=5672).as_uri() == "amqp://[::1]:5672/"


def test_memory_urls_have_a_name_or_none() -> None:
    assert parse_url("memory://").hostname is None
    assert parse_url("memory://orders").hostname == "orders"


def test_a_prefixed_url_has_a_prefix_a_transport_and_a_url_within() -> None:
    parsed = parse_url("sqla+postgresql://u:p%40w@h:5432/db?sslmode=require")

    assert (parsed.scheme, parsed.transport, parsed.uri_prefix) == ("sqla+postgresql", "sqla", "sqla")
    assert parsed.inner_url == "postgresql://u:p%40w@h:5432/db?sslmode=require"


def test_a_plain_url_has_no_prefix() -> None:
    parsed = parse_url("amqp://h/v")

    assert (parsed.transport, parsed.uri_prefix, parsed.inner_url) == ("amqp", None, "amqp://h/v")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///relative/file.db", "relative/file.db"),
        ("sqlite:////absolute/file.db", "/absolute/file.db"),
        ("sqlite:////home/me@work/file.db", "/home/me@work/file.db"),
        ("sqlite:///a%23b.db", "a#b.db"),
    ],
)
def test_three_slashes_name_a_relative_file_and_four_an_absolute_one(url: str, file: str) -> None:
    assert parse_url(url).file() == file


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://relative/file.db", "sqlite://u@/x"])
def test_an_sqlite_url_without_a_file_is_refused_with_the_two_right_forms(url: str) -> None:
    assert "write sqlite:///relative/file or sqlite:////absolute/file" in failure(url)


def test_an_sqlite_broker_in_memory_is_refused_in_favour_of_the_memory_transport() -> None:
    assert "memory://" in failure("sqlite:///:memory:")


def test_options_about_tls_are_apart_and_without_their_prefix() -> None:
    parsed = parse_url("rediss://h/0?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem&lease=5")

    assert parsed.ssl == {"cert_reqs": "CERT_REQUIRED", "ca_certs": "/etc/ca.pem"}
    assert parsed.query == {"lease": "5"}


@pytest.mark.parametrize("text", ["none", "CERT_NONE", "cert_none"])
def test_certificate_rules_are_taken_in_every_usual_spelling(text: str) -> None:
    assert parse_url(f"amqps://h//?ssl_cert_reqs={text}").ssl == {"cert_reqs": "CERT_NONE"}


def test_an_unknown_certificate_rule_is_refused_with_the_three_that_exist() -> None:
    assert "one of CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED" in failure("amqps://h//?ssl_cert_reqs=maybe")


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:{}/x@host//",
        "amqp://user:12/{}@host//",
        "amqp://user:/{}@host//",
        "amqp://user:{}#x@host//",
        "amqp://user:{}?x@host//",
        "amqp://user:{}?x=1@host//",
        "amqp://user:{}@x@host//",
        "amqp://us/er:{}@host//",
        "amqp:///user:{}@host//",
        "amqp://user:{}%@host//",
        "amqp://user:{}%zz@host//",
        "amqp://user:{}%ff@host//",
        "sqs://key:{}/x@",
    ],
)
def test_a_password_that_is_not_percent_encoded_is_refused_with_advice_and_not_shown(url: str) -> None:
    text = failure(url.format(SECRET))

    assert "Percent-encode" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    "url",
    [
        "user:{}@host",
        "amqp://user:{}\n@host//",
        "amqp://user:{}%0A@host//",
        "amqp://user:{}@host:99999//",
        "amqp://user:{}@host//?x",
        "amqp://user:{}",
        "://user:{}@host",
        "amqp//user:{}@host",
        "amqp://user:{}@ho st//",
        "amqp://user:{}@[::1//",
    ],
)
def test_no_error_of_parsing_shows_the_password(url: str) -> None:
    assert SECRET not in failure(url.format(SECRET))


@given(st.text(st.sampled_from("ab:/@#?;%[],.&=+ \\\n2é"), max_size=30))
def test_whatever_is_parsed_the_password_is_never_in_what_is_shown(noise: str) -> None:
    url = f"amqp://user:{SECRET}{noise}@host//"
    try:
        shown = repr(parse_url(url))
    except errors.InvalidURL as error:
        shown = str(error)

    assert SECRET not in shown
    assert SECRET not in sanitize_url(url)


@pytest.mark.parametrize("port", ["0", "65536", "99999999999", "x", "-1", "٣", "5672x"])
def test_a_port_that_is_none_is_refused_with_the_range(port: str) -> None:
    assert "1 to 65535" in failure(f"amqp://host:{port}//")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_parameters_refuse_a_port_that_is_none(port: int) -> None:
    with pytest.raises(errors.InvalidURL, match=f"Port {port} is out of range"):
        Parameters("amqp", port=port)


@pytest.mark.parametrize("url", ["amqp://h/a\nb", "amqp://h/\x00", "amqp://h/%00", "amqp://h/%7F", "amqp://\ud800/"])
def test_control_characters_are_refused(url: str) -> None:
    assert "control character" in failure(url)


@pytest.mark.parametrize("host", ["a b", "[::1", "::1", "[zz]", "[::1]x", "a%3Ab", "a\\b", "[1.2.3.4]"])
def test_what_is_no_host_is_refused(host: str) -> None:
    assert "The amqp:// URL is not valid" in failure(f"amqp://{host}/")


def test_an_option_given_twice_is_refused_by_name() -> None:
    assert "'lease' is given twice" in failure("memory://?lease=5&lease=6")


def test_an_option_without_a_value_is_refused() -> None:
    assert "name=value" in failure("memory://?lease")


def test_a_text_without_a_scheme_is_no_url() -> None:
    assert "does not begin with a scheme" in failure("localhost:5672")


def test_something_that_is_no_text_is_no_url() -> None:
    with pytest.raises(errors.InvalidURL, match="not bytes"):
        parse_url(b"amqp://h")  # type: ignore[arg-type]


def test_several_urls_are_split_in_order() -> None:
    assert split_urls("amqp://a//; amqp://b//;c;") == ["amqp://a//", "amqp://b//", "c"]
    assert split_urls(["amqp://a//;amqp://b//", "amqp://c//"]) == ["amqp://a//", "amqp://b//", "amqp://c//"]


@pytest.mark.parametrize("urls", ["", " ; ", []])
def test_no_url_at_all_is_refused(urls: str | list[str]) -> None:
    with pytest.raises(errors.InvalidURL, match="No broker URL was given"):
        split_urls(urls)


def test_a_semicolon_in_a_password_is_refused_with_advice_and_not_shown() -> None:
    with pytest.raises(errors.InvalidURL, match="; is %3B") as caught:
        split_urls(f"amqp://user:a;{SECRET}@host//")

    assert SECRET not in str(caught.value)


def test_a_sanitized_list_of_urls_has_no_password() -> None:
    urls = "amqp://u:p@a//;amqp://u:p@b//;u:p@c;bare"

    assert sanitize_url(urls) == "amqp://u:**@a//;amqp://u:**@b//;**;bare"


def test_sanitizing_leaves_what_is_no_url_alone() -> None:
    assert maybe_sanitize_url(None) is None
    assert maybe_sanitize_url("localhost") == "localhost"
    assert maybe_sanitize_url("http://u:p@x/y?a=1", mask="-") == "http://u:-@x/y"


def test_a_url_is_put_together_from_parts() -> None:
    assert as_url("amqp", "h", 5672, "u", "p@", "/", {"a": "1 2"}) == "amqp://u:p%40@h:5672//?a=1%202"
    assert as_url("amqp") == "amqp:///"
    assert as_url("amqp", "h", user="u", password="p", sanitize=True) == "amqp://u:**@h/"


@given(TEXT, TEXT)
def test_a_url_is_taken_apart_as_it_was_put_together(user: str, path: str) -> None:
    parts = url_to_parts(as_url("amqp", "h", 1, user, "p", path))

    assert parts == ("amqp", "h", 1, user, "p", path, {})


@given(TEXT)
def test_quoting_leaves_only_unreserved_characters(text: str) -> None:
    assert set(quote(text)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")


def test_parameters_can_be_pickled_and_hashed() -> None:
    given = parse_url("amqp://u:p@h//?a=1")

    assert pickle.loads(pickle.dumps(given)) == given
    assert hash(given) == hash(parse_url("amqp://u:p@h//?a=1"))
