from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.stores import models, selectors
from tests import real_data

pytestmark = pytest.mark.django_db(databases="__all__")

HEADER = "chain,store_no,name,address,city,state,zip,lat,lon\n"
ALDI = "ALDI,24,,4489 Cemetery Rd,Hilliard,OH,43026,40.030847,-83.135465\n"
NAMESAKE = "ALDI,24,,3235 Owen Rd,Fenton,MI,48430,42.78,-83.73\n"
KROGER = "KROGER,01600546,Johnstown,800 W Coshocton St,Johnstown,OH,43031,40.147049,-82.7076\n"


@pytest.fixture
def take(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def take(*rows: str, metro: str | None = None) -> list[str]:
        path = tmp_path / "stores.csv"
        path.write_text(HEADER + "".join(rows))
        call_command("import_stores", path, only_metro=metro)
        return capsys.readouterr().out.splitlines()

    return take


def test_a_store_of_the_directory(take) -> None:
    assert take(KROGER) == [
        "1 rows: 1 created, 0 updated, 0 unchanged, 0 elsewhere, 0 bad",
        "New stores are open 08:00-22:00 every day until set_hours says else.",
    ]
    store = selectors.store_by_code(code="kroger-01600546")
    assert (store.name, store.retailer_name, store.timezone, store.currency) == (
        "KROGER Johnstown", "KROGER", "America/New_York", "USD",
    )  # fmt: skip
    assert [zone.name for zone in selectors.zones()] == ["Columbus"]
    assert len(selectors.opening_hours(store_id=store.id)) == 7


def test_importing_again_changes_nothing(take) -> None:
    take(ALDI, NAMESAKE, KROGER)
    ids = list(models.Store.objects.order_by("id").values_list("id", "code"))
    assert take(KROGER, NAMESAKE, ALDI) == ["3 rows: 0 created, 0 updated, 3 unchanged, 0 elsewhere, 0 bad"]
    assert list(models.Store.objects.order_by("id").values_list("id", "code")) == ids


def test_what_was_edited_here_stays_and_what_the_directory_says_is_taken_over(take) -> None:
    take(KROGER)
    models.Store.objects.update(minimum_basket_cents=3_500, is_paused=True)
    assert take(KROGER.replace("Johnstown,800", "Old Town,800"))[0].startswith("1 rows: 0 created, 1 updated")
    store = selectors.store_by_code(code="kroger-01600546")
    assert (store.name, store.minimum_basket.cents, store.is_paused) == ("KROGER Old Town", 3_500, True)


def test_a_number_that_was_given_out_twice_gets_the_postcode(take) -> None:
    take(ALDI, NAMESAKE)
    assert selectors.store_by_code(code="aldi-24").city == "Hilliard"
    assert selectors.store_by_code(code="aldi-24-48430").city == "Fenton"


def test_a_store_that_moved_keeps_its_code(take) -> None:
    take(KROGER)
    store_id = selectors.store_by_code(code="kroger-01600546").id
    assert take(KROGER.replace("800 W", "900 W"))[0].startswith("1 rows: 0 created, 1 updated")
    assert selectors.store_by_code(code="kroger-01600546").id == store_id
    assert models.Store.objects.get().address == "900 W Coshocton St"


def test_bad_rows_are_told_and_good_ones_are_in(take) -> None:
    out = take(
        ALDI.replace("40.030847", "north"),
        ALDI.replace("ALDI,24", "ALDI,"),
        KROGER,
        KROGER.replace("01600546", "2"),
        KROGER.replace("800 W", "810 W"),
        KROGER.replace("800 W", "820 W"),
        "KROGER,3\n",
    )
    assert out[:6] == [
        "line 2, lat 'north' is not a number of degrees between -90 and 90",
        "line 3, store_no '' is empty",
        "line 5, address '800 W Coshocton St' is the same place as line 4",
        "line 7, store_no '01600546' is taken by line 6, in the same postcode",
        "line 8, row '' has 2 cells where the header has 9",
        "7 rows: 2 created, 0 updated, 0 unchanged, 0 elsewhere, 5 bad",
    ]


def test_one_metro_only(take) -> None:
    stray = NAMESAKE.replace("42.78,-83.73", "40.012689,-82.995427")
    out = take(ALDI, NAMESAKE, stray, metro="columbus")
    assert out[:2] == [
        "line 4, state 'MI' is not a state of Columbus, where its coordinates are",
        "3 rows: 1 created, 0 updated, 0 unchanged, 1 elsewhere, 1 bad",
    ]
    assert [store.code for store in models.Store.objects.all()] == ["aldi-24"]


def test_stores_outside_a_metro_share_a_zone_by_state(take) -> None:
    take(NAMESAKE, NAMESAKE.replace("ALDI,24", "ALDI,25").replace("42.78", "43.78").replace("3235", "1"))
    (zone,) = selectors.zones()
    assert (zone.name, round(zone.point.lat, 2)) == ("MI", 43.28)
    assert zone.radius_m == pytest.approx(55_600 + 12_000, abs=100)


def test_a_state_without_a_time_zone_is_said_aloud(take) -> None:
    out = take(NAMESAKE.replace("MI", "ZZ"))
    assert "No time zone is known for ZZ: America/New_York was assumed." in out
    assert selectors.store_by_code(code="aldi-24").timezone == "America/New_York"


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stores.csv"
    path.write_text("chain,name\nALDI,one\n")
    with pytest.raises(CommandError, match="Columns are missing: address, city"):
        call_command("import_stores", path)
    path.write_text(HEADER + ALDI.replace("40.030847", "north"))
    with pytest.raises(CommandError, match="No row could be read"):
        call_command("import_stores", path)
    assert not models.Store.objects.exists()


def test_the_real_stores_of_columbus(capsys: pytest.CaptureFixture[str]) -> None:
    path = real_data.file("stores_us/stores_columbus_oh.csv")
    call_command("import_stores", path, only_metro="columbus")
    # 33 Family Dollar stores have no number; one ALDI of Michigan has coordinates in Columbus.
    assert "240 rows: 206 created, 0 updated, 0 unchanged, 0 elsewhere, 34 bad" in capsys.readouterr().out
    call_command("import_stores", path, only_metro="columbus")
    assert "240 rows: 0 created, 0 updated, 206 unchanged, 0 elsewhere, 34 bad" in capsys.readouterr().out
    assert models.Store.objects.count() == 206
    assert models.StoreHours.objects.count() == 206 * 7
    assert selectors.store_by_code(code="aldi-24").address == "4489 Cemetery Rd"
