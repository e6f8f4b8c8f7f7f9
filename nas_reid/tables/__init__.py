"""Tables of stand-alone trainings: what each of many genotypes of a space is worth under one frozen recipe.

    from nas_reid.tables import Table
    table = Table("auto_reid")
    table.query(genotype).mAP            # mean over the seeds it was trained with, on unseen people
    table.query(genotype, epoch=5).validation

JSON lines, one per training, made by ``python -m nas_reid.tabulate``; read without torch.
"""

from nas_reid.tables.table import Entry, Line, Table, published_tables

__all__ = ["Entry", "Line", "Table", "published_tables"]
