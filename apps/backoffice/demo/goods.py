"""What the demo's grocers sell. All of it is invented: names, brands and prices are nobody's.

One line a good: name, sizes with prices in cents, brands. A size of ``lb`` means sold by weight; the
number after ``~`` is what one of it weighs on average, in pounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    lookup_code: str
    name: str
    brand: str
    size: str
    department: str
    aisle: str
    rank: int
    cost_unit: str
    price_cents: int
    par_weight: str
    tax_category: str
    deposit_cents: int
    is_alcoholic: bool


@dataclass(frozen=True, slots=True)
class _Department:
    name: str
    aisle: str
    tax_category: str
    table: str


DEPARTMENTS = (
    _Department(
        "Produce",
        "1",
        "grocery",
        """
        Bananas | lb~0.4 69 | Orchard Row; Green Acre Organic
        Gala apples | lb~0.4 189 | Orchard Row; Green Acre Organic
        Pink crisp apples | lb~0.45 249 | Orchard Row
        Bartlett pears | lb~0.45 199 | Orchard Row
        Navel oranges | lb~0.5 149; 4 lb bag 549 | Orchard Row
        Lemons | each 65; 2 lb bag 449 | Orchard Row; Green Acre Organic
        Limes | each 45; 1 lb bag 349 | Orchard Row
        Red seedless grapes | lb~2 279 | Orchard Row; Green Acre Organic
        Strawberries | 16 oz 399; 32 oz 699 | Orchard Row; Green Acre Organic
        Blueberries | 6 oz 349; 18 oz 799 | Orchard Row; Green Acre Organic
        Raspberries | 6 oz 399 | Orchard Row; Green Acre Organic
        Avocados | each 129; bag of 4 449 | Orchard Row; Green Acre Organic
        Mangoes | each 149 | Orchard Row
        Pineapple | each 349 | Orchard Row
        Vine tomatoes | lb~0.3 229 | Orchard Row; Green Acre Organic
        Grape tomatoes | 10 oz 299 | Orchard Row; Green Acre Organic
        Cucumbers | each 99 | Orchard Row; Green Acre Organic
        Red bell peppers | lb~0.4 299 | Orchard Row
        Yellow onions | lb~0.5 119; 3 lb bag 299 | Orchard Row
        Garlic | each 79 | Orchard Row
        Russet potatoes | lb~0.6 99; 5 lb bag 399 | Orchard Row
        Sweet potatoes | lb~0.7 149 | Orchard Row; Green Acre Organic
        Carrots | 1 lb 129; 2 lb 219 | Orchard Row; Green Acre Organic
        Broccoli crowns | lb~0.6 229 | Orchard Row; Green Acre Organic
        Baby spinach | 5 oz 329; 16 oz 599 | Leaf & Stem; Green Acre Organic
        Romaine hearts | 3 count 399 | Leaf & Stem; Green Acre Organic
        White mushrooms | 8 oz 249 | Leaf & Stem
        Zucchini | lb~0.5 179 | Orchard Row
        Fresh basil | 0.75 oz 249 | Leaf & Stem
        Ginger root | lb~0.25 349 | Orchard Row
        """,
    ),
    _Department(
        "Dairy & Eggs",
        "2",
        "grocery",
        """
        Whole milk | half gallon 279; gallon 429 | Meadow Lane; Green Acre Organic
        2% milk | half gallon 279; gallon 419 | Meadow Lane; Green Acre Organic
        Oat drink | 64 oz 449 | Field & Oat
        Almond drink | 64 oz 399 | Field & Oat
        Large eggs | 12 count 369; 18 count 519 | Meadow Lane; Free Hen
        Salted butter | 16 oz 499 | Meadow Lane; Old Churn
        Unsalted butter | 16 oz 499 | Meadow Lane; Old Churn
        Plain Greek yogurt | 5.3 oz 129; 32 oz 549 | Meadow Lane; Old Churn
        Strawberry yogurt | 5.3 oz 119 | Meadow Lane; Old Churn
        Sharp cheddar | 8 oz 399 | Meadow Lane; Old Churn
        Shredded mozzarella | 8 oz 329; 16 oz 599 | Meadow Lane
        Parmesan wedge | 7 oz 699 | Old Churn
        Cream cheese | 8 oz 299 | Meadow Lane
        Sour cream | 16 oz 279 | Meadow Lane
        Cottage cheese | 16 oz 349 | Meadow Lane
        Heavy cream | 16 oz 399 | Meadow Lane
        Hummus | 10 oz 399 | Field & Oat
        """,
    ),
    _Department(
        "Bakery",
        "3",
        "grocery",
        """
        Sourdough loaf | 24 oz 549 | Mill Street Bakers
        Whole wheat bread | 20 oz 349 | Mill Street Bakers; Daily Crust
        White sandwich bread | 20 oz 279 | Daily Crust
        Bagels | 6 count 399 | Mill Street Bakers
        English muffins | 6 count 329 | Daily Crust
        Burger buns | 8 count 349 | Daily Crust
        Flour tortillas | 10 count 329 | Casa Clara
        Corn tortillas | 30 count 279 | Casa Clara
        Croissants | 4 count 549 | Mill Street Bakers
        Blueberry muffins | 4 count 499 | Mill Street Bakers
        Cinnamon rolls | 6 count 549 | Mill Street Bakers
        Baguette | each 299 | Mill Street Bakers
        """,
    ),
    _Department(
        "Meat & Seafood",
        "4",
        "grocery",
        """
        Chicken breast | lb~1.2 399 | Hill Farm; Green Acre Organic
        Chicken thighs | lb~1.5 299 | Hill Farm
        Whole chicken | lb~4.5 199 | Hill Farm
        Ground beef 85% | lb~1 599 | Hill Farm; Green Acre Organic
        Ribeye steak | lb~0.9 1499 | Hill Farm
        Pork chops | lb~1 449 | Hill Farm
        Bacon | 12 oz 699 | Hill Farm; Smokehouse Nine
        Italian sausage | 16 oz 549 | Smokehouse Nine
        Sliced turkey breast | 8 oz 549 | Smokehouse Nine
        Sliced ham | 8 oz 499 | Smokehouse Nine
        Atlantic salmon fillet | lb~0.8 1199 | Harbor Catch
        Cod fillet | lb~0.7 999 | Harbor Catch
        Raw shrimp | 12 oz 999 | Harbor Catch
        Firm tofu | 14 oz 279 | Field & Oat
        """,
    ),
    _Department(
        "Frozen",
        "5",
        "grocery",
        """
        Cheese pizza | 14 oz 549 | Night Oven; Casa Clara
        Pepperoni pizza | 15 oz 599 | Night Oven
        Frozen peas | 12 oz 199 | Leaf & Stem
        Frozen sweet corn | 12 oz 199 | Leaf & Stem
        Mixed berries | 16 oz 549; 48 oz 1199 | Leaf & Stem; Green Acre Organic
        French fries | 28 oz 399 | Night Oven
        Vanilla ice cream | 48 oz 599 | Snowdrift; Old Churn
        Chocolate ice cream | 48 oz 599 | Snowdrift; Old Churn
        Fruit bars | 6 count 499 | Snowdrift
        Waffles | 10 count 399 | Night Oven
        Fish sticks | 18 oz 649 | Harbor Catch
        Vegetable dumplings | 20 oz 699 | Night Oven
        """,
    ),
    _Department(
        "Pantry",
        "6",
        "grocery",
        """
        Spaghetti | 16 oz 189 | Casa Clara; Daily Shelf
        Penne | 16 oz 189 | Casa Clara; Daily Shelf
        Tomato basil sauce | 24 oz 349 | Casa Clara; Daily Shelf
        Diced tomatoes | 14.5 oz 149 | Casa Clara; Daily Shelf
        Black beans | 15 oz 129 | Casa Clara; Daily Shelf
        Chickpeas | 15 oz 139 | Casa Clara; Daily Shelf
        Jasmine rice | 2 lb 449; 5 lb 899 | Daily Shelf; Two Rivers
        Brown rice | 2 lb 399 | Daily Shelf; Two Rivers
        Red lentils | 16 oz 299 | Two Rivers
        Rolled oats | 18 oz 349; 42 oz 599 | Daily Shelf; Field & Oat
        All-purpose flour | 5 lb 399 | Daily Shelf; Two Rivers
        Granulated sugar | 4 lb 379 | Daily Shelf
        Extra virgin olive oil | 16.9 oz 999 | Casa Clara; Two Rivers
        Canola oil | 48 oz 549 | Daily Shelf
        Peanut butter | 16 oz 299; 40 oz 649 | Daily Shelf; Field & Oat
        Strawberry jam | 18 oz 349 | Daily Shelf; Old Churn
        Honey | 12 oz 599 | Two Rivers
        Ketchup | 20 oz 299 | Daily Shelf
        Yellow mustard | 8 oz 179 | Daily Shelf
        Mayonnaise | 30 oz 499 | Daily Shelf
        Soy sauce | 15 oz 329 | Two Rivers
        Chicken broth | 32 oz 279 | Daily Shelf; Green Acre Organic
        Tuna in water | 5 oz 129 | Harbor Catch; Daily Shelf
        Tomato soup | 10.75 oz 159 | Daily Shelf
        Corn flakes | 18 oz 399 | Daily Shelf; Morning Field
        Granola | 12 oz 499 | Morning Field; Field & Oat
        Pancake mix | 32 oz 349 | Morning Field
        Maple syrup | 12 oz 899 | Two Rivers
        Sea salt | 26 oz 249 | Two Rivers
        Ground black pepper | 3 oz 449 | Two Rivers
        Cinnamon | 2.4 oz 399 | Two Rivers
        """,
    ),
    _Department(
        "Snacks & Sweets",
        "7",
        "grocery",
        """
        Sea salt potato chips | 8 oz 399 | Crisp & Co; Daily Shelf
        Barbecue potato chips | 8 oz 399 | Crisp & Co; Daily Shelf
        Tortilla chips | 13 oz 399 | Casa Clara; Crisp & Co
        Salsa | 16 oz 399 | Casa Clara
        Pretzels | 16 oz 349 | Crisp & Co
        Popcorn | 5 oz 349 | Crisp & Co
        Roasted almonds | 16 oz 899 | Two Rivers
        Trail mix | 12 oz 699 | Two Rivers
        Dark chocolate bar | 3.5 oz 349 | Cocoa House
        Milk chocolate bar | 3.5 oz 329 | Cocoa House
        Oatmeal cookies | 12 oz 449 | Mill Street Bakers; Crisp & Co
        Graham crackers | 14 oz 379 | Crisp & Co
        Wheat crackers | 9 oz 349 | Crisp & Co
        Fruit and nut bars | 6 count 699 | Field & Oat
        """,
    ),
    _Department(
        "Drinks",
        "8",
        "general",
        """
        Sparkling water lime | 8 cans 499 | Clear Brook; Daily Shelf
        Sparkling water grapefruit | 8 cans 499 | Clear Brook
        Spring water | 24 bottles 549 | Clear Brook
        Cola | 12 cans 799; 2 L 249 | Pop Union; Daily Shelf
        Lemon soda | 12 cans 799; 2 L 249 | Pop Union
        Orange juice | 52 oz 449 | Orchard Row; Green Acre Organic
        Apple juice | 64 oz 399 | Orchard Row
        Ginger kombucha | 16 oz 399 | Leaf & Stem
        Ground coffee | 12 oz 999 | North Roast; Daily Shelf
        Whole bean coffee | 12 oz 1099 | North Roast
        Green tea | 20 bags 399 | Two Rivers
        Black tea | 20 bags 349 | Two Rivers
        """,
    ),
    _Department(
        "Beer & Wine",
        "9",
        "alcohol",
        """
        Pale ale | 6 bottles 1199; 12 cans 1899 | Lock Seven Brewing
        Lager | 6 bottles 1099; 12 cans 1699 | Lock Seven Brewing
        Stout | 4 cans 1199 | Lock Seven Brewing
        Red blend | 750 ml 1299 | Stone Terrace
        Sauvignon blanc | 750 ml 1199 | Stone Terrace
        Rosé | 750 ml 1199 | Stone Terrace
        """,
    ),
    _Department(
        "Household",
        "10",
        "general",
        """
        Paper towels | 6 rolls 1099 | Homewell; Daily Shelf
        Toilet paper | 12 rolls 1199 | Homewell; Daily Shelf
        Facial tissues | 3 boxes 649 | Homewell
        Dish soap | 20 oz 349 | Homewell; Clear Brook Home
        Dishwasher tablets | 32 count 1299 | Homewell
        Laundry detergent | 92 oz 1399 | Homewell; Clear Brook Home
        All-purpose cleaner | 32 oz 429 | Homewell; Clear Brook Home
        Trash bags | 40 count 999 | Homewell
        Aluminium foil | 75 sq ft 549 | Homewell
        Sponges | 3 count 349 | Homewell
        Hand soap | 7.5 oz 299 | Homewell; Clear Brook Home
        Shampoo | 12 oz 649 | Homewell
        Toothpaste | 4.8 oz 399 | Homewell
        Diapers size 4 | 29 count 1199 | Little Otter
        Baby wipes | 216 count 799 | Little Otter
        Cat food | 5.5 oz 149 | Good Paw
        Dog food | 15 lb 2499 | Good Paw
        """,
    ),
)

_DEPOSIT_CENTS = 10
_CONTAINERS = {"cans", "bottles"}


def goods(*, price_percent: int = 100) -> Iterator[Good]:
    """Everything one store sells, in shelf order; ``price_percent`` makes a store dearer or cheaper than the table."""
    number = 0
    for department in DEPARTMENTS:
        rank = 0
        for line in filter(str.strip, department.table.splitlines()):
            name, sizes, brands = (part.strip() for part in line.split("|"))
            for brand_number, brand in enumerate(brands.split(";")):
                for size_and_price in sizes.split(";"):
                    size, _, cents = size_and_price.strip().rpartition(" ")
                    number, rank = number + 1, rank + 10
                    unit, _, par_weight = size.partition("~")
                    yield Good(
                        lookup_code=f"{4000 + number}",
                        name=f"Organic {name[0].lower()}{name[1:]}" if "Organic" in brand else name,
                        brand=brand.strip(),
                        size="" if unit in {"lb", "each"} else size,
                        department=department.name,
                        aisle=department.aisle,
                        rank=rank,
                        cost_unit="lb" if unit == "lb" else "each",
                        price_cents=_ending_in_nine(int(cents) * price_percent * (100 + 30 * brand_number) // 10_000),
                        par_weight=par_weight,
                        tax_category=department.tax_category,
                        deposit_cents=_deposit(size),
                        is_alcoholic=department.tax_category == "alcohol",
                    )


def _ending_in_nine(cents: int) -> int:
    return cents // 10 * 10 + 9


def _deposit(size: str) -> int:
    """Ten cents for each bottle or can, as in states with a container deposit."""
    count, _, unit = size.partition(" ")
    if unit in _CONTAINERS:
        return _DEPOSIT_CENTS * int(count)
    return _DEPOSIT_CENTS if size == "2 L" else 0
