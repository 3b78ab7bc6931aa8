"""featnorm: the library behind the computational paper on feature normalization and collapse.

Light to import: PyTorch is loaded by `featnorm.simsiam` only.
"""

__version__ = "0.1.0"
