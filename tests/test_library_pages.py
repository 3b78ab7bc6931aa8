"""The pages about the library: what is public has an example and a page, and plain docstrings read as intended."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from featnorm.claims import CHECKS
from featnorm.publish import library
from featnorm.publish.examples import EXAMPLES

pytest.importorskip("torch")  # the training modules need it
BOOK = Path(__file__).parents[1] / "book"
# What docstrings set in single backticks although it names nothing that can be imported from where they stand.
NO_NAMES = {
    "featnorm.simsiam.fast.train_many": {"train"},  # of the module `linear`
    "featnorm.simsiam.linear.cosine_loss": {"cosine_similarity", "normalize"},  # of PyTorch
    "featnorm.simsiam.phase": {"rank_law"},
}


@pytest.fixture(scope="module")
def extension():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("library_pages", BOOK / "_ext" / "library_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- What is public --------------------------------------------------------------------------------------------------


def own_doc(value) -> str:
    """The docstring of a function or class itself, not one that it inherits."""
    return inspect.cleandoc(value.__doc__ or "")


@pytest.mark.parametrize("name", library.public())
def test_every_public_name_has_a_doctest(name):
    """In its docstring, or among the examples where archived runs keep a hash of that docstring; never in both."""
    assert (">>>" in own_doc(library.public()[name])) != (name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_it_would_in_the_docstring(name):
    value = library.public()[name]
    names = {**vars(sys.modules[value.__module__]), "np": np}
    test = doctest.DocTestParser().get_doctest(EXAMPLES[name], names, name, None, 0)
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)
    assert test.examples


def test_every_public_module_is_on_one_page():
    pages = [page.read_text(encoding="utf-8") for page in (BOOK / "api").glob("*.md")]
    shown = [name for page in pages for name in re.findall(r"automodule:: (\S+)", page)]
    assert sorted(shown) == sorted(library.modules())


def test_what_is_plumbing_or_private_is_not_public():
    assert not [name for name in library.modules() if "publish" in name or "._" in name]
    assert "featnorm.equilibria.frozen.regime" not in library.public()  # users import it from featnorm.equilibria


def test_names_in_docstrings_mean_something():
    """A name in single backticks is a reference, so it must name something; double ones are for everything else."""
    lost: dict[str, set[str]] = {}
    owners = {name: sys.modules[name] for name in library.modules()}
    owners |= {f"{value.__module__}.{value.__qualname__}": value for value in library.public().values()}
    for place, value in owners.items():
        text = re.sub(r"``.*?``", "", own_doc(value), flags=re.DOTALL)
        for name in re.findall(r"`([^`]+)`", text):
            if library.resolve(name, place) is None:
                lost.setdefault(place, set()).add(name)
    assert lost == NO_NAMES


# --- Which claims use what -------------------------------------------------------------------------------------------


def test_uses_are_those_that_the_code_names():
    assert "featnorm.matrix_flow.clock" in library.used("beyond-clock")
    assert "featnorm.matrix_flow.gradient_flow" in library.used("beyond-clock")  # by a helper of the check
    assert "featnorm.simsiam.linear.gradients" in library.used("lemma-1")  # imported inside the check
    assert "featnorm.setting.views" in library.used("assumption-2")  # the variant that is claimed


def test_what_only_a_wrong_variant_names_is_not_used():
    """And neither is what a library function calls: the flow of Eq. 3 calls the field, the check only the flow."""
    assert "featnorm.matrix_flow.cosine_field" not in library.used("beyond-clock")
    used = library.names_used(CHECKS["beyond-exact-moments"].wrong)
    assert "featnorm.normalized_moments.diagonal_moments" in used - set(library.used("beyond-exact-moments"))


def test_both_directions_say_the_same():
    pairs = {(id, name) for id in CHECKS for name in library.used(id)}
    assert pairs == {(id, name) for name, ids in library.used_by().items() for id in ids}
    assert len(pairs) > len(CHECKS)


# --- Plain docstrings ------------------------------------------------------------------------------------------------


def read(extension, text: str, place: str = "featnorm.setting.views") -> str:
    return "\n".join(extension.readable(text.split("\n"), place)).strip()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("||Phi||_F of y* and P_ a", r"\|\|Phi\|\|_F of y\* and P\_ a"),
        ("see `norms` and `np`", "see :py:obj:`norms <featnorm.setting.norms>` and ``np``"),
        ("code ``a|b``, *not* text", "code ``a|b``, *not* text"),
        ("Text:\n\n    x = |y|", "Text:\n\n::\n\n    x = |y|"),
        (">>> 2 * 3\n6", ">>> 2 * 3\n6"),
        ("Such as\n>>> 1 | 2\n3", "Such as\n\n>>> 1 | 2\n3"),
        ("- one |a|\n- two", "- one \\|a\\|\n\n- two"),
    ],
)
def test_plain_text_reads_the_same(extension, text, shown):
    assert read(extension, text) == shown


def test_arguments_become_a_list(extension):
    text = "Parameters\n----------\nw, phi: shape (h,);\n    phi >= 0.\nn: many."
    assert read(extension, text).split("\n\n")[1:] == ["- ``w``, ``phi``: shape (h,);\n  phi >= 0.", "- ``n``: many."]


def test_fields_of_a_class_become_a_list(extension):
    lines = ["size: one; it is", "note: not a field.  rank, spread: two."]
    shown = extension.readable(lines, "featnorm.collapse.Collapse", {"size", "rank", "spread"})
    assert [line for line in shown if line] == [
        "- ``size``: one; it is",
        "  note: not a field.",
        "- ``rank``, ``spread``: two.",
    ]
    assert extension.readable(["size: one"], "featnorm.collapse.measure")[0] == "size: one"


def test_a_long_value_of_a_constant_is_left_out(extension):
    from docutils.utils import new_document
    from sphinx import addnodes

    signature = addnodes.desc_signature()
    signature += addnodes.desc_name("", "NAME")
    for length in (10, extension.LONG):
        signature += addnodes.desc_annotation("", f" = {'x' * length}")
    document = new_document("page")
    document += signature
    extension._shorten(None, document)
    assert signature.astext() == f"NAME = {'x' * 10}"


def test_a_name_is_looked_up_where_the_docstring_stands(extension):
    assert extension.reference("gradients", "featnorm.simsiam.linear.train").endswith(
        "<featnorm.simsiam.linear.gradients>`"
    )
    assert extension.reference("gradients", "featnorm.setting") == "``gradients``"
