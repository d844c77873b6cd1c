"""What the library's own database objects are called."""

SEQUENCE = "sharding_id"
NEXT_ID = "sharding_next_id"
REFUSE = "sharding_refuse_change"
FILL_TRIGGER = "sharding_fill_"
KEEP_TRIGGER = "sharding_keep_"
HOME_CHECK = "sharding_home_"
FILL_FUNCTION = "sharding_fill_"

ADVISORY_CLASS = 21_320
"""First number of the library's two-number advisory locks; the second is one of those below."""
CLOCK_LOCK = 0
INSTALL_LOCK = 1
