"""The page of operations is what the declarations give."""

import importlib.util
from pathlib import Path

from gradplan.opdef import REGISTRY

DOCS = Path(__file__).resolve().parent.parent / "docs"


def load(name="operations"):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_operations_is_up_to_date():
    docs = load()
    assert docs.page() == docs.PAGE.read_text(), "run `make docs`"


def test_the_page_of_names_is_up_to_date():
    docs = load("tf1_names")
    assert docs.page() == docs.PAGE.read_text(), "run `make docs`"


def test_it_lists_every_operation_once():
    text = load().page()
    for name in REGISTRY:
        assert text.count(f"\n| `{name}` |") == 1, name


def test_each_row_has_the_cells_of_its_header():
    tables = [block for block in load().page().split("\n\n") if block.startswith("|")]
    assert len(tables) > 10
    for table in tables:
        widths = {line.replace("\\|", "").count("|") for line in table.strip().split("\n")}
        assert len(widths) == 1, table
