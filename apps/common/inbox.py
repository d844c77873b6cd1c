"""Apply a message once, however often it is delivered."""

from django.db import connections, transaction


def first_time(message_id: str, *, consumer: str, using: str) -> bool:
    """True when ``consumer`` has not applied this message to database ``using`` yet; it is noted as applied.

    Call it first in the transaction that applies the message: the note and the change stand or fall
    together, and a second delivery at the same moment waits for the first. 1 query.

    The note does not move with a bucket: a message that is delivered again after the rows it changed have moved is new
    to their new home. So let a row of its own (its unique key) refuse the second time; the note then saves work.
    Raises TransactionManagementError when no transaction is open there.
    """
    if not transaction.get_connection(using).in_atomic_block:
        raise transaction.TransactionManagementError(f"{consumer} notes a message outside a transaction")
    with connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO common_inboxmessage (message_id, consumer) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [message_id, consumer],
        )
        return bool(cursor.rowcount)
