import graphene

from apps.catalog.api import loaders


class Item(graphene.ObjectType):
    """A product as one store sells it."""

    id = graphene.ID(required=True)
    store_id = graphene.ID(required=True)
    lookup_code = graphene.String(required=True)
    name = graphene.String(required=True)
    brand = graphene.String(required=True)
    size = graphene.String(required=True)
    department = graphene.String(required=True)
    department_slug = graphene.String(required=True)
    aisle = graphene.String(required=True)
    cost_unit = graphene.String(required=True, description="each, lb or kg: what the price and quantities are of.")
    sold_by = graphene.String(required=True, description="count (whole numbers) or weight (up to three decimals).")
    price_cents = graphene.Int(required=True, description="Now; the sale price while there is a sale.")
    list_price_cents = graphene.Int(required=True, description="Without a sale.")
    sale_ends_at = graphene.DateTime(description="When the price goes up again, if that is known.")
    deposit_cents = graphene.Int(required=True)
    currency = graphene.String(required=True)
    unit_price_text = graphene.String(required=True)
    par_weight = graphene.Decimal(description="What one piece usually weighs.")
    max_in_cart = graphene.Int(required=True)
    alcoholic = graphene.Boolean(required=True)
    snap = graphene.Boolean(required=True)

    def resolve_price_cents(item, info):
        return item.price.cents

    def resolve_list_price_cents(item, info):
        return item.list_price.cents

    def resolve_deposit_cents(item, info):
        return item.deposit.cents

    def resolve_currency(item, info):
        return item.price.currency


class Department(graphene.ObjectType):
    slug = graphene.String(required=True)
    name = graphene.String(required=True)
    item_count = graphene.Int(required=True)


class ItemPage(graphene.ObjectType):
    nodes = graphene.List(graphene.NonNull(Item), required=True)
    next_cursor = graphene.String(description="Give it as `after` to read on; null on the last page.")

    def resolve_nodes(page, info):
        return page.items


class StoreFields:
    """What the catalogue adds to a store."""

    id: graphene.ID  # the store's own fields say it

    departments = graphene.List(graphene.NonNull(Department), required=True)
    items = graphene.Field(
        ItemPage,
        required=True,
        department=graphene.String(description="A department's slug."),
        text=graphene.String(description="Words that all occur in the name or the brand."),
        after=graphene.String(),
        first=graphene.Int(default_value=48),
    )

    async def resolve_departments(store, info):
        return await loaders.departments(info).load(store.id) or ()

    async def resolve_items(store, info, department=None, text=None, after=None, first=48):
        return await loaders.pages(info).load((store.id, department, text, after, first))
