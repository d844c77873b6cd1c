"""The lint's rules for SQL that somebody wrote by hand."""

import re
from collections.abc import Collection, Iterator, Sequence

import sqlparse

_TABLE = r'(?:ONLY )?(?:IF EXISTS )?"?(?P<table>\w+)"?'
_ALTER = rf"ALTER TABLE {_TABLE}.*\b"
_STABLE = r"(?:now|statement_timestamp|transaction_timestamp|current_\w+)\b"

_PATTERNS: Sequence[tuple[str, str]] = (
    ("index-blocks-writes", rf"CREATE INDEX (?!CONCURRENTLY)(?:.*?)\bON {_TABLE}"),
    ("index-blocks-writes", r"REINDEX (?!.*\bCONCURRENTLY\b)"),
    ("index-blocks-writes", rf"{_ALTER}ADD (?:CONSTRAINT \S+ )?EXCLUDE\b"),
    ("unique-blocks-writes", rf"CREATE UNIQUE INDEX (?!CONCURRENTLY)(?:.*?)\bON {_TABLE}"),
    ("unique-blocks-writes", rf"{_ALTER}ADD (?:CONSTRAINT \S+ )?(?:UNIQUE|PRIMARY KEY)\b(?! USING INDEX)"),
    ("check-scans-table", rf"{_ALTER}ADD (?:CONSTRAINT \S+ )?CHECK\b(?!.*\bNOT VALID\b)"),
    ("foreign-key-scans-table", rf"{_ALTER}ADD (?:CONSTRAINT \S+ )?FOREIGN KEY\b(?!.*\bNOT VALID\b)"),
    ("type-change-rewrites-table", rf"{_ALTER}ALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b"),
    ("set-not-null-scans-table", rf"{_ALTER}SET NOT NULL\b"),
    ("not-null-without-db-default", rf"{_ALTER}ADD COLUMN (?!.*\b(?:DEFAULT|GENERATED)\b).*\bNOT NULL\b"),
    ("default-rewrites-table", rf"{_ALTER}ADD COLUMN .*\bDEFAULT (?!{_STABLE})\w+\("),
    ("default-rewrites-table", rf"{_ALTER}ADD COLUMN .*(?:\bGENERATED\b|\w*serial\b)"),
    ("rename-breaks-running-code", rf"{_ALTER}RENAME (?!CONSTRAINT\b)"),
    ("removed-while-in-use", rf"{_ALTER}DROP (?:COLUMN )(?:IF EXISTS )?"),
    ("removed-while-in-use", rf"DROP TABLE {_TABLE}"),
    ("data-in-a-migration", rf"UPDATE {_TABLE}"),
    ("data-in-a-migration", rf"(?:DELETE FROM|MERGE INTO) {_TABLE}"),
    ("data-in-a-migration", rf"INSERT INTO {_TABLE}.*\bSELECT\b"),
    ("locks-table", rf"(?:VACUUM \(?FULL|CLUSTER\b|LOCK |TRUNCATE (?:TABLE )?{_TABLE})"),
    ("locks-table", rf"{_ALTER}SET (?:UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)\b"),
)
_RULES = [(rule, re.compile(pattern, re.IGNORECASE)) for rule, pattern in _PATTERNS]
_CONCURRENTLY = re.compile(r"(?:CREATE|DROP|REINDEX) .*\bCONCURRENTLY\b", re.IGNORECASE)
_VALIDATE = re.compile(rf"{_ALTER}VALIDATE CONSTRAINT\b", re.IGNORECASE)
_MAKES_CODE = re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|TRIGGER|VIEW)\b", re.IGNORECASE)


def rules_broken(sql: str, *, is_atomic: bool, is_holding_locks: bool, new_tables: Collection[str]) -> Iterator[str]:
    """The names of the rules that the statements of ``sql`` break; those about ``new_tables`` break none."""
    for statement in sqlparse.split(sqlparse.format(sql, strip_comments=True)):
        text = " ".join(statement.split())
        if _MAKES_CODE.match(text):
            continue  # runs when it is called
        if is_atomic and _CONCURRENTLY.match(text):
            yield "concurrently-in-a-transaction"
        if is_atomic and is_holding_locks and _VALIDATE.match(text):
            yield "validated-under-lock"
        for rule, pattern in _RULES:
            found = pattern.match(text)
            if found and not _named(found) & set(new_tables):
                yield rule


def _named(found: "re.Match[str]") -> set[str]:
    return {table for table in found.groupdict().values() if table is not None}
