"""Figures of the chapter `heavy_decay`."""
