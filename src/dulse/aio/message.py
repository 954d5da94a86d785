"""Messages as programs hold them: made to be published, or received, decoded when read, and settled once."""

from __future__ import annotations

from collections.abc import Collection
from logging import Logger
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from dulse import errors
from dulse.codecs import DEFAULT_LIMIT, decode, decompress, loads
from dulse.model.generic import Payload
from dulse.model.message import Delivery
from dulse.model.outgoing import snapshot
from dulse.model.targets import shape

if TYPE_CHECKING:
    from dulse.aio.channel import Channel

T = TypeVar("T")

RECEIVED, ACK, REJECTED, REQUEUED = "RECEIVED", "ACK", "REJECTED", "REQUEUED"

_UNREAD: Any = object()


class Message(Generic[Payload]):
    """A message with its properties; one that was received can be acknowledged, rejected or put back, once.

    `body` is what was sent, expanded where it was compressed; `payload` is what that means. `accept` holds the content
    types that may be decoded, None for all that are enabled. Nothing is decoded or copied before it is read, and what
    is read belongs to this message alone. A message is meant for one thread or task at a time.
    """

    MessageStateError: ClassVar[type[Exception]] = errors.MessageStateError
    expansion_limit: int = DEFAULT_LIMIT
    """Bytes that a compressed body may expand to; more is a DecodeError."""

    # What has been read or assigned; as class attributes they cost a message nothing.
    _body: Any = _UNREAD
    _headers: dict[str, Any] | None = None
    _properties: dict[str, Any] | None = None
    _delivery_info: dict[str, Any] | None = None
    _content_type: str | None = _UNREAD
    _content_encoding: str | None = _UNREAD
    _errors: list[Exception] | None = None
    _payload: Any = _UNREAD
    _state: str = RECEIVED
    _link: Any = None
    """What the channel was when it handed the message over: a forked child's channel is another one below."""

    def __init__(
        self,
        body: Any = None,
        delivery_tag: int = 0,
        content_type: str | None = None,
        content_encoding: str | None = None,
        delivery_info: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        postencode: str | None = None,
        accept: Collection[str] | None = None,
        channel: Channel | None = None,
    ) -> None:
        raw = body.encode(postencode) if postencode and isinstance(body, str) else body
        self._delivery = Delivery(delivery_tag, False, "", "", {}, raw)
        self.channel = channel
        self.delivery_tag = delivery_tag
        self.accept = accept
        self.no_ack = False
        self._content_type = content_type
        self._content_encoding = content_encoding
        self._delivery_info = {} if delivery_info is None else delivery_info
        self._properties = {} if properties is None else properties
        self._headers = {} if headers is None else headers

    # ------------------------------------------------------------------------------------------------------ read

    @property
    def body(self) -> Any:
        """The body, expanded; as it came where that fails, which `errors` then tells."""
        if self._body is _UNREAD:
            self._body, self._errors = self._delivery.body, []
            compression = self.headers.get("compression")
            if compression is not None:
                try:
                    self._body = decompress(self._body, compression, self.expansion_limit)
                except (errors.SerializationError, errors.SerializerNotInstalled) as problem:
                    self._errors.append(problem)
        return self._body

    @body.setter
    def body(self, body: Any) -> None:
        self._body, self._errors = body, []

    @property
    def errors(self) -> list[Exception]:
        """What went wrong on the way to the body; `decode` raises the first."""
        if self._errors is None:
            _ = self.body
        return self._errors or []

    @property
    def headers(self) -> dict[str, Any]:
        """The headers, the sender's and those that brokers add."""
        if self._headers is None:
            self._headers = snapshot(self._delivery.properties.get("headers") or {})
        return self._headers

    @headers.setter
    def headers(self, headers: dict[str, Any]) -> None:
        self._headers = headers

    @property
    def properties(self) -> dict[str, Any]:
        """AMQP's other properties by name, those that are set."""
        if self._properties is None:
            found = self._delivery.properties
            self._properties = {name: value for name, value in found.items() if name != "headers"}
        return self._properties

    @properties.setter
    def properties(self, properties: dict[str, Any]) -> None:
        self._properties = properties

    @property
    def content_type(self) -> str | None:
        """What the body is, such as application/json."""
        if self._content_type is _UNREAD:
            self._content_type = self._delivery.properties.get("content_type")
        return self._content_type

    @content_type.setter
    def content_type(self, content_type: str | None) -> None:
        self._content_type = content_type

    @property
    def content_encoding(self) -> str | None:
        """The encoding of text, or "binary"."""
        if self._content_encoding is _UNREAD:
            self._content_encoding = self._delivery.properties.get("content_encoding")
        return self._content_encoding

    @content_encoding.setter
    def content_encoding(self, content_encoding: str | None) -> None:
        self._content_encoding = content_encoding

    @property
    def delivery_info(self) -> dict[str, Any]:
        """Where it came from: exchange, routing_key, redelivered, delivery_tag, and consumer_tag or message_count."""
        if self._delivery_info is None:
            delivery = self._delivery
            self._delivery_info = {
                "delivery_tag": delivery.delivery_tag,
                "redelivered": delivery.redelivered,
                "exchange": delivery.exchange,
                "routing_key": delivery.routing_key,
            }
            for name in ("consumer_tag", "message_count"):
                value = getattr(delivery, name)
                if value is not None:
                    self._delivery_info[name] = value
        return self._delivery_info

    @delivery_info.setter
    def delivery_info(self, delivery_info: dict[str, Any]) -> None:
        self._delivery_info = delivery_info

    @property
    def delivery_count(self) -> int:
        """How often it has been delivered, this time included; 2 for a repeated one where the broker does not count."""
        before = self.headers.get("x-delivery-count")
        return 1 + (before if isinstance(before, int) else bool(self.delivery_info.get("redelivered")))

    # ---------------------------------------------------------------------------------------------------- decode

    @overload
    def decode(self) -> Payload: ...

    @overload
    def decode(self, target: type[T]) -> T: ...

    def decode(self, target: type[T] | None = None) -> Payload | T:
        """Give the payload, which is decoded once; with `target`, as an object of that class.

        Raises ContentDisallowed before a body that is not accepted is so much as expanded, and DecodeError.
        """
        if self._payload is _UNREAD:
            self._payload = self._decode()
        payload: Payload = self._payload
        return payload if target is None else shape(payload, target)

    @property
    def payload(self) -> Payload:
        """What the body means; raises as `decode` does."""
        if self._payload is _UNREAD:
            self._payload = self._decode()
        payload: Payload = self._payload
        return payload

    def _decode(self) -> Any:
        if self._errors:
            raise self._errors[0]
        # Each delivery comes by here: past the properties of this class, straight to what has not been assigned.
        found = self._delivery.properties
        kind = found.get("content_type") if self._content_type is _UNREAD else self._content_type
        encoding = found.get("content_encoding") if self._content_encoding is _UNREAD else self._content_encoding
        if self._body is not _UNREAD:
            return loads(self._body, kind, encoding, self.accept)
        headers = found.get("headers") if self._headers is None else self._headers
        compression = headers.get("compression") if headers else None
        if compression is None:
            return loads(self._delivery.body, kind, encoding, self.accept)
        return decode(self._delivery.body, kind, encoding, self.accept, compression, self.expansion_limit)

    # ---------------------------------------------------------------------------------------------------- settle

    @property
    def acknowledged(self) -> bool:
        """Whether it has been acknowledged, rejected or put back."""
        return self._state != RECEIVED

    async def ack(self, multiple: bool = False) -> None:
        """Tell the broker that it is done with, or with `multiple` all of its channel up to this one.

        A second time is a MessageStateError; of a consumer without acknowledgement it does nothing.
        """
        if self.no_ack:
            return
        channel = self.channel
        if channel is None or self._state != RECEIVED:
            raise self._cannot_be_settled()
        if self._link is not None and self._link is not channel.transport_channel:
            raise self._is_somebody_elses()
        self._state = ACK
        try:
            await channel.basic_ack(self.delivery_tag, multiple)
        except BaseException:
            self._state = RECEIVED
            raise

    async def reject(self, requeue: bool = False) -> None:
        """Refuse it: the broker dead-letters or drops it, or with `requeue` puts it back to its place."""
        channel = self.channel
        if channel is None or self.no_ack or self._state != RECEIVED:
            raise self._cannot_be_settled()
        if self._link is not None and self._link is not channel.transport_channel:
            raise self._is_somebody_elses()
        self._state = REQUEUED if requeue else REJECTED
        try:
            await channel.basic_reject(self.delivery_tag, requeue)
        except BaseException:
            self._state = RECEIVED
            raise

    async def requeue(self) -> None:
        """Put it back to its place in the queue, for any consumer."""
        await self.reject(requeue=True)

    async def ack_log_error(
        self, logger: Logger, errors: tuple[type[BaseException], ...], multiple: bool = False
    ) -> None:
        """Acknowledge it; an error of the given classes is logged at CRITICAL instead of raised."""
        try:
            await self.ack(multiple)
        except errors as problem:
            logger.critical("Couldn't ack %r, reason: %r", self.delivery_tag, problem, exc_info=True)

    async def reject_log_error(
        self, logger: Logger, errors: tuple[type[BaseException], ...], requeue: bool = False
    ) -> None:
        """Reject it; an error of the given classes is logged at CRITICAL instead of raised."""
        try:
            await self.reject(requeue)
        except errors as problem:
            logger.critical("Couldn't reject %r, reason: %r", self.delivery_tag, problem, exc_info=True)

    def _cannot_be_settled(self) -> Exception:
        if self.channel is None:
            text = f"{self!r} was not received on a channel: there is nothing to settle"
        elif self.no_ack:
            text = f"{self!r} was delivered without acknowledgement: the broker has forgotten it already"
        else:
            text = f"{self!r} has been settled already"
        return errors.make(errors.MessageStateError, text)

    def _is_somebody_elses(self) -> Exception:
        text = f"{self!r} was received before this process was forked: its parent alone can settle it"
        return errors.make(errors.LeaseLost, text)

    def __repr__(self) -> str:
        size = len(self._delivery.body) if self._delivery.body is not None else 0
        what = f"{size} bytes of {self.content_type}"
        exchange, key = (self.delivery_info.get(name) for name in ("exchange", "routing_key"))
        return f"<Message {self.delivery_tag}: {self._state}, {what}, exchange {exchange!r}, routing key {key!r}>"


class Received(Message[Payload]):
    """A message as a channel hands it over."""

    def __init__(self, delivery: Delivery, channel: Channel, no_ack: bool) -> None:
        self._delivery = delivery
        self._link = channel.transport_channel
        self.channel = channel
        self.delivery_tag = delivery.delivery_tag
        self.accept = None
        self.no_ack = no_ack
