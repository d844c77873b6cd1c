"""``docs/`` and the README say what the code says, as far as a machine can tell."""

import ast
import re
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps

import sharding
from apps.common import outbox
from apps.common.events import Event
from deploy.local import commands
from instacart.env import KEYSPACES, ROOT
from sharding import keys

ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("sharding/*.md"), *ROOT.glob("deploy/*/*.md")]
)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def table(page: str, *headings: str) -> list[tuple[str, ...]]:
    """Rows of the one table under these headings, without back-quotes."""
    _, found, rest = page.partition("\n| " + " | ".join(headings) + " |\n")
    assert found, headings
    rows = []
    for line in rest.splitlines()[1:]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")))
    return rows


def place_of(model) -> str:
    declared = getattr(model, "sharding", None)
    if isinstance(declared, sharding.EveryDatabase):
        return "every database"
    return declared.keyspace if isinstance(declared, sharding.ShardKey) else "global"


def own_models() -> list[type]:
    return [model for model in apps.get_models() if model.__module__.startswith("apps.")]


def test_every_table_is_where_the_architecture_says():
    documented = {
        (where, app, name)
        for where, app, names in table(text(ARCHITECTURE), "where", "app", "tables")
        for name in names.split(", ")
    }
    assert documented == {(place_of(model), model._meta.app_label, model.__name__) for model in own_models()}


def test_the_keyspaces_and_their_keys_are_the_models():
    keyed = {keys.shard_key(model).keyspace for model in own_models() if keys.shard_key(model)}
    assert keyed == set(KEYSPACES)
    described = re.findall(r"^(\w+) +(user id|store id) ", text(ARCHITECTURE), re.MULTILINE)
    assert described == [("customer", "user id"), ("store", "store id"), ("shopper", "user id")]


def test_the_tables_of_others_are_the_global_ones_that_are_named():
    others = {
        model._meta.app_label
        for model in apps.get_models(include_auto_created=True)
        if not model.__module__.startswith(("apps.", "tests."))
    }
    sentence = next(line for line in text(ARCHITECTURE).splitlines() if line.startswith("Django's own tables"))
    assert set(re.findall(r"`(\w+)`", sentence)) == others


def _event_classes() -> dict[str, type[Event]]:
    found = {}
    for path in sorted((ROOT / "apps").glob("*/events.py")):
        module = import_module(f"apps.{path.parent.name}.events")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Event) and thing is not Event:
                found[thing.name] = thing
    return found


def _said_by() -> dict[str, set[str]]:
    """Event name -> modules that make one, by reading their source."""
    name_of = {event.__name__: name for name, event in _event_classes().items()}
    said = defaultdict(set)
    for path in sorted((ROOT / "apps").rglob("*.py")):
        if path.name == "events.py":
            continue
        module = ".".join(path.relative_to(ROOT / "apps").with_suffix("").parts)
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in name_of:
                said[name_of[node.func.id]].add(module)
    return said


def test_every_event_is_in_the_table_with_who_says_and_who_hears_it():
    said = _said_by()
    rows = table(text(ARCHITECTURE), "event", "said by", "on", "heard by")
    documented = {name: (set(by.split(", ")), set(heard.split(", "))) for name, by, _, heard in rows}
    assert len(documented) == len(rows)
    actual = {
        name: (
            said[name],
            {f"{handler.__module__.split('.')[1]}.{handler.__name__}" for _, handler in outbox._handlers.get(name, [])},
        )
        for name in _event_classes()
    }
    assert documented == actual


def test_every_event_is_said_where_the_app_that_says_it_has_tables():
    places = defaultdict(set)
    for model in own_models():
        places[model._meta.app_label].add(place_of(model))
    for name, _, where, _ in table(text(ARCHITECTURE), "event", "said by", "on", "heard by"):
        assert where in places[name.split(".")[0]], name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_names_is_there(page):
    """Functions such as ``orders.services.place``, and the pages and folders it links to."""
    for app, module, name in re.findall(r"`(\w+)\.(services|selectors|domain|tasks)\.(\w+)`", text(page)):
        assert hasattr(import_module(f"apps.{app}.{module}"), name), f"{app}.{module}.{name}"
    for target in re.findall(r"\]\(([^)#:]+)\)", text(page)):
        if not target.endswith(".png"):
            assert (page.parent / target).exists(), target


def test_the_steps_of_an_order_are_counted_without_gaps():
    steps = re.findall(r"^\| (\d+) \|", text(ARCHITECTURE), re.MULTILINE)
    assert [int(step) for step in steps] == list(range(1, 29))


def test_every_decision_is_listed_under_its_title():
    folder = ROOT / "docs" / "adr"
    titles = {path.name: text(path).splitlines()[0] for path in folder.glob("[0-9]*.md")}
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.*) \|$", text(folder / "README.md"), re.MULTILINE)
    assert [number for number, _, _ in listed] == [f"{n:04}" for n in range(1, len(titles) + 1)]
    assert {name: f"# {int(number)}. {title}" for number, name, title in listed} == titles


def test_the_readme_lists_every_command_and_maps_folders_that_exist():
    readme = text(ROOT / "README.md")
    listed = {row[0].split()[1] for row in table(readme, "command", "what it does")}
    assert listed == set(commands.COMMANDS)
    mapped = re.findall(
        r"^([\w.]+/?)  +\S", readme.partition("## Where things are")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert len(mapped) > 10
    assert [name for name in mapped if not (ROOT / name).exists()] == []
