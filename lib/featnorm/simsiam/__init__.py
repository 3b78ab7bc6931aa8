"""SimSiam itself, trained with PyTorch: `linear` on Gaussian data (Section 5.4), `image` on CIFAR-10 (Appendix D.2).

Importing this package imports nothing else; PyTorch starts with the module you ask for.
"""
