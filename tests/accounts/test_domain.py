import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts import domain
from apps.accounts.errors import AddressInvalid, EmailInvalid, NameInvalid, RoleInvalid
from tests.accounts.factories import an_address


@pytest.mark.parametrize(
    ("typed", "email"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM\n", "ada@example.com"),
        ("ａｄａ@example.com", "ada@example.com"),  # noqa: RUF001  (full-width letters)
        ("o'brien+shop@mail.example.co", "o'brien+shop@mail.example.co"),
        ("a@" + "b" * 63 + ".de", "a@" + "b" * 63 + ".de"),
    ],
)
def test_email_has_one_spelling(typed, email):
    assert domain.normalised_email(typed) == email


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "ada@exa mple.com",
        "ada.@example.com",
        "a..b@example.com",
        "ada@-example.com",
        "ada@example.com\x00",
        "ada\r\nbcc: x@example.com",
        "ada@example.com, eve@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".com",
        "a@" + ".".join(["b" * 60] * 5),
        "a" * 1_000_000,
    ],
)
def test_what_is_no_email_is_refused(typed):
    with pytest.raises(EmailInvalid):
        domain.normalised_email(typed)


@given(st.text(max_size=60) | st.emails())
def test_a_normalised_email_stays_as_it_is(typed):
    try:
        email = domain.normalised_email(typed)
    except EmailInvalid:
        return
    assert domain.normalised_email(email) == email


def test_name_loses_stray_spaces_and_nothing_else():
    assert domain.checked_name("  Zoë \t O’Neill-王 ") == "Zoë O’Neill-王"  # noqa: RUF001


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "Ada\x00", "Ada\x1b[31m", "Ada\u202eevil"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(NameInvalid):
        domain.checked_name(name)


def test_address_is_tidied():
    typed = an_address(
        line1=" 100  N High St ", state=" oh", postcode="43215-1234 ", instructions="\nRing twice.\n Dog "
    )
    assert domain.checked_address(typed) == an_address(postcode="43215-1234", instructions="Ring twice.\nDog")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("line1", ""),
        ("line1", " \t"),
        ("line1", "x" * 121),
        ("line1", "100 N High\x00"),
        ("line2", "x" * 121),
        ("city", ""),
        ("city", "x" * 81),
        ("state", "Ohio"),
        ("state", "ZZ"),
        ("state", ""),
        ("postcode", "4321"),
        ("postcode", "٤٣٢١٥"),
        ("postcode", "43215-12"),
        ("postcode", "43215\n--"),
        ("label", "x" * 41),
        ("instructions", "x" * 501),
        ("instructions", "Ring\x07"),
        ("lat", 90.1),
        ("lat", float("nan")),
        ("lat", float("inf")),
    ],
)
def test_what_is_no_address_is_refused_by_field(field, value):
    with pytest.raises(AddressInvalid) as refusal:
        domain.checked_address(an_address(**{field: value}))
    assert refusal.value.field == field


def test_longitude_is_refused_as_a_place():
    with pytest.raises(AddressInvalid):
        domain.checked_address(an_address(lng=180.5))


@pytest.mark.parametrize(("role", "store_id"), [("store_staff", 7), ("store_manager", 7), ("support", None)])
def test_roles_are_held_where_they_belong(role, store_id):
    domain.checked_role(role, store_id)


@pytest.mark.parametrize(("role", "store_id"), [("store_staff", None), ("support", 7), ("king", None), ("", 7)])
def test_other_roles_are_refused(role, store_id):
    with pytest.raises(RoleInvalid):
        domain.checked_role(role, store_id)
