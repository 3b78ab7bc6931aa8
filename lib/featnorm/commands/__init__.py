"""Commands of ``featnorm`` that train: a module each, loaded only when it is asked for, since PyTorch starts slowly.

A module here has `add_options`, which fills its parser, and `run`, which does the work and returns an exit status;
`FAMILIES` of `featnorm.cli` names it. Errors that a user can mend are raised as ValueError or OSError.
"""
