"""Figures of the chapter `what_is_learned`."""
