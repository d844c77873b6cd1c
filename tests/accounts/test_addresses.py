import pytest
from cryptography.exceptions import InvalidTag

from apps.accounts import domain, errors, models, selectors, services
from apps.accounts.types import Address
from apps.common.geo import Point
from tests.accounts.factories import NOW, an_address, make_address, make_customer

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def neighbours():
    """Customers on both shards, so that a foreign id is foreign in every way."""
    return [make_customer() for _ in range(2)] + [_customer_in_another_bucket_range()]


def _customer_in_another_bucket_range():
    user = models.User.objects.create(pk=7_500, login_hash="7500", date_joined=NOW)
    models.PendingProfile.objects.create(user=user, **_sealed())
    services.finish_sign_up(user_id=user.pk)
    return user.pk


def _sealed():
    return models.CustomerProfile.objects.get(pk=make_customer()).sealed()


def test_address_reads_back_as_it_was_typed():
    customer = make_customer()
    address_id = make_address(customer, line2="Apt 4", instructions="Ring twice.")
    assert selectors.address(customer_id=customer, address_id=address_id) == Address(
        id=address_id,
        label="Home",
        line1="100 N High St",
        line2="Apt 4",
        city="Columbus",
        state="OH",
        postcode="43215",
        point=Point(39.9640, -83.0007),
        instructions="Ring twice.",
    )


def test_same_address_again_is_the_same_address():
    customer = make_customer()
    assert make_address(customer) == make_address(customer, line1=" 100 N  High St")
    assert len(selectors.addresses(customer_id=customer)) == 1


def test_reading_takes_one_query_however_many_addresses(assert_queries):
    customer = make_customer()
    ids = [make_address(customer, line2=f"Apt {n}") for n in range(12)]
    with assert_queries(1):
        found = selectors.addresses(customer_id=customer)
    assert [address.id for address in found] == ids
    with assert_queries(1):
        selectors.address(customer_id=customer, address_id=ids[3])


def test_refused_address_leaves_nothing():
    customer = make_customer()
    with pytest.raises(errors.AddressInvalid):
        make_address(customer, postcode="none")
    assert selectors.addresses(customer_id=customer) == ()


def test_nobody_has_no_address():
    with pytest.raises(errors.UserNotFound):
        make_address(404)
    assert not models.Address.objects.filter(customer_id=404).exists()


def test_there_is_an_end_to_addresses(monkeypatch):
    monkeypatch.setattr(domain, "MAX_ADDRESSES", 2)
    customer = make_customer()
    kept = [make_address(customer, line2=f"Apt {n}") for n in range(2)]
    with pytest.raises(errors.TooManyAddresses):
        make_address(customer, line2="Apt 3")
    assert make_address(customer, line2="Apt 1") == kept[1]
    assert [address.id for address in selectors.addresses(customer_id=customer)] == kept


def test_foreign_and_absent_addresses_are_refused_alike(neighbours):
    owned = {customer: make_address(customer) for customer in neighbours}
    for customer in neighbours:
        foreign = [owned[other] for other in neighbours if other != customer]
        absent = [owned[customer] + 1, 1, 0, -1, 2**63 - 1, 2**63, 10**30]
        for address_id in foreign + absent:
            refusals = []
            for question in (selectors.address, services.remove_address):
                with pytest.raises(errors.AddressNotFound) as refusal:
                    question(customer_id=customer, address_id=address_id)
                refusals.append((refusal.value.code, str(refusal.value)))
            assert refusals == [("address_not_found", "There is no such address.")] * 2
    for customer, address_id in owned.items():
        assert [address.id for address in selectors.addresses(customer_id=customer)] == [address_id]


def test_removed_address_is_gone_and_others_stay():
    customer = make_customer()
    gone, kept = make_address(customer), make_address(customer, label="Work", line1="2 Work Way")
    services.remove_address(customer_id=customer, address_id=gone)
    assert [address.id for address in selectors.addresses(customer_id=customer)] == [kept]
    with pytest.raises(errors.AddressNotFound):
        services.remove_address(customer_id=customer, address_id=gone)


def test_the_shards_hold_neither_name_nor_street():
    personal = ["Grace Hopper", "grace@navy.example", "7 Secret Lane", "Arlington", "22201", "38.8816", "Bark twice"]
    customer = make_customer(email="grace@navy.example", name="Grace Hopper")
    services.add_address(
        customer_id=customer,
        address=an_address(
            label="Bark twice", line1="7 Secret Lane", city="Arlington", state="VA", postcode="22201", lat=38.8816
        ),
        now=NOW,
    )
    stored = [
        *models.CustomerProfile.objects.filter(pk=customer).values_list(),
        *models.Address.objects.filter(customer_id=customer).values_list(),
        *models.User.objects.filter(pk=customer).values_list(),
    ]
    assert len(stored) == 3
    written = b"\n".join(
        bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
        for row in stored
        for value in row
    )
    for secret in personal:
        assert secret.encode() not in written
        assert secret.encode().hex().encode() not in written
    assert b"US" in written  # the locale is in the clear: the search above can find things


def test_one_customers_key_does_not_open_anothers_address():
    ours, theirs = make_customer(), make_customer()
    make_address(theirs)
    row = models.Address.objects.get(customer_id=theirs)
    key = models.CustomerProfile.objects.get(pk=ours).key()
    with pytest.raises(InvalidTag):
        row.opened(key=key)


def test_same_address_is_stored_differently_each_time():
    customers = [make_customer() for _ in range(2)]
    for customer in customers:
        make_address(customer)
    first, second = (bytes(models.Address.objects.get(customer_id=customer).details) for customer in customers)
    assert first != second
