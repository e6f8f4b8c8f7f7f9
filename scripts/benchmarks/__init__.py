"""The measurements of ``bench.py``: one file per item, and one per plain form it is measured against."""
