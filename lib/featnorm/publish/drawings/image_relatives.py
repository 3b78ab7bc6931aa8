"""Figures of the chapter `image_relatives`."""
