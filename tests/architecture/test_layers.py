"""The layer table of ARCHITECTURE.md, executed: a folder is a layer, and an import goes only downwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.source_tree import ROOT, Import, all_imports, imports_of, modules, written_by_hand

FLOORS = (
    {"errors"},
    {"model"},
    {"codecs", "policy"},
    {"amqp", "broker"},
    {"transport", "links"},
    {"drivers"},
    {"virtual"},
    {"transports"},
    {"aio", "sync"},
    {""},  # dulse itself: the public names
    {"testing", "cli"},
)
"""Each may import itself and what stands on a floor above its line here, not its neighbours."""

SHARED_BROKERS = {("django", "sql"), ("django", "sqlite")}
"""Transports that keep their broker in the tables of another: what is written there is decided once."""

FRONT_ENDS = {"aio", "sync"}
BELOW_FRONT_ENDS = {"errors", "model", "codecs", "policy", "transport", "links", "drivers"}
"""Front ends find brokers by URL scheme, so they need not know any."""

WAITING = {
    "asyncio",
    "logging.config",
    "multiprocessing",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
}
PURE = WAITING | {"logging", "os", "random", "secrets", "threading", "time", "uuid"}
NEVER = {
    "errors": PURE,
    "model": WAITING,
    "codecs": WAITING,
    "policy": WAITING,
    "amqp": PURE,
    "broker": PURE,
}
"""What a layer may not import from the standard library: time, chance and waiting are parameters below L2."""

ASYNCIO = (
    "dulse.links",
    "dulse.virtual.immediate",
    "dulse.virtual.threaded",
    "dulse.virtual.hops",
    "dulse.transports",
    "dulse.testing",
)
"""Who may import asyncio; all others take what waits from `dulse.links.waiting`, so that they can be generated."""

OPTIONAL = ("dulse.cli", "dulse.transports", "dulse.testing")
"""Imported only by who wants them, so they may import third-party packages at module level."""

LAZY = {
    ("dulse.aio.address", "dulse.model.query_keywords"): "12 ms with dataclasses, for whoever connects only",
    ("dulse.aio.retrying", "dulse.policy.retry"): "likewise",
    ("dulse.aio.common", "uuid"): "6 ms, for mailboxes only",
    ("dulse.aio.pidbox", "platform"): "5 ms, for mailboxes only",
    ("dulse.codecs.markers", "uuid"): "6 ms, for messages with a UUID in them only",
    ("dulse.codecs.pickle", "pickle"): "most programs never use it",
    ("dulse.codecs.plugins", "importlib.metadata"): "20 ms, for foreign serializers only",
    ("dulse.model.descriptions", "difflib"): "only an error needs it",
    ("dulse.model.options", "difflib"): "only an error needs it",
    ("dulse.model.outgoing", "difflib"): "only an error needs it",
    ("dulse.sync.address", "dulse.model.query_keywords"): "12 ms with dataclasses, for whoever connects only",
    ("dulse.sync.retrying", "dulse.policy.retry"): "likewise",
    ("dulse.sync.common", "uuid"): "6 ms, for mailboxes only",
    ("dulse.sync.pidbox", "platform"): "5 ms, for mailboxes only",
    ("dulse.drivers", "difflib"): "only an error needs it",
    ("dulse.drivers", "importlib.metadata"): "20 ms, for foreign transports only",
    ("dulse.transports.redis_driver", "dulse.transports.redis.aio.mixed"): "likewise",
    ("dulse.transports.redis_driver", "dulse.transports.redis.aio.sharded"): "likewise, and for several slots only",
    ("dulse.transports.redis_driver", "dulse.transports.redis.aio.storage"): "the blocking form imports no asyncio",
    ("dulse.transports.redis_driver", "dulse.transports.redis.sync.mixed"): "for mixed fleets only",
    ("dulse.transports.redis_driver", "dulse.transports.redis.sync.sharded"): "for several slots only",
    ("dulse.virtual.driver", "dulse.virtual.aio.transport"): "the blocking form imports no asyncio",
    ("dulse.virtual.driver", "dulse.virtual.immediate"): "likewise",
    ("dulse.virtual.driver", "dulse.virtual.sync.transport"): "a program uses one form, seldom both",
    ("dulse.virtual.driver", "dulse.virtual.threaded"): "the blocking form imports no asyncio",
}
"""Imports inside functions, with the reason; optional third-party packages need none."""

IMPORTED_BY_NAME = {
    "dulse.codecs.packages": "optional serializers and compressions",
    "dulse.codecs.streams": "compression.zstd exists from Python 3.14 on",
    "dulse.drivers": "a URL scheme names the transport",
    "dulse.links.redis.codec": "hiredis makes it quicker, where it is installed",
}
"""Who may call import_module."""

MAX_LINES = 400


def layer(module: str) -> str:
    """The part of a module's name that stands in the table."""
    return module.removeprefix("dulse").removeprefix(".").partition(".")[0]


def floor(module: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if layer(module) in names)


def is_under(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def goes_down(found: Import) -> bool:
    """Tell whether an import of ours follows the table."""
    above, below = layer(found.importer), layer(found.imported)
    if above == below:
        return above != "transports" or same_broker(found)
    if above in FRONT_ENDS and below not in BELOW_FRONT_ENDS:
        return False
    return floor(found.imported) < floor(found.importer)


def same_broker(found: Import) -> bool:
    """Tell whether both modules serve one broker: redis and redis_scripts, or the modules of a folder redis."""
    if found.imported == "dulse.transports":
        return True
    one, other = (name.split(".")[2].partition("_")[0] for name in (found.importer, found.imported))
    return one == other or (one, other) in SHARED_BROKERS


def test_every_module_has_a_floor() -> None:
    known = set().union(*FLOORS)
    assert sorted(name for name in modules() if layer(name) not in known) == []


def test_imports_go_downwards_only() -> None:
    assert [str(found) for found in all_imports() if found.is_ours and not goes_down(found)] == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("dulse.model.message", "dulse.codecs.json"),
        ("dulse.codecs.json", "dulse.policy.retry"),
        ("dulse.amqp.engine", "dulse.broker.routing"),
        ("dulse.broker.routing", "dulse.links.waiting.sync"),
        ("dulse.virtual.aio.channel", "dulse.transports.memory"),
        ("dulse.transports.redis", "dulse.transports.sql"),
        ("dulse.aio.connection", "dulse.virtual.aio.channel"),
        ("dulse.sync.connection", "dulse.aio.connection"),
        ("dulse.errors", "dulse"),
        ("dulse.transports.memory", "dulse"),
        ("dulse.cli.main", "dulse.testing"),
    ],
)
def test_the_table_forbids_imports_that_go_up_or_sideways(importer: str, imported: str) -> None:
    assert not goes_down(Import(importer, imported, 1, lazy=False, typing_only=False))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("dulse.codecs.json", "dulse.model.message"),
        ("dulse.transports.redis.storage", "dulse.transports.redis.scripts"),
        ("dulse.transports.memory", "dulse.transports.memory_queue"),
        ("dulse.sync.connection", "dulse.transport"),
        ("dulse", "dulse.sync.connection"),
        ("dulse.cli.main", "dulse"),
    ],
)
def test_the_table_allows_imports_that_go_down(importer: str, imported: str) -> None:
    assert goes_down(Import(importer, imported, 1, lazy=False, typing_only=False))


def test_imports_are_found_at_every_depth_and_told_apart() -> None:
    source = """
import a.b
from dulse import errors, Connection
if TYPE_CHECKING:
    from c import d
else:
    import e
class F:
    def g(self):
        if h:
            import i
"""
    found = list(imports_of("m", ast.parse(source), frozenset({"dulse.errors"})))
    assert [(each.imported, each.lazy, each.typing_only) for each in found] == [
        ("a.b", False, False),
        ("dulse", False, False),
        ("dulse.errors", False, False),
        ("c", False, True),
        ("e", False, False),
        ("i", True, False),
    ]


def test_imports_are_absolute() -> None:
    assert [str(found) for found in all_imports() if found.imported.startswith(".")] == []


def test_the_lower_layers_import_nothing_that_waits_or_knows_the_time() -> None:
    def is_forbidden(found: Import) -> bool:
        never = NEVER.get(layer(found.importer), set())
        return found.package in never or found.imported in never

    assert [str(found) for found in all_imports() if is_forbidden(found)] == []


def test_the_pure_layers_read_no_clock() -> None:
    clocks = {"now", "utcnow", "today", "uuid1", "uuid4"}
    found = [
        f"{name}:{node.lineno} calls {node.func.attr}"
        for name, path in modules().items()
        if layer(name) in {"amqp", "broker"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
        if isinstance(node.func.value, ast.Name) and node.func.value.id in {"datetime", "date", "uuid"}
    ]
    assert found == []


def test_asyncio_is_imported_by_the_leaves_only() -> None:
    users = (found for found in all_imports() if found.package == "asyncio" and not found.typing_only)
    assert [str(found) for found in users if not is_under(found.importer, ASYNCIO)] == []


def test_no_package_is_required() -> None:
    required = (found for found in all_imports() if found.is_third_party and not found.lazy and not found.typing_only)
    assert [str(found) for found in required if not is_under(found.importer, OPTIONAL)] == []


def test_imports_inside_functions_have_a_reason() -> None:
    lazy = (found for found in all_imports() if found.lazy and not found.is_third_party)
    unexplained = (found for found in lazy if (found.importer, found.imported) not in LAZY)
    assert [str(found) for found in unexplained if not is_under(found.importer, OPTIONAL)] == []


def test_the_table_of_lazy_imports_holds_nothing_that_has_gone() -> None:
    present = {(found.importer, found.imported) for found in all_imports() if found.lazy}
    gone = [f"{importer} imports {imported}" for importer, imported in LAZY if (importer, imported) not in present]
    assert gone == []


def test_modules_are_imported_by_name_in_the_places_of_the_table_only() -> None:
    users = {found.importer for found in all_imports() if found.package == "importlib" and not found.lazy}
    assert sorted(name for name in users - IMPORTED_BY_NAME.keys() if not is_under(name, OPTIONAL)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    executed = (found for found in all_imports() if found.is_ours and not found.lazy and not found.typing_only)
    graph: dict[str, set[str]] = {}
    for found in executed:
        graph.setdefault(found.importer, set()).add(found.imported)
    circle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    lengths = {path.relative_to(ROOT): path.read_text(encoding="utf-8").count("\n") for path in written_by_hand()}
    assert {str(path): lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_module_is_named_after_nothing() -> None:
    empty = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
    by_kombu = {"dulse.aio.common", "dulse.sync.common"}  # a name that Kombu's users import
    named = {name for name in modules() if name.rpartition(".")[2] in empty}
    assert sorted(named - by_kombu) == []


@pytest.mark.parametrize(
    "module", ["dulse", "dulse.sync", "dulse.transports.memory", "dulse.transports.sqlite", "dulse.virtual.sync"]
)
def test_the_blocking_form_imports_no_asyncio(module: str) -> None:
    parts = [name for name in modules() if is_under(name, (module,))] if module.endswith("sync") else [module]
    names = [name for name in parts if name in modules()]
    code = f"import sys, {', '.join(names) or 'dulse'}; print('asyncio' in sys.modules)"
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("False\n", "")
