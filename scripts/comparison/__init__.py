"""Searched against random architectures: what ``scripts/evidence.py`` trains, counts, draws and writes."""
