"""TLS is checked by default, takes what Kombu's users write, and says clearly what is wrong."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dulse import errors
from dulse.links.tls import Tls, tls_failure, tls_from
from tests.servers.authority import Authority, Credentials

HELLO = b"hello"


def server_context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials.certificate, credentials.key)
    return context


def greets(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Serve one client: shake hands, send a word."""

    def serve(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as link:
            link.sendall(HELLO)
            link.recv(1)

    return serve


def plainly(client: socket.socket) -> None:
    """Serve one client as RabbitMQ's plain port does whatever is not AMQP."""
    client.recv(1024)
    client.sendall(b"AMQP\x00\x00\x09\x01")


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(30)

        def run() -> None:
            client, _ = door.accept()
            client.settimeout(30)
            with client:
                try:
                    serve(client)
                except OSError:  # the client has refused us, which is what the test is about
                    return

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            thread.join(30)


def first_word(port: int, tls: Tls | None, host: str = "localhost") -> bytes:
    """Connect as the links do; the errors are theirs."""
    assert tls is not None
    with socket.create_connection(("127.0.0.1", port), 30) as plain:
        try:
            with tls.context.wrap_socket(plain, server_hostname=tls.name_for(host)) as link:
                return link.recv(100)
        except OSError as problem:
            raise tls_failure(problem, f"{host}:{port}") from None


def connect(credentials: Credentials, given: Any, host: str = "localhost") -> bytes:
    with serving(greets(server_context(credentials))) as port:
        return first_word(port, tls_from(given), host)


def trusting(authority: Authority, **more: Any) -> dict[str, Any]:
    return {"ca_certs": str(authority.certificate), **more}


@pytest.mark.parametrize("given", [None, False])
def test_without_the_option_there_is_no_tls(given: Any) -> None:
    assert tls_from(given) is None


def test_chain_and_name_are_checked_by_default() -> None:
    tls = tls_from(True)
    assert tls is not None
    assert tls.context.verify_mode is ssl.CERT_REQUIRED
    assert tls.context.check_hostname


def test_nothing_older_than_tls_1_2_is_spoken() -> None:
    tls = tls_from({})
    assert tls is not None
    assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_broker_of_a_trusted_authority_is_believed(authority: Authority) -> None:
    assert connect(authority.issue("good"), trusting(authority)) == HELLO


def test_the_authority_may_be_given_as_text(authority: Authority) -> None:
    assert connect(authority.issue("good"), {"cadata": authority.certificate.read_text()}) == HELLO


def test_a_foreign_certificate_is_refused(authority: Authority) -> None:
    with pytest.raises(errors.CertificateInvalid, match=r"signed by nobody whom we trust.*ca_certs"):
        connect(authority.issue("foreign"), given=True)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    with pytest.raises(errors.CertificateInvalid, match="has expired"):
        connect(authority.issue("expired", days=-1), trusting(authority))


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with pytest.raises(errors.CertificateInvalid, match=r"for another name.*server_hostname"):
        connect(authority.issue("other", hosts=["DNS:elsewhere.example"]), trusting(authority))


def test_the_name_in_the_certificate_may_be_said(authority: Authority) -> None:
    told = trusting(authority, server_hostname="elsewhere.example")
    assert connect(authority.issue("other", hosts=["DNS:elsewhere.example"]), told) == HELLO


@pytest.mark.parametrize("rule", [ssl.CERT_NONE, "CERT_NONE", "none", 0])
def test_whoever_asks_for_it_believes_anybody(authority: Authority, rule: Any) -> None:
    assert connect(authority.issue("other", hosts=["DNS:elsewhere.example"]), {"cert_reqs": rule}) == HELLO


def test_the_name_alone_may_be_left_unchecked(authority: Authority) -> None:
    told = trusting(authority, check_hostname="false")
    assert connect(authority.issue("other", hosts=["DNS:elsewhere.example"]), told) == HELLO


def test_an_ssl_context_is_taken_as_it_is(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    tls = tls_from({"context": context, "server_hostname": "elsewhere.example"})
    assert tls_from(context) == Tls(context)
    assert tls == Tls(context, "elsewhere.example")


def test_what_a_context_would_have_to_say_is_not_taken_beside_it() -> None:
    with pytest.raises(errors.InvalidArgument, match="set what stands beside it on the SSLContext"):
        tls_from({"context": ssl.create_default_context(), "cert_reqs": "CERT_NONE"})


def test_a_mapping_for_the_context_is_joined_with_the_rest(authority: Authority) -> None:
    told = {"context": {"cafile": str(authority.certificate)}, "server_hostname": "elsewhere.example"}
    assert connect(authority.issue("other", hosts=["DNS:elsewhere.example"]), told) == HELLO


def test_a_certificate_of_ours_is_shown(authority: Authority) -> None:
    ours = authority.issue("client", hosts=[])
    context = server_context(authority.issue("good"))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    told = trusting(authority, certfile=str(ours.certificate), keyfile=str(ours.key))
    with serving(greets(context)) as port:
        assert first_word(port, tls_from(told)) == HELLO


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_that_a_certificate_of_ours_is_wanted_is_told(authority: Authority, version: str) -> None:
    context = server_context(authority.issue("good"))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with (
        serving(greets(context)) as port,
        pytest.raises(errors.AuthenticationFailed, match=r"certificate of ours|our certificate"),
    ):
        first_word(port, tls_from(trusting(authority, ssl_version=version)))


def test_a_plain_port_is_told_from_tls() -> None:
    with serving(plainly) as port, pytest.raises(errors.ProtocolError, match="does not speak TLS"):
        first_word(port, tls_from(True))


def test_a_broker_that_hangs_up_is_a_lost_connection() -> None:
    with serving(socket.socket.close) as port, pytest.raises(errors.ConnectionLost):
        first_word(port, tls_from(True))


@pytest.mark.parametrize("given", [{"ssl_version": ssl.PROTOCOL_TLSv1_2}, {"ssl_version": "TLSv1.2"}])
def test_one_version_alone_may_be_asked_for(given: dict[str, Any]) -> None:
    tls = tls_from(given)
    assert tls is not None
    assert tls.context.maximum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "SSLv3", 3, 4, "1"])
def test_old_versions_are_refused(version: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"TLS 1\.2 or newer"):
        tls_from({"ssl_version": version})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ca_certs": "/nowhere/ca.pem"}, r"'/nowhere/ca\.pem'.*No such file"),
        ({"ca_data": "no certificate"}, "'ca_data', which must hold PEM"),
        ({"certfile": "/nowhere/mine.pem"}, r"'/nowhere/mine\.pem'.*No such file"),
        ({"keyfile": "/nowhere/mine.key"}, "give both"),
        ({"cert_reqs": "sometimes"}, "cert_reqs must be CERT_REQUIRED"),
        ({"cert_reqs": "CERT_NONE", "check_hostname": True}, "leave cert_reqs out"),
        ({"ciphers": "ROT13"}, "knows none of the ciphers 'ROT13'"),
        ({"ca_cert": "x"}, "did you mean 'ca_certs'"),
        ("yes", "an object of type str"),
    ],
)
def test_a_mistake_is_named(given: Any, words: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=words):
        tls_from(given)


def test_an_encrypted_key_needs_its_password(authority: Authority, tmp_path: Path) -> None:
    ours = authority.issue("client", hosts=[])
    locked = tmp_path / "locked.key"
    authority._call("ec", "-in", ours.key, "-aes128", "-passout", "pass:open sesame", "-out", locked)
    told = {"certfile": str(ours.certificate), "keyfile": str(locked)}
    assert tls_from({**told, "keyfile_password": "open sesame"}) is not None
    with pytest.raises(errors.InvalidArgument, match="an encrypted key needs keyfile_password"):
        tls_from(told)
    with pytest.raises(errors.InvalidArgument) as raised:
        tls_from({**told, "keyfile_password": "open barley"})
    assert "barley" not in str(raised.value)
