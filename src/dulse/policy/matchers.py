"""Does a name match a pattern: by shell wildcards, by regular expression, or by a function that a user registers.

Patterns come from those who may send commands. A regular expression can be made to take very long: whoever enables
`pcre` for strangers has to guard against that; nothing here does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from dulse import errors

MatcherFunction = Callable[..., Any]


class MatcherRegistry:
    """Matchers by name: `glob` (shell wildcards, the default) and `pcre` (a regular expression from the start)."""

    def __init__(self) -> None:
        self._matchers: dict[str, MatcherFunction] = {"glob": fnmatchcase, "pcre": re.match}
        self.matcher_pattern_first = ["pcre"]
        """Matchers that are called with (pattern, data) instead of (data, pattern)."""

    def register(self, name: str, matcher: MatcherFunction) -> None:
        """Register a function of (data, pattern) and keywords under `name`, in place of any former one."""
        self._matchers[name] = matcher

    def unregister(self, name: str) -> None:
        """Forget a matcher; raises MatcherNotInstalled if there is none of that name."""
        self._named(name)
        del self._matchers[name]

    def match(
        self,
        data: str,
        pattern: str,
        matcher: str | None = None,
        matcher_kwargs: Mapping[str, Any] | None = None,
    ) -> bool:
        """Tell whether `data` matches, upper and lower case being different. Raises MatcherNotInstalled."""
        name = matcher or "glob"
        function = self._named(name)
        first, second = (pattern, data) if name in self.matcher_pattern_first else (data, pattern)
        return bool(function(first, second, **(matcher_kwargs or {})))

    def _named(self, name: str) -> MatcherFunction:
        if name not in self._matchers:
            known = ", ".join(repr(other) for other in sorted(self._matchers))
            raise errors.make(errors.MatcherNotInstalled, f"No matcher {name!r} is registered; there are {known}")
        return self._matchers[name]


registry = MatcherRegistry()
match = registry.match
register = registry.register
unregister = registry.unregister
