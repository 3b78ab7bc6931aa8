"""The outcome of a claim inside a sentence: the word of this build, never a typed one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from featnorm.claims import NOT_CHECKED, REGISTRY

PATH = Path(__file__).parents[1] / "book" / "_ext" / "claims.py"


@pytest.fixture(scope="module")
def extension():
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("claims_extension", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("word", ["holds", "holds loosely", "fails", "undecided"])
def test_outcome_is_the_one_of_the_build_and_links(extension, word):
    shown = extension.outcome_shown(REGISTRY["lemma-4"], {"lemma-4": {"outcome": word}}, "lemma_4.html#lemma-4")
    assert shown.astext() == word
    assert shown["refuri"] == "lemma_4.html#lemma-4"
    assert f"featnorm-{word.split()[0]}" in shown[0]["classes"]


def test_a_claim_without_a_result_says_so(extension):
    shown = extension.outcome_shown(REGISTRY["lemma-4"], {}, None)
    assert shown.astext() == NOT_CHECKED
