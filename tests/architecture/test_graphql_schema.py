"""The GraphQL schema in ``docs/`` is the one that is served: a change to it shows in review.

Write it anew with::

    python manage.py graphql_schema --schema instacart.schema.schema --out docs/schema.graphql
"""

from instacart.env import ROOT
from instacart.schema import schema


def test_the_schema_in_docs_is_the_one_that_is_served():
    assert (ROOT / "docs" / "schema.graphql").read_text(encoding="utf-8").strip() == str(schema).strip()
