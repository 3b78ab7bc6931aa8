"""Figures of the chapter `resnet`."""
