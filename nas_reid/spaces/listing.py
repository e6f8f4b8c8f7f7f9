"""Which search spaces there are, and who provides them."""

from nas_reid.registry import folder_of, installed_spaces, known_spaces, module_of, published_genotypes


def table() -> str:
    """A line for each space: its name, where it comes from, and how many genotypes it publishes."""
    rows = [("space", "from", "genotypes")]
    rows += [(name, source(name), str(len(published_genotypes(name)))) for name in known_spaces()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"{name:<{widths[0]}}  {origin:<{widths[1]}}  {count:>{widths[2]}}"
                     for name, origin, count in rows)


def source(space: str) -> str:
    """Distribution, version and folder of a space; without a distribution the folder alone."""
    module = module_of(space)
    folder = folder_of(module) if module else None
    for entry in installed_spaces():
        if entry.name == space and entry.dist is not None:
            return f"{entry.dist.name} {entry.dist.version}, {folder or 'which cannot be found: reinstall it'}"
    return str(folder) if folder else "this process"
