from apps.common.errors import Conflict, Forbidden, Invalid


class QuantityOutOfRange(Invalid):
    """Below zero, above what one cart may hold, or finer than a scale shows."""

    code = "quantity_out_of_range"


class QuantityNotWhole(Invalid):
    """Half a piece of something that is sold by the piece."""

    code = "quantity_not_whole"


class NoteTooLong(Invalid):
    code = "note_too_long"


class NoteUnprintable(Invalid):
    code = "note_unprintable"


class ReplacementPolicyUnknown(Invalid):
    code = "replacement_policy_unknown"


class ReplacementInvalid(Invalid):
    """The item to replace another is none of this store's, is the other itself, or is named where none is wanted."""

    code = "replacement_invalid"


class NotSoldInPieces(Invalid):
    """Nobody knows what one piece of it weighs."""

    code = "not_sold_in_pieces"


class LineTwice(Invalid):
    """Two lines of one request are about the same item."""

    code = "line_twice"


class NotSoldHere(Conflict):
    """The store does not have the item in its assortment."""

    code = "not_sold_here"


class CartStale(Conflict):
    """The cart was changed since the caller last saw it."""

    code = "cart_stale"


class CartEmpty(Conflict):
    code = "cart_empty"


class CartFull(Conflict):
    code = "cart_full"


class BelowMinimum(Conflict):
    """The goods come to less than the store delivers for."""

    code = "below_minimum"


class BirthDateMissing(Invalid):
    """The cart holds something for adults, and nobody said how old they are; or the date cannot be."""

    code = "birth_date_missing"


class UnderAge(Forbidden):
    code = "under_age"


class AlcoholNotHere(Conflict):
    """It may not be delivered to that address."""

    code = "alcohol_not_here"
