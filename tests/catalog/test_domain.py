from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.catalog import domain
from apps.catalog.domain import cursors, numbers, sizes
from apps.catalog.errors import CursorInvalid
from apps.common.money import Money

NOT_NUMBERS = [
    "", " ", "NaN", "nan", "Infinity", "-Infinity", "inf", "1e3", "1E3", "1e9999", "1_000", "1,000", "0x10", "--1",
    "-1", "-0.01", "+1", ".5", "5.", "1.", "1 000", "٣", "\uff11\uff12", "1²", "½", "1.2.3", "$", "$$1", "$-1", "€1",
    "1$", "1\n", "\t1", "1\u00a0", "\u200b1", "None", "=1+1", "1\x00",
]  # fmt: skip


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "12345678", "1.234"])
def test_what_is_not_a_price(text: str) -> None:
    with pytest.raises(ValueError, match="is not a price"):
        numbers.cents(text)


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "$1", "1234567890", "1.2345"])
def test_what_is_not_a_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        numbers.quantity(text)


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "$1", "1.0", "1234567"])
def test_what_is_not_a_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        numbers.whole(text)


@pytest.mark.parametrize(
    ("text", "cents"),
    [("$2.15", 215), ("0.5", 50), ("2", 200), (" 9999999.99 ", 999_999_999), ("007", 700), ("0", 0)],
)
def test_prices(text: str, cents: int) -> None:
    assert numbers.cents(text) == cents


@pytest.mark.parametrize("text", ["0", "0.00", "$0"])
def test_nothing_is_given_away(text: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        numbers.price_cents(text)


@given(st.integers(0, 999_999_999))
def test_every_price_reads_as_it_is_written(cents: int) -> None:
    assert numbers.cents(str(Money(cents)).replace(",", "")) == cents


@given(st.decimals(0, 999_999_999, places=3))
def test_every_quantity_reads_as_it_is_written(quantity: Decimal) -> None:
    assert numbers.quantity(f"{quantity:f}") == quantity


@given(st.text(max_size=12))
def test_whatever_is_read_is_a_plain_number(text: str) -> None:
    for read in (numbers.cents, numbers.quantity, numbers.whole):
        try:
            found = read(text)
        except ValueError:
            continue
        assert 0 <= found < 10**9
        assert set(text) <= set("$0123456789. ")


@pytest.mark.parametrize(("text", "meant"), [("True", True), ("no", False), (" Y ", True), ("0", False)])
def test_flags(text: str, meant: bool) -> None:
    assert numbers.flag(text) is meant


@pytest.mark.parametrize("text", ["", "2", "ja", "truefalse"])
def test_what_is_not_a_flag(text: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        numbers.flag(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Bananas, per lb", ("Bananas", "", "lb")),
        ("Original Kettle Chips, 8 oz", ("Original Kettle Chips", "8 oz", None)),
        ("Bacon Cheddar Beef Burger Patties, 2lb", ("Bacon Cheddar Beef Burger Patties", "2lb", None)),
        ("Organic Blueberry Preserves 11 oz", ("Organic Blueberry Preserves", "11 oz", None)),
        ("Coke Zero 20 fl. oz.", ("Coke Zero", "20 fl. oz.", None)),
        ("Diet Soda - 12 pack, 12 fl oz Cans", ("Diet Soda", "12 pack, 12 fl oz Cans", None)),
        ("Zero Sugar Ginger Ale, 12 fl oz cans, 8 pack", ("Zero Sugar Ginger Ale", "12 fl oz cans, 8 pack", None)),
        ("Tomato, Basil and Garlic Pasta Sauce, 24 oz", ("Tomato, Basil and Garlic Pasta Sauce", "24 oz", None)),
        ("Women's Platform Sneakers, Size 8", ("Women's Platform Sneakers", "Size 8", None)),
        ("Lime, each", ("Lime", "each", None)),
        ("Asparagus", ("Asparagus", "", None)),
        ("Envy Apples, Tote", ("Envy Apples, Tote", "", None)),
        (
            "White Queen Size Microfiber Sheets 4 Piece Set",
            ("White Queen Size Microfiber Sheets 4 Piece Set", "", None),
        ),
    ],
)
def test_a_name_is_split_from_its_size(text: str, parts: tuple[str, str, str | None]) -> None:
    assert sizes.split_name(text) == parts


@given(st.text(min_size=1, max_size=60))
def test_no_letter_of_a_name_is_lost(text: str) -> None:
    name, size, unit = sizes.split_name(text)
    assert text.startswith(name)
    assert text.endswith(size)
    assert unit in (None, "lb", "kg")


@pytest.mark.parametrize(
    ("cents", "cost_unit", "size", "text"),
    [
        (215, "each", "8 oz", "26.9¢/oz"),
        (1099, "each", "8 oz", "$1.37/oz"),
        (599, "each", "6 pack, 12 fl oz Bottles", "8.3¢/fl oz"),
        (599, "each", "12 fl oz cans, 8 pack", "6.2¢/fl oz"),
        (275, "each", "5 lb", "55.0¢/lb"),
        (350, "each", "500 g", "70.0¢/100 g"),
        (800, "each", "750 ml", "$1.07/100 ml"),
        (219, "each", "6 count", "36.5¢/ct"),
        (219, "each", "1 count", ""),
        (219, "each", "0 oz", ""),
        (700, "each", "4 pack, 16. 9 fl oz Can", "$1.75/ct"),
        (219, "each", "Size L", ""),
        (219, "each", "", ""),
        (531, "lb", "", "$5.31/lb"),
        (531, "kg", "8 oz", "$5.31/kg"),
    ],
)
def test_unit_prices(cents: int, cost_unit: str, size: str, text: str) -> None:
    assert sizes.unit_price_text(price=Money(cents), cost_unit=cost_unit, size=size) == text


@given(st.integers(1, 10**9), st.integers(1, 9999))
def test_a_unit_price_times_the_size_is_the_price(cents: int, ounces: int) -> None:
    text = sizes.unit_price_text(price=Money(cents), cost_unit="each", size=f"{ounces} oz")
    amount = text.removesuffix("/oz").replace(",", "")
    each = Decimal(amount[1:]) * 100 if amount.startswith("$") else Decimal(amount[:-1])
    tolerance = Decimal("0.5") if amount.startswith("$") else Decimal("0.05")
    assert abs(each - Decimal(cents) / ounces) <= tolerance


@pytest.mark.parametrize(
    ("text", "slug"),
    [("Dairy & Eggs", "dairy-eggs"), ("Mother's Day", "mothers-day"), ("日本", "other"), ("", "other")],
)
def test_slugs(text: str, slug: str) -> None:
    assert domain.slug(text) == slug


@pytest.mark.parametrize(
    ("unit", "sold_by", "most"), [("each", "count", 99), ("lb", "weight", 50), ("kg", "weight", 50)]
)
def test_units(unit: str, sold_by: str, most: int) -> None:
    assert (domain.sold_by(unit), domain.most_in_cart(unit)) == (sold_by, most)


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(words, words, st.integers(0, 2**31 - 1), words, st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_as_it_was(department: str, aisle: str, rank: int, name: str, item_id: int) -> None:
    key = (department, aisle, rank, name, item_id)
    assert cursors.decode(cursors.encode(key)) == key


@given(st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda data: data.hex())))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        cursors.decode(text)


@pytest.mark.parametrize(
    "key",
    [
        ("a", "b", 1, "c\x00", 2),
        ("a", "b", 2**31, "c", 2),
        ("a", "b", 1, "c", 2**63),
        ("a", "b", True, "c", 2),
        ("a", "b", 1, "\ud800", 2),
        ("a", "b", 1, 2),
    ],
)
def test_a_cursor_that_the_database_could_not_read_is_refused(key) -> None:
    with pytest.raises(CursorInvalid):
        cursors.decode(cursors.encode(key))


@pytest.mark.parametrize(
    ("cost_unit", "size", "grams"),
    [
        ("lb", "", 454),
        ("kg", "", 1000),
        ("each", "8 oz", 227),
        ("each", "6 pack, 12 fl oz", 2129),
        ("each", "1 gal", 3785),
        ("each", "12 ct", 0),
        ("each", "", 0),
    ],
)
def test_what_a_unit_weighs(cost_unit, size, grams):
    assert sizes.unit_grams(cost_unit=cost_unit, size=size) == grams
