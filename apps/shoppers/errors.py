from apps.common.errors import Conflict, Forbidden, Invalid


class NotAShopper(Forbidden):
    """Signed in, but nobody registered this person as a shopper."""

    code = "not_a_shopper"


class ShopperPaused(Forbidden):
    """Registered, but may not take work for now."""

    code = "shopper_paused"


class ShiftInvalid(Invalid):
    code = "shift_invalid"


class CertificateInvalid(Invalid):
    code = "certificate_invalid"


class CertificateMissing(Forbidden):
    """Something of the batch may only be carried by who has a certificate for it, and this shopper has none now."""

    code = "certificate_missing"


class ShopperOffline(Conflict):
    code = "shopper_offline"
