"""How to be let in: user and password, fixed or asked for before each connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dulse import errors

Secret = tuple[str | None, str | None]
"""User and password; None: none."""


class Credentials:
    """Gives user and password when somebody connects; shows neither."""

    __slots__ = ("_ask", "is_fixed")

    def __init__(self, ask: Callable[[], Secret] | None = None, *, is_fixed: bool = True) -> None:
        self._ask = ask or _nobody
        self.is_fixed = is_fixed
        """False: asking may wait, so asyncio asks on a thread."""

    def __repr__(self) -> str:
        return "<Credentials>"

    def ask(self) -> Secret:
        """Give what is valid now; AuthenticationFailed if the provider fails."""
        return self._ask()


def credentials_from(
    provider: Any, user: str | None, password: str | None, current: Callable[[], str] | None
) -> Credentials:
    """Make credentials of what was given: a provider before a callable for the password before a fixed one."""
    if provider is not None:
        ask = getattr(provider, "get_credentials", provider)
        if not callable(ask):
            text = (
                "the option 'credential_provider' is a callable, or an object with get_credentials(), which gives "
                f"user and password; this is of type {type(provider).__name__}"
            )
            raise errors.make(errors.InvalidArgument, text)
        return Credentials(lambda: _secret(ask, user), is_fixed=False)
    if current is not None:
        return Credentials(lambda: _secret(current, user), is_fixed=False)
    return Credentials(lambda: (user, password))


def _nobody() -> Secret:
    return None, None


def _secret(ask: Callable[[], Any], user: str | None) -> Secret:
    try:
        found = ask()
    except Exception as problem:
        text = f"the provider of the credentials for Redis failed ({type(problem).__name__}): see its own error"
        raise errors.make(errors.AuthenticationFailed, text) from problem
    if isinstance(found, str):
        return user, found
    if isinstance(found, (tuple, list)) and all(isinstance(each, str) for each in found):
        if len(found) == 1:
            return user, found[0]
        if len(found) == 2:  # noqa: PLR2004 - user and password
            return found[0], found[1]
    text = f"the provider of the credentials for Redis gave a {type(found).__name__}: a password, or a user and one"
    raise errors.make(errors.AuthenticationFailed, text)
