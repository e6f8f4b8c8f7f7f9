"""What a file is that was given in place of another, told by its first bytes."""

import re

HEAD = 1024
"""So many bytes are enough to tell."""
_BEGINNINGS = {
    b"PK\x03\x04": "is a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "is a workbook of old Excel",
    b"\x1f\x8b": "is compressed by gzip",
    b"PAR1": "is a Parquet file",
    b"SQLite format 3": "is a SQLite database",
    b"\x89PNG": "is a picture",
    b"\xff\xd8\xff": "is a picture",
    b"%PDF": "is a PDF document",
}


def pointer_or_page(head: bytes) -> str | None:
    """What stands where a file should have been downloaded, in words that follow "it"; None where that is not so.

    Args:
        head: the first ``HEAD`` bytes.
    """
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS in place of the file; fetch the file itself (git lfs pull)"
    if re.match(rb"\s*<(!doctype|html|\?xml|head)", head, re.IGNORECASE):
        return "is a web page, not what the page offers; download the file itself"
    return None


def no_text(head: bytes) -> str | None:
    """What a file is that holds no lines of text, in words that follow "it"; None where it may hold some.

    Args:
        head: the first ``HEAD`` bytes.
    """
    if reason := pointer_or_page(head):
        return reason
    if known := next((what for begins, what in _BEGINNINGS.items() if head.startswith(begins)), None):
        return known
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is no text, but binary"
    return None
