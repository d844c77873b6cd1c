"""Import-linter contract: one app reaches another only through its public modules."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PublicSurfaceContract(Contract):
    """Forbid ``apps.a.* -> apps.b.<private>``.

    ``surface`` is open to every importer, ``edge_surface`` only to the ``edges`` of ``apps.a`` (GraphQL
    types refer to each other, pages ask who may see them), ``shared`` names an app that is public as a whole.
    """

    type_name = "public_surface"

    container = fields.StringField()
    shared = fields.StringField(required=False)
    surface = fields.ListField(subfield=fields.StringField())
    edges = fields.ListField(subfield=fields.StringField(), required=False)
    edge_surface = fields.ListField(subfield=fields.StringField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        leaks = [
            (importer, detail["line_number"], imported)
            for app in sorted(graph.find_children(self.container))
            for importer in sorted({app} | graph.find_descendants(app))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if self._is_private(app, importer, imported)
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not leaks, metadata={"leaks": leaks})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for importer, line, imported in check.metadata["leaks"]:
            output.print_error(f"{importer}:{line} imports {imported}, which is private to its app.", bold=False)

    def _is_private(self, app: str, importer: str, imported: str) -> bool:
        owner, _, inner = imported.removeprefix(f"{self.container}.").partition(".")
        if imported == f"{self.container}.{owner}.{inner}".rstrip(".") and owner in {
            app.rpartition(".")[2],
            self.shared,
        }:
            return False
        if not imported.startswith(f"{self.container}."):
            return False
        surface = list(self.surface)
        if importer.removeprefix(f"{app}.").partition(".")[0] in (self.edges or []):
            surface += self.edge_surface or []
        return not any(inner == name or inner.startswith(f"{name}.") for name in surface)
